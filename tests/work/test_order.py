"""An order says what is asked for, once; what contradicts itself is refused when it is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from thawline.core.errors import UsageError
from thawline.core.options import Options
from thawline.data.sources.places import Place
from thawline.train.hyperparameters import TrainOptions
from thawline.work.order import Expectations, Expected, Goal, Order, Row

PHOTOS = Place.of("photos")
TRAINED = Row(name="tuned", plan="last 20 %", training={"epochs": 2, "warmup": 1.5})
SOLVED = Row(name="solved", frozen="whole")


def order(*rows, **facts):
    return Order(PHOTOS, rows=rows, **facts)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"name": " ", "plan": "all"}, "empty name"),
        ({"name": "a"}, "not both"),
        ({"name": "a", "plan": "all", "frozen": "whole"}, "not both"),
        ({"name": "a", "frozen": "whole", "drift": True}, "moves nothing"),
        ({"name": "a", "frozen": "whole", "training": {"epochs": 1}}, "has no training"),
    ],
)
def test_a_row_is_trained_or_solved(facts, words):
    with pytest.raises(UsageError, match=words):
        Row(**facts)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"rows": (SOLVED, SOLVED)}, "a name of its own"),
        ({"protocol": "test"}, "one or more are needed"),
        ({"protocol": "folds"}, "one or more are needed"),
        ({"rows": (SOLVED,), "deliver": "tuned"}, "no such row. Name one of solved"),
        ({"rows": (Row(name="a", plan="all", training={"epoch": 1}),)}, "row 'a', training: .*did you mean epochs"),
        ({"rows": (Row(name="a", plan="head, then all"),), "training": TrainOptions(hidden=8)}, "--hidden 8"),
        ({"rows": (SOLVED,), "protocol": "test", "options": Options(metric="balanced_accuracy")}, "by accuracy"),
    ],
)
def test_what_contradicts_itself_is_refused(facts, words):
    with pytest.raises(UsageError, match=words):
        Order(PHOTOS, **facts)


def test_scores_are_expected_of_rows_that_are_there():
    stated = Expected("key", "resnet18", "thawline", 1.0, {"other": (0.5, 0.4, 0.6)})
    with pytest.raises(UsageError, match=r"scores other: no such row\. Name solved"):
        order(SOLVED, protocol="test", expectations=Expectations(expected=(stated,)))
    with pytest.raises(UsageError, match="the accuracy comes first"):
        Expected("key", "resnet18", "thawline", 1.0, {"solved": (0.3, 0.4, 0.6)})


def test_a_row_s_options_go_before_the_order_s_and_what_was_given_goes_before_both():
    asked = order(TRAINED, training=TrainOptions(epochs=9, batch_size=4))
    assert asked.training_of(TRAINED) == TrainOptions(epochs=2, warmup=1.5, batch_size=4)
    asked = replace(asked, overrides={"batch_size": 32})
    assert asked.training_of(TRAINED) == TrainOptions(epochs=2, warmup=1.5, batch_size=32)


def test_warm_up_shortens_with_the_epochs_that_were_given():
    asked = order(TRAINED, overrides={"epochs": 1})
    assert asked.training_of(TRAINED) == TrainOptions(epochs=1, warmup=0.5)
    given = replace(asked, overrides={"epochs": 4, "warmup": 3.0})
    assert given.training_of(TRAINED) == TrainOptions(epochs=4, warmup=3.0)


def test_the_last_row_is_delivered_unless_another_one_is_named():
    assert order(TRAINED, SOLVED, protocol="test").delivered == "solved"
    assert order(TRAINED, SOLVED, protocol="test", deliver="tuned").delivered == "tuned"


def test_the_key_tells_orders_apart_whose_training_runs_differ(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = order(TRAINED, options=Options(weights=Path("net.safetensors")))
    same = [
        replace(one, command="thawline tune"),
        replace(one, expectations=Expectations(goal=Goal(0.9))),
        replace(one, options=replace(one.options, cache_dir=Path("elsewhere"))),
        replace(one, options=replace(one.options, cluster="local", store="s3://bucket/rows")),
        one.from_anywhere(),
    ]
    assert {other.key for other in same} == {one.key}
    others = [
        replace(one, rows=(SOLVED,)),
        replace(one, protocol="test"),
        replace(one, overrides={"epochs": 1}),
        replace(one, training=TrainOptions(epochs=3)),
        replace(one, options=replace(one.options, seed=1)),
    ]
    assert len({one.key, *(other.key for other in others)}) == 1 + len(others)


def test_an_order_from_anywhere_names_whole_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = Options(
        weights=Path("net.safetensors"), class_names=Path("names.csv"), cache_dir=Path("cache"), store="rows"
    )
    whole = order(options=options, outside=Path("others")).from_anywhere()
    assert str(whole.photos) == str(tmp_path / "photos")
    assert whole.outside == tmp_path / "others"
    assert whole.options == replace(
        options,
        weights=tmp_path / "net.safetensors",
        class_names=tmp_path / "names.csv",
        cache_dir=tmp_path / "cache",
        store=str(tmp_path / "rows"),
    )
    assert replace(whole, options=Options(store="s3://b/rows")).from_anywhere().options.store == "s3://b/rows"
    assert str(replace(whole, photos=Place.of("hf:beans")).from_anywhere().photos) == "hf:beans"
