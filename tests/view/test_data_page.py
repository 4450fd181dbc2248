"""The page about a folder: what to look at as pictures, all else as counts; names harmless, in a browser too."""

import io
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from thawline.vet.picture_map import MapPoint, PictureMap
from thawline.view.data_page import DataPage, OddPicture, pictures_needed, render_data_page

HOSTILE = "<script>window.pwned=1</script>"
PATIENCE_MS = 600_000


def jpeg(seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def report(**changes):
    plain = {
        "used": 20, "skipped": [], "repaired": [], "remarks": [], "blank": [], "exact_copies": [], "near_copies": [],
        "leaks": [], "conflicts": [], "class_counts": {"a": 15, "b": 5}, "small_classes": [], "empty_classes": [],
        "imbalance": 3.0, "similar_names": [], "notes": [], "scenes": [],
    }  # fmt: skip
    return plain | changes


def page_of(**changes):
    points = tuple(MapPoint(f"a/{n}.png", n / 20, 1 - n / 20, n % 2, None) for n in range(20))
    data = DataPage(
        title="garden",
        created="2026-01-02T03:04:05+00:00",
        check=report(),
        class_names=("a", "b"),
        drawn=PictureMap(points, 0),
        network="net",
        odd=(OddPicture("a/1.png", "a/2.png", 0.1, True), OddPicture("a/3.png", "a/2.png", 0.4, False)),
    )
    data = replace(data, **changes)
    return replace(data, thumbnails={path: jpeg(n) for n, path in enumerate(pictures_needed(data))})


def test_it_shows_counts_the_map_and_the_strangest():
    html = render_data_page(page_of())
    assert html == render_data_page(page_of())
    assert "<b>20</b>pictures that can be used" in html
    assert "1 stands out, framed" in html
    assert "The largest class has 3.0 times the pictures of the smallest." in html
    assert html.count("<svg") == 4
    assert "http://" not in html.replace("http://www.w3.org/", "")
    assert "<script" not in html


def test_copies_stand_side_by_side_and_near_ones_hold_exact_ones():
    check = report(
        exact_copies=[["a/1.png", "a/2.png"], ["b/1.png", "b/2.png"]],
        near_copies=[["a/1.png", "a/2.png", "a/3.png"]],
        conflicts=[{"path": "a/1.png", "label": "a", "other_path": "b/9.png", "other_label": "b"}],
    )
    data = page_of(check=check, drawn=None, odd=())
    assert pictures_needed(data) == ("a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png", "b/9.png")
    html = render_data_page(data)
    assert html.count("near copies") == 1
    assert html.count("the same bytes") == 1
    assert "The same picture under two labels" in html
    assert "The map" not in html


def test_what_is_many_is_cut_short_and_counted():
    check = report(
        exact_copies=[[f"{n}/{m}.png" for m in range(12)] for n in range(40)],
        skipped=[{"path": f"{n}.txt", "reason": "not a picture"} for n in range(9)],
    )
    html = render_data_page(page_of(check=check, drawn=None, odd=()))
    assert "and 4 more" in html
    assert "and 10 more groups." in html
    assert "<b>9</b> · not a picture" in html


def test_a_set_without_labels_and_pictures_that_are_gone_are_fine():
    data = page_of(class_names=("unlabelled",), check=report(class_counts={"unlabelled": 20}, imbalance=1.0))
    html = render_data_page(replace(data, thumbnails={}))
    assert html.count("<svg") == 2
    assert "Classes" not in html
    assert html.count(">gone<") == 4


@pytest.fixture
def hostile(tmp_path):
    """A page of names that do their worst."""
    names = (HOSTILE, "unbroken" * 30)
    path = f"{HOSTILE}\udcff{'long' * 40}.png"
    check = report(
        class_counts={names[0]: 3, names[1]: 2},
        conflicts=[{"path": path, "label": names[0], "other_path": "x.png", "other_label": names[1]}],
        near_copies=[[path, "x.png"]],
        notes=[HOSTILE],
        skipped=[{"path": path, "reason": HOSTILE}],
    )
    drawn = PictureMap((MapPoint(path, 0.5, 0.5, 0, None), MapPoint("x.png", 0.1, 0.1, 1, None)), 3)
    data = page_of(
        title=HOSTILE, class_names=names, check=check, drawn=drawn, odd=(OddPicture(path, "x.png", 0, True),)
    )
    file = tmp_path / "page.html"
    file.write_text(render_data_page(data), encoding="utf-8")
    return file


def test_names_cannot_become_markup(hostile):
    assert "<script" not in hostile.read_text(encoding="utf-8")


@pytest.mark.browser
def test_it_fits_every_screen_and_asks_for_nothing(hostile):
    chromium = os.environ.get("THAWLINE_CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.skip("no Chromium: install `chromium` or set THAWLINE_CHROMIUM to its path")
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags, timeout=PATIENCE_MS)
        for width_px, scheme in ((390, "dark"), (1280, "light")):
            page = browser.new_page(viewport={"width": width_px, "height": 800}, color_scheme=scheme)
            page.set_default_timeout(PATIENCE_MS)
            complaints, requests = [], []
            page.on("console", lambda message, into=complaints: into.append(message.text))
            page.on("request", lambda request, into=requests: into.append(request.url))
            page.goto(hostile.as_uri(), wait_until="load")
            assert page.evaluate("document.documentElement.scrollWidth") <= width_px
            assert page.evaluate("typeof window.pwned") == "undefined"
            assert page.evaluate("Array.from(document.images).every(image => image.naturalWidth > 0)")
            assert page.locator("svg:visible").count() == 2
            assert [url for url in requests if not url.startswith("data:")] == [hostile.as_uri()]
            assert complaints == []
            page.close()
        browser.close()
