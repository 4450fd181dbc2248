"""Every form is opened as a model that answers, with the golden pictures that it carries."""

from __future__ import annotations

import onnx
import pytest

from thawline.core.errors import BundleError
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.open_export import open_export, opened
from thawline.use.exports.sealed_folder import seal_folder
from thawline.use.onnx_facts import sealed
from thawline.use.onnx_model import OnnxModel, WholeOnnxModel


def test_both_files_are_opened_with_what_they_carry(drawn_model, drawn_onnx, whole_onnx):
    for path, kind, model in ((drawn_onnx, "onnx-tensor", OnnxModel), (whole_onnx, "onnx", WholeOnnxModel)):
        export = opened(path)
        assert (export.kind, type(export.model), len(export.golden.pictures)) == (kind, model, 3)
        assert export.golden.manifest_seal == export.facts.manifest_seal == drawn_model.manifest.seal
        assert open_export(str(path)).class_names == drawn_model.class_names
    data = (drawn_model.directory / "golden/0.jpg").read_bytes()
    assert opened(whole_onnx).golden.pictures[0].picture == data


def test_a_file_of_an_older_version_is_opened_but_proves_nothing(drawn_onnx, tmp_path):
    proto = onnx.load(drawn_onnx)
    del proto.metadata_props[1:]
    (tmp_path / "older.onnx").write_bytes(sealed(proto.SerializeToString()))
    assert isinstance(open_export(tmp_path / "older.onnx"), OnnxModel)
    with pytest.raises(BundleError, match=r"older version and carries no golden pictures\. Export it again"):
        opened(tmp_path / "older.onnx")


def test_a_folder_of_an_unknown_kind_is_refused(drawn_model, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    seal_folder(tmp_path, kind="future", facts=ExportSource(drawn_model).facts(whole=True))
    with pytest.raises(BundleError, match=r"knows no export of the kind 'future'\. Update"):
        open_export(tmp_path)
