"""What a run imports, and what it does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from thawline.features import light_import

HEAVY = ("torch._dynamo", "sympy", "sklearn", "matplotlib", "pandas", "torch.distributed.tensor")


def answer(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_run_begins_without_the_compiler_and_what_only_its_end_needs():
    found = answer(f"import sys, thawline.work.run; print([name for name in {HEAVY} if name in sys.modules])")
    assert found == "[]"


def test_what_was_marked_for_the_compiler_gets_it_when_it_is_called():
    code = """
import sys
from timm.models import naflexvit
from torchvision.ops import roi_align
assert "torch._dynamo" not in sys.modules
marked = naflexvit.NaFlexRopeIterator.__next__
try:
    marked(None)
except AttributeError:  # its own, since None is no iterator
    pass
import torch._dynamo
print(hasattr(torch._dynamo, "optimize"), marked.__name__)
"""
    assert answer(code.replace("\n", "\nimport thawline.features.light_import\n", 1)) == "True __next__"


def test_the_stand_in_is_gone_after_the_import_and_anything_else_of_it_is_the_real_one():
    code = """
import sys
from thawline.features.light_import import without_compiler
with without_compiler():
    from torch._dynamo import utils
    supported = utils.is_compile_supported
    config = utils.counters
print(type(sys.modules["torch._dynamo"]).__name__, type(config).__name__, supported("cpu"))
"""
    assert answer(code) == "module defaultdict True"


def test_a_compiler_that_is_loaded_stays(monkeypatch: pytest.MonkeyPatch):
    loaded = object()
    monkeypatch.setitem(sys.modules, "torch._dynamo", loaded)
    with light_import.without_compiler():
        assert sys.modules["torch._dynamo"] is loaded
    assert sys.modules["torch._dynamo"] is loaded
