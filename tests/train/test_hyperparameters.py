"""Options of a training run: contradictions are refused when they are made, with the way out."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from thawline.core.errors import UsageError
from thawline.train import hyperparameters as module
from thawline.train.hyperparameters import RANGES, TrainOptions, parse_bytes, parse_duration


def test_every_option_has_its_own_help():
    source = Path(module.__file__).read_text(encoding="utf-8")
    for option in fields(TrainOptions):
        declaration = source.split(f"\n    {option.name}: ", 1)[1].splitlines()
        assert declaration[1].strip().startswith('"""'), option.name


def test_options_do_not_change():
    with pytest.raises(FrozenInstanceError):
        TrainOptions().epochs = 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"epochs": 3, "warmup": 3},
            "tune: --warmup 3 is as long as the training run, --epochs 3. Lower it, or raise --epochs.",
        ),
        (
            {"schedule": "one-cycle", "patience": 3},
            (
                "tune: --schedule one-cycle and --patience contradict each other: stopped early, the cycle never comes "
                "down. Drop --patience, or take --schedule cosine."
            ),
        ),
        (
            {"learning_rate": 1e-3, "find_rate": True},
            (
                "tune: --learning-rate 0.001: it must be above 0, and --find-rate is there to choose it. "
                "Give one of the two."
            ),
        ),
        (
            {"learning_rate": 0},
            "tune: --learning-rate 0: it must be above 0, and --find-rate is there to choose it. Give one of the two.",
        ),
        ({"hidden": -1}, "tune: --hidden -1: 0 to 65536 is required."),
        ({"hidden": 65_537}, "tune: --hidden 65537: 0 to 65536 is required."),
        (
            {"accumulate": 9, "batch_size": 8},
            (
                "tune: --accumulate 9: a step of --batch-size 8 cannot be split into more parts than it has "
                "pictures. Lower it."
            ),
        ),
        (
            {"augment": "augmix", "views": 1},
            (
                "--augment augmix --views 1: the only view is the plain one, so nothing would be augmented. "
                "Pass --views 4, or --augment none."
            ),
        ),
        (
            {"augment": "none", "views": 2},
            (
                "--augment none --views 2: the views would all be the same. "
                "Pass --views 1, or a policy such as --augment crop."
            ),
        ),
        (
            {"disk_budget": "4 bananas"},
            "tune: '4 bananas' is not a size: a number and a unit are required, e.g. 500MB, 4GB.",
        ),
        (
            {"checkpoint_every": "30"},
            "tune: '30' is not a duration: a number and a unit are required, e.g. 90s, 15min, 1.5h.",
        ),
    ],
)
def test_contradictions_are_refused_with_the_way_out(changes, message):
    with pytest.raises(UsageError) as caught:
        TrainOptions(**changes)
    assert str(caught.value) == message


def test_a_change_to_good_options_is_checked_too():
    with pytest.raises(UsageError, match="contradict each other"):
        replace(TrainOptions(patience=2), schedule="one-cycle")


def test_an_unknown_policy_is_refused_with_the_nearest_one():
    with pytest.raises(UsageError, match="Did you mean augmix"):
        TrainOptions(augment="augmx")


@pytest.mark.parametrize(
    ("changes", "required"),
    [
        ({"epochs": 0}, "--epochs 0: 1 or more is required."),
        ({"batch_size": 0}, "--batch-size 0: 1 or more is required."),
        ({"layer_decay": 1.5}, "--layer-decay 1.5: 0.001 to 1 is required."),
        ({"layer_decay": 0}, "--layer-decay 0: 0.001 to 1 is required."),
        ({"label_smoothing": 1}, "--label-smoothing 1: 0 to 0.99 is required."),
        ({"dropout": -0.1}, "--dropout -0.1: 0 to 0.99 is required."),
        ({"momentum": 1}, "--momentum 1: 0 to 0.999 is required."),
        ({"mixup": -1}, "--mixup -1: 0 or more is required."),
        ({"ema": 1}, "--ema 1: 0 to 0.99999 is required."),
        ({"scratch_size": 16}, "--scratch-size 16: 32 to 2048 is required."),
        ({"patience": 0}, "--patience 0: 1 or more is required."),
        ({"weight_decay": float("nan")}, "--weight-decay nan: 0 or more is required."),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(changes, required):
    with pytest.raises(UsageError) as caught:
        TrainOptions(**changes)
    assert str(caught.value) == f"tune: {required}"


@pytest.mark.parametrize(("name", "low", "high"), RANGES)
def test_the_ends_of_a_range_are_allowed(name, low, high):
    """With what else they need: the largest warm-up has no bound, so only what is named is tried."""
    others = {"epochs": {"warmup": 0.5}, "batch_size": {}, "views": {"augment": "none"}}.get(name, {})
    for value in (low, high):
        if value is not None:
            assert getattr(TrainOptions(**{name: value, **others}), name) == value


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "one-cycle, plateau"},
        {"schedule": ("one-cycle", "plateau")},
        {"optimizer": "lion"},
        {"keep": "all"},
        {"sampling": "random"},
        {"epochs": 2.5},
        {"epocs": 3},
    ],
)
def test_what_cannot_be_said_is_not_taken(changes):
    """One cycle that falls on a plateau too, for one: a training run has one schedule."""
    with pytest.raises(ValidationError):
        TrainOptions(**changes)


@pytest.mark.parametrize(
    ("changes", "watches"),
    [
        ({}, False),
        ({"watch": True}, True),
        ({"patience": 2}, True),
        ({"keep": "best"}, True),
        ({"schedule": "plateau"}, True),
        ({"schedule": "one-cycle"}, False),
    ],
)
def test_rows_are_set_aside_where_something_is_decided_by_them(changes, watches):
    assert TrainOptions(**changes).watches is watches


@pytest.mark.parametrize(
    ("changes", "views"),
    [
        ({"augment": "none"}, ("plain",)),
        ({}, ("plain", "flip.1")),
        ({"augment": "crop"}, ("plain", "crop.1", "crop.2", "crop.3")),
        ({"augment": "augmix", "views": 2}, ("plain", "augmix.1")),
        ({"augment": "flip+erase", "views": 3}, ("plain", "flip+erase.1", "flip+erase.2")),
    ],
)
def test_views_follow_the_augmentation_unless_they_are_given(changes, views):
    options = TrainOptions(**changes)
    assert options.view_names == views
    assert options.num_views == len(views)


def test_texts_become_numbers():
    options = TrainOptions(disk_budget="1.5GiB", checkpoint_every="2min")
    assert (options.disk_budget_bytes, options.checkpoint_every_s) == (3 * 2**29, 120)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("90 SEC", 90), (" 15 min ", 900), ("2m", 120), ("1.5h", 5400), ("0s", 0)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [("500MB", 500_000_000), ("500mib", 500 * 2**20), ("4 GB", 4_000_000_000), ("0.5kB", 500), ("1 KiB", 1024)],
)
def test_sizes(text, num_bytes):
    assert parse_bytes(text) == num_bytes


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 s s", "1e3s", "5GB", "1,5h", "five min"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UsageError) as caught:
        parse_duration(text)
    assert str(caught.value) == (
        f"tune: {text!r} is not a duration: a number and a unit are required, e.g. 90s, 15min, 1.5h."
    )


@pytest.mark.parametrize("text", ["", "4", "GB", "-4GB", "4 TB", "4s", "4G"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UsageError) as caught:
        parse_bytes(text)
    assert str(caught.value) == f"tune: {text!r} is not a size: a number and a unit are required, e.g. 500MB, 4GB."
