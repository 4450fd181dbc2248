"""Recipes: every shipped one loads, and a stranger's is refused where it says what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from thawline.core.errors import UsageError
from thawline.core.options import Options
from thawline.train.hyperparameters import TrainOptions
from thawline.train.plan import parse_plan
from thawline.work.order import Goal, Row
from thawline.work.recipe import Recipe, load_recipe, parse_recipe, read_config, recipe_names, rows_of_plans

OWN = """
title = "Mine"
story = "Why not."

[options]
size = 96

[training]
epochs = 3

[[rows]]
name = "tuned"
plan = "last 20 %"
origin = 0.5
training = { epochs = 2 }

[[rows]]
name = "solved"
frozen = "whole"
"""


def refused(text, *said):
    with pytest.raises(UsageError) as error:
        parse_recipe(text, "mine")
    for words in said:
        assert words in str(error.value)


def test_the_five_origin_projects_are_there():
    assert recipe_names() == ("bulldog", "celebrity", "cifar10", "instruments", "monkeys")


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_loads_and_says_what_it_does(name):
    recipe = load_recipe(name)
    assert recipe.title
    assert recipe.order("photos", protocol="test").delivered in [row.name for row in recipe.rows]
    assert any(row.origin for row in recipe.rows)
    for row in recipe.rows:
        if row.plan:
            parse_plan(row.plan)
            recipe.order("photos").training_of(row)


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_says_what_it_gave_and_how_long_it_took(name):
    recipe = load_recipe(name)
    assert recipe.expectations.expected
    for entry in recipe.expectations.expected:
        assert f"thawline recipe run {name}" in entry.command
        assert entry.minutes > 0
        assert set(entry.scores) == {row.name for row in recipe.rows}
        assert all(0 <= low <= value <= high <= 1 for value, low, high in entry.scores.values())


def test_a_rows_own_options_stand_over_those_of_the_recipe():
    recipe = parse_recipe(OWN, "mine")
    order = recipe.order("photos", protocol="test")
    assert order.training_of(order.rows[0]).epochs == 2
    assert order.options.size == 96
    assert order.delivered == "solved"
    assert recipe.text == OWN


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("size = 96", "sise = 96", ("[options]", "'sise'", "did you mean size?")),
        ("size = 96", 'size = "large"', ("[options]", "size", "'large'")),
        ("size = 96", "size = 7", ("[options]", "between 32 and 2048")),
        ("epochs = 2", "epoch = 2", ("row 'tuned', training", "did you mean epochs?")),
        ("epochs = 2", "epochs = 0", ("row 'tuned', training", "epochs")),
        ('plan = "last 20 %"', 'plan = "last 0 %"', ("a share above 0",)),
        ('plan = "last 20 %"', 'plans = "last 20 %"', ("[[rows]] 1", "did you mean plan?")),
        ('plan = "last 20 %"', "", ("row 'tuned'", "not both")),
        ('frozen = "whole"', 'frozen = "whole"\nplan = "all"', ("row 'solved'", "not both")),
        ('frozen = "whole"', 'frozen = "whole"\ntraining = { epochs = 1 }', ("row 'solved'", "no training")),
        ('name = "solved"', 'name = "tuned"', ("a name of its own",)),
        ('title = "Mine"', 'title = "Mine"\ndeliver = "none"', ("deliver", "tuned, solved")),
        ('title = "Mine"', 'title = "Mine"\nprotocol = "luck"', ("protocol", "'luck'")),
        ('title = "Mine"', 'title = "Mine"\ncode = "import os"', ("no key 'code'",)),
        ('title = "Mine"', 'title = "Mine"\nname = "monkeys"', ("no key 'name'",)),
        ('title = "Mine"', "title = Mine", ("TOML",)),
        ("[[rows]]", "[rows]", ("TOML",)),
    ],
)
def test_what_cannot_be_is_refused_with_the_key_and_the_way_out(old, new, said):
    assert old in OWN
    refused(OWN.replace(old, new, 1), "recipe mine", *said)


def test_rows_must_be_tables():
    refused('title = "x"\nstory = "y"\nrows = ["all"]', "[[rows]]")


def test_expected_scores_name_rows_that_exist():
    stated = '[[expected]]\npictures = "k"\nbackbone = "b"\ncommand = "c"\nminutes = 1\n'
    stated += "scores = { other = [0.5, 0.4, 0.6] }"
    refused(OWN + stated, "other", "tuned, solved")


def test_an_unknown_recipe_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UsageError, match="Did you mean monkeys"):
        load_recipe("monkey")
    with pytest.raises(UsageError, match=r"missing\.toml"):
        load_recipe(str(tmp_path / "missing.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8 text"):
        load_recipe(str(tmp_path / "binary.toml"))


def test_a_recipe_of_ones_own_is_read_from_its_file(tmp_path):
    (tmp_path / "mine.toml").write_text(OWN, encoding="utf-8")
    assert load_recipe(str(tmp_path / "mine.toml")).name == "mine"


# what is given next to it


def test_what_was_given_goes_before_the_recipe_also_where_it_equals_the_default():
    recipe = parse_recipe('fit = "letterbox"\nschedule = "plateau"\nfolds = 3\nplans = ["all"]', "mine")
    assert recipe.order("photos").options == Options(fit="letterbox", folds=3)
    assert recipe.order("photos").training == TrainOptions(schedule="plateau")
    order = recipe.order("photos", options={"fit": "crop"}, training={"schedule": "cosine"})
    assert order.options == Options(fit="crop", folds=3)
    assert order.training_of(order.rows[0]) == TrainOptions(schedule="cosine")


def test_what_was_given_goes_before_a_row_s_own_options():
    order = parse_recipe(OWN, "mine").order("photos", training={"epochs": 9})
    assert order.training_of(order.rows[0]).epochs == 9


def test_rows_photos_goal_and_protocol_are_the_recipe_s_unless_others_are_given():
    text = OWN.replace('title = "Mine"', 'title = "Mine"\nphotos = "theirs"\nprotocol = "folds"\ndeliver = "tuned"')
    recipe = parse_recipe(text + "\n[goal]\naccuracy = 0.8", "mine")
    order = recipe.order()
    assert (str(order.photos), order.protocol, order.delivered) == ("theirs", "folds", "tuned")
    assert order.expectations.goal == Goal(0.8)
    assert order.options.repeats == 1  # folds that train every row are drawn once
    rows = (Row(name="head", plan="head"),)
    other = recipe.order("mine", rows=rows, protocol="choose", goal=0.9, options={"repeats": 2})
    assert (str(other.photos), other.protocol, other.rows) == ("mine", "choose", rows)
    assert other.expectations.goal == Goal(0.9)
    assert other.options.repeats == 2


STATED = (
    OWN
    + """
[[expected]]
pictures = "k"
backbone = "b"
command = "c"
minutes = 1
scores = { solved = [0.5, 0.4, 0.6] }
"""
)


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        ({}, True),
        ({"options": {"seed": 0, "size": 96, "device": "cpu", "backbone": "resnet18", "limit": 9}}, True),
        ({"options": {"seed": 1}}, False),
        ({"options": {"size": 64}}, False),
        ({"training": {"epochs": 3}}, False),
        ({"rows": (Row(name="head", plan="head"),)}, False),
    ],
)
def test_stated_scores_hold_for_the_recipe_as_it_is(given, holds):
    order = parse_recipe(STATED, "mine").order("photos", **given)
    assert bool(order.expectations.expected) == holds


def test_plans_become_rows_each_once():
    rows = rows_of_plans(["Last 20%", "all", "last 20 %", "last 100 %", "simple CNN"])
    assert [row.name for row in rows] == ["last 20 %", "all", "simple_cnn from nothing"]
    assert all(row.name == row.plan for row in rows)


def test_an_order_needs_pictures():
    with pytest.raises(UsageError, match="no pictures are named"):
        Recipe().order()


# --config


@pytest.fixture
def config(tmp_path):
    """Return a function from a text to the file that holds it."""

    def write(text):
        path = tmp_path / "run.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_options_may_stand_by_themselves(config):
    path = config(
        'photos = "monkeys"\n'
        'plans = ["simple_cnn from nothing", "last 20 %"]\n'
        'size = 224\npooling = ["mean", "max"]\nweights = "net.safetensors"\n'
        'epochs = 12\nschedule = "one-cycle"\nlearning_rate = 1e-3\nclip_norm = 2\n'
    )
    order = read_config(path).order()
    assert str(order.photos) == str(path.parent / "monkeys")  # relative to the file
    assert [row.plan for row in order.rows] == ["simple_cnn from nothing", "last 20 %"]
    assert order.options == Options(size=224, pooling=("mean", "max"), weights=Path("net.safetensors"))
    assert order.training == TrainOptions(epochs=12, schedule="one-cycle", learning_rate=1e-3, clip_norm=2.0)
    assert order.protocol == "choose"


def test_a_recipe_serves_as_a_config_and_a_config_as_a_recipe(config):
    assert read_config(config(OWN)).order("photos").rows == parse_recipe(OWN, "mine").rows
    order = load_recipe(str(config('plans = ["all"]'))).order("photos", protocol="test")
    assert order.delivered == "all"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch = 3", r"there is no key 'epoch'; did you mean epochs\?"),
        ("plan = ['all']", r"no key 'plan'; did you mean plans\?"),
        ("zzz = 1\nepoch = 3", r"no key 'zzz' \(there is .*no key 'epoch'; did you mean epochs"),
        ('"\\u001b[31m" = 1', r"'\\x1b\[31m'"),
        ("epochs = 'many'", r"epochs = 'many': input should be a valid integer"),
        ("epochs = [3]\nfolds = 2", r"epochs = \[3\]: input should be a valid integer"),
        ("fit = 'zoom'", r"fit = 'zoom': input should be 'crop', 'letterbox' or 'stretch'"),
        ("pooling = ['mode']", r"pooling\.0 = 'mode'"),
        ("plans = 'all'", r'plans must be a list of texts, e\.g\. plans = \["last 20 %"\]'),
        ("plans = [1]", r"plans must be a list of texts"),
        ("plans = ['all']\n[[rows]]\nname = 'a'\nplan = 'all'", r"plans and \[\[rows\]\] both"),
        ("size = 64\n[options]\nsize = 96", r"size stands twice"),
        ("options = 3", r"options must be a table"),
        ("photos = 3", r"photos must be a text"),
        ("goal = 9", r"\[goal\]: accuracy = 9"),
        ("epochs = ", r"Invalid value"),
        ("epochs = 4\nwarmup = 4", r"--warmup 4 is as long as the training"),
        ("folds = 1", r"--folds 1"),
    ],
)
def test_a_config_that_cannot_be_is_refused_by_its_key(text, words, config):
    path = config(text)
    with pytest.raises(UsageError, match=words) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"config {path}")


def test_configs_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"run\.toml: No such file or directory\. Name a TOML file"):
        read_config(tmp_path / "run.toml")
    with pytest.raises(UsageError, match="Is a directory"):
        read_config(tmp_path)
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"run\.toml: not UTF-8 text"):
        read_config(tmp_path / "run.toml")
