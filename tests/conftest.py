"""What every test may use: a cache of its own, and the real pictures where they are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from thawline.core import scores

# Read when torch is loaded: threads that wait leave the processor to those that work, as the command line has it too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The same examples in every run, however long each takes: a red test means a change. New ones are tried with
# `--hypothesis-profile default`.
settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Give the test a cache that no other test and no person uses; children inherit it."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("THAWLINE_CACHE", str(cache))
    return cache


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real pictures, or skip and say where they were looked for."""
    folder = Path(os.environ.get("THAWLINE_DATA") or REPOSITORY.parent / "shared" / "data").resolve()
    if not folder.is_dir():
        pytest.skip(f"no real pictures in {folder}; THAWLINE_DATA names another place")
    return folder


@pytest.fixture
def added_score(monkeypatch):
    """Return a score that stands in the list for the length of a test: the share of answers that are wrong."""
    kind = scores.ScoreKind(
        "error_rate",
        "error rate",
        "Share of the pictures whose most probable class is not the true one.",
        lambda inputs: inputs.share((inputs.predicted != inputs.labels).astype(float)),
        higher_is_better=False,
    )
    kinds = scores.SCORES
    for module in [module for name, module in sys.modules.items() if name.startswith("thawline")]:
        if getattr(module, "SCORES", None) is kinds:
            monkeypatch.setattr(module, "SCORES", (*kinds, kind))
    return kind
