"""What is delivered may have learnt from the test too: after all was chosen and measured, and nothing else moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thawline.core.types import Curve
from thawline.heads.head import head_tensors
from thawline.train.hyperparameters import TrainOptions
from thawline.work.choice import choose
from thawline.work.model import describe_training, fit_head, frozen_model
from thawline.work.order import Row
from thawline.work.refit import deliver, draws_test
from thawline.work.rows import answer_rows

NOTHING = Row(name="tutorial_cnn from nothing", plan="tutorial_cnn from nothing")
WHOLE = Row(name="solved", frozen="whole")


def asking(order, refit, **changes):
    """Return the order with `--refit`."""
    return replace(order, options=replace(order.options, refit=refit), **changes)


def parted(compared):
    """Return the comparison as if the person had brought the test."""
    dataset = compared.dataset
    samples = [
        replace(sample, split="test" if row in compared.split.test else "train")
        for row, sample in enumerate(dataset.samples)
    ]
    return with_data(compared, replace(dataset, samples=tuple(samples)))


def with_data(compared, dataset):
    """Return the comparison with other samples at the same places."""
    session = compared.session
    return replace(compared, session=replace(session, context=replace(session.context, dataset=dataset)))


def weights_of(head):
    """Return every number of a head, in one row."""
    return np.concatenate([np.ravel(values) for _, values in sorted(head_tensors(head).items())])


def test_a_head_is_fitted_on_every_picture_with_what_was_chosen_before(compared, compared_for, order):
    outcome = choose(compared_for(asking(order, "auto")))
    board = outcome.leaderboard
    everything = np.arange(len(compared.dataset))
    assert outcome.final.rows.tolist() == everything.tolist()
    expected = fit_head(compared, board.trials[board.winner], rows=everything)
    assert np.array_equal(weights_of(outcome.classifier.head), weights_of(expected))
    measured = choose(compared_for(asking(order, "none")))
    assert measured.final.rows.tolist() == compared.split.pool.tolist()
    assert not np.allclose(weights_of(measured.classifier.head), weights_of(expected))
    assert outcome.classifier.temperature == measured.classifier.temperature
    assert np.array_equal(outcome.evaluation.probabilities, measured.evaluation.probabilities)


@pytest.mark.parametrize("refit", ["auto", "all"])
def test_scrambled_test_labels_change_no_choice_and_no_score_but_their_own(refit, compared, compared_for, order):
    dataset, test = compared.dataset, compared.split.test
    samples = list(dataset.samples)
    for row in test.tolist():
        samples[row] = replace(samples[row], label=1 - samples[row].label)
    first = choose(compared_for(asking(order, refit)))
    scrambled = choose(with_data(compared_for(asking(order, refit)), replace(dataset, samples=tuple(samples))))
    assert scrambled.strategy == first.strategy
    assert scrambled.leaderboard == first.leaderboard
    assert scrambled.classifier.temperature == first.classifier.temperature
    assert np.array_equal(scrambled.evaluation.probabilities, first.evaluation.probabilities)
    assert scrambled.evaluation.accuracy.value == pytest.approx(1 - first.evaluation.accuracy.value)
    assert not np.allclose(weights_of(scrambled.classifier.head), weights_of(first.classifier.head))


def test_a_test_that_the_person_brought_is_learnt_from_only_when_asked_for(compared, compared_for, order):
    assert draws_test(compared)
    assert not draws_test(parted(compared))
    kept = choose(parted(compared_for(asking(order, "auto"))))
    assert kept.final.rows.tolist() == compared.split.pool.tolist()
    assert len(choose(parted(compared_for(asking(order, "all")))).final.rows) == len(compared.dataset)


def test_rows_that_are_set_side_by_side_deliver_the_measured_model_unless_asked(compared, compared_for, order):
    asked = {"rows": (WHOLE,), "protocol": "test"}
    measured = answer_rows(compared_for(asking(order, "auto", **asked)))
    assert measured.classifier is measured.rows[0].made.classifier
    again = answer_rows(compared_for(asking(order, "all", **asked)))
    assert len(again.final.rows) == len(compared.dataset)
    assert again.evaluation.accuracy == measured.evaluation.accuracy


def test_a_trained_network_is_trained_again_only_when_asked_for_as_long_as_before(compared, compared_for, order):
    asked = {"rows": (NOTHING,), "training": TrainOptions(epochs=2, batch_size=8, augment="none")}
    laid = compared_for(asking(order, "auto", **asked))
    measured = choose(laid)
    assert measured.final.rows.tolist() == compared.split.pool.tolist()
    assert not list(laid.session.context.folder.rglob("refit"))
    laid = compared_for(asking(order, "all", **asked))
    again = choose(laid)
    assert len(again.final.rows) == len(compared.dataset)
    assert len(list(laid.session.context.folder.rglob("refit"))) == 1
    assert again.classifier.temperature == measured.classifier.temperature
    assert np.array_equal(again.evaluation.probabilities, measured.evaluation.probabilities)


def test_the_usual_number_of_epochs_is_that_of_the_measured_run(compared, compared_for, order, monkeypatch):
    laid = compared_for(asking(order, "all", training=TrainOptions(augment="none")))
    trained = {}

    def train_rows(plan, ground, *, rows, watched, part):
        trained[part] = (ground.context.training.epochs, len(rows), len(watched))
        return "network", "head", None

    monkeypatch.setattr("thawline.work.refit.train_rows", train_rows)
    monkeypatch.setattr("thawline.work.refit.classifier_of", lambda _, networks, *, head, **__: (*networks, head))
    values = (0.5,) * 7
    measured = frozen_model(laid, laid.leaderboard.trials[0], logits=np.eye(2), labels=np.arange(2))
    curve = Curve(values, values, values, values)
    made = replace(measured, trial=None, plan=NOTHING.parsed, ground=laid.ground, curve=curve)
    assert deliver(laid, made).classifier == ("network", "head")
    assert trained == {"refit": (7, len(compared.dataset), 0)}


def test_the_model_folder_names_every_picture_that_was_learnt_from(compared, compared_for, order):
    outcome = choose(compared_for(asking(order, "auto")))
    training = describe_training(compared, outcome.strategy, rows=outcome.final.rows)
    assert training.sha256s == [sample.sha256 for sample in compared.dataset.samples]
    assert training.provenance["refit"] == {"pictures": 36, "held_out": len(compared.split.test)}
    measured = describe_training(compared, outcome.strategy, rows=compared.split.pool)
    assert "refit" not in measured.provenance


def test_what_is_neither_a_head_nor_a_network_is_refused(compared_for, order):
    laid = compared_for(asking(order, "all"))
    made = frozen_model(laid, laid.leaderboard.trials[0], logits=np.eye(2), labels=np.arange(2))
    with pytest.raises(ValueError, match="neither a fitted head nor a trained network"):
        deliver(laid, replace(made, trial=None))
