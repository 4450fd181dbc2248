"""A folder for the browser answers in one, as any other form does."""

from __future__ import annotations

import urllib.request

import pytest

from thawline.core.errors import BundleError, DataError, UsageError
from thawline.use.exports import in_browser as module
from thawline.use.exports.in_browser import BrowserModel, loaded_page, served, why_no_browser
from thawline.use.exports.sealed_folder import read_folder


def test_a_folder_is_served_below_its_own_name(tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.txt").write_text("here")
    with served(tmp_path / "web") as address:
        assert address.startswith("http://127.0.0.1:")
        assert address.endswith("/web/")
        assert urllib.request.urlopen(f"{address}a.txt").read() == b"here"


def test_without_a_browser_a_sentence_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.delenv("THAWLINE_CHROMIUM", raising=False)
    assert "Chromium" in why_no_browser() or "Playwright" in why_no_browser()
    with pytest.raises(UsageError, match="a browser is needed"), loaded_page(tmp_path):
        pass
    monkeypatch.setitem(__import__("sys").modules, "playwright.sync_api", None)
    assert why_no_browser() == "Playwright is not installed (`pip install playwright`)"


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.usefixtures("a_browser")
def test_a_page_answers_and_says_what_it_cannot_read(web_run, picture):
    folder = web_run / "exports" / "web"
    model = BrowserModel(folder, read_folder(folder).facts)
    try:
        answer = model.answers_to([model.prepare(picture(5))[0], model.prepare(picture(6))[0]])
        assert answer.probabilities.shape == (2, len(model.class_names))
        assert answer.outside is None
        assert model.doubt is None
        row = model.row("a <b>.jpg", picture(5))
        assert row["path"] == "a <b>.jpg"
        assert list(model.in_streams(len, ["ab"])) == [2]
        with pytest.raises(DataError, match="TIFF, which browsers do not read alike"):
            model.answers_to([model.prepare(b"II*\0" + bytes(99))[0]])
    finally:
        model.close()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.usefixtures("a_browser")
def test_a_folder_that_was_changed_says_so_on_its_page(web_run, tmp_path):
    import shutil

    folder = shutil.copytree(web_run / "exports" / "web", tmp_path / "web")
    (file,) = folder.glob("v-*/model.onnx")
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"its page says: .*model\.onnx is not the file that was exported"):
        BrowserModel(folder, read_folder(web_run / "exports" / "web").facts)
    file.unlink()
    with pytest.raises(BundleError, match=r"model\.onnx cannot be loaded: the host answers with status 404"):
        BrowserModel(folder, read_folder(web_run / "exports" / "web").facts)
