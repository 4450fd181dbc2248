"""A marker proves what Thawline wrote into a folder; everything else there is somebody's."""

from __future__ import annotations

import json

import pytest

from thawline.core.errors import StoreError
from thawline.core.owned import (
    MARKER,
    Marker,
    Written,
    foreign_names,
    measure,
    read_marker,
    replace_file,
    write_marker,
)


@pytest.fixture
def place(tmp_path):
    """Return a folder with two files of ours and its marker."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_bytes(b"one")
    (tmp_path / "sub/b.txt").write_bytes(b"two")
    write_marker(tmp_path, Marker("run", {"pictures": "birds"}).with_files(measure(tmp_path, ["a.txt", "sub/b.txt"])))
    return tmp_path


def foreign(place):
    return foreign_names(place, read_marker(place).files, below=["a.txt", "sub", "not there"])


def test_a_marker_comes_back_as_it_was_written(place):
    marker = read_marker(place)
    assert (marker.kind, marker.of) == ("run", {"pictures": "birds"})
    assert marker.files == {"a.txt": (Written.of(b"one"),), "sub/b.txt": (Written.of(b"two"),)}
    before = (place / MARKER).read_bytes()
    write_marker(place, marker)
    assert (place / MARKER).read_bytes() == before
    assert read_marker(place / "sub") is None
    assert read_marker(place / "a.txt") is None


def test_names_that_are_no_text_are_kept(tmp_path):
    write_marker(tmp_path, Marker("data", {}, {"K\udce4se.png": (Written(1, "0" * 64),)}))
    assert list(read_marker(tmp_path).files) == ["K\udce4se.png"]


def test_what_was_added_or_changed_is_named(place):
    assert foreign(place) == []
    (place / "thesis.txt").write_text("not looked at")
    (place / "sub/thesis.txt").write_text("mine")
    (place / "sub/empty").mkdir()
    (place / "a.txt").write_bytes(b"0ne")
    assert foreign(place) == [
        "a.txt (changed since it was written)",
        "sub/empty (not written by Thawline)",
        "sub/thesis.txt (not written by Thawline)",
    ]


def test_links_and_folders_in_the_place_of_a_file_are_foreign(place):
    (place / "a.txt").rename(place / "elsewhere.txt")
    (place / "a.txt").symlink_to(place / "elsewhere.txt")
    (place / "sub/b.txt").unlink()
    (place / "sub/b.txt").mkdir()
    assert foreign(place) == ["a.txt (changed since it was written)", "sub/b.txt (changed since it was written)"]
    (place / "a.txt").unlink()
    (place / "a.txt").symlink_to(place / "nowhere")
    assert foreign(place)[0] == "a.txt (changed since it was written)"


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: b"{}",
        lambda content: b"[]",
        lambda content: b"mine",
        lambda content: b"[" * 100_000,
        lambda content: content.replace(b"birds", b"words"),
        lambda content: json.dumps({**json.loads(content), "files": 1}).encode(),
    ],
)
def test_a_damaged_marker_proves_nothing(place, damage):
    damaged = damage((place / MARKER).read_bytes())
    (place / MARKER).write_bytes(damaged)
    with pytest.raises(StoreError, match=r"\.thawline\.json is damaged or not a marker that Thawline wrote.*-o"):
        read_marker(place)
    assert (place / MARKER).read_bytes() == damaged


def test_every_bit_of_a_marker_counts(place):
    content = (place / MARKER).read_bytes()
    for at in range(0, 8 * len(content), 7):
        damaged = bytearray(content)
        damaged[at // 8] ^= 1 << at % 8
        (place / MARKER).write_bytes(damaged)
        try:
            assert read_marker(place).files == {"a.txt": (Written.of(b"one"),), "sub/b.txt": (Written.of(b"two"),)}
        except StoreError:
            continue


def test_while_a_file_is_replaced_both_of_its_forms_are_ours(place):
    marker = read_marker(place).with_files({"a.txt": Written.of(b"newer")})
    for content, known in ((b"one", True), (b"newer", True), (b"other", False)):
        (place / "a.txt").write_bytes(content)
        assert (foreign_names(place, marker.files, below=["a.txt"]) == []) is known


def test_a_file_of_ours_is_written_again_and_the_marker_knows_it(place):
    replace_file(place, "a.txt", data=b"newer", doing="report")
    assert (place / "a.txt").read_bytes() == b"newer"
    assert foreign(place) == []
    replace_file(place, "c.txt", data=b"new", doing="report")
    assert read_marker(place).files["c.txt"] == (Written.of(b"new"),)


def test_a_file_that_somebody_changed_is_not_written_again(place):
    (place / "a.txt").write_bytes(b"mine")
    before = (place / MARKER).read_bytes()
    with pytest.raises(StoreError, match=r"^report: .* holds a\.txt \(changed since it was written\)\. Move it away"):
        replace_file(place, "a.txt", data=b"newer", doing="report", older=b"mine")
    assert (place / "a.txt").read_bytes() == b"mine"
    assert (place / MARKER).read_bytes() == before


def test_without_a_marker_only_what_is_like_an_older_version_s_is_replaced(tmp_path):
    path = tmp_path / "a.txt"
    replace_file(tmp_path, "a.txt", data=b"first of ours", doing="report")
    for older in (None, b"theirs"):
        with pytest.raises(StoreError, match=r"no marker proves that Thawline wrote it.*--replace"):
            replace_file(tmp_path, "a.txt", data=b"newer", doing="report", older=older)
    replace_file(tmp_path, "a.txt", data=b"newer", doing="report", older=b"ours")
    assert path.read_bytes() == b"newer"
    assert not (tmp_path / MARKER).exists()
