"""CSV that any reader gets back whole, and in which no cell is a formula."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thawline.core.spreadsheet import csv_line, csv_text, distinct_columns, shown_cell, true_cell

TEXTS = st.text(alphabet=st.sampled_from("'=+-@\t\r\n ,;\"a1.e＝"), max_size=8) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
)


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1+1"]
)
def test_what_a_spreadsheet_would_run_has_an_apostrophe(text):
    assert shown_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["cat", "a=b", "-0.000700", "+1e-05", "1", "", "'quoted'", "C-3", "日本語"])
def test_plain_text_and_numbers_stay(text):
    assert shown_cell(text) == text


@given(st.lists(st.lists(TEXTS, min_size=2, max_size=4), min_size=1, max_size=3))
def test_every_text_comes_back(rows):
    read = list(csv.reader(io.StringIO(csv_text(rows), newline="")))
    assert [[true_cell(cell) for cell in row] for row in read] == rows
    for cell in (cell for row in read for cell in row):
        assert not cell or cell[0] not in "=+-@\t\r\n" or float(cell) is not None


def test_a_line_break_within_a_cell_is_quoted():
    assert csv_line(["a\nb", "c\rd", None, 0.5]) == '"a\nb","c\rd",,0.5'


def test_columns_are_told_apart():
    names = ["path", "class path", "LABEL", "cat"]
    assert distinct_columns(names, taken=["path", "label"]) == ["class class path", "class path", "class LABEL", "cat"]
