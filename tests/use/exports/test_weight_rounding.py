"""Rounded weights lie on a grid, and compute nearer to what they did than weights that are rounded one by one."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.core.progress import SilentProgress
from thawline.use.exports import weight_rounding as module
from thawline.use.exports.calibration_pass import Fed
from thawline.use.exports.layer_inputs import Layer
from thawline.use.exports.weight_rounding import DOUBLE, FULL, round_layers, rounded_weights


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(24, 24)) * np.geomspace(1, 0.05, 24)
    fed = (rng.normal(size=(2, 500, 24)) @ mixing + 1).astype(np.float32)
    return rng.normal(size=(2, 16, 24)).astype(np.float32), fed


def parts(fed):
    mean = fed.mean(axis=1)
    centred = fed - mean[:, None]
    return {"mean": mean, "covariance": np.swapaxes(centred, 1, 2) @ centred / fed.shape[1]}


def error(weights, rounded, fed, shift=0.0):
    computed = np.einsum("goc,gnc->gno", rounded - weights, fed)
    return float(np.square(computed + np.asarray(shift)).mean())


def test_what_is_lost_is_made_up_for(case):
    weights, fed = case
    done = rounded_weights(weights, **parts(fed), levels=DOUBLE)
    plain = np.rint(weights / done.steps[..., None]) * done.steps[..., None]
    with_shift = error(weights, done.weights, fed, done.shift[:, None])
    assert with_shift < error(weights, plain, fed) / 3
    assert with_shift < error(weights, done.weights, fed)
    grid = done.weights / done.steps[..., None]
    np.testing.assert_allclose(grid, np.rint(grid), atol=1e-4)
    assert np.abs(grid).max() <= DOUBLE + 1e-3
    finer = rounded_weights(weights, **parts(fed), levels=FULL)
    assert error(weights, finer.weights, fed, finer.shift[:, None]) < with_shift


def test_weights_and_inputs_that_are_zero_have_a_grid_too(case):
    weights, fed = case
    weights[0, 3] = 0
    fed[1] = 0
    done = rounded_weights(weights, **parts(fed))
    assert np.isfinite(done.weights).all()
    assert (done.weights[0, 3] == 0).all()
    assert (done.steps > 0).all()


def test_very_wide_layers_are_rounded_one_by_one(case, monkeypatch):
    weights, fed = case
    monkeypatch.setattr(module, "MAX_COLUMNS", 8)
    done = rounded_weights(weights, **parts(fed))
    plain = np.rint(weights / done.steps[..., None]) * done.steps[..., None]
    np.testing.assert_allclose(done.weights, plain, atol=1e-6)


def test_only_depthwise_weights_have_all_8_bits(case):
    rng = np.random.default_rng(0)
    shapes = {"deep": ((6, 1, 3, 3), 6), "grouped": ((6, 2, 3, 3), 3), "plain": ((6, 4, 1, 1), 1)}
    layers = [
        Layer(name, "Conv", "x", name, "", rng.normal(size=shape).astype(np.float32), groups)
        for name, (shape, groups) in shapes.items()
    ]
    fed = {layer.weight: Fed.nothing(layer) for layer in layers}
    done = round_layers(layers, fed, progress=SilentProgress())
    most = {name: round(float(np.abs(one.weights / one.steps[..., None]).max())) for name, one in done.items()}
    assert most == {"deep": FULL, "grouped": DOUBLE, "plain": DOUBLE}
    assert 255 * DOUBLE * 2 < 2**15 < 255 * FULL * 2
