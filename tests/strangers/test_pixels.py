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
    onnx = open_onnx(thawline.export(model, out=tmp_path / "model.onnx").path)
    for row, file in zip((usual, clipped, shallow), files, strict=True):
        answer = onnx.predict(row.path, file.read_bytes())
        assert answer.remark == row.remark
        assert answer.probabilities == pytest.approx(row.probabilities, abs=0.02)


def test_side_chunks_keep_no_picture_out(make_case):
    _, report = check(make_case("png_metadata"))
    assert (report.used, report.skipped) == (31, ())
    odd = {path.split("odd_")[1].split(".")[0] for path, _ in report.remarks}
    assert odd >= {"iccp_broken", "ztxt_broken", "text_wrong_crc", "gama_short", "phys_short", "no_iend", "half_iend"}
    assert not odd & {"private", "ztxt_3mb", "itxt_3mb"}


def test_jpegs_are_used_where_all_pixels_are_there_and_else_say_how_much_is_missing(make_case):
    folder = make_case("jpeg_ends")
    dataset, report = check(folder)
    used = {sample.path for sample in dataset.samples if "odd_" in sample.path}
    assert used == {
        f"a/odd_{name}.jpg"
        for name in ("whole", "no_eoi", "half_eoi", "zeros_after", "no_eoi_zeros", "crlf_before", "two_ff", "twice")
    }
    assert {path for path, _ in report.remarks} == used - {"a/odd_whole.jpg", "a/odd_two_ff.jpg"}
    assert {path.split("odd_")[1] for path, _ in report.skipped} == {"cut_20.jpg", "cut_1pc.jpg", "cut_30pc.jpg"}
    assert all("of its 250 rows are missing" in reason for _, reason in report.skipped)
    whole = inputs_of(folder)
    assert all((whole[path.removesuffix(".jpg")] == whole["a/odd_whole"]).all() for path in used)


def test_every_mode_has_the_right_pixels_or_a_true_reason(make_case):
    folder = make_case("modes")
    _, report = check(folder)
    seen, grey = inputs_of(folder), inputs_of(folder)["a/odd_l"]
    for name in ("odd_i16", "odd_i32", "odd_f32", "odd_la"):
        assert np.abs(seen[f"a/{name}"] - grey).max() <= 12, name
    for name in ("odd_f32_nan", "odd_f32_nodata"):
        assert np.abs(seen[f"a/{name}"][16:] - grey[16:]).max() <= 12, name
    colour = seen["a/odd_444"]
    for name in ("odd", "odd_lzw", "odd_deflate", "odd_zstd", "odd_rgba", "odd_cmyk", "odd_ycbcr", "odd_jpeg"):
        assert np.abs(seen[f"a/{name}"] - colour).mean() <= 6, name
    assert {path.rsplit(".", 1)[1]: reason.split(":")[0] for path, reason in report.skipped} == {
        "dib": "a bitmap without the header of its file (DIB)", "ico": "an icon (ICO)", "jp2": "JPEG 2000",
        "pcx": "PCX", "qoi": "QOI", "tga": "TGA",
    }  # fmt: skip


@pytest.mark.parametrize(("case", "num", "side_files"), [("ppm_signs", 30, 3), ("pgm_faces", 30, 0)])
def test_netpbm_is_read(make_case, case, num, side_files):
    dataset, report = check(make_case(case))
    assert (len(dataset), len(report.skipped), report.repaired, report.remarks) == (num, side_files, (), ())
    assert {row.format for row in dataset.ledger if row.status == "used"} == {"PPM"}


def test_blank_pictures_are_a_finding(tmp_path):
    for label, colours in (("a", ("red", "blue", "lime")), ("b", ("white", "black", "grey"))):
        (tmp_path / label).mkdir()
        for colour in colours:
            Image.new("RGB", (40, 40), colour).save(tmp_path / label / f"{colour}.png")
    _, report = check(tmp_path)
    assert len(report.to_json()["blank"]) == 6
