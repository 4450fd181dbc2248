"""The version stands in one place, which imports nothing."""

from __future__ import annotations

import ast
import inspect
import re

import thawline
from thawline.core import version


def test_the_package_has_the_version_of_its_module():
    assert thawline.__version__ is version.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.?(dev|a|b|rc)\d+)?", version.__version__)


def test_nothing_is_imported_for_it():
    tree = ast.parse(inspect.getsource(version))
    assert not any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree))
