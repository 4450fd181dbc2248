"""The benchmarks run by hand: what they import from the product is there."""

from __future__ import annotations

import ast
import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import pytest

SCRIPTS = sorted((Path(__file__).resolve().parents[2] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_what_a_benchmark_imports_exists(script):
    named = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "thawline"
        for alias in node.names
    ]
    assert [f"{module}.{name}" for module, name in named if not is_there(module, name)] == []


def test_every_benchmark_has_a_quick_form():
    with mock.patch.object(sys, "path", [str(SCRIPTS[0].parent), *sys.path]):
        import run_all
    programs = {path.stem for path in SCRIPTS if "def main(" in path.read_text(encoding="utf-8")}
    assert programs - {"run_all", "write_results"} == set(run_all.benchmarks())


def test_every_benchmark_is_in_one_group_and_its_minutes_are_known():
    with mock.patch.object(sys, "path", [str(SCRIPTS[0].parent), *sys.path]):
        import run_all
    grouped = [name for group in (None, *run_all.GROUPS) for name in run_all.of_group(group)]
    assert sorted(grouped) == sorted(run_all.benchmarks()) == sorted(run_all.MINUTES)
    assert "floor" in run_all.of_group(None)
    assert "against_peers" not in run_all.of_group(None)


def test_how_a_benchmark_ended_is_told_in_a_line():
    with mock.patch.object(sys, "path", [str(SCRIPTS[0].parent), *sys.path]):
        from run_all import Ran, line_of
    assert line_of(Ran("heat", 0, "- one: 1\nelse\n- two: 2", 3.2)) == "ok      heat: 2 figures, 3 s"
    assert line_of(Ran("heat", 77, "skipped: no captum", 1.0)) == "skip    heat: no captum"
    assert line_of(Ran("heat", 1, "Traceback\nValueError: 3", 1.0)).startswith("FAILED  heat: code 1, 1 s\n")


def is_there(module, name):
    """Return whether a module has a name, or is a floor with a module of that name."""
    loaded = importlib.import_module(module)
    return hasattr(loaded, name) or (hasattr(loaded, "__path__") and find_spec(f"{module}.{name}") is not None)
