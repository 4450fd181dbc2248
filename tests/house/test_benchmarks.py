"""The benchmarks run by hand: what they import from the product is there."""

from __future__ import annotations

import ast
import importlib
from importlib.util import find_spec
from pathlib import Path

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


def is_there(module, name):
    """Return whether a module has a name, or is a floor with a module of that name."""
    loaded = importlib.import_module(module)
    return hasattr(loaded, name) or (hasattr(loaded, "__path__") and find_spec(f"{module}.{name}") is not None)
