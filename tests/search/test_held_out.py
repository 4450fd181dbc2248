"""A sketch answers every row once by heads that never saw it; a strategy that is solved, in every repeat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thawline.heads.linear import L2_STRENGTHS
from thawline.search import held_out as module
from thawline.search.answers import Rows
from thawline.search.held_out import (
    SKETCH,
    SOLVED,
    answer_features,
    directions_of,
    rotate_ahead,
    strengths_worth_solving,
)
from thawline.search.strategy import HEADS, Strategy

N, K = 120, 3


@pytest.fixture(scope="module")
def problem():
    """Return (N, 30) features that partly tell the classes, their rows in 4 folds × 2, and a strategy of every head."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(N) % K)
    x = (rng.normal(size=(K, 30))[labels] + rng.normal(size=(N, 30)) * 2).astype(np.float32)
    held_out = [
        np.flatnonzero(dealt == fold) for dealt in (np.arange(N) % 4, rng.permutation(N) % 4) for fold in range(4)
    ]
    train = np.ones((N, 8), np.float32)
    for fold, held in enumerate(held_out):
        train[held, fold] = 0
    rows = Rows(np.arange(N), labels, np.arange(N), train, tuple(held_out), np.arange(8) // 4, np.arange(N), np.ones(N))
    heads = [Strategy("drawn", (0,), ("mean",), head, f"drawn · {head}", 1.0) for head in HEADS]
    return x, rows, heads


def test_a_sketch_answers_every_row_in_the_first_repeat_alone(problem):
    x, rows, heads = problem
    for entry in answer_features(heads, x, rows=rows, effort=SKETCH):
        assert entry.is_complete
        assert entry.sketched
        assert (entry.predicted[0] >= 0).all()
        assert (entry.predicted[1] == -1).all()
        assert len(entry.fold_scores) == 4
        assert np.array_equal(entry.logits.argmax(axis=1), entry.predicted[0])


def test_what_is_solved_is_answered_in_every_repeat(problem):
    x, rows, heads = problem
    for entry in answer_features(heads, x, rows=rows, effort=SOLVED):
        assert (entry.predicted >= 0).all()
        assert (len(entry.fold_scores), entry.sketched) == (8, False)


def test_a_sketch_says_nearly_what_a_solution_says(problem):
    x, rows, heads = problem
    quick_answers, solved_answers = (answer_features(heads, x, rows=rows, effort=effort) for effort in (SKETCH, SOLVED))
    for quick, solved in zip(quick_answers, solved_answers, strict=True):
        assert (quick.predicted[0] == solved.predicted[0]).mean() > 0.95


@pytest.mark.parametrize("effort", [SKETCH, SOLVED])
def test_held_out_labels_change_no_answer_but_by_what_is_chosen(problem, effort):
    """With one setting nothing is chosen, and the rows of a fold are answered alike whatever their labels are."""
    x, rows, heads = problem
    means = [head for head in heads if head.head == "class mean"]
    held = rows.held_out[1]
    labels = rows.labels.copy()
    labels[held] = (labels[held] + 1) % K
    other = replace(rows, labels=labels)
    (first,), (second,) = (answer_features(means, x, rows=of, effort=effort) for of in (rows, other))
    np.testing.assert_allclose(second.logits[held], first.logits[held], atol=1e-4)
    assert not np.allclose(second.logits, first.logits, atol=1e-4)


def test_folds_in_groups_are_the_same_folds(problem, monkeypatch):
    x, rows, heads = problem
    tight = replace(SOLVED, tolerance=1e-4)
    whole = answer_features(heads, x, rows=rows, effort=tight)
    monkeypatch.setattr(module, "MAX_FLOATS", N * K)
    for one, other in zip(
        answer_features(heads, x, rows=rows, effort=replace(SOLVED, tolerance=1e-4)), whole, strict=True
    ):
        assert (one.predicted == other.predicted).mean() > 0.99


def test_views_stand_one_under_the_other(problem):
    """Every view has all the rows; views that are the picture itself change nothing."""
    x, rows, heads = problem
    linear = [head for head in heads if head.head == "linear"]
    (alone,) = answer_features(linear, x, rows=rows, effort=SOLVED)
    (viewed,) = answer_features(linear, np.vstack([x, x, x]), rows=rows, effort=SOLVED)
    assert viewed.logits.shape == (N, K)
    assert (viewed.predicted == alone.predicted).mean() > 0.98


def test_strengths_that_a_sketch_found_clearly_worse_are_not_solved(problem):
    x, rows, heads = problem
    linear = [head for head in heads if head.head == "linear"]
    (quick,) = answer_features(linear, x, rows=rows, effort=SKETCH)
    strengths = strengths_worth_solving([quick])
    weakest = strengths[0]
    assert strengths == tuple(range(weakest, len(L2_STRENGTHS)))
    merits = np.array(quick.merits)
    assert len(merits) == len(L2_STRENGTHS)
    assert 0 < weakest <= quick.choice
    assert (merits[:weakest] < merits.max()).all()
    (solved,) = answer_features(linear, x, rows=rows, effort=SOLVED.within(strengths))
    assert np.isneginf(solved.merits[:weakest]).all()
    (whole,) = answer_features(linear, x, rows=rows, effort=SOLVED)
    assert solved.choice == whole.choice
    np.testing.assert_array_equal(solved.predicted, whole.predicted)


def test_few_rows_are_rotated_once(problem, monkeypatch):
    x, rows, heads = problem
    kept = {}
    quick = answer_features(heads, x, rows=rows, effort=SKETCH, kept=kept)
    assert list(kept) == [heads[0].blocks]
    monkeypatch.setattr(module, "rotate", lambda *_, **__: pytest.fail("rotated again"))
    solved = answer_features(heads, x, rows=rows, effort=SOLVED, kept=kept)
    assert not kept
    assert [entry.strategy for entry in solved] == [entry.strategy for entry in quick]


def test_very_many_rows_and_classes_are_compared_within_fewer_directions():
    assert directions_of(SOLVED, num_rows=4000, num_classes=10) == SOLVED.directions
    assert directions_of(SKETCH, num_rows=60_000, num_classes=10) == SKETCH.directions
    assert directions_of(SOLVED, num_rows=3600, num_classes=200) == module.MOST_WORK // (3600 * 200)
    assert directions_of(SOLVED, num_rows=60_000, num_classes=1200) == module.FEWEST_DIRECTIONS


def test_very_many_classes_are_answered_once_by_looser_fits():
    size = {"num_rows": 3600, "num_classes": 1200}
    effort = SOLVED.for_size(**size)
    assert (effort.repeats, effort.tolerance, effort.directions) == (1, module.LOOSE, module.FEWEST_DIRECTIONS)
    assert len(effort.strengths) < len(SOLVED.strengths)
    assert SOLVED.within((3, 4)).for_size(**size).strengths == (3, 4)
    for enough in (SKETCH, SOLVED):
        assert enough.for_size(num_rows=60_000, num_classes=10) == enough


def test_a_strength_that_the_sketch_left_out_is_solved_next_to_its_best(problem):
    x, rows, heads = problem
    linear = [head for head in heads if head.head == "linear"]
    (quick,) = answer_features(linear, x, rows=rows, effort=SKETCH.within((0, 2, 4)))
    assert np.isneginf(np.array(quick.merits)[[1, 3]]).all()
    assert quick.choice in (2, 4)
    assert quick.choice - 1 in strengths_worth_solving([quick])


class Blocks:
    """A bank of (N, 6) features a block, whose number of a block seeds them."""

    def read(self, hashes, blocks):
        rows = [int(name) for name in hashes]
        return np.concatenate([np.random.default_rng(cut).normal(size=(N, 6))[rows] for cut, _ in blocks], axis=1)


SETS = [((0, "mean"), (1, "mean")), ((1, "mean"), (2, "mean")), ((0, "mean"),), ((3, "mean"), (4, "mean"))]


HASHES = [str(row) for row in range(N)]


def test_sets_that_overlap_are_rotated_ahead_where_they_are_dear(problem, monkeypatch):
    monkeypatch.setattr(module, "directions_of", lambda effort, **size: 10)
    kept = {SETS[3]: "there already"}
    rotate_ahead(SETS, bank=Blocks(), hashes=HASHES, rows=problem[1], kept=kept)
    assert list(kept) == [SETS[3], SETS[0], SETS[1]]  # the third has no more columns than there are directions
    assert kept[SETS[0]].z.shape == (N, 10)


@pytest.mark.parametrize(("directions", "most"), [(N, 10**9), (10, 2 * N * 10 - 1)])
def test_few_rows_and_sets_beyond_memory_are_rotated_one_by_one(problem, monkeypatch, directions, most):
    monkeypatch.setattr(module, "MOST_AHEAD", most)
    monkeypatch.setattr(module, "directions_of", lambda effort, **size: directions)
    kept = {}
    rotate_ahead(SETS[:2], bank=Blocks(), hashes=HASHES, rows=problem[1], kept=kept)
    assert not kept
