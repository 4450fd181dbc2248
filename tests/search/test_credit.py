"""How much credit an answer deserves, made honest by the rows outside its fold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from thawline.heads.calibrate import fit_temperature
from thawline.search.credit import held_out_credit


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def answers(rng):
    """Return (1, 600, 4) logits that are four times too sure, their classes, and five folds."""
    labels = rng.integers(0, 4, 600)
    logits = rng.normal(0, 1, (600, 4)) + 2 * np.eye(4)[labels]
    return (4 * logits)[None], labels, np.arange(600)[None] % 5


def credit_of(answers, **changed):
    logits, labels, fold = answers
    given = {"logits": logits, "labels": labels, "weight": np.ones(len(labels)), "fold": fold}
    return held_out_credit(**given | changed)


def test_every_fold_is_calibrated_by_the_others(answers):
    logits, labels, fold = answers
    expected = np.zeros(600)
    for number in range(5):
        inside = fold[0] == number
        temperature = fit_temperature(logits[0, ~inside], labels[~inside])
        shares = softmax(logits[0, inside] / temperature, axis=1)
        own = shares[np.arange(120), labels[inside]].copy()
        shares[np.arange(120), labels[inside]] = 0
        expected[inside] = own / (own + shares.max(axis=1))
    np.testing.assert_allclose(credit_of(answers), expected, atol=0.004)


def test_credit_is_above_one_half_where_the_answer_is_right(answers):
    logits, labels, _ = answers
    assert np.array_equal(credit_of(answers) > 0.5, logits[0].argmax(axis=1) == labels)


@pytest.mark.parametrize("scale", [1e-3, 0.3, 50.0])
def test_how_sure_answers_say_they_are_does_not_matter(answers, scale):
    np.testing.assert_allclose(credit_of(answers, logits=answers[0] * scale), credit_of(answers), atol=2e-3)


def test_a_fold_has_no_say_in_its_own_temperature(answers):
    """Where its classes change, its rows' sharpness does not: a row that is right by as much has the same credit."""
    logits, _, fold = answers
    other, inside = logits.copy(), fold[0] == 0
    changed = np.flatnonzero(inside)[1:20]
    other[0, changed] = other[0, changed, ::-1]
    ours, theirs = credit_of(answers), credit_of(answers, logits=other)
    first = np.flatnonzero(inside)[0]
    assert theirs[first] == pytest.approx(ours[first], abs=0.01)
    assert np.abs(theirs[~inside] - ours[~inside]).max() > 0.01


def test_one_mistake_among_sure_answers_costs_one_picture_and_no_more():
    labels = np.zeros(100, int)
    logits = np.tile([1e6, 0.0], (1, 100, 1))
    logits[0, 3] = [0.0, 1e6]
    credit = held_out_credit(logits, labels, weight=np.ones(100), fold=np.arange(100)[None] % 5)
    assert credit[3] < 0.5 < credit[5] <= 1


def test_a_class_that_was_never_trained_for_has_no_credit_and_spoils_none(rng):
    labels = rng.integers(0, 3, 60)
    logits = rng.normal(size=(1, 60, 3)) + 2 * np.eye(3)[labels]
    logits[0, :20, 2] = -1e30
    credit = held_out_credit(logits, labels, weight=np.ones(60), fold=np.arange(60)[None] // 20)
    assert np.isfinite(credit).all()
    assert (credit[:20][labels[:20] == 2] < 0.05).all()
    assert credit[20:].mean() > 0.5


def test_one_fold_of_all_rows_sets_its_own_temperature(answers):
    _, _, fold = answers
    np.testing.assert_allclose(credit_of(answers, fold=np.zeros_like(fold)), credit_of(answers), atol=0.02)


def test_repeats_are_averaged_over_those_that_answered(answers):
    logits, labels, fold = answers
    both = np.concatenate([logits, logits])
    both[1, :300] = np.nan
    found = credit_of((both, labels, np.concatenate([fold, fold])))
    np.testing.assert_allclose(found[:300], credit_of(answers)[:300])
    both[0, :10] = np.nan
    assert np.isnan(credit_of((both, labels, np.concatenate([fold, fold])))[:10]).all()


def test_heavier_rows_set_the_temperature(answers):
    logits, labels, fold = answers
    mixed, heavy = logits.copy(), np.arange(600) % 2 == 1
    mixed[:, ~heavy] /= 8
    found = credit_of((mixed, labels, fold), weight=np.where(heavy, 1.0, 1e-6))
    np.testing.assert_allclose(found[heavy], credit_of(answers)[heavy], atol=0.03)
