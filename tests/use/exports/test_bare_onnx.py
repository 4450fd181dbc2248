"""What may be published of an ONNX file: its graph and its facts, and no golden picture."""

from __future__ import annotations

import base64

import numpy as np
import onnx
import pytest

from thawline.core.errors import BundleError
from thawline.use.exports.bare_onnx import bare_onnx
from thawline.use.onnx_facts import FACTS_KEY, GOLDEN_KEY, SEAL_KEY, sealed
from thawline.use.onnx_model import open_onnx


def test_the_golden_pictures_are_gone_and_the_graph_is_the_same(whole_onnx, picture):
    content = whole_onnx.read_bytes()
    bare, facts = bare_onnx(content)
    model = open_onnx(bare)
    assert set(model.metadata) == {FACTS_KEY, SEAL_KEY}
    assert facts == model.facts == open_onnx(content).facts
    inside = base64.b64encode(picture(0))[:200]
    assert inside in content
    assert inside not in bare
    assert onnx.load_from_string(bare).graph == onnx.load_from_string(content).graph
    prepared = [model.prepare(picture(1))[0]]
    assert np.array_equal(
        model.answers_to(prepared).probabilities, open_onnx(content).answers_to(prepared).probabilities
    )
    assert bare_onnx(bare) == (bare, facts)


def test_other_files_are_refused(whole_onnx, drawn_onnx):
    content = bytearray(whole_onnx.read_bytes())
    content[1000] ^= 1
    with pytest.raises(BundleError, match="not as `thawline export` wrote it"):
        bare_onnx(bytes(content))
    with pytest.raises(BundleError, match="does not prepare pictures itself"):
        bare_onnx(drawn_onnx.read_bytes())
    for nonsense in (b"\xff" * 12, b"\x0a\xff\x01", b"\x0b", b"\x09\x01"):
        with pytest.raises(BundleError):
            bare_onnx(sealed(nonsense))
    assert GOLDEN_KEY.encode() in whole_onnx.read_bytes()
