"""A CSV file as people and programs write it -> its rows of cells, and notes on how it was read.

The one idea: encoding, separator and line ends are found from the file itself, in a fixed order, so that the same bytes
always give the same rows; whatever was assumed is told. Manifests and files of class names are read here alike.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from thawline.core.errors import DataError
from thawline.core.spreadsheet import true_cell
from thawline.data.sources.listing import FileSource, display_path

__all__ = ["CsvRow", "CsvTable", "decode_text", "parse_csv", "read_csv"]

SEPARATORS = ("\t", ";", "|", ",")
"""Where two cut equally well, the earlier is taken: commas are the most frequent inside cells."""
SAMPLE_ROWS = 200
SAMPLE_CHARACTERS = 1 << 16

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SINGLE_QUOTES = re.compile(r"\s*'[^'\r\n]*'(?:\s*[,;\t|]\s*'[^'\r\n]*')+\s*?[\r\n]")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\s,;]*', re.IGNORECASE)


@dataclass(frozen=True)
class CsvRow:
    """One row.

    Attributes:
        line: The line of the file, as an editor counts them, on which the row ends.
        cells: Text of the cells, without blanks around it.
    """

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class CsvTable:
    """The rows of a CSV file, blank lines and comments before the first left out.

    Attributes:
        rows: In the file's order; the first may hold the names of the columns.
        comment: The last line before the first row that begins with `#`, without it; empty where there is none.
        separator: What stands between cells.
        notes: What was assumed in reading, each a sentence; none for UTF-8 with commas.
    """

    rows: tuple[CsvRow, ...]
    comment: str
    separator: str
    notes: tuple[str, ...] = ()


def read_csv(file: Path) -> CsvTable:
    """Return the rows of a CSV file in UTF-8, UTF-16 or cp1252, separated by `,`, `;`, tabs, `|` or blanks.

    Raises:
        DataError: It cannot be read, or is no such text; in a few words.
    """
    return parse_csv(FileSource(file).read(), title=display_path(file.name))


def parse_csv(data: bytes, *, title: str) -> CsvTable:
    """Return the rows of a CSV file's bytes.

    Args:
        data: The bytes.
        title: What notes call the file.

    Raises:
        DataError: As `read_csv`.
    """
    text, encoding = decode_text(data)
    notes = [] if encoding != "cp1252" else [f"{title} is not UTF-8; it was read as cp1252 (Windows, Western Europe)"]
    first, comment, separator = 0, "", ""
    lines = io.StringIO(text, newline="")
    start = 0
    for line in lines:
        bare = line.strip()
        named = _SEPARATOR_LINE.fullmatch(line)
        if named and not separator:
            separator = named[1]
        elif bare.startswith("#"):
            comment = bare.lstrip("# ")
        elif bare.strip(" ,;\t"):
            break
        start, first = start + len(line), first + 1
    body = text[start:]
    quote = "'" if _SINGLE_QUOTES.match(body) else '"'
    separator = separator or _find_separator(body, quote)
    rows = tuple(CsvRow(first + line, cells) for line, cells in _parse(body, separator, quote) if any(cells))
    return CsvTable(rows, comment, separator, tuple(notes))


def decode_text(data: bytes) -> tuple[str, str]:
    """Return bytes as text, and the encoding: that of the byte order mark, else UTF-8, UTF-16, or at last cp1252.

    Raises:
        DataError: They are none of these.
    """
    encodings = [encoding for mark, encoding in _MARKS if data.startswith(mark)][:1]
    if not encodings:
        zeros = data[:4096:2].count(0), data[1:4096:2].count(0)  # Latin letters in UTF-16 have a zero each
        encodings = ["utf-8", "cp1252"] if not any(zeros) else ["utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, encoding
    raise DataError("not a CSV table in UTF-8, UTF-16 or cp1252")


def _find_separator(text: str, quote: str) -> str:
    """Return the separator that cuts the first rows into the most even table; a comma where none does.

    A blank counts only where it cuts every row in two: `path label`, as lists for training programs have it.
    """
    sample = text[:SAMPLE_CHARACTERS]
    if len(sample) < len(text):
        sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
    best, chosen = (0.0, 0.0, 0), ""
    for separator in SEPARATORS:
        widths = _widths(sample, separator, quote)
        if widths and widths[0] > 1 and (score := _evenness(widths)) > best:
            best, chosen = score, separator
    if not chosen and set(_widths(sample, " ", quote)) == {2}:
        chosen = " "
    return chosen or ","


def _widths(text: str, separator: str, quote: str) -> list[int]:
    """Return the number of cells of each of the first rows."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quotechar=quote)
        return [len(row) for row in itertools.islice(reader, SAMPLE_ROWS) if any(row)]
    except csv.Error:
        return []


def _evenness(widths: list[int]) -> tuple[float, float, int]:
    """Return the share of rows that are cut at all, that of the most frequent width, and that width."""
    width, count = Counter(widths).most_common(1)[0]
    return round(sum(found > 1 for found in widths) / len(widths), 2), round(count / len(widths), 2), width


def _parse(text: str, separator: str, quote: str) -> list[tuple[int, tuple[str, ...]]]:
    """Return (line, cells) of every row.

    Quotes are taken strictly first. A file that breaks those rules is read leniently, unless a quote that is never
    closed then swallows line ends: rows would be lost. The apostrophe that keeps a spreadsheet from running a cell is
    taken off.

    Raises:
        DataError: A quote is never closed, or a cell is longer than a CSV reader takes.
    """
    reason = ""
    for is_strict in (True, False):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quotechar=quote, strict=is_strict)
        try:
            rows = [(reader.line_num, tuple(true_cell(cell.strip()) for cell in row)) for row in reader]
        except csv.Error as error:
            reason = f"line {reader.line_num}: {error}"
            continue
        if is_strict or not any("\n" in cell or "\r" in cell for _, row in rows for cell in row):
            return rows
    raise DataError(f"not a CSV table that can be taken apart: {reason}")
