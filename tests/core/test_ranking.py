"""How well classes are told from the rest: as scikit-learn has it, ties included, and by what each picture adds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from thawline.core import ranking
from thawline.core.ranking import rank_classes


def drawn(seed, *, num_pictures=60, num_classes=4, decimals=1):
    """Return labels of every class and probabilities, many of them equal."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, num_pictures - num_classes)])
    return labels, np.round(rng.dirichlet(np.ones(num_classes), num_pictures), decimals)


@given(seed=st.integers(0, 200), decimals=st.sampled_from([0, 1, 8]))
def test_both_are_those_of_scikit_learn_ties_included(seed, decimals):
    labels, shares = drawn(seed, decimals=decimals)
    found = rank_classes(labels, shares)
    for k in range(4):
        assert found.roc_auc[k] == pytest.approx(sk.roc_auc_score(labels == k, shares[:, k]), abs=1e-12)
        assert found.average_precision[k] == pytest.approx(sk.average_precision_score(labels == k, shares[:, k]))


def test_many_pictures_of_a_class_are_looked_up_with_the_same_result(monkeypatch):
    labels, shares = drawn(3, num_pictures=500)
    counted = rank_classes(labels, shares)
    monkeypatch.setattr(ranking, "FEW", 0)
    monkeypatch.setattr(ranking, "COLUMNS", 3)
    looked_up = rank_classes(labels, shares)
    for name in ("roc_auc", "average_precision", "roc_auc_added", "average_precision_added"):
        np.testing.assert_allclose(getattr(counted, name), getattr(looked_up, name), atol=1e-15)


@pytest.mark.parametrize(
    ("name", "of_one"),
    [("roc_auc_added", sk.roc_auc_score), ("average_precision_added", sk.average_precision_score)],
)
def test_what_a_picture_adds_is_the_change_by_its_weight(name, of_one):
    labels, shares = drawn(5)
    added = getattr(rank_classes(labels, shares), name)
    assert added.sum() == pytest.approx(0, abs=1e-12)

    def mean(weights):
        return np.mean([of_one(labels == k, shares[:, k], sample_weight=weights) for k in range(4)])

    for row in range(0, 60, 7):
        weights = np.ones(60)
        weights[row] += 1e-5
        assert (mean(weights) - mean(np.ones(60))) / 1e-5 == pytest.approx(added[row], abs=1e-6)


def test_classes_without_pictures_or_without_others_are_not_asked():
    found = rank_classes(np.array([0, 0, 2]), np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]))
    assert found.is_asked.tolist() == [True, False, True]
    assert found.roc_auc.tolist() == [1, 0, 1]
    alone = rank_classes(np.array([1, 1]), np.array([[0.8, 0.2], [0.5, 0.5]]))
    assert not alone.is_asked.any()
    assert not alone.roc_auc_added.any()


def test_answers_that_are_all_alike_rank_by_chance():
    labels = np.array([0, 0, 1])
    found = rank_classes(labels, np.full((3, 2), 0.5))
    assert found.roc_auc.tolist() == [0.5, 0.5]
    assert found.average_precision == pytest.approx([2 / 3, 1 / 3])
