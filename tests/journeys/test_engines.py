"""Whichever engine reads the pictures: the same rows but for what rounding leaves, and the same winner."""

from __future__ import annotations

import numpy as np
import pytest

import thawline
from thawline.core.errors import UsageError
from thawline.core.options import Options

pytestmark = [pytest.mark.slow, pytest.mark.pictures]


@pytest.fixture(scope="module")
def by_eager(shared_data, tmp_path_factory):
    """Return the comparison of real pictures as PyTorch reads them."""
    return compared(shared_data, "eager", tmp_path_factory.mktemp("eager"))


def compared(shared_data, engine, cache):
    """Return the comparison of 368 portraits, read by an engine into a cache of its own."""
    return thawline.compare(shared_data / "celebrities", Options(engine=engine, cache_dir=cache))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "inductor"])
def test_an_engine_gives_the_same_winner(engine, by_eager, shared_data, tmp_path):
    try:
        found = compared(shared_data, engine, tmp_path)
    except UsageError as error:
        pytest.skip(str(error))  # it is not installed here
    theirs, ours = found.leaderboard, by_eager.leaderboard
    assert found.extraction.bank.spec.engine == engine
    assert theirs.trials[theirs.winner].name == ours.trials[ours.winner].name
    by_name = {trial.name: trial.mean for trial in theirs.trials}
    means = np.array([(trial.mean, by_name[trial.name]) for trial in ours.trials])
    assert np.abs(means[:, 0] - means[:, 1]).max() < 0.01
