"""A folder for the browser: what is in it and what is not, and the page in a real browser, offline too."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from thawline.core.errors import BundleError, StoreError
from thawline.use.bundle import load_bundle
from thawline.use.exports import npm_package
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.in_browser import FLAGS, OPENED, BrowserModel, served
from thawline.use.exports.measured import measure_apart
from thawline.use.exports.open_export import open_export, opened
from thawline.use.exports.sealed_folder import read_folder
from thawline.use.exports.web import LOADER, ORT_WEB, RUNTIME, web_files
from thawline.use.exports.write_export import write_export
from thawline.use.onnx_facts import FACTS_KEY, is_sealed
from thawline.use.onnx_model import open_onnx

RUNTIME_FILES = {LOADER: b"loader", RUNTIME: b"wasm"}
HOSTILE = ["</script><script>window.pwned=1</script>", "__proto__", "10", "träne 🦜 \u2028"]


def named(content: bytes, names) -> bytes:
    """Return an ONNX file whose classes have other names."""
    import onnx

    from thawline.use.onnx_facts import SEAL_KEY, sealed

    model = onnx.load_from_string(content)
    for entry in model.metadata_props:
        if entry.key == FACTS_KEY:
            entry.value = json.dumps({**json.loads(entry.value), "class_names": names})
    kept = [entry for entry in model.metadata_props if entry.key != SEAL_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    return sealed(model.SerializeToString())


def test_the_folder_is_complete_and_holds_no_training_picture(whole_onnx, picture):
    files, facts = web_files(whole_onnx.read_bytes(), RUNTIME_FILES)
    (folder,) = {name.partition("/")[0] for name in files if "/" in name}
    assert re.fullmatch("v-[0-9a-f]{12}", folder)
    inside = {f"{folder}/{name}" for name in (LOADER, RUNTIME, "model.onnx", "pictures.js", "worker.js")}
    plain = {"index.html", "sw.js", "manifest.webmanifest", "README.txt", "LICENSES.txt"}
    assert set(files) == inside | plain
    model = files[f"{folder}/model.onnx"]
    assert is_sealed(model)
    assert base64.b64encode(picture(0))[:200] not in model
    assert b"MIT License" in files["LICENSES.txt"]
    assert b"onnxruntime-web 1.30.0" in files["LICENSES.txt"]
    assert facts.license.encode() in files["LICENSES.txt"]
    assert web_files(whole_onnx.read_bytes(), RUNTIME_FILES)[0] == files
    other, _ = web_files(whole_onnx.read_bytes(), {**RUNTIME_FILES, RUNTIME: b"newer"})
    assert folder not in {name.partition("/")[0] for name in other}  # nothing kept by a browser is ever taken for it


def test_the_policy_of_the_page_names_its_own_scripts_and_nothing_else(whole_onnx):
    page = web_files(whole_onnx.read_bytes(), RUNTIME_FILES)[0]["index.html"].decode()
    policy = re.search('Content-Security-Policy" content="([^"]+)"', page)[1]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy
    for text in re.findall(r"<(?:script|style)>(.*?)</(?:script|style)>", page, re.DOTALL):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert set(re.findall(r"https?://[^\s\"'`]+", page)) <= {"http://localhost:8000."}


def test_names_of_classes_stay_text(whole_onnx):
    page = web_files(named(whole_onnx.read_bytes(), HOSTILE[:3]), RUNTIME_FILES)[0]["index.html"].decode()
    assert "<script>window.pwned" not in page
    assert page.count("<script>") == 2
    assert json.loads(re.search(r"const WEB = (\{.*\});\n", page)[1])["facts"]["class_names"] == HOSTILE[:3]


def test_a_small_form_of_the_same_model_is_taken(exported_run, ort_web, tmp_path, monkeypatch):
    run = shutil.copytree(exported_run, tmp_path / "run")
    small = named((run / "exports" / "model.onnx").read_bytes(), ["a", "b", "c"])
    (run / "exports" / "model-int8.onnx").write_bytes(small)
    monkeypatch.setattr("thawline.use.exports.open_export.why_no_browser", lambda: "it was not looked for")
    source = ExportSource(load_bundle(run / "model", device="cpu"), ort_web=ort_web)
    done = write_export(source, "web", place=run / "exports" / "web")
    assert open_export(done.path).class_names == ("a", "b", "c")
    assert done.note == (
        "its files are whole and its model answers outside a browser; its page was not tried: it was not looked for"
    )
    (run / "exports" / "model-int8.onnx").write_bytes(small[:-1])
    done = write_export(source, "web", place=run / "exports" / "web")
    assert open_export(done.path).class_names == source.bundle.class_names


def test_without_a_network_nothing_is_written(exported_run, monkeypatch, tmp_path):
    monkeypatch.setattr(npm_package.shutil, "which", lambda name: None)
    monkeypatch.setattr(npm_package, "is_reachable", lambda address: False)
    source = ExportSource(load_bundle(exported_run / "model", device="cpu"))
    with pytest.raises(StoreError, match=r"onnxruntime-web 1\.30\.0 is needed once.*pass --ort-web FILE\.tgz"):
        write_export(source, "web", place=tmp_path / "web")
    assert not (tmp_path / "web").exists()


def test_the_pinned_package_is_the_one_that_the_registry_has(ort_web):
    assert ort_web.stat().st_size == ORT_WEB.size_bytes
    assert ORT_WEB.is_in(ort_web.read_bytes())


# ---- in a browser ----

in_a_browser = [pytest.mark.browser, pytest.mark.slow, pytest.mark.usefixtures("a_browser")]


def encoded(image, kind="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def odd_pictures(picture):
    """Return pictures of all modes and forms that browsers read, by name."""
    plain = Image.open(io.BytesIO(picture(7))).convert("RGB")
    grid = np.random.default_rng(1).integers(0, 256, (plain.height, plain.width), dtype=np.uint8)
    clear = plain.convert("RGBA")
    clear.putalpha(Image.fromarray(grid))
    noisy = np.asarray(plain.resize((1300, 1100), Image.Resampling.BICUBIC)).astype(int)
    noisy = noisy + np.random.default_rng(2).integers(-30, 30, noisy.shape)
    large = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    turned = {}
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        turned[f"turned {orientation}"] = encoded(plain, exif=exif.tobytes())
        turned[f"turned PNG {orientation}"] = encoded(plain, "PNG", exif=exif.tobytes())
        turned[f"turned large {orientation}"] = encoded(large, exif=exif.tobytes())
    turned["turned WebP"] = encoded(plain, "WEBP", exif=exif.tobytes())
    return {
        "plain": picture(7), "grey": encoded(plain.convert("L")), "CMYK": encoded(plain.convert("CMYK")),
        "progressive": encoded(plain, progressive=True), "4:4:4": encoded(plain, subsampling=0),
        "PNG": encoded(plain, "PNG"), "clear": encoded(clear, "PNG"), "grey clear": encoded(clear.convert("LA"), "PNG"),
        "palette": encoded(plain.convert("P"), "PNG"), "one bit": encoded(plain.convert("1"), "PNG"),
        "GIF": encoded(plain, "GIF"), "WebP": encoded(plain, "WEBP"), "BMP": encoded(plain, "BMP"),
        "clear WebP": encoded(clear, "WEBP", lossless=True), "stray": b"\r\n" + picture(7), "large": encoded(large),
        "large grey": encoded(large.convert("L")), "large progressive": encoded(large, progressive=True), **turned,
    }  # fmt: skip


class TestBrowser:
    pytestmark = in_a_browser

    def test_its_answers_are_ours_whatever_the_picture_is(self, web_run, picture):
        folder = web_run / "exports" / "web"
        ours, model = open_onnx(web_run / "exports" / "model.onnx"), BrowserModel(folder, read_folder(folder).facts)
        try:
            for name, data in odd_pictures(picture).items():
                expected = ours.predict(name, data)
                row = model.row(name, data)
                assert row.get("error") is None, name
                off = max(abs(row["probabilities"][label] - share) for label, share in expected.probabilities.items())
                assert off < 1e-4, (name, off)
                assert set(row) - {"remark"} == set(expected.to_json()) - {"remark"}
            for name, data in {"cut": picture(7)[:900], "none": b"", "text": b"text", "deep": DEEP}.items():
                assert set(model.row(name, data)) == {"path", "error"}, name
        finally:
            model.close()

    def test_verify_tries_it_in_a_browser_and_by_the_pictures_of_its_run(self, web_run, tmp_path):
        found = measure_apart(web_run / "exports" / "web")
        assert (found["kind"], found["passed"], found["num_golden"]) == ("web", True, 3)
        assert found["max_difference"] < 1e-4
        assert found["memory_bytes"] is None  # a browser's, which is not measured
        copied = shutil.copytree(web_run / "exports" / "web", tmp_path / "web")
        with pytest.raises(BundleError, match="its files are whole, but its answers were not compared"):
            opened(copied)

    def test_it_abstains_as_the_model_does(self, doubting_model, ort_web, picture, tmp_path):
        source = ExportSource(doubting_model("features"), ort_web=ort_web)
        write_export(source, "web", place=tmp_path / "web")
        write_export(source, "onnx", place=tmp_path / "whole.onnx")
        ours = open_onnx(tmp_path / "whole.onnx")
        model = BrowserModel(tmp_path / "web", read_folder(tmp_path / "web").facts)
        try:
            doubts = set()
            for seed in range(18, 30):
                row, expected = model.row("it", picture(seed)), ours.predict("it", picture(seed)).to_json()
                assert (row["label"], row["abstained"], row.get("doubt")) == (
                    expected["label"], expected["abstained"], expected.get("doubt"),
                )  # fmt: skip
                assert row["outside"] == pytest.approx(expected["outside"], abs=1e-3)
                doubts.add(row.get("doubt"))
            assert len(doubts) > 1
        finally:
            model.close()

    def test_the_page_works_offline_once_loaded_and_asks_nobody_else(self, web_run, picture, tmp_path):
        (tmp_path / "good <b>.jpg").write_bytes(picture(5))
        (tmp_path / "bad.tif").write_bytes(b"II*\0" + bytes(99))
        files = [tmp_path / "good <b>.jpg", tmp_path / "bad.tif"]
        with visited(web_run / "exports" / "web") as (page, address):
            assert page.evaluate("crossOriginIsolated") is False  # a plain host
            page.set_input_files("#files", files)
            page.get_by_text("TIFF, which browsers").wait_for()
            first = page.locator("#answers h3").all_inner_texts()
            assert page.get_by_text("none is sent anywhere or kept").is_visible()
            page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
            page.context.set_offline(True)
            page.goto(address + "index.html")
            assert page.evaluate(OPENED) is None
            assert page.evaluate("crossOriginIsolated") is True
            page.set_input_files("#files", files)
            page.get_by_text("TIFF, which browsers").wait_for()
            assert page.locator("#answers h3").all_inner_texts() == first
            page.reload()
            assert page.evaluate(OPENED) is None

    def test_a_newer_export_takes_the_place_of_what_was_kept(self, web_run, ort_web, tmp_path):
        run = shutil.copytree(web_run, tmp_path / "run")
        with visited(run / "exports" / "web") as (page, _):
            page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
            assert page.evaluate("engine.facts.class_names[0]") != "newer"
            newer = named((run / "exports" / "model.onnx").read_bytes(), ["newer", "b", "c"])
            (run / "exports" / "model-int8.onnx").write_bytes(newer)
            from unittest.mock import patch

            source = ExportSource(load_bundle(run / "model", device="cpu"), ort_web=ort_web)
            with patch("thawline.use.exports.open_export.why_no_browser", lambda: "not now"):
                write_export(source, "web", place=run / "exports" / "web")
            page.reload()
            assert page.evaluate(OPENED) is None
            assert page.evaluate("engine.facts.class_names[0]") == "newer"
            wait = "while ((await caches.keys()).length > 1) await new Promise(go => setTimeout(go, 50))"
            assert page.evaluate(f"async () => {{ {wait}; return true; }}")

    def test_the_camera_takes_a_picture(self, web_run):
        camera = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
        with visited(web_run / "exports" / "web", *camera) as (page, _):
            page.get_by_role("button", name="Use the camera").click()
            page.locator("#shoot:enabled").click()
            page.locator("#answers .card:not(.waiting) h3").wait_for()
            assert page.locator("#answers .failed").count() == 0
            assert page.get_by_text("camera 1.jpg").count() > 0

    def test_names_of_classes_run_nowhere(self, whole_onnx, ort_web, picture, tmp_path):
        runtime = npm_package.package_files(ORT_WEB, [f"dist/{LOADER}", f"dist/{RUNTIME}"], tarball=ort_web)
        content = named(whole_onnx.read_bytes(), HOSTILE[:3])
        files, _ = web_files(content, {name.removeprefix("dist/"): part for name, part in runtime.items()})
        for name, part in files.items():
            (tmp_path / "web" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "web" / name).write_bytes(part)
        (tmp_path / "a.jpg").write_bytes(picture(5))
        with visited(tmp_path / "web") as (page, _):
            page.set_input_files("#files", [tmp_path / "a.jpg"])
            page.locator("#answers .row").nth(2).wait_for()
            assert sorted(page.locator("#answers .row .name").all_inner_texts()) == sorted(HOSTILE[:3])
            assert page.evaluate("window.pwned") is None

    def test_a_page_from_the_disk_says_what_to_do(self, web_run):
        with visited(web_run / "exports" / "web", from_disk=True) as (page, _):
            assert "python -m http.server" in page.locator("#model").inner_text()


DEEP = encoded(Image.fromarray(np.zeros((8, 8), np.uint16)), "PNG")


@contextmanager
def visited(folder, *flags, from_disk=False):
    """Open a folder's page as a visitor does and give it with its address, loaded; nothing else is asked of anybody."""
    import os

    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("THAWLINE_CHROMIUM") or shutil.which("chromium")
    with served(folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, *flags], timeout=600_000)
        page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
        page.set_default_timeout(600_000)  # for a busy machine
        wrong, asked = [], []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text))
        page.context.on("request", lambda request: asked.append(request.url))
        start = (folder / "index.html").as_uri() if from_disk else address
        page.goto(start)
        page.evaluate(OPENED)
        yield page, address
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert wrong == []
        assert all(url.startswith((start, address, "blob:", "data:")) for url in asked)
        browser.close()
