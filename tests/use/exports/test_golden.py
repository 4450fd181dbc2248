"""Golden pictures come back as they were written, in a file or as files, or are refused."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from thawline.core.errors import BundleError
from thawline.use.exports.golden import GoldenPicture, GoldenSet, golden_from_text, read_golden, write_golden

PICTURES = [
    GoldenPicture(file="golden/0.jpg", probabilities=[0.25, 0.75], data=b64encode(b"one").decode()),
    GoldenPicture(file="golden/1.png", probabilities=[0.5, 0.5], outside=0.125, data=b64encode(b"two").decode()),
]
SET = GoldenSet(kind="onnx", manifest_seal="0" * 64, allowed=1e-3, least_agreement=1.0, pictures=PICTURES)


def test_text_and_files_hold_the_same(tmp_path):
    assert golden_from_text(SET.text(), name="x") == SET
    write_golden(tmp_path, SET)
    assert read_golden(tmp_path) == SET
    assert (tmp_path / "golden" / "1.png").read_bytes() == b"two"
    assert b64encode(b"one").decode() not in (tmp_path / "golden.json").read_text()


def test_what_is_damaged_is_refused(tmp_path):
    write_golden(tmp_path, SET)
    (tmp_path / "golden" / "0.jpg").write_bytes(b"")
    with pytest.raises(BundleError, match=r"its golden pictures are not as they were written: golden/0\.jpg is empty"):
        read_golden(tmp_path)
    (tmp_path / "golden" / "0.jpg").unlink()
    with pytest.raises(BundleError, match=r"cannot be read"):
        read_golden(tmp_path)
    facts = json.loads(SET.text())
    for change in ({"surprise": 1}, {"pictures": []}, {"manifest_seal": "1"}):
        with pytest.raises(BundleError, match=r"load x: its golden pictures are not as they were written"):
            golden_from_text(json.dumps(facts | change), name="x")
    facts["pictures"][0]["file"] = "golden/../../out"
    with pytest.raises(BundleError, match="not as they were written"):
        golden_from_text(json.dumps(facts), name="x")
