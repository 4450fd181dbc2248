"""Every format in the table is checked, decoded, exported and read from shards; what differs stands in its entry."""

from __future__ import annotations

import dataclasses
import io
import sys
import tarfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from thawline.core.errors import DataError
from thawline.data import formats
from thawline.data.check import check
from thawline.data.exported import export
from thawline.data.formats import ENDINGS, FORMATS, format_of
from thawline.data.images import decode
from thawline.data.sources.pictures import list_pictures

each_format = pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)


@each_format
@pytest.mark.parametrize("form", ["folder", "parquet"])
def test_every_format_goes_through_check_and_export(make_folder, draw, encode, tmp_path, kind, form):
    pictures = [encode(draw(seed), kind.name) for seed in range(6)]
    root = make_folder({f"{'ab'[at % 2]}/{at}.wrong": data for at, data in enumerate(pictures)})
    dataset, report = check(root)
    assert {row.format for row in dataset.ledger} == {kind.name}
    assert (report.skipped, report.repaired) == ((), ())
    export(dataset, report, out=tmp_path / "out", form=form, held_out="none")
    again, _ = check(tmp_path / "out")
    assert again.labelled_key == dataset.labelled_key
    if form == "folder":
        names = sorted(path.name for path in (tmp_path / "out").rglob("*.*") if path.parent.name in "ab")
        assert names == [f"{at}.wrong{kind.endings[0]}" for at in range(6)]


@each_format
def test_every_ending_of_a_format_is_a_picture_in_a_shard_and_is_replaced_by_an_export(
    make_folder, draw, encode, tmp_path, kind
):
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w") as tar:
        for at, ending in enumerate(kind.endings):
            for name, data in ((f"{at}{ending}", b"x"), (f"{at}.cls", b"cat")):
                facts = tarfile.TarInfo(name)
                facts.size = len(data)
                tar.addfile(facts, io.BytesIO(data))
    assert [item.path for item in list_pictures(path).candidates] == [
        f"shard.tar/{at}{ending}" for at, ending in enumerate(kind.endings)
    ]
    files = {f"{'ab'[at % 2]}/{at}{ending.upper()}": encode(draw(at), kind.name) for at, ending in enumerate(ENDINGS)}
    export(*check(make_folder(files)), out=tmp_path / "out", held_out="none")
    written = {path.name for path in (tmp_path / "out/train").rglob("*.*")}
    assert written == {f"{at}{kind.endings[0]}" for at in range(len(ENDINGS))}


@each_format
def test_an_entry_opens_turns_and_measures_as_it_says(encode, kind):
    picture = Image.effect_noise((60, 40), 64).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90°
    is_turned = kind.name not in ("GIF", "BMP", "PPM", "HEIF")  # HEIF has a box of its own for that, and no writer
    data = encode(picture, kind.name, exif=exif) if is_turned else encode(picture, kind.name)
    assert format_of(data) is kind
    found = decode(data)
    assert (found.width_px, found.height_px) == ((40, 60) if is_turned else (60, 40))
    with kind.open(io.BytesIO(data)) as opened:
        opened.load()
        assert opened.size == ((40, 60) if kind.is_upright and is_turned else (60, 40))
    if kind.claimed_size is not None:
        assert kind.claimed_size(data) == (60, 40)
    if kind.claimed_bytes is not None:
        assert kind.claimed_bytes(data) == len(data)


def test_no_two_formats_share_a_name_or_an_ending():
    assert max(Counter(ending for item in FORMATS for ending in item.endings).values()) == 1
    assert max(Counter(item.name for item in FORMATS).values()) == 1
    assert all(ending.startswith(".") and ending == ending.lower() for ending in ENDINGS)


def test_a_folder_without_pictures_is_told_every_format(make_folder):
    root = make_folder({f"{label}/{number}": b"text" for label in "ab" for number in range(2)})
    with pytest.raises(DataError, match="of these formats: JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF, HEIC, PPM, PGM"):
        check(root)


def test_a_new_format_is_one_entry(make_folder, encode, draw, tmp_path, monkeypatch):
    from PIL.SgiImagePlugin import SgiImageFile

    sgi = formats.Format("SGI", "SGI", (".sgi",), lambda data: data.startswith(b"\x01\xda"), SgiImageFile)
    sgi = dataclasses.replace(sgi, is_ordinary=bool)
    monkeypatch.setattr(formats, "FORMATS", (*FORMATS, sgi))
    files = {f"{label}/{at}": encode(draw(at), "SGI") for at, label in enumerate("ababab")}
    dataset, report = check(make_folder(files))
    assert {row.format for row in dataset.ledger} == {"SGI"}
    export(dataset, report, out=tmp_path / "out", held_out="none")
    assert len(list((tmp_path / "out/train").rglob("*.sgi"))) == 6


def test_a_phones_picture_is_read_where_its_reader_is_installed(draw, encode):
    image = draw(1, (300, 200))
    picture = decode(encode(image, "HEIF", quality=95), 50)
    assert (picture.format, picture.width_px, picture.height_px, picture.repairs) == ("HEIF", 300, 200, ())
    assert picture.image.size == (300, 200)
    difference = np.abs(np.asarray(picture.image).astype(int) - np.asarray(image))
    assert difference.mean() < 6


def test_without_its_reader_the_extra_is_named(draw, encode, monkeypatch):
    data = encode(draw(1), "HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DataError, match=r"HEIC: run `pip install 'thawline\[heif\]'`, which reads it, or convert it"):
        formats.format_of(data).open(io.BytesIO(data))


def test_a_damaged_phones_picture_is_one_sentence(draw, encode):
    data = encode(draw(1, (300, 200)), "HEIF")
    for damaged in (data[: len(data) // 2], data[:40], data.replace(b"meta", b"mota")):
        with pytest.raises(DataError):
            decode(damaged)
