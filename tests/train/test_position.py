"""The state of a training run goes into JSON and comes back; an epoch's values are means over its pictures."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from thawline.train.hyperparameters import TrainOptions
from thawline.train.position import CURVES, Position


def test_an_epoch_is_the_mean_over_its_pictures_and_begins_the_next():
    at = Position()
    at.add_step(6.0, 2, count=4)
    at.add_step(2.0, 1, count=2)
    assert (at.step, at.steps, at.epochs) == (2, 2, 0)
    values = at.end_epoch(validation_loss=0.5, validation_accuracy=0.75, learning_rate=1e-3)
    assert tuple(values) == CURVES
    assert values["train_loss"] == pytest.approx(8 / 6)
    assert values["train_accuracy"] == pytest.approx(3 / 6)
    assert {name: at.history[name] for name in CURVES} == {name: [value] for name, value in values.items()}
    assert (at.epoch, at.step, at.steps, at.epochs) == (1, 0, 2, 1)
    assert (at.loss, at.right, at.count) == (0.0, 0.0, 0)


def test_patience_runs_out_after_so_many_epochs_without_a_better_loss():
    at, training = Position(), TrainOptions(patience=2)
    assert [at.watch(loss, training) for loss in (1.0, 0.8, 0.9)] == [True, True, False]
    assert (at.best_loss, at.stalled, at.is_over) == (0.8, 1, False)
    assert not at.watch(0.8, training)  # as good is not better
    assert at.is_over
    patient = Position()
    for _ in range(9):
        patient.watch(1.0, TrainOptions())
    assert not patient.is_over


def test_only_a_plateau_schedule_lowers_the_step_where_the_loss_stalls():
    factors = {}
    for schedule in ("plateau", "cosine"):
        at = Position()
        for _ in range(6):
            at.watch(1.0, TrainOptions(schedule=schedule))
        factors[schedule] = at.plateau.factor
    assert factors["cosine"] == 1
    assert factors["plateau"] < 1


def test_a_position_comes_back_from_json():
    at = Position(phase=1, epoch=2)
    at.add_step(1.5, 1, count=3)
    at.end_epoch(validation_loss=0.5, validation_accuracy=0.5, learning_rate=0.1)
    at.watch(0.5, TrainOptions(schedule="plateau"))
    assert Position.of(json.loads(json.dumps(asdict(at)))) == at
