"""What a listing is made of: sources of bytes, parts of the data, names that can be shown."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from thawline.core.errors import DataError
from thawline.data.headers import PNG_SIGNATURE
from thawline.data.sources import listing as listing_module
from thawline.data.sources.archives import list_zip
from thawline.data.sources.listing import Candidate, FileSource, class_label, display_path, reading, settle_roles
from thawline.data.sources.places import Place
from thawline.data.sources.shards import list_tar


def test_file_source_tells_why_it_cannot_read(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="missing"):
        FileSource(tmp_path / "gone").read()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="not a regular file"):
        FileSource(tmp_path / "pipe").read()
    (tmp_path / "long").write_bytes(bytes(100))
    monkeypatch.setattr(listing_module, "MAX_FILE_BYTES", 99)
    with pytest.raises(DataError, match="100 bytes are more than the 99"):
        FileSource(tmp_path / "long").read()


def test_a_long_file_that_is_no_picture_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(listing_module, "LONG_FILE_BYTES", 99)
    film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(400)
    png = PNG_SIGNATURE + bytes(400)
    (tmp_path / "film").write_bytes(film)
    (tmp_path / "png").write_bytes(png)
    (tmp_path / "short").write_bytes(film[:99])
    monkeypatch.setattr(Path, "read_bytes", lambda path: path.name.encode())
    assert [FileSource(tmp_path / name).read() for name in ("png", "short")] == [b"png", b"short"]
    with pytest.raises(DataError, match="a video, not a picture"):
        FileSource(tmp_path / "film").read()
    monkeypatch.undo()
    monkeypatch.setattr(listing_module, "LONG_FILE_BYTES", 99)
    with tarfile.open(tmp_path / "a.tar", "w") as archive, zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        for name in ("png", "film"):
            archive.add(tmp_path / name, f"a/{name}")
            zipped.write(tmp_path / name, f"a/{name}")
    for listing in (list_zip(tmp_path / "a.zip"), list_tar(tmp_path / "a.tar")):
        by_name = {candidate.path: candidate.source for candidate in listing.candidates}
        assert by_name["a/png"].read() == png
        with pytest.raises(DataError, match="a video, not a picture"):
            by_name["a/film"].read()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), "no permission to read it"),
        (FileNotFoundError(2, "No such file"), "missing"),
        (OSError(5, "Input/output error"), "cannot be read: Input/output error"),
        (OSError("odd"), "cannot be read: odd"),
    ],
)
def test_what_a_disk_refuses_is_said_in_a_few_words(error, reason):
    with pytest.raises(DataError) as caught, reading():
        raise error
    assert str(caught.value) == reason


def test_the_longest_file_that_is_read(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(bytes(100))
    monkeypatch.setattr(listing_module, "MAX_FILE_BYTES", 100)
    assert FileSource(tmp_path / "a").read() == bytes(100)


@pytest.mark.parametrize(
    ("parts", "settled"),
    [
        (["train", "test"], ["train", "test"]),
        (["train", "validation"], ["train", "test"]),
        (["train", "validation", "test"], ["train", "validation", "test"]),
        (["train", "train"], [None, None]),
        ([None, None], [None, None]),
        ([None, "validation"], [None, "test"]),
        ([], []),
    ],
)
def test_one_held_out_part_is_the_test(parts, settled):
    candidates = [Candidate(f"{at}", "cat", part, None) for at, part in enumerate(parts)]
    found = settle_roles(iter(candidates))
    assert [item.split for item in found] == settled
    assert [item.path for item in found] == [item.path for item in candidates]


def test_a_class_is_called_by_the_composed_form_of_its_name():
    assert [class_label(os.fsdecode(name)) for name in (b"K\xe4se", "Käse".encode(), "Ka\u0308se".encode())] == [
        "Käse"
    ] * 3
    assert class_label(os.fsdecode(b"a\x81\xc3\xa4")) == "a\\x81ä"
    assert class_label("plain") == "plain"


def test_a_path_is_shown_as_text_whatever_its_bytes():
    assert display_path("a/é") == "a/é"
    assert display_path(Path(os.fsdecode(b"a/\xff"))) == r"a/\xff"
    assert display_path(Place.of("hf:a//b")) == "hf:a//b"
