"""What was typed goes before a file, and a file before the defaults, also where a value equals a default."""

from __future__ import annotations

import shlex
from typing import Annotated

import pytest
from cyclopts import App, Parameter

from thawline.cli.arguments import DEFAULTS, TRAINING_DEFAULTS, Config, Flat, FlatTraining, Words
from thawline.cli.typed import Typed, lay_beneath
from thawline.core.errors import UsageError
from thawline.core.options import Options
from thawline.train.hyperparameters import TrainOptions


def parsed(words, file=None):
    """Return what a command gets from words over the options of a file, and what was typed."""
    typed = Typed(words)

    def source(app, commands, arguments):
        typed(app, commands, arguments)
        if file is not None:
            lay_beneath(arguments, file, source="config run.toml")

    app = App(config=source, default_parameter=Parameter(negative=()))

    @app.command
    def go(
        photos: str | None = None,
        *,
        plans: Annotated[list[str] | None, Parameter(name="--plan")] = None,
        config: Config = None,
        options: Flat = DEFAULTS,
        training: FlatTraining = TRAINING_DEFAULTS,
        typed: Words,
    ): ...

    _, bound, _ = app.parse_args(["go", *words], exit_on_error=False, print_error=False)
    found = bound.arguments
    return found.get("options", Options()), found.get("training", TrainOptions()), typed


FILE = {"fit": "letterbox", "pooling": ["mean", "max"], "schedule": "plateau", "epochs": 12, "find_rate": True}


def test_a_file_goes_before_the_defaults():
    options, training, typed = parsed([], FILE)
    assert options == Options(fit="letterbox", pooling=("mean", "max"))
    assert training == TrainOptions(schedule="plateau", epochs=12, find_rate=True)
    assert typed.given == {}


def test_what_was_typed_goes_before_the_file_also_where_it_equals_the_default():
    words = ["--fit", "crop", "--schedule=cosine", "--pooling", "mean", "--pooling", "std", "--find-rate=false"]
    options, training, typed = parsed(words, FILE)
    assert options == Options()
    assert training == TrainOptions(epochs=12)
    assert typed.among(options) == {"fit": "crop", "pooling": ("mean", "std")}
    assert typed.among(training) == {"schedule": "cosine", "find_rate": False}


def test_without_a_file_only_what_was_typed_differs_from_the_defaults():
    options, training, typed = parsed(["photos", "--seed", "0", "--plan", "all", "--plan", "head", "--size", "96"])
    assert (options, training) == (Options(size=96), TrainOptions())
    assert typed.among(options) == {"seed": 0, "size": 96}
    assert typed.among(training) == {}
    assert {name: (token.keyword, token.value) for name, token in typed.given.items()} == {
        "photos": (None, "photos"),
        "seed": ("--seed", "0"),
        "plans": ("--plan", "all"),
        "size": ("--size", "96"),
    }


def test_layers_are_checked_together():
    _, training, _ = parsed(["--accumulate", "40"], {"batch_size": 64})
    assert training == TrainOptions(accumulate=40, batch_size=64)
    with pytest.raises(UsageError, match="--schedule one-cycle and --patience contradict each other"):
        parsed(["--patience", "3"], {"schedule": "one-cycle"})


def test_a_warm_up_made_for_other_epochs_is_left_out():
    _, training, _ = parsed(["--epochs", "1"], {"epochs": 12, "warmup": 2.0})
    assert training == TrainOptions(epochs=1)
    _, training, _ = parsed(["--epochs", "8"], {"warmup": 0.25})
    assert training == TrainOptions(epochs=8)
    _, training, _ = parsed(["--epochs", "8", "--warmup", "3"], {"warmup": 0.25})
    assert training == TrainOptions(epochs=8, warmup=3.0)


def test_what_a_command_does_not_take_is_left_out():
    options, _, _ = parsed([], {"limit": 5, "no_such_option": 3})
    assert options == Options(limit=5)


def test_a_file_that_is_named_is_read(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('photos = "birds"\nfit = "letterbox"\n[training]\nschedule = "plateau"\n', encoding="utf-8")
    options, training, typed = parsed(["--config", str(path), "--schedule", "cosine"])
    assert (options, training) == (Options(fit="letterbox"), TrainOptions())
    assert typed.recipe.photos.path == tmp_path / "birds"
    assert typed.photos(None) is typed.recipe.photos
    assert typed.photos("mine") == "mine"


def test_pictures_must_be_named_somewhere():
    _, _, typed = parsed([])
    with pytest.raises(UsageError, match=r"go: no pictures are named\. Name their folder, thawline go PHOTOS, or"):
        typed.photos(None)


def test_the_command_is_what_a_shell_takes():
    words = ["fit", "my photos", "--plan", "last 20 %"]
    assert shlex.split(Typed(words).command) == ["thawline", *words]
