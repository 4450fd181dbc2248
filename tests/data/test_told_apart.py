"""A tiny head tells a class by a binned fact out of fold, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from thawline.data.told_apart import auroc_of, clear_low, out_of_fold


def test_auroc_is_scikit_learns_and_its_spread_that_of_shuffled_labels():
    rng = np.random.default_rng(0)
    scores, own = rng.integers(0, 6, 200).astype(float), rng.random(200) < 0.3
    auroc, spread = auroc_of(scores, own)
    assert auroc == pytest.approx(roc_auc_score(own, scores))
    shuffled = [auroc_of(scores, rng.permutation(own))[0] for _ in range(2000)]
    assert spread == pytest.approx(np.std(shuffled), rel=0.1)
    assert auroc_of(np.zeros(200), own) == (0.5, 0.0)


def test_a_value_in_the_middle_is_told_too():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], 60)
    bins = np.where(labels == 1, 4, rng.choice([0, 1, 2, 3, 5, 6, 7], 180))[:, None]
    found = dict(out_of_fold(bins, labels, groups=np.arange(180), num_classes=3))
    assert (found[1] > 0).tolist() == (labels == 1).tolist()


def test_noise_is_not_told_out_of_fold():
    rng = np.random.default_rng(2)
    labels, bins = np.repeat(np.arange(10), 60), rng.integers(0, 10, (600, 3))
    aurocs = [
        clear_low(scores, labels == number, groups=np.arange(600))[0]
        for number, scores in out_of_fold(bins, labels, groups=np.arange(600), num_classes=10)
    ]
    assert np.mean(aurocs) < 0.56
    assert max(aurocs) < 0.62


def test_groups_are_not_parted_and_count_once():
    labels, groups = np.repeat([0, 1], 120), np.repeat(np.arange(24), 10)
    bins = (groups * 7 % 24)[:, None]  # says which group it is, and nothing else
    found = dict(out_of_fold(bins, labels, groups=groups, num_classes=2))
    for number, scores in found.items():
        auroc, low, p_value = clear_low(scores, labels == number, groups=groups)
        assert auroc < 0.6
        assert low < 0.5
        assert p_value > 0.05
    sure = clear_low(labels.astype(float), labels == 1, groups=groups)
    alone = clear_low(labels.astype(float), labels == 1, groups=np.arange(240))
    assert sure[0] == alone[0] == 1
    assert sure[1] < alone[1] < 1
    assert sure[2] > alone[2] > 0


@pytest.mark.parametrize("num", [1, 9])
def test_few_groups_are_not_asked(num):
    labels = np.repeat([0, 1], [num, 50])
    assert list(out_of_fold(labels[:, None], labels, groups=np.arange(len(labels)), num_classes=2)) == []
