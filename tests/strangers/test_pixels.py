"""Odd pixels that people bring: deep greys, drawings on nothing, odd side chunks and ends; each as its case says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import thawline
from thawline.core.options import Options
from thawline.core.rendering import Levels
from thawline.core.types import InputSpec
from thawline.data.check import check
from thawline.data.load import load_pixels
from thawline.use.onnx_model import open_onnx

SPEC = InputSpec(64, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def inputs_of(folder):
    """Return what the network sees of every picture of a folder, by its name without the ending."""
    dataset, _ = check(folder)
    spec = InputSpec(SPEC.size_px, SPEC.mean, SPEC.std, rendering=dataset.rendering)
    return {sample.path.rsplit(".", 1)[0]: load_pixels(sample, spec).astype(int) for sample in dataset.samples}


@pytest.mark.slow
def test_deep_greys_are_the_8_bit_pictures_that_they_were_made_of(make_case):
    folder = make_case("mono")
    eight = inputs_of(folder / "mono8")
    for deep, top in (("mono12", 4095), ("mono10", 400)):
        more = inputs_of(folder / deep)
        assert eight.keys() == more.keys()
        assert max(np.abs(eight[name] - more[name]).max() for name in eight) <= 2
        dataset, report = check(folder / deep)
        assert dataset.rendering.levels == (Levels("16-bit", 0, top),)
        assert f"16-bit levels: 0 to {top:,}, which is what the set uses" in " ".join(report.notes)


@pytest.mark.parametrize(("case", "top"), [("grey12", 4095), ("grey10", 400), ("grey12_tiff", 400)])
def test_detectors_and_counts_use_all_of_the_range(make_case, case, top):
    folder = make_case(case)
    assert check(folder)[0].rendering.levels == (Levels("16-bit", 0, top),)
    assert all(pixels.max() > 230 for pixels in inputs_of(folder).values())


@pytest.mark.parametrize(("case", "background"), [("white_icons", "black"), ("black_icons", "white")])
def test_drawings_show_on_their_ground(make_case, case, background):
    folder = make_case(case)
    dataset, report = check(folder)
    assert dataset.rendering.background == background
    assert report.blank == ()
    assert all(pixels.std() > 30 for pixels in inputs_of(folder).values())


@pytest.mark.slow
def test_the_model_of_deep_greys_keeps_their_range_and_so_does_its_onnx(make_case, tmp_path):
    folder = make_case("grey10")
    run = thawline.fit(folder, tmp_path / "run", options=Options(cache_dir=tmp_path / "cache", repeats=1, folds=2))
    model = tmp_path / "run" / "model"
    levels = [{"kind": "16-bit", "low": 0.0, "high": 400.0}]
    assert json.loads((model / "manifest.json").read_text())["input"]["rendering"]["levels"] == levels
    assert json.loads((tmp_path / "run" / "run.json").read_text())["input"]["rendering"]["levels"] == levels
    assert run.evaluation.accuracy.value == 1
    bright = np.asarray(Image.open(folder / "healthy" / "00.png")).copy()
    bright[:64] += 500
    Image.fromarray(bright).save(tmp_path / "bright.png")
    grey = np.asarray(Image.open(folder / "healthy" / "00.png")) * (255 / 400)
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "8.png")
    files = [folder / "infected" / "01.png", tmp_path / "bright.png", tmp_path / "8.png"]
    usual, clipped, shallow = thawline.predict(model, files)
    assert (usual.label, usual.remark, shallow.remark) == ("infected", None, None)
    assert clipped.remark == "8,192 values brighter than 400, where the range ends, were clipped"
    onnx = open_onnx(thawline.export(model, tmp_path / "model.onnx").path)
    for row, file in zip((usual, clipped, shallow), files, strict=True):
        answer = onnx.predict(row.path, file.read_bytes())
        assert answer.remark == row.remark
        assert answer.probabilities == pytest.approx(row.probabilities, abs=0.02)
