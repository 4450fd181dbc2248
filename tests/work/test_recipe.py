"""Recipes: every shipped one loads, and a stranger's is refused where it says what cannot be."""

from __future__ import annotations

import pytest

from thawline.core.errors import UsageError
from thawline.train.plan import parse_plan
from thawline.work.recipe import load_recipe, parse_recipe, recipe_names

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
    assert recipe.delivered in [row.name for row in recipe.rows]
    assert any(row.origin for row in recipe.rows)
    for row in recipe.rows:
        if row.plan:
            parse_plan(row.plan)
            recipe.training_of(row)


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_says_what_it_gave_and_how_long_it_took(name):
    recipe = load_recipe(name)
    assert recipe.expected
    for entry in recipe.expected:
        assert f"thawline recipe run {name}" in entry.command
        assert entry.minutes > 0
        assert set(entry.scores) == {row.name for row in recipe.rows}
        assert all(0 <= low <= value <= high <= 1 for value, low, high in entry.scores.values())


def test_a_rows_own_options_stand_over_those_of_the_recipe():
    recipe = parse_recipe(OWN, "mine")
    assert recipe.training_of(recipe.rows[0]).epochs == 2
    assert recipe.run_options.size == 96
    assert recipe.delivered == "solved"
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
        ('title = "Mine"', 'title = "Mine"\nname = "monkeys"', ("'name'", "as its file is")),
        ('title = "Mine"', "title = Mine", ("TOML",)),
        ("[[rows]]", "[rows]", ("TOML",)),
        ('title = "Mine"', "", ("title",)),
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
    with pytest.raises(UsageError, match="no UTF-8 text"):
        load_recipe(str(tmp_path / "binary.toml"))


def test_a_recipe_of_ones_own_is_read_from_its_file(tmp_path):
    (tmp_path / "mine.toml").write_text(OWN, encoding="utf-8")
    assert load_recipe(str(tmp_path / "mine.toml")).name == "mine"
