"""What a run was asked for comes back from its folder; named plans are to win, a budget's have to be the best."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from thawline.core.errors import StoreError, UsageError
from thawline.core.options import Options
from thawline.core.runtime import Runtime
from thawline.data.check import check
from thawline.data.sources.places import Place
from thawline.data.split import make_split
from thawline.features.extract import extract
from thawline.features.network import load_backbone
from thawline.search.compare import leaderboard_of
from thawline.search.frozen import answer_frozen
from thawline.train.context import Context, Machine
from thawline.train.hyperparameters import TrainOptions
from thawline.work.order import Order
from thawline.work.request import read_request, work_folder, write_request
from thawline.work.run import CompareResult
from thawline.work.tuning import distinct_plans, ground_of, with_trained

PLANS = ("simple_cnn from nothing", "last 20 %", "head, then last 7 blocks", "all")
FLOAT32 = Runtime("cpu", "float32", 8)
QUICK = TrainOptions(epochs=1, batch_size=8, augment="none")


# plans and requests


def test_a_plan_that_is_named_twice_is_one():
    names = [plan.name for plan in distinct_plans(["Last 20%", "all", "last 20 %", "last 100 %"])]
    assert names == ["last 20 %", "all"]


def test_no_plan_is_refused_with_examples():
    with pytest.raises(UsageError, match=r'no plan is named\. Name one or more: --plan "last 20 %"'):
        distinct_plans([])


def test_what_was_asked_for_comes_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = Options(
        size=96, pooling=("mean", "grid"), weights=Path("net.safetensors"), class_names=Path("names.csv"), limit=9
    )
    training = TrainOptions(epochs=3, schedule="one-cycle", learning_rate=1e-3, augment="augmix", clip_norm=None)
    write_request(tmp_path / "run", Order(Place.of("photos"), tuple(PLANS), options, training))
    found = read_request(tmp_path / "run")
    assert found.photos == Place.of(tmp_path / "photos")  # wherever it is resumed from
    assert found.options == replace(options, weights=tmp_path / "net.safetensors", class_names=tmp_path / "names.csv")
    assert found.training == training
    assert found.plans == tuple(PLANS)


def test_a_new_request_removes_the_trainings_of_an_older_run_and_nothing_else(tmp_path):
    (tmp_path / "tune/all/fold-1").mkdir(parents=True)
    (tmp_path / "run.json").write_text("{}")
    write_request(tmp_path, Order(Place.of("photos"), ("all",), Options(), TrainOptions()))
    assert {path.name for path in tmp_path.iterdir()} == {"tune", "run.json"}
    assert [path.name for path in work_folder(tmp_path).iterdir()] == ["request.json"]


def test_a_request_that_is_not_there_says_why(tmp_path):
    with pytest.raises(StoreError, match=r"request\.json does not exist: no tuning was started there\. Start one"):
        read_request(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(StoreError, match=r"that run is done"):
        read_request(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda request: request.pop("photos"),
        lambda request: request["options"].update(sise=64),
        lambda request: request["training"].update(epochs="many"),
        lambda request: request.update(plans=None),
    ],
)
def test_a_damaged_request_is_refused(change, tmp_path):
    write_request(tmp_path, Order(Place.of("photos"), ("all",), Options(), TrainOptions()))
    path = work_folder(tmp_path) / "request.json"
    request = json.loads(path.read_text())
    change(request)
    path.write_text(json.dumps(request))
    with pytest.raises(StoreError, match=r"request\.json cannot be read \(\w+\)\. Start the run anew"):
        read_request(tmp_path)


# trainings


@pytest.fixture(scope="module")
def network():
    return load_backbone("test_efficientnet", pretrained=False, size_px=32, seed=1)


@pytest.fixture(scope="module")
def compared(network, tmp_path_factory):
    """Return the frozen comparison of 36 tinted pictures in two classes."""
    root = tmp_path_factory.mktemp("photos")
    for label, name in enumerate(("blue", "red")):
        (root / name).mkdir()
        for number in range(18):
            texture = np.random.default_rng((label, number)).integers(0, 256, (6, 6, 3))
            tinted = (0.6 * texture + 0.4 * np.array([(60, 90, 200), (210, 70, 60)][label])).astype(np.uint8)
            Image.fromarray(tinted).resize((40, 40), Image.Resampling.BICUBIC).save(root / name / f"{number:02}.png")
    dataset, report = check(root)
    split = make_split(dataset, num_folds=3, num_repeats=1)
    done = extract(dataset, network, runtime=FLOAT32, cache=tmp_path_factory.mktemp("cache"))
    frozen = answer_frozen(done.bank, network.backbone, dataset=dataset, split=split)
    comparison = leaderboard_of(frozen, full_pass_ms=1.0)
    labels = tuple(cut.label for cut in network.backbone.cuts)
    return CompareResult(dataset, report, split, done, comparison, labels, 1.0)


@pytest.fixture
def ground(compared, network, tmp_path):
    options = Options(cache_dir=tmp_path / "cache")
    return ground_of(compared, Context(compared.dataset, network, options, QUICK, Machine(FLOAT32), tmp_path / "out"))


def test_the_named_plans_stand_beside_the_frozen_strategies_and_one_of_them_wins(compared, ground):
    plans = distinct_plans(["head", "simple_cnn from nothing"])
    found = with_trained(compared, plans, ground, budget_s=None, started_at=time.perf_counter())
    board, before = found.leaderboard, compared.leaderboard
    assert len(board.trials) == len(before.trials) + 2
    names = {"test_efficientnet · head", "simple_cnn · from nothing"}
    trained = {trial.name: trial for trial in board.trials if trial.strategy.tune}
    assert trained.keys() == names
    assert board.trials[board.winner].name in names
    assert {trial.num_pictures for trial in trained.values()} == {len(compared.split.folds[0][1])}
    assert {trial.name: trial.mean for trial in board.trials if trial.name not in names} == {
        trial.name: trial.mean for trial in before.trials
    }
    assert [one.outcome for one in found.tried] == ["ran 1 of 3 folds"] * 2
    assert found.budget_s is None


def test_a_budget_that_reaches_nothing_changes_no_ranking(compared, ground):
    found = with_trained(compared, distinct_plans(["head"]), ground, budget_s=5.0, started_at=time.perf_counter())
    assert found.leaderboard.trials == compared.leaderboard.trials
    assert found.leaderboard.winner == compared.leaderboard.winner
    assert [one.outcome for one in found.tried] == ["left out: not enough of the budget was left"]
    assert found.budget_s == 5


def test_a_trained_network_must_be_the_best_to_win_within_a_budget(compared, ground):
    training = TrainOptions(epochs=1, learning_rate=1e-9, augment="none")
    slow = replace(ground, context=replace(ground.context, training=training))
    plans = distinct_plans(["simple_cnn from nothing"])  # steps too small to learn anything
    found = with_trained(compared, plans, slow, budget_s=3600.0, started_at=time.perf_counter())
    board = found.leaderboard
    assert [one.outcome for one in found.tried] == ["ran 3 of 3 folds"]
    assert board.trials[board.winner].name == compared.leaderboard.trials[compared.leaderboard.winner].name
