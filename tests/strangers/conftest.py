"""The small inputs that people really bring, made by a script that lies next to the real pictures."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def make_case(shared_data, tmp_path_factory) -> Callable[[str], Path]:
    """Return what makes the case of a name in a new folder, or skip and say where the script was looked for."""
    folder = Path(os.environ.get("THAWLINE_CASES") or REPOSITORY.parent / "shared" / "cases").resolve()
    script = folder / "make_cases.py"
    if not script.is_file():
        pytest.skip(f"no {script.name} in {folder}; THAWLINE_CASES names another place")
    spec = importlib.util.spec_from_file_location("make_cases", script)
    assert spec is not None
    assert spec.loader is not None
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    cases.DATA, cases.MONKEYS = shared_data, shared_data / "monkeys"

    def make(name: str) -> Path:
        place = tmp_path_factory.mktemp(name)
        cases.CASES[name](place)
        return place

    return make
