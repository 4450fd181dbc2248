"""A comparison of rows -> its table as aligned text for a terminal, and as HTML for a notebook."""

from __future__ import annotations

from markupsafe import Markup

from thawline.core.html import html_table, interval_bar, scale_of
from thawline.search.ties import MARGIN_WORDS, TIE_WORDS
from thawline.view.outcome import goal_text, scored_text, small_part_text, tied_rows, unclear_rows
from thawline.view.report_data import ReportData, RowData
from thawline.view.words import duration_text, printable, shared_backbone

__all__ = ["rows_html", "rows_text"]

_HEADINGS = ("row", "accuracy", "95 % interval", "macro-F1", "time", "origin", "expected", "")
_NUMBERS = frozenset({1, 2, 3, 4, 5})
"""Columns that stand to the right."""


def rows_text(data: ReportData) -> str:
    """Return the comparison as aligned columns in the author's order, and what follows from it.

    `*` marks the best row, `=` those tied with it, and `?` those of which the pictures are too few to say either. Of
    names, what would move the cursor of a terminal is shown as `?`.
    """
    lines = [printable(data.title), f"  {scored_text(data)}, {printable(shared_backbone(data.leaderboard))}", ""]
    cells = [_HEADINGS, *(_cells(data, row) for row in data.rows)]
    widths = [max(len(text) for text in column) for column in zip(*cells, strict=True)]
    filled = [place for place, column in enumerate(zip(*cells[1:], strict=True)) if any(column)]
    for mark, line in zip(["  ", *(_mark(data, row) for row in data.rows)], cells, strict=True):
        shown = "  ".join(_aligned(line[place], widths[place], place) for place in filled)
        lines.append(f"  {mark} {shown}".rstrip())
    return "\n".join([*lines, "", *_ties(data), *_times(data), *_leaks(data)])


def rows_html(data: ReportData) -> str:
    """Return the comparison as a table that stands alone, with what became of the goal below it."""
    scores = [row.evaluation.accuracy for row in data.rows]
    scale = scale_of([score.low for score in scores], [score.high for score in scores])
    rows: list[tuple[str | Markup, ...]] = []
    for row, score in zip(data.rows, scores, strict=True):
        is_best, tied = row is data.best_row, data.trial_of(row).tied
        tone = "lead" if is_best else "tied" if tied else "behind"
        bar = interval_bar(scale, score.value, low=score.low, high=score.high, tone=tone)
        name, value, _, f1, time, origin, _, verdict = _cells(data, row)
        rows.append((name, value, bar, f1, time, origin, verdict, "best" if is_best else "tied" if tied else ""))
    goal = f"Goal {data.goal:.3f}: {goal_text(data, '{:.3f}'.format)}." if data.goal is not None else ""
    return html_table(
        f"{data.title}: {scored_text(data)}",
        ("row", ">accuracy", "95 % interval", ">macro-F1", ">time", ">origin", "expected", ""),
        rows=rows,
        note=f"{goal} {small_part_text(data, '{:.2f}'.format)}".strip(),
    )


def _cells(data: ReportData, row: RowData) -> tuple[str, ...]:
    """Return a row of the table as texts, in the order of the headings."""
    score, stated = row.evaluation.accuracy, row.expected
    return (
        printable(row.name),
        f"{score.value:.3f}",
        f"[{score.low:.3f}, {score.high:.3f}]",
        f"{row.evaluation.macro_f1.value:.3f}",
        duration_text(row.seconds) + (" + pass" if data.shares_pass(row) else ""),
        "" if row.origin is None else f"{row.origin:.3f}",
        "" if stated is None else f"{stated[0]:.3f} [{stated[1]:.3f}, {stated[2]:.3f}]",
        "" if stated is None else row.verdict,
    )


def _aligned(text: str, width: int, column: int) -> str:
    """Return a cell as wide as its column: words to the left, numbers to the right."""
    return f"{text:>{width}}" if column in _NUMBERS else f"{text:<{width}}"


def _mark(data: ReportData, row: RowData) -> str:
    """Return the two marks before a row: best, and tied or unclear."""
    first = "*" if row is data.best_row else " "
    return first + ("?" if row in unclear_rows(data) else "=" if data.trial_of(row).tied else " ")


def _ties(data: ReportData) -> list[str]:
    """Return what the marks say."""
    num_tied, num_unclear = len(tied_rows(data)), len(unclear_rows(data))
    if num_tied:
        lines = [f"* best row; {num_tied} tied with it (=): {TIE_WORDS}, within {MARGIN_WORDS}."]
    else:
        lines = ["* best row." if num_unclear else "* best row; none is tied with it."]
    if num_unclear:
        lines.append(f"? the pictures are too few to tell {num_unclear} of the others from it, or to call that a tie.")
    return lines


def _times(data: ReportData) -> list[str]:
    """Return what the column of times leaves out, where there are heads on the frozen network."""
    if not data.has_shared_pass:
        return []
    shared = f"took {duration_text(data.pass_s)}" if data.pass_s else "was there from an earlier run"
    return [f"+ pass: the one pass of the network over the pictures, which these rows share, {shared}."]


def _leaks(data: ReportData) -> list[str]:
    """Return the best row's accuracy without held-out pictures that have a copy in training, where there are such."""
    evaluation = data.best_row.evaluation
    if (clean := evaluation.accuracy_without_leaks) is None:
        return []
    num_leaked = evaluation.accuracy.n - clean.n
    pictures = "picture that has" if num_leaked == 1 else "pictures that have"
    score = f"{clean.value:.3f} [{clean.low:.3f}, {clean.high:.3f}] of {clean.n:,}"
    return [
        f"Without the {num_leaked:,} held-out {pictures} {evaluation.leaked_by} in training, the best row: {score}."
    ]
