"""Rows of cells -> CSV text that a spreadsheet shows and never runs, and back again.

The one idea: names of files and classes come from strangers. A text that a spreadsheet would take for a formula gets an
apostrophe before it, as OWASP advises ("CSV injection"); text with a separator, a quote or a line break is quoted.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Sequence

__all__ = ["csv_line", "csv_text", "distinct_columns", "shown_cell", "true_cell"]

_RUNS = re.compile(
    r"['\s]*[=+\-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}"
    r"\N{FULLWIDTH COMMERCIAL AT}]"
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def shown_cell(cell: object) -> str:
    """Return a cell as it stands in CSV: text that a spreadsheet would run begins with an apostrophe.

    Numbers stay as they are, negative ones too. What already has an apostrophe before such a beginning gets another, so
    that `true_cell` gives every text back.

    >>> [shown_cell(cell) for cell in ("=1+1", "-0.5", -0.5, "-o", "cat", "'=1", None)]
    ["'=1+1", '-0.5', '-0.5', "'-o", 'cat', "''=1", '']
    """
    text = "" if cell is None else str(cell)
    return f"'{text}" if _RUNS.match(text) and not _NUMBER.fullmatch(text) else text


def true_cell(text: str) -> str:
    """Return the text that `shown_cell` was given.

    >>> true_cell("'=1+1"), true_cell("'quoted'")
    ('=1+1', "'quoted'")
    """
    return text[1:] if text.startswith("'") and _RUNS.match(text[1:]) else text


def csv_line(cells: Iterable[object]) -> str:
    """Return one line of CSV without its end; line breaks within a cell are quoted."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([shown_cell(cell) for cell in cells])  # quotes both of them
    return text.getvalue().removesuffix("\r\n")


def csv_text(lines: Iterable[Iterable[object]]) -> str:
    """Return CSV with a line break after every line."""
    return "".join(csv_line(line) + "\n" for line in lines)


def distinct_columns(names: Sequence[str], *, taken: Collection[str]) -> list[str]:
    """Return a heading for every name, each different from all others and from those taken, in whatever case.

    A name stays as it is where it can; else it becomes `class NAME`.

    Args:
        names: Distinct names of classes.
        taken: Headings of other columns.

    >>> distinct_columns(["cat", "path", "Error"], taken=["path", "error"])
    ['cat', 'class path', 'class Error']
    """
    others = {name.casefold() for name in taken}
    used = {name for name in names if name.casefold() not in others}
    headings = []
    for name in names:
        heading = name
        while heading.casefold() in others or (heading != name and heading in used):
            heading = f"class {heading}"
        used.add(heading)
        headings.append(heading)
    return headings
