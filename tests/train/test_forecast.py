"""A forecast counts epochs, folds and bytes, trains nothing, and is near what a training run then takes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from thawline.core.options import Options
from thawline.data.split import make_split
from thawline.features.extract import bank_spec
from thawline.train.context import Context, Machine
from thawline.train.forecast import Forecast, forecast_plan, forecast_plans, forecast_run, measure_picture_s
from thawline.train.hyperparameters import TrainOptions
from thawline.train.plan import parse_plan
from thawline.train.prefix import prefix_bytes
from thawline.train.reckoning import TRAINING_SHARE

PICTURE_S = 0.01


def weights_of(network):
    return {name: tensor.clone() for name, tensor in network.model.state_dict().items()}


def test_folds_share_one_cache_and_fewer_epochs_take_less():
    costs = {"prefix_s": 5.0, "start_s": 1.0, "epoch_s": 0.5, "answers_s": 0.25, "epochs": 4.0, "growth": 2.0}
    forecast = Forecast(parse_plan("all"), "x · all", **costs, memory_bytes=0, disk_bytes=0)
    assert (forecast.folds_s(1), forecast.folds_s(4)) == (5 + 3.25, 5 + 4 * 3.25)
    assert (forecast.fold_s, forecast.run_s(2)) == (3.25, 2.25)
    assert (forecast.final_s, forecast.last_s(2)) == (5, 3)


@pytest.mark.parametrize(("limit_s", "steps"), [(1e-3, 0), (1.0, 4), (1e3, 4)])
def test_where_there_is_no_time_to_measure_a_plan_is_reckoned(make_job, monkeypatch, limit_s, steps):
    taken = []

    def gradients(engine, batch, *_, **__):
        taken.append(len(batch))

    monkeypatch.setattr("thawline.train.engine._StreamEngine.gradients", gradients)
    job = make_job("all")
    found = forecast_plan(job, num_final=36, picture_s=1e-3, limit_s=limit_s)
    assert len(taken) == steps
    assert found.memory_bytes > 0
    if not steps:
        assert found.epoch_s == pytest.approx(1e-3 * TRAINING_SHARE * (27 + 9 / 3))
        assert found.answers_s == pytest.approx(9 * 1e-3)


@pytest.mark.parametrize("plan", ["last 2 blocks", "all", "gradual last 2 blocks", "simple_cnn from nothing"])
def test_a_forecast_changes_no_weight_and_writes_nothing(plan, make_job):
    job = make_job(plan, backbone="simple_cnn" if "nothing" in plan else "test_resnet")
    before = weights_of(job.network)
    found = forecast_plan(job, num_final=36, picture_s=PICTURE_S)
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights_of(job.network).items())
    assert not job.context.options.cache_dir.exists()
    assert found.name == job.name
    assert min(found.fold_s, found.final_s) > 0
    assert found.memory_bytes > 4 * sum(parameter.numel() for parameter in job.network.model.parameters())


def test_the_cache_of_the_prefix_is_counted_by_the_byte(make_job):
    job = make_job("last 2 blocks", augment="crop", views=3)
    cut = job.network.backbone.cut_removing(2)
    found = forecast_plan(job, num_final=36, picture_s=PICTURE_S)
    assert found.disk_bytes == prefix_bytes(
        job.network, cut.index, num_pictures=36, num_views=3, runtime=job.context.runtime
    )
    assert found.prefix_s == pytest.approx(3 * 36 * PICTURE_S * cut.cost_fraction)


@pytest.mark.parametrize("storage", ["float16", "float32"])
def test_a_head_alone_needs_a_pass_for_each_view_that_the_run_has_not(make_job, changed, storage):
    job = make_job("head, 2 blocks cut", augment="crop", views=3)
    cut = job.network.backbone.cut_removing(2)
    alone = forecast_plan(job, num_final=36, picture_s=PICTURE_S)
    assert alone.prefix_s == pytest.approx(3 * 36 * PICTURE_S * cut.cost_fraction)
    assert alone.disk_bytes == 3 * 36 * (2 * cut.channels + 36)
    bank = bank_spec(job.network.backbone, job.context.runtime, storage=storage)
    beside = forecast_plan(replace(job, bank=bank), num_final=36, picture_s=PICTURE_S)
    assert beside.prefix_s == pytest.approx(2 * 36 * PICTURE_S)
    assert beside.disk_bytes == 2 * 36 * bank.row_bytes
    plain = changed(replace(job, bank=bank), training=replace(job.context.training, augment="none", views=1))
    plain = forecast_plan(plain, num_final=36, picture_s=PICTURE_S)
    assert (plain.prefix_s, plain.disk_bytes) == (0, 0)
    assert not job.context.options.cache_dir.exists()


def test_a_cache_beyond_the_disk_budget_is_not_made(make_job):
    found = forecast_plan(make_job("last 2 blocks", disk_budget="1kB"), num_final=36, picture_s=PICTURE_S)
    assert (found.disk_bytes, found.prefix_s) == (0, 0)


def test_every_layer_needs_no_cache(make_job):
    found = forecast_plan(make_job("all"), num_final=36, picture_s=PICTURE_S)
    assert (found.disk_bytes, found.prefix_s) == (0, 0)


def test_more_layers_hold_more_memory(make_job):
    jobs = [make_job(plan) for plan in ("head", "last 2 blocks", "all")]
    held = [forecast_plan(job, num_final=36, picture_s=PICTURE_S).memory_bytes for job in jobs]
    assert held == sorted(held)
    assert held[0] < held[-1]


@pytest.fixture
def counted(monkeypatch):
    """Give every step and answer a time of its own: a clock that ticks by one with every look."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))


def test_time_grows_with_epochs_and_rows(make_job, counted):
    one, four = (forecast_plan(make_job("all", epochs=epochs), num_final=36, picture_s=0.0) for epochs in (1, 4))
    assert four.fold_s - one.fold_s == pytest.approx(3 * (one.fold_s - 1))  # a tick goes into the preparation
    final = [forecast_plan(make_job("all", epochs=2), num_final=rows, picture_s=0.0).final_s - 1 for rows in (27, 54)]
    assert final[1] == pytest.approx(2 * final[0])


@pytest.fixture
def context(learnable, network, runtime):
    training = TrainOptions(epochs=1, augment="none")
    return Context(learnable, network("test_resnet"), Options(), training, Machine(runtime), Path("nowhere"))


def test_plans_are_forecast_in_the_order_given_on_the_first_fold(learnable, context):
    split = make_split(learnable, num_folds=3, num_repeats=1)
    plans = [parse_plan(text) for text in ("last 1 block", "simple_cnn from nothing", "head")]
    found = forecast_plans([(plan, context) for plan in plans], split)
    assert [one.plan for one in found] == plans
    assert [one.name for one in found] == [
        "test_resnet · last 1 block", "simple_cnn · from nothing", "test_resnet · head",
    ]  # fmt: skip


def test_a_picture_takes_some_time(context):
    assert measure_picture_s(context, np.arange(len(context.dataset))) > 0


def test_a_run_is_forecast_with_one_row_for_all_frozen_strategies_and_one_a_plan(context):
    split = make_split(context.dataset, num_folds=3, num_repeats=1)
    long = replace(context, training=replace(context.training, epochs=200))
    rows = forecast_run([(parse_plan("head"), context), (parse_plan("last 1 block"), long)], context, split=split)
    assert [row["strategy"] for row in rows] == [
        "test_resnet · every depth, frozen", "test_resnet · head", "test_resnet · last 1 block",
    ]  # fmt: skip
    spec = bank_spec(context.network.backbone, context.runtime)
    assert rows[0]["disk_bytes"] == len(context.dataset) * spec.row_bytes
    assert rows[0]["memory_bytes"] == 4 * len(split.pool) * spec.width
    assert all(row["seconds"] > 0 and row["memory_bytes"] > 0 for row in rows)
    assert rows[2]["seconds"] > 5 * rows[1]["seconds"]  # each with its own options
    assert not context.folder.exists()
