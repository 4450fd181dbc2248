"""A process of its own says how fast an export is and what it takes, or why it cannot."""

from __future__ import annotations

import io
import json

import pytest

from thawline.core.errors import BundleError
from thawline.use.exports.measured import main, measure_apart, peak_bytes


def test_a_process_of_its_own_measures_without_torch(whole_onnx):
    found = measure_apart(whole_onnx)
    assert (found["kind"], found["passed"], found["num_golden"]) == ("onnx", True, 3)
    assert found["memory_bytes"] < peak_bytes()  # this one has loaded torch


def test_what_cannot_be_opened_is_an_error_of_ours(tmp_path, capsys, monkeypatch):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(BundleError, match=r"a\.onnx: not an ONNX file that runs here"):
        measure_apart(tmp_path / "a.onnx")
    monkeypatch.setattr("sys.stdin", io.StringIO(str(tmp_path / "b.onnx")))
    main()
    assert "no such file" in json.loads(capsys.readouterr().out)["error"]
    monkeypatch.setattr("sys.executable", "false")
    with pytest.raises(BundleError, match="gave no answer: it ended with code 1"):
        measure_apart(tmp_path / "a.onnx")
