"""What is taken off the logits of common classes, and that it finds rare ones better than weights do."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.heads.adjust import adjusted, class_shifts
from thawline.heads.linear import fit_folds, fit_linear
from thawline.heads.rotation import rotate
from thawline.search.frozen import class_row_weights

LABELS = np.array([0, 0, 0, 0, 1, 1, 2])


def test_each_class_loses_the_logarithm_of_its_share_in_each_fold():
    rows = np.ones((7, 2), dtype=np.float32)
    rows[[0, 6], 1] = 0  # the second fold trains on 3, 2 and none of the classes
    shifts = class_shifts(LABELS, rows, part=1.0, num_classes=3)
    np.testing.assert_allclose(np.exp(-shifts), [[4 / 7, 2 / 7, 1 / 7], [3 / 5, 2 / 5, 1 / 5]], rtol=1e-6)
    np.testing.assert_allclose(class_shifts(LABELS, rows, part=0.5, num_classes=3), shifts / 2)
    assert shifts.dtype == np.float32


def test_weights_of_rows_do_not_count_but_their_absence_does():
    rows = np.array([1, 1, 1, 1, 5, 5, 5], dtype=np.float32)[:, None]
    np.testing.assert_array_equal(
        class_shifts(LABELS, rows, part=1.0, num_classes=3),
        class_shifts(LABELS, np.ones_like(rows), part=1.0, num_classes=3),
    )


def long_tail(sizes, *, seed):
    """Return features and labels of classes of these sizes, whose clouds overlap."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    centres = np.random.default_rng(0).normal(size=(len(sizes), 12))
    return (centres[labels] + 1.3 * rng.normal(size=(len(labels), 12))).astype(np.float32), labels


def test_a_head_and_the_folds_are_adjusted_alike():
    x, labels = long_tail((40, 12, 4), seed=1)
    everything = np.ones((len(labels), 1), dtype=np.float32)
    head = fit_linear(x, labels, l2=1e-3, num_classes=3)
    shifts = class_shifts(labels, everything, part=0.5, num_classes=3)
    more = {"row_weights": everything, "strengths": [1e-3], "num_classes": 3}
    folds = fit_folds(rotate(x), labels, shifts=shifts, **more)[0, 0]
    np.testing.assert_allclose(adjusted(head, labels, part=0.5).logits(x), folds, atol=0.06)
    np.testing.assert_array_equal(adjusted(head, labels, part=0.0).logits(x), head.logits(x))


def test_rare_classes_are_found_as_often_as_with_weights_or_oftener():
    recalls = {"none": [], "weights": [], "adjusted": []}
    for seed in range(8):
        x, labels = long_tail((120, 40, 12, 4), seed=seed)
        new, truth = long_tail((100,) * 4, seed=100 + seed)
        none = fit_linear(x, labels, l2=1e-3, num_classes=4)
        weighted = fit_linear(x, labels, l2=1e-3, num_classes=4, row_weights=class_row_weights(labels))
        heads = {"none": none, "weights": weighted, "adjusted": adjusted(none, labels, part=1.0)}
        for name, head in heads.items():
            recalls[name].append((head.logits(new).argmax(axis=1) == truth).mean())
    means = {name: np.mean(values) for name, values in recalls.items()}
    assert means["adjusted"] >= means["weights"] > means["none"] + 0.02
    assert means["adjusted"] == pytest.approx(max(means.values()))
