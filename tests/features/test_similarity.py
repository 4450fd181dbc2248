"""Linear CKA: what it must not see, what it must find, how sure it is, and what whole activations are sketched to."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from thawline.core.errors import DataError
from thawline.features.similarity import linear_cka, linear_cka_interval, sketched


def plain_cka(x, y):
    """Return the estimator of Kornblith et al., which is biased."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    cross, own_x, own_y = (np.linalg.norm(a.T @ b) for a, b in ((x, y), (x, x), (y, y)))
    return cross**2 / (own_x * own_y)


class Population:
    """Features that share some of ten normal factors, whose CKA is known."""

    def __init__(self, num_features=400):
        rng = np.random.default_rng(0)
        shared = rng.standard_normal((10, num_features))
        self.a = shared
        self.b = shared * (np.arange(10) < 5)[:, None] + 0.3 * rng.standard_normal((10, num_features))
        cross, own_a, own_b = (
            np.linalg.norm(p.T @ q) for p, q in ((self.a, self.b), (self.a, self.a), (self.b, self.b))
        )
        self.cka = cross**2 / (own_a * own_b)

    def draw(self, n, seed):
        factors = np.random.default_rng((1, seed)).standard_normal((n, 10))
        return factors @ self.a, factors @ self.b


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_pictures=st.integers(8, 40),
    num_features=st.integers(2, 30),
    scale=st.floats(1e-3, 1e3),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_turned_scaled_and_shifted_features_are_the_same(seed, num_pictures, num_features, scale, dtype):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((num_pictures, num_features)).astype(dtype)
    turned = (scale * x @ ortho_group.rvs(num_features, random_state=rng) + 3 * scale).astype(dtype)
    assert linear_cka(x, x) == 1.0
    assert linear_cka_interval(x, x.copy()) == (1.0, 1.0)
    assert linear_cka(x, turned) == pytest.approx(1.0, abs=1e-3)
    assert linear_cka_interval(x, turned)[0] > 0.99


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), num_pictures=st.integers(8, 30))
def test_it_is_symmetric_a_share_and_inside_its_interval(seed, num_pictures):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((num_pictures, 3)), rng.standard_normal((num_pictures, 5))
    y[:, 0] += x[:, 0]
    value, (low, high) = linear_cka(x, y), linear_cka_interval(x, y)
    assert value == pytest.approx(linear_cka(y, x), abs=1e-12)
    assert 0 <= low <= value <= high <= 1


def test_it_is_the_ratio_of_unbiased_estimates():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((8, 3)), rng.standard_normal((8, 2))
    y[:, 0] += 2 * x[:, 1]

    def hsic(K, L):
        pairs = np.mean([K[i, j] * L[i, j] for i, j in permutations(range(8), 2)])
        fours = np.mean([K[i, j] * L[q, r] for i, j, q, r in permutations(range(8), 4)])
        threes = np.mean([K[i, j] * L[i, q] for i, j, q in permutations(range(8), 3)])
        return pairs + fours - 2 * threes

    K, L = x @ x.T, y @ y.T
    by_hand = hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))
    assert by_hand > 0.1
    assert linear_cka(x, y) == pytest.approx(by_hand, rel=1e-9)


def test_unrelated_features_are_unlike_even_where_they_outnumber_the_pictures():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 500)), rng.standard_normal((60, 500))
    assert plain_cka(x, y) > 0.8
    assert linear_cka(x, y) < 0.06
    assert linear_cka_interval(x, y)[1] < 0.15


@pytest.mark.slow
def test_estimates_and_intervals_hold_the_truth():
    population = Population()
    draws = [population.draw(40, seed) for seed in range(40)]
    estimates = [linear_cka(x, y) for x, y in draws]
    ends = [linear_cka_interval(x, y) for x, y in draws]
    assert np.mean(estimates) == pytest.approx(population.cka, abs=0.02)
    assert np.mean([low <= population.cka <= high for low, high in ends]) >= 0.85
    assert not all(low <= population.cka + 0.25 <= high for low, high in ends)


def test_more_pictures_narrow_the_interval_and_a_seed_fixes_it():
    population = Population()
    widths = [np.subtract(*linear_cka_interval(*population.draw(n, 0))[::-1]) for n in (20, 80, 320)]
    assert widths[0] > 1.5 * widths[1] > 2.25 * widths[2]
    x, y = population.draw(40, 1)
    assert linear_cka_interval(x, y) == linear_cka_interval(x, y)
    assert linear_cka_interval(x, y) != linear_cka_interval(x, y, seed=1)


def test_features_that_say_nothing_of_a_picture_are_like_none():
    x = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    nothing = np.full((20, 7), 0.1, np.float32)
    assert linear_cka(x, nothing) == 0.0
    assert linear_cka_interval(nothing, x) == (0.0, 0.0)


@pytest.mark.parametrize("size", [1e-18, 1e18])
def test_the_size_of_features_does_not_matter(size):
    x, y = Population(20).draw(30, 0)
    assert linear_cka(x * size, y) == pytest.approx(linear_cka(x, y), rel=1e-9)


def test_too_few_pictures_are_refused_and_so_are_different_ones():
    x = np.ones((7, 2))
    with pytest.raises(DataError, match=r"cka: 7 pictures without copies, at least 8 are required\. Add pictures"):
        linear_cka(x, x)
    with pytest.raises(ValueError, match="7 and of 8 pictures"):
        linear_cka_interval(x, np.ones((8, 2)))


def smooth_maps(n, channels, side, seed):
    """Return (n, channels, side, side) random maps whose neighbours are alike, over a pattern common to all."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(n, channels, 3, 3, generator=generator)
    common = 3 * torch.randn(1, channels, side, side, generator=generator)
    return torch.nn.functional.interpolate(coarse, side, mode="bilinear") + common


def test_sketches_of_maps_are_as_alike_as_the_maps():
    x = smooth_maps(80, 64, 9, 0)
    for weight in (0.3, 1.0, 3.0):
        y = x + weight * smooth_maps(80, 64, 9, 1).roll(2, dims=3)
        whole = linear_cka(x.flatten(1).numpy(), y.flatten(1).numpy())
        assert linear_cka(sketched(x).numpy(), sketched(y).numpy()) == pytest.approx(whole, abs=0.05)
    assert linear_cka(sketched(x).numpy(), sketched(smooth_maps(80, 64, 9, 1)).numpy()) < 0.1


def test_a_sketch_sees_what_pooling_hides():
    x = smooth_maps(60, 32, 8, 0)
    rolled = torch.stack([row.roll((number % 8, number % 5), dims=(1, 2)) for number, row in enumerate(x)])
    assert linear_cka(x.mean((2, 3)).numpy(), rolled.mean((2, 3)).numpy()) > 0.99
    assert linear_cka(sketched(x).numpy(), sketched(rolled).numpy()) < 0.8


def test_sketches_have_four_columns_a_channel_and_treat_pictures_alone():
    tokens = torch.randn(5, 17, 6, generator=torch.Generator().manual_seed(0))
    assert sketched(tokens).shape == (5, 24)
    assert torch.equal(sketched(tokens)[2:3], sketched(tokens[2:3]))
    assert sketched(tokens[:0]).shape == (0, 24)
    assert sketched(tokens.bfloat16()).dtype == torch.float32
    one = torch.randn(3, 6, 1, 1)
    assert torch.equal(sketched(one)[:, :6].abs(), one[:, :, 0, 0].abs())
    assert sketched(one)[:, 6:].abs().sum() == 0
