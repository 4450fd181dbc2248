"""A folder to be published holds the answers that prove it, and no picture; these are its run's."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from thawline.core.errors import BundleError
from thawline.use.exports.golden import golden_from_text
from thawline.use.exports.web_golden import read_bare_golden, readable_golden, write_bare_golden
from thawline.use.onnx_facts import GOLDEN_KEY
from thawline.use.onnx_model import open_onnx


@pytest.fixture
def whole(whole_onnx):
    return open_onnx(whole_onnx)


@pytest.fixture
def golden(whole):
    return golden_from_text(whole.metadata[GOLDEN_KEY], name="it")


def encoded(kind, depth=np.uint8):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), depth)).save(buffer, kind)
    return buffer.getvalue()


def test_answers_go_without_their_pictures_and_find_them_in_the_run(golden, whole, exported_run, tmp_path):
    write_bare_golden(tmp_path, golden)
    assert [path.name for path in tmp_path.iterdir()] == ["golden.json"]
    told = json.loads((tmp_path / "golden.json").read_text())
    assert all(picture["data"] is None for picture in told["pictures"])
    assert read_bare_golden(tmp_path, whole.facts, model=exported_run / "model") == golden


def test_pictures_of_another_model_are_not_taken(golden, whole, exported_run, tmp_path):
    write_bare_golden(tmp_path, golden)
    other = whole.facts.model_copy(update={"manifest_seal": "0" * 64})
    for facts, folder in ((other, exported_run / "model"), (whole.facts, tmp_path / "none")):
        with pytest.raises(BundleError, match="its files are whole, but its answers were not compared"):
            read_bare_golden(tmp_path, facts, model=folder)
    (tmp_path / "golden.json").write_text("{}")
    with pytest.raises(BundleError, match="not what `thawline export` wrote"):
        read_bare_golden(tmp_path, whole.facts, model=exported_run / "model")


def test_what_browsers_do_not_read_alike_proves_nothing(golden):
    from base64 import b64encode

    def of(*pictures):
        made = [golden.pictures[0].model_copy(update={"data": b64encode(data).decode()}) for data in pictures]
        return golden.model_copy(update={"pictures": made})

    jpeg, refused = golden.pictures[0].picture, [encoded("TIFF"), encoded("PNG", np.uint16), b"text"]
    assert [one.picture for one in readable_golden(of(jpeg, *refused, jpeg[:-2], encoded("PNG"))).pictures] == [
        jpeg,
        encoded("PNG"),
    ]
    with pytest.raises(BundleError, match="browsers read none of the model's golden pictures"):
        readable_golden(of(*refused))
