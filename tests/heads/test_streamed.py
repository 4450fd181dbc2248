"""Heads that are fitted in passes over all rows answer as heads that are fitted in memory, and memory stays flat."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import softmax

from thawline.heads import linear, streamed
from thawline.heads.linear import fit_linear
from thawline.heads.nearest import fit_class_mean
from thawline.heads.softmax_path import solve_path
from thawline.heads.streamed import class_mean_streamed, drawn_of_classes, fit_streamed, logits_in_parts

N, D, K = 3000, 40, 4


class Read:
    """A table whose parts come in another order than its rows, as a bank's do."""

    def __init__(self, x):
        self.x, self.passes = x, 0

    @property
    def shape(self):
        return self.x.shape

    def __getitem__(self, rows):
        return self.x[rows].copy()

    def parts(self, rows_at_once):
        self.passes += 1
        order = np.random.default_rng(1).permutation(len(self.x))
        for start in range(0, len(order), rows_at_once):
            rows = order[start : start + rows_at_once]
            yield rows, self.x[rows].copy()


class InRows(Read):
    """A table that knows no order of its own."""

    parts = None

    def __getattribute__(self, name):
        if name == "parts":
            raise AttributeError(name)
        return super().__getattribute__(name)


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    labels = rng.choice(K, N, p=[0.55, 0.3, 0.13, 0.02])
    x = rng.normal(size=(K, D))[labels] + 1.5 * rng.normal(size=(N, D)) * (1 + np.arange(D) % 3)
    x[:, :10] = np.abs(x[:, :10])
    return x.astype(np.float32), labels


@pytest.fixture
def exact(monkeypatch):
    """Heads are solved as exactly as float32 can, in memory and in passes."""
    monkeypatch.setattr(linear, "solve_path", lambda *args, **facts: solve_path(*args, **facts | {"tolerance": 2e-5}))
    monkeypatch.setattr(streamed, "STREAMED_TOLERANCE", 2e-5)
    monkeypatch.setattr(streamed, "FLOATS_AT_ONCE", 300 * D)


def shares(head, x):
    return softmax(head.logits(x).astype(np.float64), axis=1)


@pytest.mark.parametrize("table", [Read, InRows])
@pytest.mark.parametrize(("l2", "atol"), [(1e-6, 2e-3), (1e-4, 1e-5), (1e-2, 2e-5)])  # float32 tells no more apart
def test_passes_over_all_rows_give_the_head_that_memory_gives(task, exact, l2, atol, table):
    x, labels = task
    held = fit_linear(x, labels, l2=l2, num_classes=K)
    read = fit_streamed(table(x), labels, l2=l2, num_classes=K, floats=500 * (D + 8 * K))
    np.testing.assert_allclose(shares(read, x), shares(held, x), atol=atol)
    assert np.array_equal(read.columns.mean, held.columns.mean)


def test_as_it_is_used_it_is_within_a_thousandth_in_few_passes(task):
    x, labels = task
    table = Read(x)
    read = fit_streamed(table, labels, l2=1e-4, num_classes=K, floats=1500 * (D + 8 * K))
    held = fit_linear(x, labels, l2=1e-4, num_classes=K)
    np.testing.assert_allclose(shares(read, x), shares(held, x), atol=5e-3)
    assert table.passes <= 35  # of pictures, with rows enough to draw from, 8 to 17


@pytest.mark.parametrize("rooted", [True, False])
def test_weights_of_rows_and_columns_without_roots(task, exact, rooted):
    x, labels = task
    weights = np.where(labels == 3, 8.0, 0.5).astype(np.float32)
    facts = {"l2": 1e-4, "num_classes": K, "row_weights": weights, "rooted": rooted}
    held, read = fit_linear(x, labels, **facts), fit_streamed(Read(x), labels, **facts, floats=500 * (D + 8 * K))
    np.testing.assert_allclose(shares(read, x), shares(held, x), atol=1e-5)
    assert not np.allclose(shares(read, x), shares(fit_streamed(Read(x), labels, l2=1e-4, num_classes=K), x), atol=1e-3)


def test_drawn_rows_that_mislead_cost_passes_and_nothing_else(task, exact, monkeypatch):
    x, labels = task
    kept = np.flatnonzero((x[:, 20] > 0) | (labels == 3))[:200]  # as far from drawn as can be
    monkeypatch.setattr(streamed, "drawn_of_classes", lambda labels, *, most: (kept, np.ones(len(kept), np.float32)))
    table = Read(x)
    held, read = (fit_linear(x, labels, l2=1e-4, num_classes=K), fit_streamed(table, labels, l2=1e-4, num_classes=K))
    np.testing.assert_allclose(shares(read, x), shares(held, x), atol=1e-5)


def test_more_columns_than_directions_share_them_with_memory(task, exact, monkeypatch):
    from thawline.heads import rotation

    x, labels = task
    for module in (rotation, streamed):
        monkeypatch.setattr(module, "MAX_DIRECTIONS", 16)
    monkeypatch.setattr(rotation.rotate, "__kwdefaults__", rotation.rotate.__kwdefaults__ | {"max_directions": 16})
    held = fit_linear(x, labels, l2=1e-4, num_classes=K)
    read = fit_streamed(Read(x), labels, l2=1e-4, num_classes=K, floats=500 * (D + 8 * K))
    np.testing.assert_allclose(shares(read, x), shares(held, x), atol=1e-5)


def test_every_class_is_drawn_and_stands_for_all_its_rows(task):
    _, labels = task
    labels = np.append(labels, [4, 4])
    kept, stands_for = drawn_of_classes(labels, most=300)
    assert (np.diff(kept) > 0).all()
    assert 250 < len(kept) < 400
    of_class = np.bincount(labels[kept])
    assert of_class[4] == 2
    assert of_class[3] >= 8  # about 20 of 60, where its share is 6
    np.testing.assert_allclose(np.bincount(labels[kept], stands_for), np.bincount(labels), rtol=1e-5)


def test_class_means_in_one_pass(task):
    x, labels = task
    table = Read(x)
    read, held = class_mean_streamed(table, labels, num_classes=K + 1), fit_class_mean(x, labels, num_classes=K + 1)
    np.testing.assert_allclose(read.logits(x), held.logits(x), rtol=1e-4, atol=1e-4)
    assert table.passes == 1


def test_logits_lie_at_their_rows(task, monkeypatch):
    x, labels = task
    head = fit_linear(x, labels, l2=1e-3, num_classes=K)
    monkeypatch.setattr(streamed, "FLOATS_AT_ONCE", 300 * D)
    for table in (Read(x), InRows(x)):
        np.testing.assert_allclose(logits_in_parts(head, table), head.logits(x), atol=1e-5)
    with pytest.raises(ValueError, match="no rows"):
        logits_in_parts(head, Read(x[:0]))


def test_sums_of_many_parts_are_not_rounded_away(monkeypatch):
    x = np.full((4000, 1), 1.0, dtype=np.float32)
    x[0] = 2.0**25  # in float32 what comes after it would be lost
    monkeypatch.setattr(streamed, "FLOATS_AT_ONCE", 1)
    total = streamed._summed(lambda rows, features: features.sum(axis=0), InRows(x))
    assert total.dtype == np.float64
    assert total[0] == 2.0**25 + 3999


PEAK = """
import sys
import numpy as np
from thawline.heads.streamed import fit_streamed
from thawline.use.exports.measured import peak_bytes

class Made:
    shape = (int(sys.argv[1]), 256)

    def __getitem__(self, rows):
        rows = np.arange(self.shape[0])[rows]
        place = np.random.default_rng(0).normal(size=(64, 256)).astype(np.float32)
        return place[rows % 64] + np.sin(rows[:, None] * np.arange(1, 257)).astype(np.float32)

labels = np.arange(Made.shape[0]) % 8
fit_streamed(Made(), labels, l2=1e-3, num_classes=8, floats=1 << 21)
print(peak_bytes() >> 20)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_rows():
    def peak_mib(num_rows):
        done = subprocess.run([sys.executable, "-c", PEAK, str(num_rows)], capture_output=True, text=True, check=True)
        return int(done.stdout)

    peaks = [peak_mib(num_rows) for num_rows in (20_000, 80_000)]
    for before, after in pairwise(peaks):
        assert after - before < 20  # MiB; the rows that were added are 61
