"""A CSV file gives the same rows however a program encodes, separates and ends its lines; what was assumed is told."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thawline.core.errors import DataError
from thawline.core.spreadsheet import csv_text
from thawline.data.sources.delimited import decode_text, parse_csv, read_csv

ROWS = [("path", "label"), ("Käse, jung/1.jpg", "Käse, jung"), ("b/2.jpg", 'so "called"'), ("c/3.jpg", "007")]


def cells(data: bytes):
    return [row.cells for row in parse_csv(data, title="t.csv").rows]


def written(separator: str, end: str = "\n") -> str:
    quoted = [
        [f'"{cell.replace(chr(34), chr(34) * 2)}"' if {*'," ;'} & {*cell} else cell for cell in row] for row in ROWS
    ]
    return "".join(separator.join(row) + end for row in quoted)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_every_encoding_separator_and_line_end_gives_the_same_rows(encoding, separator, end):
    assert cells(written(separator, end).encode(encoding)) == ROWS


@pytest.mark.parametrize("line", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "sep=\t\n", "sep=|\n"])
def test_the_line_that_names_the_separator_is_obeyed_and_is_no_row(line):
    separator = line.strip('"\r\n')[-1]
    assert cells((line + written(separator)).encode()) == ROWS


def test_blank_lines_and_comments_before_the_rows_are_left_out_and_lines_are_counted_as_an_editor_does():
    table = parse_csv(b"\n# made by a tool\n# path,label\n\npath,label\n\na,b\n,\n", title="t.csv")
    assert [(row.line, row.cells) for row in table.rows] == [(5, ("path", "label")), (7, ("a", "b"))]
    assert table.comment == "path,label"


def test_a_list_of_path_and_number_with_a_blank_between_is_two_columns_but_a_sentence_is_not():
    assert cells(b"a/1.jpg 0\na/2.jpg 1\n") == [("a/1.jpg", "0"), ("a/2.jpg", "1")]
    assert cells(b"one two\nthree\n") == [("one two",), ("three",)]


def test_cp1252_is_told_and_utf_8_is_not():
    (note,) = parse_csv("path;label\na;Käse\n".encode("cp1252"), title="t.csv").notes
    assert note == "t.csv is not UTF-8; it was read as cp1252 (Windows, Western Europe)"
    assert parse_csv("path;label\na;Käse\n".encode(), title="t.csv").notes == ()


@pytest.mark.parametrize(
    "data", [b"path,label\n\x81\x8d,b\n", b"path,label\n\xff\xfe\x00,b\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"]
)
def test_what_is_no_text_is_refused(data):
    with pytest.raises(DataError, match="not a CSV table in UTF-8, UTF-16 or cp1252"):
        parse_csv(data, title="t.csv")


def test_a_quote_that_is_never_closed_is_refused_instead_of_swallowing_the_rows_below():
    with pytest.raises(DataError, match=r"cannot be|can be taken apart: line 3"):
        cells(b'path,label\na.jpg,"cat\nb.jpg,dog\n')
    assert cells(b'path,label\na.jpg,"5"-disk\nb.jpg,dog\n') == [
        ("path", "label"),
        ("a.jpg", "5-disk"),
        ("b.jpg", "dog"),
    ]


def test_separators_inside_quotes_do_not_count_and_inside_labels_do_not_win():
    assert cells(b"path;label\na;x,y\nb;x,z,w\n") == [("path", "label"), ("a", "x,y"), ("b", "x,z,w")]
    assert cells(b'"a;b";c\n"d;e";f\n') == [("a;b", "c"), ("d;e", "f")]


def test_a_file_that_is_gone_is_told_in_words(tmp_path):
    with pytest.raises(DataError, match="missing"):
        read_csv(tmp_path / "gone.csv")


@given(st.binary(max_size=200))
@example(codecs.BOM_UTF16_LE + b"a")
def test_any_bytes_give_text_or_a_refusal(data):
    try:
        text, _ = decode_text(data)
        rows = parse_csv(data, title="t.csv").rows
    except DataError:
        return
    assert "\0" not in text
    assert all(any(row.cells) for row in rows)


def test_an_uneven_table_is_cut_where_every_row_can_be():
    assert cells(b"a\t, b , c\nd, e\nf, g,h,i\n")[1:] == [("d", "e"), ("f", "g", "h", "i")]
    assert cells(b"x/1.jpg;tench, Tinca\nx/2.jpg;fox, Vulpes\n")[0] == ("x/1.jpg", "tench, Tinca")


def test_what_thawline_wrote_for_spreadsheets_is_read_as_it_was():
    text = csv_text([["path", "label"], ["-o/1.png", "=1+1"], ["@x.png", "'quoted'"], ["a.png", "-5"]])
    rows = [row.cells for row in parse_csv(text.encode(), title="list.csv").rows]
    assert rows == [("path", "label"), ("-o/1.png", "=1+1"), ("@x.png", "'quoted'"), ("a.png", "-5")]


def test_single_quotes_around_every_name_are_quotes():
    assert cells(b"'path','label'\n'a,b/1.jpg','c'\n") == [("path", "label"), ("a,b/1.jpg", "c")]
    assert cells(b"path,label\n'a/1.jpg',c\n")[1] == ("'a/1.jpg'", "c")
