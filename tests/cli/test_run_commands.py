"""What `fit`, `tune`, `recipe run` and `compare` make of the words and of a file: the order that is carried out."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from thawline.cli.app import main
from thawline.core.options import Options
from thawline.data.sources.places import Place
from thawline.train.hyperparameters import TrainOptions
from thawline.work import run as work_run

RECIPE = """
photos = "birds"
protocol = "folds"

[options]
fit = "letterbox"
folds = 3

[training]
schedule = "plateau"
batch_size = 64
epochs = 6
warmup = 2

[goal]
accuracy = 0.8
words = "enough"

[[rows]]
name = "solved"
frozen = "whole"

[[rows]]
name = "by epochs"
plan = "head"
training = { epochs = 5, optimizer = "sgd" }
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture
def ordered(monkeypatch):
    """Return a function from a command's words to the order that it would carry out, and how."""
    seen = []

    def carry_out(order, out=None, **rest):
        seen.append((order, SimpleNamespace(out=out, **rest)))
        return SimpleNamespace(run={})  # as in all but the first of several processes: nothing is printed

    monkeypatch.setattr(work_run, "run", carry_out)

    def call(*words):
        seen.clear()
        assert main([str(word) for word in words]) == 0
        ((order, rest),) = seen
        assert shlex.split(order.command) == ["thawline", *map(str, words)]
        return order, rest

    return call


def test_fit_and_tune_order_what_was_typed(ordered):
    order, rest = ordered("fit", "birds", "--goal", "0.9", "--seed", "3", "--epochs", "4", "--tensorboard", "log")
    assert (order.photos, order.protocol, order.rows, order.budget_s) == (Place("", "birds"), "choose", (), None)
    assert (order.options, order.training) == (Options(seed=3), TrainOptions(epochs=4))
    assert order.expectations.goal.accuracy == 0.9
    assert (rest.out, rest.tensorboard) == (Path("runs/fit"), Path("log"))
    order, rest = ordered("tune", "birds", "--plan", "all", "--plan", "Head", "-o", "here")
    assert [row.plan for row in order.rows] == ["all", "head"]
    assert (order.budget_s, order.expectations.goal, rest.out) == (None, None, Path("here"))
    order, _ = ordered("fit", "birds", "--budget", "2min", "--plan", "last 20 %")
    assert (order.budget_s, [row.plan for row in order.rows]) == (120, ["last 20 %"])


def test_what_was_typed_goes_before_a_config_also_where_it_equals_the_default(ordered, file):
    order, _ = ordered("tune", "--config", file, "--fit", "crop", "--schedule", "cosine")
    assert order.options == Options(folds=3)
    assert order.training == TrainOptions(batch_size=64, epochs=6, warmup=2)
    assert (order.protocol, order.photos.path) == ("choose", file.parent / "birds")
    assert [row.name for row in order.rows] == ["solved", "by epochs"]
    assert order.expectations.goal.accuracy == 0.8
    order, _ = ordered("tune", "mine", "--config", file, "--plan", "all", "--goal", "0.5", "--accumulate", "40")
    assert (order.photos, [row.name for row in order.rows]) == (Place("", "mine"), ["all"])
    assert (order.training.accumulate, order.options.fit) == (40, "letterbox")
    assert order.expectations.goal.accuracy == 0.5


def test_flat_keys_of_a_config_are_options(ordered, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('plans = ["all"]\nfit = "letterbox"\nschedule = "plateau"\ngoal = 0.7', encoding="utf-8")
    order, _ = ordered("tune", "birds", "--config", path)
    assert (order.options, order.training) == (Options(fit="letterbox"), TrainOptions(schedule="plateau"))
    assert order.expectations.goal.accuracy == 0.7
    order, _ = ordered("tune", "birds", "--config", path, "--fit", "crop", "--schedule", "cosine")
    assert (order.options, order.training) == (Options(), TrainOptions())


def test_a_recipe_takes_every_option_flat_and_gives_way_in_every_row(ordered, file):
    order, rest = ordered("recipe", "run", file)
    assert (order.protocol, rest.out) == ("folds", Path("runs/mine"))
    assert order.options == Options(fit="letterbox", folds=3, repeats=1, metric="accuracy")
    by_epochs = order.rows[1]
    own = order.training_of(by_epochs)
    assert (own.epochs, own.optimizer, own.batch_size, own.warmup) == (5, "sgd", 64, 2)
    words = ("--optimizer", "adamw", "--fit", "crop", "--folds", "5", "--batch-size", "32", "--budget", "1h")
    order, rest = ordered("recipe", "run", file, "--data", "mine", *words, "--protocol", "test", "--tensorboard", "log")
    assert (order.photos, order.protocol, order.budget_s) == (Place("", "mine"), "test", 3600)
    assert order.options == Options(metric="accuracy")
    assert order.overrides == {"optimizer": "adamw", "batch_size": 32}
    assert order.training_of(by_epochs).optimizer == "adamw"
    assert rest.tensorboard == Path("log")


def test_fewer_epochs_take_a_recipe_s_warm_up_along(ordered, file):
    order, _ = ordered("recipe", "run", file, "--epochs", "1")
    own = order.training_of(order.rows[1])
    assert (own.epochs, own.warmup) == (1, 0.5)


def test_a_forecast_is_of_the_same_order(monkeypatch, file):
    seen = []
    monkeypatch.setattr(work_run, "forecast", lambda order, progress: seen.append(order) or ())
    assert main(["fit", "--config", str(file), "--forecast", "--size", "64", "--json"]) == 0
    assert [row.name for row in seen[0].rows] == ["solved", "by epochs"]
    assert seen[0].options == Options(size=64, fit="letterbox", folds=3)


@pytest.mark.parametrize(
    ("words", "pieces"),
    [
        (("fit", "birds", "--plan", "all"), ["plans without a budget", "--budget 15min"]),
        (("tune", "birds"), ["no plan is named", "--plan"]),
        (("tune", "--plan", "all"), ["no pictures are named"]),
        (("fit",), ["no pictures are named"]),
        (("compare",), ["no pictures are named", "--config"]),
        (("fit", "birds", "--goal", "90"), ["90.0", "--goal", "<= 1", "thawline fit --help"]),
        (("fit", "birds", "--budget", "soon"), ["'soon' is not a duration"]),
        (("recipe", "run", "monkeys", "--epochs", "0"), ["--epochs 0"]),
        (("recipe", "run"), ["recipe", "thawline recipe run --help"]),
        (("tune", "--resume", "run", "--seed", "0"), ["--resume goes on", "--seed"]),
        (("tune", "--resume", "run", "birds"), ["--resume goes on", "birds"]),
        (("tune", "--resume", "run", "--out", "runs/tune"), ["--resume goes on", "--out"]),
        (("tune", "--resume", "run", "--config", "gone.toml"), ["--resume goes on", "--config"]),
        (("tune", "--resume", "run", "--goal", "0.9"), ["--resume goes on", "--goal"]),
    ],
)
def test_what_cannot_be_is_said_before_the_work(words, pieces, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert all(piece in err for piece in pieces), err
