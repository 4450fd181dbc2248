"""The one list of scores: what an entry says, and which scores apply to which answers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from thawline.core.scores import SCORES, Score, ScoreInput, compute_scores

UNEVEN = np.array([[6, 2, 1], [0, 1, 1], [3, 0, 16]])  # accuracy, precision, recall and F1 all differ


def given_of(confusion, *, leaked=0):
    """Return answers with this confusion matrix, the first `leaked` of the pictures leaked."""
    labels, predicted = np.repeat(np.indices(confusion.shape).reshape(2, -1), confusion.ravel(), axis=1)
    return ScoreInput(
        labels, np.eye(len(confusion))[predicted], np.arange(len(labels)), (np.arange(len(labels)) < leaked).astype(int)
    )


def test_an_entry_has_a_name_a_title_and_a_meaning_of_its_own():
    for words in zip(*((kind.name, kind.title, kind.meaning) for kind in SCORES), strict=True):
        assert len(set(words)) == len(SCORES)
    assert all(kind.name.isidentifier() and kind.meaning.endswith(".") for kind in SCORES)
    for kind in SCORES:
        way = "Lower" if kind.name in ("log_loss", "brier", "calibration_error") else "Higher"
        assert kind.explanation == f"{kind.meaning} {way} is better."
        assert kind.is_share == (kind.name not in ("log_loss", "brier"))


def answers(*, num_classes=7, num_pictures=300, seed=0, sure=1.0):
    """Return answers of a model that is mostly right, of classes that differ in size."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(num_classes, num_pictures, p=np.arange(1, num_classes + 1) / sum(range(num_classes + 1)))
    logits = rng.normal(size=(num_pictures, num_classes))
    logits[np.arange(num_pictures), labels] += 2
    shares = np.exp(sure * logits)
    shares /= shares.sum(axis=1, keepdims=True)
    return ScoreInput(labels, shares, np.arange(num_pictures), (np.arange(num_pictures) < 5).astype(int))


def calibration_error(labels, shares):
    """Return the calibration error straight from its formula."""
    sure, right, found = shares.max(axis=1), shares.argmax(axis=1) == labels, 0.0
    for low in np.arange(15) / 15:
        inside = (sure > low) & (sure <= low + 1 / 15)
        if inside.any():
            found += inside.mean() * abs(sure[inside].mean() - right[inside].mean())
    return found


def test_every_score_is_the_one_that_its_name_says():
    given = answers()
    labels, shares, predicted = given.labels, given.probabilities, given.predicted
    expected = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "accuracy_without_leaks": sk.accuracy_score(labels[5:], predicted[5:]),
        "top3": sk.top_k_accuracy_score(labels, shares, k=3),
        "top5": sk.top_k_accuracy_score(labels, shares, k=5),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "macro_precision": sk.precision_score(labels, predicted, average="macro"),
        "macro_recall": sk.recall_score(labels, predicted, average="macro"),
        "macro_f1": sk.f1_score(labels, predicted, average="macro"),
        "weighted_precision": sk.precision_score(labels, predicted, average="weighted"),
        "weighted_f1": sk.f1_score(labels, predicted, average="weighted"),
        "roc_auc": sk.roc_auc_score(labels, shares, multi_class="ovr", average="macro"),
        "average_precision": sk.average_precision_score(np.eye(7)[labels], shares, average="macro"),
        "log_loss": sk.log_loss(labels, shares),
        "brier": ((shares - np.eye(7)[labels]) ** 2).sum(axis=1).mean(),
        "calibration_error": calibration_error(labels, shares),
    }
    scores = compute_scores(given)
    assert {name: score.value for name, score in scores.items()} == pytest.approx(expected)
    assert list(scores) == list(expected) == [kind.name for kind in SCORES]
    assert len({round(score.value, 6) for score in scores.values()}) == len(expected) - 1  # the recall twice
    for score in scores.values():
        assert 0 <= score.low < score.value < score.high
        assert score.n in (300, 295)


def truth_of(name):
    """Return the score on so many pictures that chance plays no part."""
    return compute_scores(answers(num_pictures=40_000, seed=99, sure=3.0))[name].value


@pytest.mark.parametrize(
    "name",
    ["weighted_precision", "weighted_f1", "roc_auc", "average_precision", "log_loss", "brier", "calibration_error"],
)
def test_an_interval_holds_the_truth_as_often_as_it_says(name):
    truth, kind, held = truth_of(name), next(kind for kind in SCORES if kind.name == name), []
    for seed in range(120):
        score = kind.compute(answers(num_pictures=150, seed=seed, sure=3.0))
        held.append(score.low <= truth <= score.high)
    assert np.mean(held) >= 0.89


@pytest.mark.parametrize("name", ["log_loss", "brier"])
def test_no_mistake_seen_does_not_mean_that_there_are_none(name):
    labels = np.arange(200) % 2
    perfect = ScoreInput(labels, np.where(np.eye(2)[labels] == 1, 0.999, 0.001), np.arange(200), 0 * labels)
    score = compute_scores(perfect)[name]
    assert score.value < 0.002
    assert 0.01 < score.high < 0.4


def test_the_low_end_of_the_calibration_error_leaves_chance_out():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 200)
    labels = (rng.random(200) > sure).astype(int)
    score = compute_scores(ScoreInput(labels, np.stack([sure, 1 - sure], axis=1), np.arange(200), 0 * labels))
    assert score["calibration_error"].low == 0
    assert score["calibration_error"].value > 0.02


ODD = {
    "one picture": ([0], [[0.9, 0.1]]),
    "one picture, all of it": ([1], [[0.0, 1.0]]),
    "one picture a class": ([0, 1, 2], np.eye(3)),
    "a class that no picture has": ([0, 0, 1], [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3]]),
    "a single class": ([1, 1, 1], [[0.5, 0.5], [0.1, 0.9], [0.9, 0.1]]),
    "always the same answer": ([0, 1, 1, 0], [[1.0, 0.0]] * 4),
    "always undecided": ([0, 1, 1, 0], [[0.5, 0.5]] * 4),
    "all wrong and sure": ([0, 1, 2], np.roll(np.eye(3), 1, axis=1)),
}


@pytest.mark.parametrize(("labels", "shares"), ODD.values(), ids=ODD)
@pytest.mark.parametrize("groups", ["apart", "copies"])
def test_odd_answers_have_scores_or_none_but_never_nan(labels, shares, groups):
    labels, shares = np.array(labels), np.asarray(shares, dtype=np.float32)
    rows = np.arange(len(labels)) if groups == "apart" else 0 * labels
    scores = compute_scores(ScoreInput(labels, shares, rows, 0 * labels))
    for kind in SCORES:
        if (score := scores.get(kind.name)) is not None:
            assert 0 <= score.low <= score.value + 1e-9
            assert score.value <= score.high + 1e-9 <= (1 if kind.is_share else 16) + 2e-9
            assert score.low < score.high
    assert ("roc_auc" in scores) == (len(set(labels.tolist())) > 1)


def test_an_undecided_model_has_a_roc_auc_of_one_half():
    scores = compute_scores(ScoreInput(np.array([0, 1, 1, 0]), np.full((4, 2), 0.5), np.arange(4), np.zeros(4, int)))
    assert scores["roc_auc"].value == 0.5
    assert scores["log_loss"].value == pytest.approx(np.log(2))


@pytest.mark.parametrize(("num_classes", "applies"), [(5, False), (6, True)])
def test_top_5_applies_to_more_than_five_classes(num_classes, applies):
    assert ("top5" in compute_scores(given_of(np.eye(num_classes, dtype=int)))) is applies


def test_top_5_counts_the_five_most_probable():
    shares = np.tile(np.array([0.3, 0.2, 0.2, 0.1, 0.1, 0.06, 0.04]), (7, 1))
    score = compute_scores(ScoreInput(np.arange(7), shares, np.arange(7), np.zeros(7, int)))["top5"]
    assert (score.value, score.n) == (pytest.approx(5 / 7), 7)


@pytest.mark.parametrize(("leaked", "n"), [(0, None), (1, 29), (29, 1), (30, None)])
def test_the_accuracy_without_leaks_applies_where_some_pictures_are_leaked(leaked, n):
    score = compute_scores(given_of(UNEVEN, leaked=leaked)).get("accuracy_without_leaks")
    assert (score and score.n) == n


def test_copies_count_as_one_picture_in_every_interval():
    given = given_of(UNEVEN)
    given = ScoreInput(given.labels, 0.1 + 0.7 * given.probabilities, given.groups, given.leaked)
    copied = ScoreInput(*(np.repeat(rows, 3, axis=0) for rows in (given.labels, given.probabilities, given.groups)),
                        np.zeros(90, int))  # fmt: skip
    of_copies = compute_scores(copied)
    for name, score in compute_scores(given).items():
        other = of_copies[name]
        if name == "calibration_error":  # what chance alone gives is taken from all pictures
            continue
        assert (other.value, other.low, other.high) == pytest.approx((score.value, score.low, score.high))
        assert other.n == 3 * score.n


def test_an_added_score_is_computed(added_score):
    assert added_score.explanation.endswith("not the true one. Lower is better.")
    assert compute_scores(given_of(UNEVEN))["error_rate"] == Score(
        pytest.approx(7 / 30), pytest.approx(0.118, abs=1e-3), pytest.approx(0.409, abs=1e-3), 30
    )
