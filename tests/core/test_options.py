"""Options are checked when they are made; what cannot be is named, with its value and what it may be."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from thawline.core.errors import UsageError
from thawline.core.options import Options, make_options


def test_the_defaults_are_what_most_people_want():
    options = make_options()
    assert options == Options()
    assert (options.backbone, options.fit, options.pooling) == (("efficientnet_lite0",), "crop", ("mean", "std"))
    assert (options.folds, options.repeats, options.seed, options.on_bad) == (5, None, 0, "skip")


def test_changes_are_converted_to_the_types_of_the_options():
    options = make_options(weights="w.safetensors", pooling=["grid"], folds="3", cache_dir="cache")
    assert (options.weights, options.cache_dir) == (Path("w.safetensors"), Path("cache"))
    assert (options.pooling, options.folds) == (("grid",), 3)


def test_options_do_not_change():
    with pytest.raises(FrozenInstanceError):
        Options().folds = 3


def test_every_option_has_its_own_help():
    source = Path(__import__("thawline.core.options", fromlist=["x"]).__file__).read_text(encoding="utf-8")
    for option in fields(Options):
        declaration = source.split(f"\n    {option.name}: ", 1)[1].splitlines()
        assert declaration[1].strip().startswith('"""'), option.name


@pytest.mark.parametrize(
    ("changes", "pieces"),
    [
        ({"folds": 1}, ["--folds 1", "at least 2 folds"]),
        ({"repeats": 0}, ["--repeats 0", "at least 2 folds and 1 repeat"]),
        ({"size": 31}, ["--size 31", "between 32 and 2048"]),
        ({"size": 2049}, ["--size 2049", "between 32 and 2048"]),
        ({"crop_share": 1.01}, ["--crop-share 1.01", "between 0.1 and 1"]),
        ({"crop_share": 0.0}, ["--crop-share 0.0", "between 0.1 and 1"]),
        ({"seed": -1}, ["--seed -1", "at least 0"]),
        ({"limit": 1}, ["--limit 1", "at least 2"]),
        ({"pooling": ()}, ["--pooling is empty", "at least one"]),
        ({"pooling": ("mean", "mean")}, ["--pooling is mean, mean", "each reading once"]),
        ({"pooling": ("median",)}, ["--pooling 'median'", "'mean', 'std', 'max' or 'grid'"]),
        ({"folds": "five"}, ["--folds 'five'", "valid integer"]),
        ({"fit": "zoom"}, ["--fit 'zoom'", "'crop', 'letterbox' or 'stretch'"]),
        ({"class_weights": "heavy"}, ["--class-weights 'heavy'", "'auto', 'adjusted', 'balanced' or 'none'"]),
        ({"fit": "zoom", "metric": "luck"}, ["--fit 'zoom'", "--metric 'luck'"]),
        ({"fold": 3}, ["no option 'fold'", "did you mean folds?"]),
        ({"xyzzy": 3}, ["no option 'xyzzy'; help(thawline.Options) lists them."]),
    ],
)
def test_what_cannot_be_is_named(changes, pieces):
    with pytest.raises(UsageError) as caught:
        make_options(**changes)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    for piece in pieces:
        assert piece in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [{"size": 32}, {"size": 2048}, {"crop_share": 0.1}, {"crop_share": 1.0}, {"folds": 2, "repeats": 1}, {"seed": 0}],
)
def test_the_ends_of_the_ranges_are_allowed(changes):
    for name, value in changes.items():
        assert getattr(make_options(**changes), name) == value


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"backbone": ("a", "a")}, "--backbone is a, a: name each network once"),
        ({"backbone": ()}, "--backbone is empty: name each network once, at least one"),
        ({"backbone": ("auto", "a")}, "--backbone auto: it chooses the networks itself"),
        ({"backbone": "auto", "weights": Path("w.pth")}, "--backbone auto: .* nor --weights"),
        (
            {"backbone": ("a", "b"), "weights": Path("w.pth")},
            r"--weights w\.pth: a file belongs to one network, and a, b",
        ),
    ],
)
def test_networks_that_cannot_be_are_refused(options, text):
    with pytest.raises(UsageError, match=text):
        make_options(**options)


def test_one_backbone_may_be_plain_text():
    assert make_options(backbone="resnet18").backbone == ("resnet18",)
    assert make_options(backbone=["resnet18", "resnet34"]).backbone == ("resnet18", "resnet34")
