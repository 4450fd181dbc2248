"""A cell finds the file that a person means, and never one outside the folder."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thawline.core.errors import DataError
from thawline.data.sources.picture_files import OUTSIDE, NoFile, PictureFiles, Within

KAESE = unicodedata.normalize("NFD", "Käse")


@pytest.fixture
def folder(tmp_path):
    """Return a folder of files as lists name them, with a secret next to it."""
    root = tmp_path / "set"
    for name in (
        "pics/cat/1.jpg",
        "pics/cat/2.PNG",
        f"pics/{KAESE}/3.jpg",
        "pics/cat/4.jpg",
        "pics/cat/4.png",
        "5.jpg",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (root / "pics/cat/1.txt").write_bytes(b"x")
    (tmp_path / "secret.jpg").write_bytes(b"x")
    return root


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("pics/cat/1.jpg", "pics/cat/1.jpg"),
        ("./pics//cat/../cat/1.jpg", "pics/cat/1.jpg"),
        (r"pics\cat\1.jpg", "pics/cat/1.jpg"),
        (r".\pics\cat\1.jpg", "pics/cat/1.jpg"),
        ("pics/cat/1", "pics/cat/1.jpg"),
        ("pics/cat/1.JPG", "pics/cat/1.jpg"),
        ("PICS/Cat/2.png", "pics/cat/2.PNG"),
        (f"pics/{unicodedata.normalize('NFC', KAESE)}/3.jpg", f"pics/{KAESE}/3.jpg"),
        (r"C:\Photos\me\data\pics\cat\1.jpg", "pics/cat/1.jpg"),
        ("D:/pics/cat/1.jpg", "pics/cat/1.jpg"),
        (r"D:\lists\..\pics\cat\1.jpg", "pics/cat/1.jpg"),
        ("pics/K%C3%A4se/3.jpg", f"pics/{KAESE}/3.jpg"),
        (r"\\server\share\pics\cat\1.jpg", "pics/cat/1.jpg"),
        ("/old/disk/set/pics/cat/1.jpg", "pics/cat/1.jpg"),
        ("file:///old/disk/pics/cat/1.jpg", "pics/cat/1.jpg"),
        ("data/set/pics/cat/1.jpg", "pics/cat/1.jpg"),
        ("data/set/5.jpg", "5.jpg"),
        ("file:///C:/Photos/me/pics/cat/1.jpg", "pics/cat/1.jpg"),
    ],
)
def test_the_file_that_is_meant_is_found(folder, cell, name):
    found = PictureFiles(folder).find(cell)
    assert (found.name, found.path, found.is_there) == (name, folder / name, True)


def test_absolute_paths_and_file_addresses_inside_are_found_and_told_nothing_of(folder):
    for cell in (str(folder / "5.jpg"), f"file://{folder}/5.jpg", f"file://localhost{folder}/5.jpg"):
        found = PictureFiles(folder).find(cell)
        assert (found.name, found.prefix, found.is_respelt) == ("5.jpg", "", False)
    assert PictureFiles(folder).find("/elsewhere/pics/cat/1.jpg").prefix == "elsewhere"
    assert PictureFiles(folder).find("pics/cat/1").is_respelt


def test_where_two_files_fit_none_is_taken(folder):
    with pytest.raises(DataError, match=r"several files fit: 4\.jpg, 4\.png"):
        PictureFiles(folder).find("pics/cat/4")
    assert PictureFiles(folder).find("pics/cat/4.png").name == "pics/cat/4.png"


def test_a_file_that_is_not_there_keeps_its_name(folder):
    found = PictureFiles(folder).find("pics/cat/9.jpg")
    assert (found.name, found.is_there) == ("pics/cat/9.jpg", False)
    assert not PictureFiles(folder).find("bird/5.jpg").is_there
    assert not PictureFiles(folder).holds("pics/cat/9.jpg")
    assert not PictureFiles(folder).holds("pics/cat")
    assert PictureFiles(folder).holds("pics/cat/1")


@pytest.mark.parametrize(
    "cell",
    ["../secret.jpg", "pics/../../secret.jpg", "{above}/secret.jpg", "file://{above}/secret.jpg", r"..\secret.jpg",
     "/etc/passwd", "/nowhere/at/all.jpg", r"C:\nowhere\..\secret.jpg", "file:///etc/passwd", "../SECRET.JPG",
     "%2e%2e/secret.jpg"],
)  # fmt: skip
def test_nothing_outside_is_found(folder, cell):
    with pytest.raises(DataError, match=OUTSIDE):
        PictureFiles(folder).find(cell.format(above=folder.parent))


@pytest.mark.parametrize("cell", ["https://host/1.jpg", "s3://bucket/1.jpg", "HTTP://host/1.jpg"])
def test_an_address_is_never_fetched(folder, cell):
    with pytest.raises(DataError, match="an address; only files of this machine are read"):
        PictureFiles(folder).find(cell)
    with pytest.raises(DataError, match="zero byte"):
        PictureFiles(folder).find("a\0b")


@given(
    st.lists(
        st.sampled_from(
            ["..", ".", "set", "secret.jpg", "pics", "C:", "", "~", "etc", "file:", "%2e%2e", "%00", "[", "\0"]
        ),
        max_size=6,
    )
)
def test_whatever_a_cell_says_the_file_is_inside(parts):
    folder = Path(__file__).parent / "test_picture_files"
    for separator in ("/", "\\"):
        for start in ("", separator, f"file://{separator}"):
            try:
                found = PictureFiles(folder).find(start + separator.join(parts))
            except DataError:
                continue
            assert not found.path.exists()
            assert Path(os.path.normpath(found.path)).is_relative_to(folder)


def test_a_link_inside_is_the_persons_own_and_a_folder_may_be_named_through_a_link(folder, tmp_path):
    (folder / "linked.jpg").symlink_to(tmp_path / "secret.jpg")
    assert PictureFiles(folder).find("linked.jpg").is_there
    (tmp_path / "alias").symlink_to(folder)
    assert PictureFiles(folder).find(str(tmp_path / "alias/5.jpg")).name == "5.jpg"
    assert str(tmp_path / "alias/5.jpg") in Within(folder)
    assert str(tmp_path / "secret.jpg") not in Within(folder)


def test_another_folder_is_the_start_and_the_bound_and_the_tables_own_still_leads_into_it(folder, tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    files = PictureFiles(folder / "pics", start=lists)
    assert files.find("cat/1.jpg").name == "cat/1.jpg"
    assert files.find("../set/pics/cat/1.jpg").name == "cat/1.jpg"
    with pytest.raises(DataError, match=OUTSIDE):
        files.find("../set/5.jpg")


def test_a_source_without_a_file_says_why():
    with pytest.raises(DataError, match=r"^for this reason$"):
        NoFile("for this reason").read()
