"""A new head by epochs on real photos: as good as a solved one, also on a network whose end is cut off."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import thawline as package
from thawline.core.options import Options
from thawline.core.runtime import choose_runtime
from thawline.data.check import check
from thawline.data.split import make_split
from thawline.features.extract import extract
from thawline.features.network import load_backbone
from thawline.heads.linear import fit_linear
from thawline.train.context import Context, Machine
from thawline.train.hyperparameters import TrainOptions
from thawline.train.job import Job
from thawline.train.loop import train
from thawline.train.plan import parse_plan
from thawline.view.report_data import ReportData

pytestmark = [pytest.mark.pictures, pytest.mark.slow]

PLAN = "head, 2 blocks cut"


@pytest.fixture(scope="module")
def some_celebrities(shared_data, tmp_path_factory):
    """Return a folder with the 16 smallest photos of each of three people."""
    root = tmp_path_factory.mktemp("celebrities")
    for name in ("lionel_messi", "roger_federer", "serena_williams"):
        (root / name).mkdir()
        for path in sorted((shared_data / "celebrities" / name).iterdir(), key=lambda path: path.stat().st_size)[:16]:
            shutil.copy(path, root / name)
    return root


@pytest.mark.parametrize(
    ("options", "hidden"), [((), ""), (("--hidden", "64", "--dropout", "0.5"), ", 64 hidden")], ids=["linear", "hidden"]
)
def test_a_head_on_a_cut_network_is_a_model_like_any_other(some_celebrities, options, hidden, thawline, tmp_path):
    out = tmp_path / "out"
    words = ("--plan", PLAN, *options, "--epochs", "20", "--optimizer", "adam", "--learning-rate", "0.01", "--watch")
    said = thawline("tune", some_celebrities, *words, "-o", out, "--json")
    assert said.code == 0, said.err
    name = f"efficientnet_lite0 · {PLAN}{hidden}"
    assert said.json["winner"] == name
    board = {trial["strategy"]: trial for trial in json.loads((out / "leaderboard.json").read_text())["trials"]}
    cut = load_backbone().backbone.cut_removing(2)
    assert board[name]["kind"] == "frozen"
    assert board[name]["blocks_removed"] == 2
    assert board[name]["cost"] == pytest.approx(cut.cost_fraction, rel=0.01)
    assert board[name]["mean"] > 0.45  # a third is chance
    with (out / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["strategy"] == name]
    assert len(rows) == 20
    assert all(float(row[key]) >= 0 for row in rows for key in ("train_loss", "validation_loss", "validation_accuracy"))

    bundle = package.load(out / "model").bundle
    assert bundle.manifest.strategy == name
    assert [tuple(block) for block in bundle.manifest.blocks] == [(cut.index, "mean")]
    assert bundle.manifest.backbone.weights_sha256 == load_backbone().backbone.weights_sha256
    told = ReportData.from_json((out / "report.json").read_text(encoding="utf-8")).evaluation
    predicted = thawline("predict", out / "model", *(some_celebrities / path for path in told.paths), "--json")
    assert predicted.code == 0, predicted.err
    shares = [[row["probabilities"][label] for label in told.class_names] for row in predicted.rows]
    np.testing.assert_allclose(shares, told.probabilities, atol=1e-5)


def test_a_contradiction_is_told_before_the_work(some_celebrities, thawline, tmp_path):
    said = thawline("tune", some_celebrities, "--plan", "head, then all", "--hidden", "64", "-o", tmp_path / "out")
    assert said.code == 2
    assert said.err.count("Drop --hidden, or write: all.") == 1
    assert "extract" not in said.err
    assert not list(Path(tmp_path / "out").glob("*"))


def test_trained_long_a_head_says_what_the_solved_one_says(shared_data, tmp_path):
    """Without a penalty to speak of both minimise the same loss on the same columns; held out, on 400 instruments."""
    dataset = check(shared_data / "instruments")[0]
    chosen = np.sort(np.random.default_rng(0).permutation(len(dataset))[:400])
    dataset = replace(dataset, samples=tuple(dataset.samples[row] for row in chosen))
    network, runtime = load_backbone(), choose_runtime("auto", "auto")
    bank = extract(dataset, network, runtime=runtime, cache=tmp_path).bank
    train_rows, held_out = make_split(dataset, num_folds=2, num_repeats=1).folds[0]
    sha256s = np.array([sample.sha256 for sample in dataset.samples])
    training = TrainOptions(
        epochs=60, optimizer="adam", learning_rate=0.003, weight_decay=1e-4, batch_size=64, augment="none"
    )
    for text, optimizer in ((PLAN, "adam"), ("head", "adam"), ("head, 1 block cut", "sgd")):
        own = replace(training, optimizer=optimizer, learning_rate=0.003 if optimizer == "adam" else 0.03)
        job = Job(
            context=Context(dataset, network, Options(cache_dir=tmp_path), own, Machine(runtime), tmp_path),
            plan=parse_plan(text),
            network=network,
            train=train_rows,
            held_out=held_out,
            class_weights=np.ones(len(dataset.class_names), np.float32),
            bank=bank.spec,
        )
        trained = train(job)
        solved = fit_linear(
            bank.read(sha256s[train_rows], [job.block]),
            dataset.labels[train_rows],
            l2=1e-4,
            num_classes=len(dataset.class_names),
            rooted=False,
        )
        features = bank.read(sha256s[held_out], [job.block])
        answers = [head.logits(features).argmax(axis=1) for head in (trained.head, solved)]
        scores = [float((answer == dataset.labels[held_out]).mean()) for answer in answers]
        assert trained.curve.validation_accuracy[-1] == pytest.approx(scores[0])
        assert scores[1] > 0.6, text
        assert abs(scores[0] - scores[1]) < 0.05, (text, scores)
