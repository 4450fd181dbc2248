"""Facts of pictures: each says what it is called, whatever the format, and none is ever NaN."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from thawline.data.check import check
from thawline.data.facts import FACTS, THRESHOLDS, count_levels, jpeg_table, measure


def facts_of(pictures, **given):
    """Return facts of (N, 32, 32, 3) pixels."""
    num = len(pictures)
    plain = {"files": np.full((num, 4), 32.0), "formats": ["PNG"] * num} | given
    return measure([f"{k}.png" for k in range(num)], np.array(pictures, dtype=np.uint8), tops=[None] * num, **plain)


def flat(*colour):
    return np.full((32, 32, 3), colour)


def test_light_and_colour_are_in_levels():
    left_half = flat(0, 0, 0)
    left_half[:, :16] = 200
    facts = facts_of([flat(100, 100, 100), flat(200, 100, 0), left_half])
    assert facts.column("brightness").tolist() == pytest.approx([100, 0.299 * 200 + 0.587 * 100, 100], abs=0.01)
    assert facts.column("darkest").tolist() == pytest.approx([100, 118.5, 0], abs=0.01)
    assert facts.column("brightest").tolist() == pytest.approx([100, 118.5, 200], abs=0.01)
    assert facts.column("contrast").tolist() == pytest.approx([0, 0, 100], abs=0.01)
    assert facts.column("saturation").tolist() == [0, 200, 0]
    assert facts.column("warmth").tolist() == [0, 200, 0]
    assert facts.column("is_grey").tolist() == [1, 0, 1]
    assert facts.column("sharpness").tolist()[:2] == [0, 0]
    assert facts.column("sharpness")[2] > 5


def test_a_frame_is_seen_at_the_border_and_in_the_corners():
    framed, spotted = flat(0, 0, 0), flat(0, 0, 0)
    framed[[0, -1]] = framed[:, [0, -1]] = 255
    spotted[14:18, 14:18] = 255
    facts = facts_of([framed, spotted])
    assert facts.column("border").tolist() == pytest.approx([255, 0], abs=0.01)
    assert facts.column("corners")[0] > 80
    assert facts.column("corners")[1] == 0


def test_size_and_file():
    facts = facts_of([flat(1, 1, 1)] * 2, files=np.array([[200, 100, 4000, 500], [0, 0, 0, 0]]))
    own = dict(zip(FACTS, facts.values[0].tolist(), strict=True))
    assert [own[name] for name in ("width_px", "height_px", "pixels", "aspect", "bytes_per_pixel", "jpeg_table")] == (
        pytest.approx([200, 100, 20_000, 2, 0.2, 500])
    )
    assert np.isfinite(facts.values).all()
    assert np.isfinite(facts.spikes).all()


def test_the_top_of_the_levels_is_counted_alike_in_a_picture_and_in_its_thumbnail():
    levels = np.arange(1024).reshape(32, 32) % 256
    picture = np.stack([levels, levels // 2, levels * 0], axis=2).astype(np.uint8)
    large = Image.fromarray(picture.repeat(3, axis=0).repeat(3, axis=1))
    shares = [(picture >= level).mean() for level in THRESHOLDS]
    assert count_levels(Image.fromarray(picture)) is None
    assert count_levels(large) == pytest.approx(shares)
    assert count_levels(large.resize((960, 960), Image.Resampling.NEAREST)) == pytest.approx(shares, abs=0.01)
    assert facts_of([picture]).tops[0].tolist() == pytest.approx(shares, abs=1e-6)


def test_highlights_are_neither_absent_nor_a_white_ground():
    lamp, white = flat(90, 90, 90), flat(255, 255, 255)
    lamp[10:13, 10:13] = 255
    facts = facts_of([lamp, white, flat(90, 90, 90)])
    assert facts.has_highlights.tolist() == [True, False, False]
    assert facts.spikes[0].tolist() == [pytest.approx(np.log(88.9), abs=0.01), pytest.approx(np.log(44.9), abs=0.02)]


def test_the_table_of_a_jpeg_says_how_coarse_it_is(encode, draw):
    tables = {quality: jpeg_table(encode(draw(1), "JPEG", quality=quality)) for quality in (50, 75, 95)}
    assert tables[50] > tables[75] > tables[95] > 0
    assert tables == {
        quality: sum(Image.open(__import__("io").BytesIO(encode(draw(1), "JPEG", quality=quality))).quantization[0])
        for quality in tables
    }


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xdb\0", b"\xff\xd8\xff\xdb\0\x43", b"\xff\xd8\xff\xda\0\2"],
)
def test_a_damaged_file_has_no_table(data):
    assert jpeg_table(data) == 0


def test_an_embedded_preview_has_tables_of_its_own(encode, draw):
    preview = encode(draw(2), "JPEG", quality=30)
    whole = encode(draw(1), "JPEG", quality=90)
    inside = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    assert jpeg_table(whole[:2] + inside + whole[2:]) == jpeg_table(whole)


def test_a_check_keeps_the_facts_of_what_is_used_by_path(make_folder, encode, draw):
    files = {"a/0.png": 0, "a/1.jpg": encode(draw(1, (90, 60)), "JPEG"), "b/0.png": 2, "b/1.png": b"text", "b/2.png": 3}
    dataset, _ = check(make_folder(files))
    facts = dataset.facts.of(["b/2.png", "a/1.jpg"])
    assert facts.paths == ("b/2.png", "a/1.jpg")
    assert facts.formats == ("PNG", "JPEG")
    assert facts.column("width_px").tolist() == [48, 90]
    assert facts.column("jpeg_table").astype(bool).tolist() == [False, True]
    assert len(dataset.facts) == 4
    assert repr(facts) == "<Facts of 2 pictures>"


def test_transparent_and_deep_pictures_are_measured_as_they_are_rendered(make_folder, encode):
    star = Image.new("RGBA", (40, 40))
    star.paste((255, 255, 255, 255), (10, 10, 30, 30))
    deep = encode(Image.fromarray(np.full((40, 40), 4000, dtype=np.uint16) * (np.arange(40) % 2).astype(np.uint16)))
    dataset, _ = check(make_folder({"a/0.png": encode(star), "a/1.png": 1, "b/0.png": deep, "b/1.png": 2}))
    facts = dataset.facts.of(["a/0.png", "b/0.png"])
    assert facts.column("corners").tolist()[0] == 0  # black shows through
    assert 100 < facts.column("brightness")[1] < 150
    assert np.isfinite(facts.values).all()
