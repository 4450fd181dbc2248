"""Exports are proved again on this machine, one or all of a run, and say what they cost."""

from __future__ import annotations

import json
import shutil

import pytest

from thawline.cli.app import main
from thawline.core.errors import BundleError, UsageError
from thawline.use.exports.verify import exports_of, verified_json, verify_exports


def test_a_run_is_all_of_its_exports_in_the_order_of_the_table(exported_run, tmp_path):
    names = ["model.onnx", "model-tensor.onnx"]
    assert [path.name for path in exports_of(exported_run)] == names
    assert [path.name for path in exports_of(exported_run / "exports")] == names
    assert exports_of(exported_run / "exports" / "model.onnx") == (exported_run / "exports" / "model.onnx",)
    shutil.copytree(exported_run / "model", tmp_path / "run" / "model")
    with pytest.raises(UsageError, match=r"there are no exports in .*exports\. Write one: thawline export"):
        exports_of(tmp_path / "run")
    with pytest.raises(BundleError, match="no such file or folder"):
        exports_of(tmp_path / "nowhere")


def test_each_export_says_what_scripts_rely_on(exported_run, tmp_path, capsys):
    named = exported_run / "exports" / "model.onnx"
    results = verify_exports([named])
    facts = verified_json(results, named=named)
    assert set(facts) == {
        *("passed", "max_difference", "agreement", "milliseconds", "bytes"),
        *("memory_bytes", "kind", "path"),
    }
    assert (facts["passed"], facts["agreement"], facts["kind"]) == (True, 1.0, "onnx")
    assert facts["max_difference"] <= 1e-3
    assert facts["bytes"] == named.stat().st_size
    assert 0 < facts["milliseconds"] < 60_000
    assert 20e6 < facts["memory_bytes"] < 2e9
    whole = verified_json(results, named=exported_run)
    assert (whole["passed"], [each["kind"] for each in whole["exports"]]) == (True, ["onnx"])


def test_a_damaged_export_does_not_pass_and_the_exit_code_says_so(exported_run, tmp_path, capsys):
    content = bytearray((exported_run / "exports" / "model.onnx").read_bytes())
    (tmp_path / "short.onnx").write_bytes(content[:-1000])
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(content)
    assert main(["verify", str(damaged), "--json"]) == 1
    said = capsys.readouterr()
    facts = json.loads(said.out)
    assert (facts["passed"], facts["max_difference"], facts["bytes"]) == (False, None, len(content))
    assert "it was damaged, altered, or written by an older version" in said.err
    assert main(["verify", str(tmp_path / "short.onnx")]) == 1
    said = capsys.readouterr()
    assert "short.onnx" in said.out
    assert "Traceback" not in said.out + said.err
