"""The single reading of the test rows: every number against scikit-learn's."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn import metrics as sk

from thawline.core.errors import DataError
from thawline.core.intervals import wilson
from thawline.use.evaluate import evaluate


def answers(seed=0, n=300, k=7):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k)) + 1.5 * np.eye(k)[labels]
    return labels, (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)


def evaluated(labels, probabilities, *, groups=None, leaked=None):
    n, k = probabilities.shape
    return evaluate(
        labels,
        probabilities,
        strategy="drawn · whole · linear",
        class_names=[f"class {name}" for name in range(k)],
        paths=[f"{row}.jpg" for row in range(n)],
        groups=np.arange(n) if groups is None else groups,
        leaked=np.zeros(n, np.int64) if leaked is None else leaked,
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [2, 7])
def test_scores_equal_those_of_scikit_learn(seed, k):
    labels, probabilities = answers(seed, k=k)
    said = probabilities.argmax(axis=1)
    found = evaluated(labels, probabilities)
    precision, recall, f1, support = sk.precision_recall_fscore_support(labels, said, zero_division=0)
    assert found.accuracy.value == pytest.approx(sk.accuracy_score(labels, said))
    assert found.balanced_accuracy.value == pytest.approx(sk.balanced_accuracy_score(labels, said))
    assert found.macro_precision.value == pytest.approx(precision.mean())
    assert found.macro_recall.value == pytest.approx(recall.mean())
    assert found.macro_f1.value == pytest.approx(f1.mean())
    for row, values in zip(found.per_class, zip(precision, recall, f1, support, strict=True), strict=True):
        assert (row.precision, row.recall, row.f1, row.support) == pytest.approx(values)
        assert (row.recall_low, row.recall_high) == pytest.approx(wilson(row.recall * row.support, row.support))
    assert np.array_equal(found.confusion, sk.confusion_matrix(labels, said))
    if k == 2:
        assert found.top5 is None
    else:
        assert found.top5.value == pytest.approx(sk.top_k_accuracy_score(labels, probabilities, k=5))
    assert found.num_images == found.accuracy.n == 300


def test_intervals_are_wilsons_and_hold_their_values():
    labels, probabilities = answers()
    found = evaluated(labels, probabilities)
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(wilson(found.accuracy.value * 300, 300))
    for score in (found.accuracy, found.top5, found.balanced_accuracy, found.macro_f1):
        assert 0 <= score.low < score.value < score.high <= 1


def test_copies_among_the_test_pictures_count_as_one_in_the_interval():
    labels, probabilities = answers(n=60)
    alone = evaluated(labels, probabilities)
    copied = evaluated(np.repeat(labels, 4), np.repeat(probabilities, 4, axis=0), groups=np.repeat(np.arange(60), 4))
    assert copied.accuracy.value == pytest.approx(alone.accuracy.value)
    assert (copied.accuracy.low, copied.accuracy.high) == pytest.approx((alone.accuracy.low, alone.accuracy.high))
    assert copied.accuracy.n == 240
    for one, many in zip(alone.per_class, copied.per_class, strict=True):
        assert (many.recall_low, many.recall_high) == pytest.approx((one.recall_low, one.recall_high))
        assert many.support == 4 * one.support


def test_the_same_without_leaks():
    labels, probabilities = answers()
    leaked = (np.arange(300) % 3 == 0).astype(np.int64)
    found = evaluated(labels, probabilities, leaked=leaked)
    clean = leaked == 0
    assert found.accuracy_without_leaks.value == pytest.approx(
        sk.accuracy_score(labels[clean], probabilities[clean].argmax(axis=1))
    )
    assert found.accuracy_without_leaks.n == 200
    assert found.accuracy.value == evaluated(labels, probabilities).accuracy.value
    assert found.leaked.tolist() == leaked.tolist()


@pytest.mark.parametrize("leaked", [0, 1])
def test_without_a_leak_or_with_nothing_else_there_is_no_second_number(leaked):
    labels, probabilities = answers()
    assert evaluated(labels, probabilities, leaked=np.full(300, leaked)).accuracy_without_leaks is None


def test_a_class_without_test_pictures_enters_no_mean():
    labels, probabilities = answers(k=7)
    kept = labels != 3
    labels, probabilities = labels[kept], probabilities[kept]
    found = evaluated(labels, probabilities)
    said = probabilities.argmax(axis=1)
    assert (said == 3).any()
    row = found.per_class[3]
    assert (row.precision, row.recall, row.f1, row.support) == (0, 0, 0, 0)
    assert (row.recall_low, row.recall_high) == (0, 1)
    present = [k for k in range(7) if k != 3]
    assert found.macro_recall.value == pytest.approx(sk.recall_score(labels, said, labels=present, average="macro"))
    assert found.macro_f1.value == pytest.approx(sk.f1_score(labels, said, labels=present, average="macro"))
    assert found.macro_precision.value == pytest.approx(
        sk.precision_score(labels, said, labels=present, average="macro")
    )


def test_a_model_sure_of_a_wrong_class_gains_nothing_by_ties_at_zero():
    """Confident probabilities underflow: nine classes at exactly 0 are no top five."""
    labels = np.arange(10)
    found = evaluated(labels, np.eye(10, dtype=np.float32)[(labels + 1) % 10])
    assert found.top5.value == pytest.approx(0.4)  # classes 0 to 3 follow the wrong one, and 9 has class 0 before it
    flat = evaluated(labels, np.full((10, 10), 0.1, np.float32))
    assert (flat.accuracy.value, flat.top5.value) == (0.1, 0.5)


def test_perfect_answers_have_open_intervals():
    labels = np.arange(40) % 4
    found = evaluated(labels, np.eye(4, dtype=np.float32)[labels])
    for score in (found.accuracy, found.balanced_accuracy, found.macro_f1):
        assert (score.value, score.high) == (1, 1)
        assert 0.9 < score.low < 0.95


def test_a_model_that_is_too_sure_has_a_calibration_error():
    labels = np.arange(40) % 4
    honest = np.where(np.arange(40) < 28, labels, (labels + 1) % 4)  # 28 of 40 right, so 0.7 would be the truth
    for said, error in ((0.7, 0.0), (0.97, 0.27), (0.4, 0.3)):
        shares = np.full((40, 4), (1 - said) / 3, np.float32)
        shares[np.arange(40), honest] = said
        found = evaluated(labels, shares)
        assert found.calibration.mean_confidence == pytest.approx(said)
        assert found.calibration.calibration_error == pytest.approx(error, abs=1e-6)


def test_what_was_given_is_kept_in_order():
    labels, probabilities = answers(n=5)
    found = evaluated(labels, probabilities)
    assert found.paths == ("0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    assert np.array_equal(found.labels, labels)
    assert np.array_equal(found.probabilities, probabilities)
    assert found.strategy == "drawn · whole · linear"


def test_no_test_picture_is_an_error_with_a_way_out():
    with pytest.raises(DataError, match=r"there is no test picture\. Add a `test` folder"):
        evaluated(np.zeros(0, np.int64), np.zeros((0, 3), np.float32))


def test_a_notebook_shows_the_weakest_classes_first():
    labels, probabilities = answers(k=30, n=900)
    found = evaluated(labels, probabilities, leaked=(np.arange(900) < 9).astype(np.int64))
    html = found._repr_html_()
    score, clean = found.accuracy, found.accuracy_without_leaks
    assert f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}] of 900 pictures right" in html
    assert f"{clean.value:.3f} without copies in training, 891 pictures" in html
    weakest = sorted(found.per_class, key=lambda row: (row.recall, row.f1))
    assert re.findall(r">(class \d+)<", html) == [row.name for row in weakest[:20]]
    assert "the 20 weakest of 30 classes are shown" in html


def test_classes_have_intervals_of_their_own_and_are_ranked():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, 90)
    shares = rng.dirichlet(np.ones(3), 90) + 0.6 * np.eye(3)[labels]
    shares /= shares.sum(axis=1, keepdims=True)
    found = evaluate(labels, shares, strategy="s", class_names=("a", "b", "c", "unseen")[:3], paths=["p"] * 90,
                     groups=np.arange(90), leaked=np.zeros(90, int))  # fmt: skip
    for k, row in enumerate(found.per_class):
        assert 0 <= row.precision_low < row.precision < row.precision_high <= 1
        assert 0 <= row.f1_low < row.f1 < row.f1_high <= 1
        assert row.roc_auc == pytest.approx(sk.roc_auc_score(labels == k, shares[:, k]))
        assert row.average_precision == pytest.approx(sk.average_precision_score(labels == k, shares[:, k]))


def test_a_class_without_pictures_or_answers_says_so():
    shares = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1]])
    found = evaluate(np.array([0, 0]), shares, strategy="s", class_names=("a", "b", "c"), paths=["x", "y"],
                     groups=np.arange(2), leaked=np.zeros(2, int))  # fmt: skip
    first, second, third = found.per_class
    assert (first.roc_auc, second.roc_auc, third.average_precision) == (None, None, None)
    assert (third.precision_low, third.precision_high, third.f1_low, third.f1_high) == (0, 1, 0, 1)
    assert second.precision_high < 1


def test_bins_of_how_sure_the_model_was_are_kept():
    shares = np.array([[0.95, 0.05], [0.94, 0.06], [0.45, 0.55]])
    found = evaluate(np.array([0, 1, 1]), shares, strategy="s", class_names=("a", "b"), paths=["x", "y", "z"],
                     groups=np.arange(3), leaked=np.zeros(3, int))  # fmt: skip
    least, most = found.reliability
    assert (least.confidence, least.accuracy, least.num_pictures) == (pytest.approx(0.55), 1, 1)
    assert (most.confidence, most.accuracy, most.num_pictures) == (pytest.approx(0.945), 0.5, 2)
    assert most.low < 0.5 < most.high
