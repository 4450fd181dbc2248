"""The range test finds where the loss falls, and leaves everything as it was."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from thawline.core.errors import TrainingError
from thawline.core.runtime import Runtime
from thawline.train.batches import Pictures, epoch_batches
from thawline.train.engine import open_engine
from thawline.train.finder import LARGEST, SMALLEST, STEPS, choose_rate, find_rate
from thawline.train.hyperparameters import TrainOptions
from thawline.train.loop import train
from thawline.train.new_head import new_head
from thawline.train.objective import Objective
from thawline.train.optimizer import make_optimizer
from thawline.train.phases import phases
from thawline.train.plan import parse_plan
from thawline.train.thawed import Thawed, working_copy

RUNTIME = Runtime("cpu", "float32", 8)


def curve(steepest, lowest=0.2):
    """Return the points of a loss that falls steepest at one step size and grows far beyond it."""
    rates = np.geomspace(SMALLEST, LARGEST, STEPS)
    fallen = 1 / (1 + (steepest / rates) ** 2)
    return [(float(rate), 1 - (1 - lowest) * fallen[at] + max(0, rate - 0.3)) for at, rate in enumerate(rates)]


@pytest.mark.parametrize("steepest", [1e-4, 3e-3, 2e-2])
def test_chosen_is_a_third_of_where_the_loss_falls_steepest(steepest):
    assert choose_rate(curve(steepest)) == pytest.approx(steepest / 3, rel=0.2)


@pytest.mark.parametrize(
    "points", [[], [(1e-6, 1.0)], [(1e-6, 1.0), (1e-5, 1.1), (1e-4, 1.2), (1e-3, 3.0)]], ids=["none", "one", "rising"]
)
def test_a_loss_that_never_falls_is_an_error(points):
    with pytest.raises(TrainingError) as caught:
        choose_rate(points)
    assert str(caught.value) == (
        "find the step size: the loss does not fall at any step size. Look at labels and pictures with `thawline "
        "check`, or give --learning-rate yourself."
    )


@pytest.fixture(params=["folded", "from nothing"])
def training(request, learnable, network):
    """Return a function that opens what a range test takes: engine, optimiser, gradients and batches."""
    keeps_norms = request.param == "from nothing"

    @contextmanager
    def opened():
        copy = working_copy(network("simple_cnn" if keeps_norms else "test_resnet"), keeps_norms=keeps_norms)
        layers = phases(parse_plan("all"), copy, epochs=1)[0].layers
        thawed, rows = Thawed(copy, None, layers, new_head(copy, 3)), np.arange(36)
        options = TrainOptions(batch_size=12, augment="none")
        weights = thawed.trained()
        optimizer = make_optimizer(weights, options, scales=dict.fromkeys(weights, 1.0))
        pictures = Pictures(learnable, rows, copy.backbone.input, RUNTIME, augment="none", seed=0)
        batches = list(epoch_batches(rows, learnable.labels, epoch=0, training=options, seed=0))
        objective = Objective(learnable.labels, np.ones(3, np.float32))
        with open_engine(thawed, objective, runtime=RUNTIME, keeps_norms=keeps_norms) as engine:

            def gradients(at):
                batch, step = at
                return engine.gradients(batch, pictures, place=(0, step), scale=1 / len(batch))

            yield engine, optimizer, gradients, batches, pictures

    return opened


def test_a_sensible_step_size_is_found_and_everything_is_left_as_it_was(training):
    with training() as (engine, optimizer, gradients, batches, pictures):
        before = {name: tensor.clone() for name, tensor in engine.thawed.state_dict().items()}
        engine.thawed.head.weight.data[0, 0] = before["head.weight"][0, 0] = 0.25  # not a fresh one
        engine.refresh()
        answers = engine.logits(np.arange(10), pictures)
        rate, points = find_rate(engine, optimizer, gradients=gradients, batches=batches)
        assert 1e-5 < rate < 0.1
        assert rate == choose_rate(points)
        rates, losses = np.array(points).T
        assert rates[0] == SMALLEST
        np.testing.assert_allclose(rates[1:] / rates[:-1], (LARGEST / SMALLEST) ** (1 / (STEPS - 1)))
        assert losses.min() < 0.8 * losses[0]
        assert losses[0] == pytest.approx(np.log(3), rel=0.1)
        after = engine.thawed.state_dict()
        assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
        assert not optimizer.state_dict()["state"]
        assert all(weight.grad is None for weight in engine.thawed.trained().values())
        np.testing.assert_array_equal(engine.logits(np.arange(10), pictures), answers)
        assert find_rate(engine, optimizer, gradients=gradients, batches=batches) == (rate, points)


def test_it_ends_where_the_loss_is_no_number(training):
    with training() as (engine, optimizer, gradients, batches, _):

        def exploding(at):
            if at[1] == 45:
                raise TrainingError("tune: the loss is nan")
            return gradients(at)

        _, points = find_rate(engine, optimizer, gradients=exploding, batches=batches)
        assert len(points) <= 45
        with pytest.raises(TrainingError, match="does not fall at any step size"):
            find_rate(engine, optimizer, gradients=lambda at: exploding((at[0], 45)), batches=batches)


def test_it_ends_soon_after_the_loss_has_tripled(training):
    with training() as (engine, optimizer, gradients, batches, _):
        points = find_rate(engine, optimizer, gradients=gradients, batches=batches)[1]
        losses = np.array([loss for _, loss in points])
        assert (losses <= 3 * np.minimum.accumulate(losses))[:-1].all()


def test_a_training_takes_what_was_found_and_tells_it(make_job):
    trained = train(make_job("last 2 blocks", learning_rate=None, find_rate=True, epochs=6))
    assert len(trained.finder) > 30
    assert trained.learning_rate == choose_rate(trained.finder)
    assert trained.curve.train_loss[-1] < 0.7 * trained.curve.train_loss[0]
    assert train(make_job("last 2 blocks")).finder == ()
