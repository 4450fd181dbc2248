"""Runs stand side by side on one page, from what their folders hold; others are refused with a reason."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest
import report_cases as cases

from thawline.core.errors import DataError, StoreError, UsageError
from thawline.vet.answer_table import AnswerTable
from thawline.view.runs_compared import compare_runs

NAMES = ("ant", "bee", "<script>alert(1)</script>")


def answers_of(predicted, *, salt="", names=NAMES):
    """Return answers to twelve pictures, four of each class."""
    labels, predicted = np.repeat(np.arange(3), 4), np.array(predicted)
    digests = [hashlib.sha256(f"{salt}{row}".encode()).digest() for row in range(12)]
    return AnswerTable(
        tuple(f"{names[label]}/{9 if row == 0 else 20 + row}.jpg" for row, label in enumerate(labels)),
        np.stack([np.frombuffer(one, dtype=np.uint8) for one in digests]), labels, predicted,
        np.full(12, 0.8, np.float32), np.where(predicted == labels, 0.8, 0.1).astype(np.float32),
        np.arange(12), np.full(12, -1),
    )  # fmt: skip


RIGHT = np.repeat(np.arange(3), 4)
FIRST = np.where(np.arange(12) == 0, 1, RIGHT)
SECOND = np.where(np.arange(12) == 5, 2, RIGHT)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes the `report.json` of a run and returns its folder."""

    def make(name, predicted=FIRST, *, names=NAMES, salt="", **changes):
        folder = tmp_path / name
        folder.mkdir()
        data = replace(cases.make_choice(names), answers=answers_of(predicted, salt=salt, names=names))
        (folder / "report.json").write_text(replace(data, **changes).to_json())
        return folder

    return make


def page_of(path):
    return cases.words(path.read_text(encoding="utf-8"))


def test_a_page_says_who_is_better_and_which_pictures_changed_sides(write, tmp_path):
    runs = write("a <b>"), write("b", SECOND, command="thawline fit garden -o b --size 352")
    path = compare_runs(runs)
    text, html = page_of(path), path.read_text(encoding="utf-8")
    assert path == tmp_path / "compared.html"
    assert "12 test pictures that all of them were tested on." in text
    assert "0.0 points of accuracy" in text
    assert "These pictures cannot tell the two apart. B alone is right on 1, A alone on 1." in text
    assert re.search(r"B alone is right: 1 ant A: bee , 80\.0 % B: ✓ ant , 80\.0 % 9\.jpg", text)
    assert re.search(r"A alone is right, not B: 1 25\.jpg bee A: ✓ bee , 80\.0 % B: <script>alert\(1\)</script>", text)
    assert html.count("data:image/jpeg") == 1  # the album has the first of the two
    assert "thawline fit garden -o b --size 352" in text
    assert "91.7 %" in text
    assert "<script" not in html
    assert "a &lt;b&gt;" in html
    assert "a <b>" not in html


def test_a_clear_difference_is_called_one(write):
    wrong = (RIGHT + 1) % 3
    text = page_of(compare_runs([write("a", wrong), write("b", RIGHT), write("c", wrong)]))
    assert "+100.0 points of accuracy" in text
    assert "p = less than 0.001. The difference is larger than chance explains. B alone is right on 12" in text
    assert "C against A" in text


def test_runs_made_alike_differ_in_nothing(write):
    assert "Nothing that is on record" in page_of(compare_runs([write("a"), write("b")]))


def test_equal_runs_give_equal_bytes_and_an_older_page_is_replaced(write, tmp_path):
    runs = write("a"), write("b", SECOND)
    first = compare_runs(runs, tmp_path / "deep" / "page.html").read_bytes()
    assert compare_runs(runs, tmp_path / "deep" / "page.html").read_bytes() == first


def test_what_is_no_such_page_is_kept_unless_it_may_be_replaced(write, tmp_path):
    runs, mine = (write("a"), write("b")), tmp_path / "mine.html"
    mine.write_text("mine")
    with pytest.raises(StoreError, match=r"mine\.html stands there and is no page of compared runs"):
        compare_runs(runs, mine)
    assert mine.read_text() == "mine"
    compare_runs(runs, mine, replace=True)
    assert "side by side" in mine.read_text(encoding="utf-8")


def test_what_cannot_be_compared_is_refused_with_a_reason(write, tmp_path):
    first = write("a")
    with pytest.raises(UsageError, match="1 runs named; 2 to 26"):
        compare_runs([first])
    with pytest.raises(UsageError, match="is named twice"):
        compare_runs([first, first / ".." / "a"])
    with pytest.raises(StoreError, match=r"report\.json cannot be read"):
        compare_runs([first, tmp_path])
    with pytest.raises(StoreError, match="earlier version, which kept no answers"):
        compare_runs([first, write("old", answers=None)])
    with pytest.raises(
        DataError, match=r"different classes: <script>alert\(1\)</script> only in .*a; crow only in .*other"
    ):
        compare_runs([first, write("other", names=("ant", "bee", "crow"))])
    with pytest.raises(DataError, match="no picture in common"):
        compare_runs([first, write("else", salt="other ")])
    assert not (tmp_path / "compared.html").exists()
