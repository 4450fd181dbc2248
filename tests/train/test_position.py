"""The position books steps and epochs, knows the best epoch and when patience is over, and survives a checkpoint."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest

from thawline.train.hyperparameters import TrainOptions
from thawline.train.position import CURVES, Position
from thawline.train.schedule import PLATEAU_FACTOR, PLATEAU_PATIENCE


def end(position):
    position.rate = 0.1
    return position.end_epoch(validation_loss=0.7, validation_accuracy=0.6)


def test_an_epoch_is_the_mean_over_its_pictures_and_the_next_one_starts_empty():
    position = Position()
    position.add_step(6.0, 2.0, count=4)
    position.add_step(1.0, 1.0, count=1)
    assert (position.step, position.steps, position.epochs) == (2, 2, 0)
    values = end(position)
    assert values == {
        "train_loss": 7 / 5,
        "validation_loss": 0.7,
        "train_accuracy": 3 / 5,
        "validation_accuracy": 0.6,
        "learning_rate": 0.1,
    }
    assert tuple(values) == CURVES
    assert (position.epoch, position.epochs, position.step, position.steps) == (1, 1, 0, 2)
    position.add_step(3.0, 0.0, count=1)
    assert end(position)["train_loss"] == 3
    assert position.history["train_loss"] == [7 / 5, 3]
    assert position.history["learning_rate"] == [0.1, 0.1]


def test_the_best_epoch_is_the_first_with_the_lowest_loss():
    position, training = Position(), TrainOptions(keep="best")
    assert [position.watch(loss, training) for loss in (1.0, 0.8, 0.8, 0.9, 0.5)] == [True, True, False, False, True]
    assert (position.best_loss, position.stalled) == (0.5, 0)


@pytest.mark.parametrize("patience", [1, 3, None])
def test_patience_counts_epochs_without_a_better_loss(patience):
    position, training = Position(), TrainOptions(patience=patience)
    position.watch(1.0, training)
    position.watch(0.9, training)
    for stalled in range(1, 6):
        position.watch(0.95, training)
        assert position.stalled == stalled
        assert position.is_over is (patience is not None and stalled >= patience)


@pytest.mark.parametrize("schedule", ["plateau", "cosine"])
def test_only_the_schedule_of_that_name_falls_on_a_plateau(schedule):
    position, training = Position(), TrainOptions(schedule=schedule)
    for _ in range(PLATEAU_PATIENCE + 2):
        position.watch(1.0, training)
    assert position.plateau.factor == (PLATEAU_FACTOR if schedule == "plateau" else 1)


def test_a_position_comes_back_from_a_checkpoint_as_it_was():
    position = Position(phase=1, seconds=2.5)
    assert Position.of(json.loads(json.dumps(asdict(position)))) == position
    assert position.best_loss == math.inf
    position.add_step(6.0, 2.0, count=4)
    position.watch(0.7, TrainOptions(schedule="plateau"))
    end(position)
    position.add_step(1.0, 0.0, count=2)
    again = Position.of(json.loads(json.dumps(asdict(position))))
    assert again == position
    assert end(again) == end(position)
