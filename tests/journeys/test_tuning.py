"""Networks are trained, killed and resumed as a person does it; what was trained is what predicts."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import thawline as package
from thawline.view.report_data import ReportData

SCRATCH, PARTIAL = "tutorial_cnn · from nothing", "efficientnet_lite0 · head, then last 2 blocks"
OUTPUTS = {
    ".thawline.json",
    "run.json", "ledger.csv", "leaderboard.json", "leaderboard.csv", "learning_curve.json", "history.csv",
    "report.html", "report.json", "suspects.csv", "model",
    "metrics.json", "predictions.csv", "model_card.md", "figures",
}  # fmt: skip
EVERY_STEP = ("--checkpoint-every", "0.01s")
CHEAP = ("--plan", "tutorial cnn", "--size", "64", "--epochs", "1")
SCORE = {"value": "accuracy", "low": "low", "high": "high", "n": "n"}


def kinds_of(board):
    return {trial["kind"] for trial in board["trials"]}


def model_bytes(out):
    return {path.name: path.read_bytes() for path in (out / "model").glob("*.safetensors")}


# tune


def test_tune_writes_all_outputs_and_keeps_nothing_for_resuming(tuned):
    assert {path.name for path in tuned.out.iterdir()} == OUTPUTS
    assert tuned.said.out.endswith(f"  open {tuned.out}/report.html\n  thawline predict {tuned.out}/model new/\n")


def test_trained_and_frozen_strategies_stand_side_by_side(tuned):
    board = tuned.read("leaderboard.json")
    assert kinds_of(board) == {"scratch", "frozen", "partial"}
    trials = {trial["strategy"]: trial for trial in board["trials"]}
    for name, kind, plan in ((SCRATCH, "scratch", "from nothing"), (PARTIAL, "partial", "head, then last 2 blocks")):
        trial = trials[name]
        assert (trial["kind"], trial["tune"], trial["augment"]) == (kind, plan, "flip")
        assert 0 < trial["num_pictures"] < board["num_pictures"] == 36
        assert len(trial["fold_scores"]) == 1
        assert trial["fit_s"] > 0
    assert all(trial["num_pictures"] == 36 for trial in board["trials"] if trial["kind"] == "frozen")
    assert trials[PARTIAL]["predict_ms"] > trials[SCRATCH]["predict_ms"] > 0


def test_the_winner_is_one_of_the_plans_that_were_named(tuned):
    facts, board = tuned.read("run.json"), tuned.read("leaderboard.json")
    assert facts["winner"] == board["winner"] == PARTIAL
    assert f"Winner: {PARTIAL}" in tuned.said.out
    scores = {trial["strategy"]: trial["mean"] for trial in board["trials"]}
    assert scores[SCRATCH] < scores[PARTIAL]


def test_every_epoch_of_both_trainings_is_written_down(tuned):
    with (tuned.out / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for name in (SCRATCH, PARTIAL):
        own = [row for row in rows if row["strategy"] == name]
        assert [int(row["epoch"]) for row in own] == list(range(1, 7))
        assert all(float(row["train_loss"]) > 0 for row in own)
        assert float(own[-1]["train_loss"]) < float(own[0]["train_loss"])
        assert float(own[-1]["learning_rate"]) < float(own[1]["learning_rate"])


def test_what_was_forecast_stands_beside_what_it_took(tuned):
    facts = tuned.read("run.json")
    assert facts["budget_s"] is None
    assert [row["strategy"] for row in facts["forecast"]] == [SCRATCH, PARTIAL]
    for row in facts["forecast"]:
        assert row["outcome"] == "ran 1 of 5 folds"
        assert row["seconds"] > 0
        assert row["took_s"] > 0
        assert row["memory_bytes"] > 1e6
    assert [row["disk_bytes"] > 0 for row in facts["forecast"]] == [False, True]


def test_the_report_tells_the_story_and_shows_the_epochs(tuned):
    page = (tuned.out / "report.html").read_text(encoding="utf-8")
    for section in ("story", "budget", "curves"):
        assert f'<section id="{section}"' in page
    assert "head, then last 2 blocks" in page
    assert "tutorial_cnn" in page


def test_the_model_folder_answers_exactly_as_the_run_did(tuned, thawline):
    test, model = tuned.read("run.json")["test"], tuned.out / "model"
    told = ReportData.from_json((tuned.out / "report.json").read_text(encoding="utf-8")).evaluation
    scored = thawline("evaluate", model, tuned.photos, "--json")
    assert scored.code == 0
    assert {of: scored.json["accuracy"][name] for name, of in SCORE.items()} == {of: test[of] for of in SCORE.values()}
    rows = thawline("predict", model, tuned.photos / "test", "--json").rows
    assert [row["path"] for row in rows] == [str(tuned.photos / path) for path in told.paths]
    found = [[row["probabilities"][name] for name in told.class_names] for row in rows]
    np.testing.assert_allclose(found, told.probabilities, atol=1e-5)
    right = sum(row["label"] == Path(row["path"]).parent.name for row in rows)
    assert right / len(rows) == test["accuracy"]


@pytest.mark.slow
def test_a_network_from_nothing_is_a_model_like_any_other(run, thawline, shared_cache, tmp_path):
    said = thawline("tune", run.photos, *CHEAP, "-o", tmp_path / "out", "--json")
    assert said.code == 0, said.err
    assert said.json["winner"] == SCRATCH
    bundle = package.load(tmp_path / "out/model").bundle
    assert bundle.class_names == ("3", "8", "9")
    assert bundle.manifest.strategy == SCRATCH
    assert bundle.classifier.networks[0].backbone.name == "tutorial_cnn"
    scored = package.evaluate(bundle, run.photos)
    assert scored.accuracy.value == said.json["test"]["accuracy"]


def test_a_thawed_network_is_loaded_with_the_weights_that_it_learnt(run, tuned):
    bundle, frozen = package.load(tuned.out / "model").bundle, package.load(run.out / "model").bundle
    assert bundle.manifest.strategy == tuned.read("run.json")["winner"]
    assert (
        bundle.classifier.networks[0].backbone.weights_sha256 != frozen.classifier.networks[0].backbone.weights_sha256
    )


def test_tensorboard_has_a_log_of_every_training(tuned):
    files = list((tuned.out.parent / "log").rglob("events.out.tfevents.*"))
    assert all(path.stat().st_size > 500 for path in files)
    assert {path.parent.name for path in files} == {
        "tutorial_cnn-from-nothing-fold-1",
        "efficientnet_lite0-head-then-last-2-blocks-fold-1",
        "efficientnet_lite0-head-then-last-2-blocks-final",
    }


# kill and resume


def start(*words, cache):
    """Return a process that runs `thawline`."""
    call = [sys.executable, "-m", "thawline", *map(os.fspath, words)]
    environment = {**os.environ, "THAWLINE_CACHE": str(cache)}
    return subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


def kill_at_checkpoint(child, out, part):
    """Kill a run when the training of its second plan, on one fold or on all rows, has written a checkpoint."""
    deadline = time.monotonic() + 600
    steps = f".thawline-work/*/*/efficientnet-lite0-*/{part}/step-*"
    while not [path for path in out.glob(steps) if "999999" not in path.name]:
        assert child.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    child.kill()
    assert child.wait(timeout=600) == -signal.SIGKILL


@pytest.fixture(scope="module")
def killed(run, tuning, tmp_path_factory):
    """Return pictures, and the folder of a run over them that was killed in the middle of its last training."""
    place = tmp_path_factory.mktemp("killed")
    photos = shutil.copytree(run.photos, place / "photos")
    child = start("tune", photos, *tuning, *EVERY_STEP, "-o", place / "out", cache=run.cache)
    kill_at_checkpoint(child, place / "out", "final")
    assert {path.name for path in (place / "out").iterdir()} == {".thawline-work", ".thawline.json"}
    return photos, place / "out"


@pytest.fixture
def cut_off(killed, tmp_path):
    """Return a copy of the killed run that the test may go on with."""
    return shutil.copytree(killed[1], tmp_path / "out")


def test_a_killed_run_ends_with_the_very_bytes_of_one_that_was_left_alone(tuned, cut_off, thawline, shared_cache):
    said = thawline("tune", "--resume", cut_off, "--json")
    assert said.code == 0, said.err
    assert "tune: efficientnet_lite0 · head, then last 2 blocks goes on at epoch " in said.err
    assert said.err.count("\ntune efficientnet_lite0") == 1  # what was done is not trained again
    assert "tune tutorial_cnn" not in said.err
    assert {path.name for path in cut_off.iterdir()} == OUTPUTS
    assert model_bytes(cut_off) == model_bytes(tuned.out)
    assert said.json["test"] == tuned.read("run.json")["test"]
    assert (cut_off / "history.csv").read_bytes() == (tuned.out / "history.csv").read_bytes()
    again = thawline("tune", "--resume", cut_off)
    assert (again.code, again.out) == (1, "")
    assert f"resume: {cut_off / '.thawline-work/request.json'} does not exist: that run is done." in again.err
    assert "Start one: thawline tune PHOTOS" in again.err


@pytest.mark.slow
def test_the_python_verb_goes_on_too(tuned, cut_off, shared_cache):
    result = package.resume(cut_off)
    assert result.winner == tuned.read("run.json")["winner"]
    assert model_bytes(cut_off) == model_bytes(tuned.out)


def test_resuming_what_was_never_started(thawline, tmp_path):
    said = thawline("tune", "--resume", tmp_path / "nowhere")
    assert (said.code, said.out) == (1, "")
    assert "nowhere/.thawline-work/request.json does not exist: no run was started there" in said.err


@pytest.mark.parametrize(
    "words",
    [("photos",), ("--plan", "all"), ("--config", "run.toml"), ("--epochs", "9"), ("--seed", "0"), ("-o", "runs/tune")],
)
def test_nothing_may_be_given_with_resume(words, cut_off, thawline):
    said = thawline("tune", "--resume", cut_off, *words)
    assert (said.code, said.out) == (2, "")
    assert f"tune: --resume goes on with what the run was started with, and {words[0]} was given too." in said.err


@pytest.mark.slow
def test_pictures_that_changed_since_are_refused_by_name(killed, cut_off, thawline, shared_cache, tmp_path):
    photos, _ = killed
    gone = min((photos / "train/3").iterdir())
    gone.rename(tmp_path / "gone.png")
    try:
        said = thawline("tune", "--resume", cut_off)
    finally:
        (tmp_path / "gone.png").rename(gone)
    assert (said.code, said.out) == (1, "")
    message = said.err.splitlines()[-1]
    assert message.startswith(f"thawline: resume: the checkpoint {cut_off / '.thawline-work'}")
    assert "is of another training run: training pictures and labels was '" in message
    assert "Resume with what it was started with, or start again in another folder (-o)." in message
    assert list(cut_off.glob(".thawline-work/*/*/*/fold-1/step-*"))  # what there is stays


def test_pictures_that_are_gone(killed, cut_off, thawline, tmp_path):
    photos, _ = killed
    moved = photos.rename(tmp_path / "moved")
    try:
        said = thawline("tune", "--resume", cut_off)
    finally:
        moved.rename(photos)
    assert (said.code, said.out) == (1, "")
    assert f"{photos} does not exist" in said.err


def test_a_damaged_request_is_refused(cut_off, thawline):
    (cut_off / ".thawline-work/request.json").write_text('{"photos": "photos", "options": {"sise": 64}}')
    said = thawline("tune", "--resume", cut_off)
    assert (said.code, said.out) == (1, "")
    assert "request.json cannot be read" in said.err
    assert "Start the run again" in said.err


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(tuned, run, tuning, thawline, tmp_path):
    out = tmp_path / "out"
    child = start("tune", run.photos, *tuning, *EVERY_STEP, "-o", out, cache=run.cache)
    for part in ("fold-1", "final"):
        kill_at_checkpoint(child, out, part)
        child = start("tune", "--resume", out, cache=run.cache)
    assert child.wait(timeout=600) == 0
    assert model_bytes(out) == model_bytes(tuned.out)
    assert (out / "history.csv").read_bytes() == (tuned.out / "history.csv").read_bytes()


# fit --forecast, fit --budget


def test_plan_prints_what_all_would_take_and_writes_nothing(run, thawline, own_cache, tmp_path):
    own_cache.mkdir()
    said = thawline("fit", run.photos, "-o", tmp_path / "out", "--size", "64", "--forecast", "--plan", "last 20%")
    assert said.code == 0
    lines = [re.split(" {2,}", line.strip()) for line in said.out.splitlines()]
    assert lines[0] == ["strategy", "time", "memory", "disk"]
    names = ["efficientnet_lite0 · every depth, frozen", "efficientnet_lite0 · last 20 %", "together"]
    assert [line[0] for line in lines[1:]] == names
    assert all(len(line) == 4 for line in lines)
    assert not (tmp_path / "out").exists()
    assert list(own_cache.rglob("*")) == []
    assert "tune" not in said.err


@pytest.mark.slow
def test_plan_as_json_has_a_row_a_strategy(run, thawline, own_cache, tmp_path):
    said = thawline(
        "fit", run.photos, "-o", tmp_path / "out", "--size", "32", "--forecast", "--budget", "1min", "--json"
    )
    assert said.code == 0
    assert [row["strategy"] for row in said.json] == [
        "efficientnet_lite0 · every depth, frozen",
        "simple_cnn · from nothing",
        "efficientnet_lite0 · last 20 %",
        "efficientnet_lite0 · head, then last 6 blocks",
        "efficientnet_lite0 · head, then all",
    ]
    for row in said.json:
        assert set(row) == {"strategy", "seconds", "memory_bytes", "disk_bytes"}
        assert 0 < row["seconds"] < 3600
        assert 0 < row["memory_bytes"] < 2e9


@pytest.mark.slow
def test_a_budget_too_small_for_any_training_leaves_all_out_and_says_so(run, thawline, shared_cache, tmp_path):
    words = ("--size", "64", "--budget", "1s", "--plan", "tutorial cnn", "--plan", "head, then all")
    said = thawline("fit", run.photos, "-o", tmp_path / "out", *words)
    assert said.code == 0
    assert said.out.count("left out: it takes ") == 2
    assert "of the 1.0 s allowed" in said.out
    facts = json.loads((tmp_path / "out/run.json").read_text())
    assert facts["budget_s"] == 1
    assert [row["took_s"] for row in facts["forecast"]] == [None, None]
    assert kinds_of(json.loads((tmp_path / "out/leaderboard.json").read_text())) == {"frozen"}
    assert not (tmp_path / "out/tune").exists()
    assert '<section id="budget"' in (tmp_path / "out/report.html").read_text()


def test_a_budget_is_spent_on_training_and_whatever_is_best_wins(run, thawline, shared_cache, tmp_path):
    words = ("--size", "64", "--epochs", "1", "--budget", "10min", "--plan", "tutorial cnn")
    said = thawline("fit", run.photos, "-o", tmp_path / "out", *words, "--json")
    assert said.code == 0
    (row,) = said.json["forecast"]
    worse = "; measured worse than the best frozen strategy"
    assert row["outcome"] == f"ran {row['folds']} of 5 folds{worse if row['folds'] < 5 else ''}"
    assert (row["epochs"], row["epochs_wanted"]) == ([1.0] * row["folds"], 1)
    board = json.loads((tmp_path / "out/leaderboard.json").read_text())
    assert kinds_of(board) == {"frozen", "scratch"}
    (trial,) = [trial for trial in board["trials"] if trial["strategy"] == SCRATCH]
    assert len(trial["fold_scores"]) == row["folds"]
    assert board["tried"] == said.json["forecast"]
    assert said.json["winner"].startswith("efficientnet_lite0")  # one epoch from nothing does not win
    assert not (tmp_path / "out/tune").exists()


@pytest.mark.slow
def test_compare_lets_heads_learn_from_altered_views(run, thawline, shared_cache):
    said = thawline("compare", run.photos, "--size", "64", "--augment", "crop", "--views", "2", "--json")
    assert said.code == 0
    policies = {trial["augment"] for trial in said.json["trials"]}
    assert policies == {"none", "crop"}
    assert kinds_of(said.json) == {"frozen"}
    again = thawline("compare", run.photos, "--size", "64", "--augment", "crop", "--views", "2", "--json")
    assert "extract" not in again.err
