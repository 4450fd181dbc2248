"""OpenVINO answers as the model folder does, from the first picture on, in float32, and reports to nobody."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("openvino")

from thawline.core.errors import BundleError
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.open_export import open_export, opened
from thawline.use.exports.proof import prove
from thawline.use.exports.write_export import write_export

pytestmark = pytest.mark.usefixtures("one_thread")


def resized(data, size):
    """Return a picture at another size, as PNG."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).resize(size).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(drawn_model, tmp_path_factory):
    place = tmp_path_factory.mktemp("openvino") / "openvino"
    return write_export(ExportSource(drawn_model), "openvino", place=place).path


def test_pictures_of_any_size_get_the_answers_of_the_folder(folder, drawn_model, picture):
    model = open_export(folder, num_threads=1)
    golden = opened(folder).golden
    assert prove(model, golden.pictures, allowed=golden.allowed).passed
    for seed, size in enumerate([(31, 97), (200, 64), (64, 64), (97, 31)]):
        data = resized(picture(seed), size)
        expected = drawn_model.classifier.answers_to([drawn_model.classifier.prepare(data)[0]])
        found = model.answers_to([model.prepare(data)[0]])
        assert np.abs(found.probabilities - expected.probabilities).max() < 1e-3
    assert model.class_names == drawn_model.class_names


def test_pictures_of_one_size_and_of_several_go_through_together(folder, picture):
    model = open_export(folder)
    batch = [model.prepare(resized(picture(seed), size))[0] for seed, size in enumerate([(64, 64), (64, 64), (50, 70)])]
    whole = model.answers_to(batch).probabilities
    alone = np.concatenate([model.answers_to([one]).probabilities for one in batch])
    assert np.array_equal(whole, alone)
    assert np.array_equal(
        np.concatenate([*model.in_streams(lambda one: model.answers_to([one]).probabilities, batch)]), alone
    )


def test_what_tells_strange_pictures_is_in_it(doubting_model, tmp_path):
    bundle = doubting_model("features")
    done = write_export(ExportSource(bundle), "openvino", place=tmp_path / "openvino")
    model = open_export(done.path)
    (golden, *_) = opened(done.path).golden.pictures
    assert model.doubt == bundle.classifier.doubt
    assert model.answers_to([model.prepare(golden.picture)[0]]).outside_of(0) == pytest.approx(golden.outside, abs=1e-3)


def test_weights_stay_float32_and_hold_nothing_of_this_machine(folder):
    graph = (folder / "model.xml").read_text(encoding="utf-8")
    assert not re.search(r'<data element_type="f16" shape="\d+', graph)
    assert re.search(r'<data element_type="f32" shape="\d+', graph)
    assert str(folder.parent) not in graph
    assert "golden" not in graph


def test_the_first_answer_of_a_fresh_model_is_right(folder):
    """With a batch of any size OpenVINO 2026.4 answers the first picture from memory that nothing was written to."""
    golden = opened(folder).golden.pictures
    for picture in golden:
        model = open_export(folder)
        shares = model.answers_to([model.prepare(picture.picture)[0]]).probabilities[0]
        assert np.abs(shares - picture.shares).max() < 1e-3


def test_a_damaged_folder_is_refused(folder, tmp_path):
    copy = tmp_path / "openvino"
    shutil.copytree(folder, copy)
    weights = bytearray((copy / "model.bin").read_bytes())
    weights[100] ^= 1
    (copy / "model.bin").write_bytes(bytes(weights))
    with pytest.raises(BundleError, match=r"altered file model\.bin"):
        open_export(copy)


REPORTS = """
import socket, sys, threading
def refuse(*args, **kwargs): raise AssertionError("a connection")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from thawline.features.engines.openvino_library import load_openvino
openvino = load_openvino("test")
import openvino.tools.ovc.telemetry_utils as telemetry
print(telemetry.tm.__name__, threading.active_count(), "openvino_telemetry" in sys.modules)
"""


def test_it_reports_to_nobody():
    done = subprocess.run([sys.executable, "-c", REPORTS], capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "1", "False"]
