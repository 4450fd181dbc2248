"""A folder is ours and whole, or says what is wrong with it."""

from __future__ import annotations

import json

import pytest

from thawline.core.errors import BundleError
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.sealed_folder import is_sealed_folder, read_folder, seal_folder, size_of


@pytest.fixture
def folder(drawn_model, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "weights.bin").write_bytes(b"weights")
    seal_folder(tmp_path, kind="openvino", facts=ExportSource(drawn_model).facts(whole=True))
    return tmp_path


def test_a_folder_says_what_it_is(folder):
    facts = read_folder(folder)
    assert (facts.kind, facts.facts.takes, list(facts.files)) == ("openvino", "pictures", ["deep/weights.bin"])
    assert is_sealed_folder(folder)
    assert size_of(folder) == 7 + (folder / "export.json").stat().st_size
    (folder / ".DS_Store").write_bytes(b"left by a system")
    assert is_sealed_folder(folder)


def test_what_was_changed_is_named(folder):
    (folder / "deep" / "weights.bin").write_bytes(b"weighty")
    (folder / "more.txt").write_bytes(b"mine")
    with pytest.raises(BundleError, match=r"unknown file more\.txt, altered file deep/weights\.bin\. Export it again"):
        read_folder(folder)
    (folder / "deep" / "weights.bin").unlink()
    with pytest.raises(BundleError, match=r"missing file deep/weights\.bin"):
        read_folder(folder)
    assert not is_sealed_folder(folder)


def test_a_list_of_files_that_was_edited_is_refused(folder):
    facts = json.loads((folder / "export.json").read_text())
    (folder / "export.json").write_text(json.dumps(facts | {"kind": "timm"}))
    with pytest.raises(BundleError, match="it was altered"):
        read_folder(folder)
    (folder / "export.json").write_text("{}")
    with pytest.raises(BundleError, match=r"not what `thawline export` wrote"):
        read_folder(folder)
    (folder / "export.json").unlink()
    with pytest.raises(BundleError, match=r"it has no export\.json"):
        read_folder(folder)
