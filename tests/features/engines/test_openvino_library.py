"""OpenVINO is loaded without its telemetry, or the error says what to install."""

from __future__ import annotations

import sys

import pytest

from thawline.core.errors import UsageError
from thawline.features.engines import openvino_library


def test_without_openvino_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "openvino")
    monkeypatch.setattr(openvino_library, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    with pytest.raises(UsageError, match=r"export: openvino is needed.*pip install 'thawline\[openvino\]'"):
        openvino_library.load_openvino("export")


def test_what_is_loaded_already_is_returned(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", sys)
    assert openvino_library.load_openvino("test") is sys
