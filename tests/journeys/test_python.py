"""The same verbs from Python: light to import, silent, and returning what the commands print."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import thawline
from thawline.core.types import Predictions
from thawline.data.check import CheckReport
from thawline.data.dataset import Dataset
from thawline.features.extract import Extraction
from thawline.use.evaluation import Evaluation
from thawline.use.image_classifier import ImageClassifier

PUBLIC_TYPES = ["Options", "ThawlineClassifier", "ThawlineError", "TrainOptions"]
VERBS = [
    "cache_entries", "check", "check_page", "compact_cache", "compare", "compare_runs", "evaluate", "export",
    "export_all", "export_data", "extract", "fit", "forecast", "load", "load_recipe", "make_options", "predict",
    "predict_pictures", "prune_cache", "recipe_names", "render", "resume", "run_recipe", "serve", "tune", "verify",
    "verify_cache",
]  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "import thawline",
        "import thawline; thawline.make_options(folds=3); thawline.ThawlineError",
        "from thawline.cli.app import main; main(['--help'])",
        "import thawline; thawline.TrainOptions(epochs=3)",
        "import thawline; thawline.load, thawline.predict, thawline.predict_pictures",
        "from thawline.cli.app import main; main(['fit', '--help'])",
        "from thawline.cli.app import main; main(['recipe', 'run', '--help'])",
        "from thawline.cli.app import main; main(['recipe', 'list'])",
        "from thawline.cli.app import main; main(['recipe', 'show', 'monkeys'])",
        "from thawline.cli.app import main; main(['cache', 'list'])",
        "import thawline; thawline.cache_entries(); thawline.ThawlineError",
        "import thawline; thawline.verify_cache(); thawline.compact_cache()",
        "from thawline.cli.app import main; main(['cache', 'verify'])",
        "from thawline.cli.app import main; main(['fit', 'photos', '--folds', '1'])",
        "from thawline.cli.app import main; main(['tune', 'photos', '--plan', 'all', '--epochs', '0'])",
    ],
)
def test_what_is_light_loads_no_torch(statement):
    program = f"import sys\n{statement}\nprint(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=True)
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "thawline" in loaded
    assert not loaded & {"torch", "timm", "torchvision", "sklearn", "scipy", "matplotlib"}


def test_everything_public_is_there_and_nothing_else():
    assert dir(thawline) == sorted(thawline.__all__) == [*PUBLIC_TYPES, *VERBS]
    for name in thawline.__all__:
        assert callable(getattr(thawline, name))
        assert getattr(thawline, name).__doc__
    with pytest.raises(AttributeError, match="melt"):
        _ = thawline.melt


def test_type_checkers_see_the_verbs():
    package = Path(thawline.__file__).parent
    assert (package / "py.typed").is_file()
    stub = ast.parse((package / "__init__.pyi").read_text(encoding="utf-8"))
    aliases = [alias for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(alias.name for alias in aliases) == dir(thawline)
    assert all(alias.asname == alias.name for alias in aliases)  # else a stub keeps the name to itself


def test_fit_returns_what_it_writes(run, shared_cache, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["notebook", "--a-secret"])
    result = thawline.fit(str(run.photos), out=str(tmp_path / "out"))
    assert capfd.readouterr() == ("", "")
    assert result.out == tmp_path / "out"
    assert json.loads(json.dumps(result.run)) == json.loads((tmp_path / "out/run.json").read_text())
    assert result.run["test"] == run.read("run.json")["test"]
    assert result.winner == result.run["winner"] == run.read("run.json")["winner"]
    assert isinstance(result.evaluation, Evaluation)
    assert result.evaluation.accuracy.value == result.run["test"]["accuracy"]
    board = json.loads((tmp_path / "out/leaderboard.json").read_text())
    assert [trial.name for trial in result.leaderboard.trials] == [trial["strategy"] for trial in board["trials"]]
    assert json.loads((tmp_path / "out/report.json").read_text())["command"] == ""  # not that of whatever runs Python
    assert "--a-secret" not in (tmp_path / "out/report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_tune_returns_a_network_that_has_thawed(run, shared_cache, tmp_path, capfd):
    training = thawline.TrainOptions(epochs=2, augment="none")
    options = thawline.make_options(size=64)
    result = thawline.tune(
        run.photos, tmp_path / "out", plans=["Head, then last 1 block"], options=options, training=training
    )
    assert capfd.readouterr() == ("", "")
    assert result.winner == "efficientnet_lite0 · head, then last 1 block"
    (trial,) = [trial for trial in result.leaderboard.trials if trial.strategy.kind == "partial"]
    assert len(trial.curve.train_loss) == 2
    (tried,) = result.outcome.tried
    assert tried.outcome == "ran 1 of 5 folds"
    model = thawline.load(tmp_path / "out/model")
    assert thawline.evaluate(model, run.photos).accuracy == result.evaluation.accuracy


def test_forecast_returns_a_row_a_strategy_and_writes_nothing(run, own_cache):
    rows = thawline.forecast(run.photos, thawline.make_options(size=64), plans=["tutorial cnn"])
    assert [row["strategy"] for row in rows] == [
        "efficientnet_lite0 · every depth, frozen",
        "tutorial_cnn · from nothing",
    ]
    assert all(row["seconds"] > 0 and row["memory_bytes"] > 0 for row in rows)
    assert not own_cache.exists()


def test_options_change_what_is_done(run, shared_cache):
    options = thawline.make_options(folds=3, repeats=1, metric="balanced_accuracy")
    result = thawline.compare(run.photos, options)
    assert (result.leaderboard.rule, result.leaderboard.metric) == ("3 folds × 1", "balanced_accuracy")
    assert result.split.num_folds == 3
    assert len(result.cuts) == 17


def test_an_option_that_does_not_exist_is_refused_by_name():
    with pytest.raises(thawline.ThawlineError, match="no option 'fold'; did you mean folds"):
        thawline.make_options(fold=3)


def test_check_returns_the_data_and_what_is_odd_about_it(run):
    dataset, report = thawline.check(run.photos)
    assert isinstance(dataset, Dataset)
    assert isinstance(report, CheckReport)
    assert (len(dataset), dataset.class_names) == (55, ("3", "8", "9"))
    assert (report.used, report.skipped) == (55, (("train/9/notes.txt", "text, not a picture"),))
    assert [path for path, _ in report.leaks] == ["test/8/again.png"]


def test_extract_returns_a_bank_that_can_be_read(run, shared_cache):
    done = thawline.extract(run.photos)
    assert isinstance(done, Extraction)
    assert (done.num_extracted, done.num_damaged) == (0, 0)
    dataset, _ = thawline.check(run.photos)
    rows = done.bank.read([sample.sha256 for sample in dataset.samples], [(16, "mean")])
    assert rows.shape[0] == 55
    assert np.isfinite(rows).all()
    assert rows.std() > 0


def test_a_model_is_loaded_once_and_predicts_the_same_in_every_way(run):
    model = thawline.load(run.out / "model")
    assert isinstance(model, ImageClassifier)
    assert model.class_names == ("3", "8", "9")
    folder = run.photos / "test/9"
    found = thawline.predict(model, folder)
    assert isinstance(found, Predictions)
    assert found.class_names == ("3", "8", "9")
    assert len(found) == 6
    (one,) = thawline.predict(str(run.out), str(min(folder.iterdir())))
    assert one.label == found[0].label
    assert one.probability == pytest.approx(found[0].probability, abs=1e-3)
    with pytest.raises(FileNotFoundError, match=r"gone\.png: 1 of the 2 files and folders are not there"):
        thawline.predict(model, [min(folder.iterdir()), "gone.png"])
    paths = sorted(folder.iterdir())
    scans = [np.asarray(Image.open(path)) for path in paths]
    shares = model.predict_proba(paths)
    assert np.array_equal(model.predict_proba(scans), shares)
    assert np.array_equal(model.predict_proba(np.stack(scans)), shares)
    assert np.array_equal(model.predict_proba([path.read_bytes() for path in paths]), shares)
    assert model.predict(paths).tolist() == [row.label for row in found]
    right = sum(row.label == "9" for row in found)
    assert right >= 4


def test_evaluate_and_render(run, tmp_path):
    result = thawline.evaluate(run.out / "model", run.photos)
    test = run.read("run.json")["test"]
    assert isinstance(result, Evaluation)
    assert (result.accuracy.value, result.accuracy.n) == (test["accuracy"], test["n"])
    assert result.accuracy_without_leaks.value == test["accuracy_without_leaks"]
    assert thawline.render(run.out) == run.out / "report.html"


def test_errors_are_of_one_family(tmp_path):
    for call in (
        lambda: thawline.fit(tmp_path / "nowhere", tmp_path / "out"),
        lambda: thawline.check(tmp_path / "nowhere"),
        lambda: thawline.load(tmp_path / "nowhere"),
        lambda: thawline.render(tmp_path / "nowhere"),
        lambda: thawline.tune(tmp_path / "nowhere", tmp_path / "out", plans=["all"]),
        lambda: thawline.resume(tmp_path / "nowhere"),
        lambda: thawline.forecast(tmp_path / "nowhere"),
        lambda: thawline.make_options(folds="many"),
    ):
        with pytest.raises(thawline.ThawlineError, match=r"nowhere|many") as caught:
            call()
        assert caught.value.exit_code in {1, 2}
