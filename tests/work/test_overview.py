"""A look at a folder: one page, with labels or without, that never replaces what is somebody else's."""

import json

import numpy as np
import pytest
from PIL import Image

import thawline
from thawline.cli.app import main
from thawline.core.errors import DataError, StoreError


@pytest.fixture
def flat(tmp_path):
    """Seven pictures without class folders, one of them twice, and a file that is none."""
    folder = tmp_path / "flat"
    folder.mkdir()
    for number in range(7):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 48)).save(folder / f"{number}.png")
    (folder / "again.png").write_bytes((folder / "3.png").read_bytes())
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_folder_without_labels_has_a_page(flat, tmp_path):
    page = tmp_path / "page.html"
    report = thawline.check_page(flat, page)
    html = page.read_text(encoding="utf-8")
    assert report.used == 8
    assert "pictures that can be used" in html
    assert "the same bytes" in html
    assert html.count("data-path") >= 7
    assert "again.png" in html


def test_a_folder_with_labels_has_a_map_of_its_classes(tinted, tmp_path):
    page = tmp_path / "page.html"
    report = thawline.check_page(tinted, page)
    html = page.read_text(encoding="utf-8")
    assert report.class_counts == {"blue": 18, "red": 18}
    assert html.count("data-point") == 2 * 36
    assert "The strangest pictures" in html


def test_a_page_of_ours_is_replaced_and_no_other(flat, tmp_path):
    page = tmp_path / "page.html"
    thawline.check_page(flat, page)
    thawline.check_page(flat, page)
    changed = page.read_bytes().replace(b"Copies", b"My own")
    page.write_bytes(changed)
    with pytest.raises(StoreError, match="no page that `thawline check` wrote"):
        thawline.check_page(flat, page)
    assert page.read_bytes() == changed
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"link\.html stands there"):
        thawline.check_page(flat, link)


def test_nothing_is_read_before_a_place_is_refused(tmp_path):
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(StoreError, match=r"mine\.html stands there"):
        thawline.check_page(tmp_path / "nowhere", tmp_path / "mine.html")


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no files"):
        thawline.check_page(tmp_path / "empty", tmp_path / "page.html")


@pytest.mark.parametrize("num", [1, 2, 3])
def test_a_few_pictures_have_a_page_too(flat, tmp_path, num):
    for number in range(num, 7):
        (flat / f"{number}.png").unlink()
    (flat / "again.png").unlink()
    assert thawline.check_page(flat, tmp_path / "page.html").used == num
    assert "nan" not in (tmp_path / "page.html").read_text(encoding="utf-8").split("<body>")[1].split("base64")[0]


def test_the_command_says_where_the_page_is(flat, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["check", str(flat), "--page", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "8 pictures used in 1 class\n" in shown
    assert shown.endswith(f"{page}\n")
    assert main(["check", str(flat), "--page", str(page), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["used"] == 8
    assert main(["check", str(flat)]) == 1
