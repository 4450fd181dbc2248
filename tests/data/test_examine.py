"""Every file is opened once; what only the set can say is found afterwards, and rows and thumbnails follow it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from thawline.core.progress import SilentProgress
from thawline.core.rendering import Levels
from thawline.data.examine import examine_all
from thawline.data.sources.pictures import list_pictures


@pytest.fixture
def examined(make_folder, encode, draw):
    def grey(top):
        return encode(Image.fromarray(np.linspace(0, top, 1600).reshape(40, 40).astype(np.uint16)))

    def star(level):
        image = Image.new("RGBA", (40, 40))
        image.paste((level, level, level, 255), (10, 10, 30, 30))
        return encode(image)

    files = {"a/0.png": grey(800), "a/1.png": grey(4000), "a/2.png": 1, "a/3.txt": b"text"}
    files |= {"b/0.png": star(255), "b/1.png": star(250), "b/2.png": encode(Image.new("RGB", (40, 40), "red"))}
    return examine_all(list_pictures(make_folder(files)), SilentProgress())


def test_rows_say_what_was_done_in_the_end(examined):
    reasons = {row.path: (row.status, row.reason) for row in examined.rows}
    scaled = ("repaired", "scaled 16-bit levels, 0 to 4,095, to 8 bits")
    filled = ("repaired", "filled transparency with black")
    assert reasons == {
        "a/0.png": scaled, "a/1.png": scaled, "a/2.png": ("used", ""), "a/3.txt": ("skipped", "text, not a picture"),
        "b/0.png": filled, "b/1.png": filled, "b/2.png": ("used", ""),
    }  # fmt: skip


def test_thumbnails_follow_the_set(examined):
    assert examined.rendering.levels == (Levels("16-bit", 0, 4095),)
    assert examined.rendering.background == "black"
    assert len(examined.thumbnails) == 6
    assert examined.thumbnails[0].max() < 60
    assert examined.thumbnails[1].max() > 230
    assert examined.thumbnails[3][0, 0].tolist() == [0, 0, 0]
    assert examined.thumbnails[3][16, 16].tolist() == [255, 255, 255]


def test_what_shows_nothing_is_named_and_what_was_found_is_told(examined):
    assert examined.blank == {"b/2.png"}
    assert [note.split(":")[0] for note in examined.notes] == [
        "2 pictures with 16-bit levels", "2 pictures with transparent parts"
    ]  # fmt: skip
