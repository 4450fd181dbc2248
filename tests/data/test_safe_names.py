"""Names that people give become names of files: safe, each once, and never one that stands there."""

from __future__ import annotations

import pytest

from thawline.data.safe_names import SafeNames, picture_stem


@pytest.mark.parametrize(
    ("name", "safe"),
    [("cat", "cat"), ("../../up", "_.._.._up"), ("..", "_"), ("a/b\\c", "a_b_c"), ("CON", "_CON"), ("end. ", "end"),
     ("nul.txt", "_nul.txt"), (".hidden", "_.hidden"), ("x\x1b[2J", "x_[2J"), ("\ud800", "_"), ("", "_"),
     ("thumbs.db", "_thumbs.db")],
)  # fmt: skip
def test_a_name_is_no_path_and_nothing_that_a_system_hides(name, safe):
    assert SafeNames().give(name) == safe


def test_names_that_some_system_takes_for_one_are_numbered():
    names = SafeNames()
    assert [names.give(name, folder="k/", extension=".png") for name in ("x", "X", "x-2", "\u00e9", "e\u0301")] == [
        "k/x.png", "k/X-2.png", "k/x-2-2.png", "k/\u00e9.png", "k/e\u0301-2.png",
    ]  # fmt: skip


def test_what_stands_there_is_never_given():
    names = SafeNames({"k/x.png", "k/x-2.png"}.__contains__)
    assert names.give("x", folder="k/", extension=".png") == "k/x-3.png"


def test_a_stem_loses_folders_and_the_ending_of_a_format():
    assert [picture_stem(path) for path in ("a/x.JPG", "x.tar", "zip/a.b.png")] == ["x", "x.tar", "a.b"]
