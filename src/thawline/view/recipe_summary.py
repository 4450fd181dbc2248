"""A recipe's data -> what there is to say of it: the best row, its ties, the goal, and the lines of a terminal.

One idea: the sentences are made here once, so that the terminal, the report and a notebook say the same.
"""

from __future__ import annotations

from collections.abc import Callable

from thawline.core.html import html_table, interval_bar, scale_of
from thawline.core.intervals import wilson
from thawline.core.scores import Score
from thawline.search.ties import SIGNIFICANCE
from thawline.view.report_data import ReportData, RowData
from thawline.view.words import duration_text, printable, shared_backbone

__all__ = [
    "goal_text",
    "is_held_out_once",
    "recipe_repr_html",
    "recipe_text",
    "scored_text",
    "small_part_text",
    "tied_rows",
    "unclear_rows",
]

SMALL_PART = 100
"""Held-out pictures below which an accuracy is said to be a rough one."""


def tied_rows(data: ReportData) -> tuple[RowData, ...]:
    """Return the rows that a paired test cannot tell from the best one, in the author's order, without it."""
    best = data.best_row
    return tuple(row for row in data.rows if row is not best and data.trial_of(row).tied)


def unclear_rows(data: ReportData) -> tuple[RowData, ...]:
    """Return the rows that the pictures are too few to judge, in the author's order.

    A paired test cannot tell them from the best one, and a loss of more than 5 points cannot be ruled out either.
    """
    best = data.best_row
    trials = {row.name: data.trial_of(row) for row in data.rows}
    return tuple(
        row
        for row in data.rows
        if row is not best and not trials[row.name].tied and trials[row.name].p_value > SIGNIFICANCE
    )


def is_held_out_once(data: ReportData) -> bool:
    """Return whether there is one held-out part; else every picture was held out in turn."""
    return sum(data.counts.get("test", ())) > 0


def scored_text(data: ReportData) -> str:
    """Return how rows were scored, and over how many pictures."""
    return (
        data.leaderboard.rule
        if is_held_out_once(data)
        else f"{data.leaderboard.rule}, {data.best_row.evaluation.accuracy.n:,} pictures"
    )


def goal_text(data: ReportData, share: Callable[[float], str]) -> str:
    """Return whether the best row reached the goal, and how sure that is; empty text where there is no goal.

    Args:
        data: Of the recipe.
        share: How a share is written.

    >>> from types import SimpleNamespace as N
    >>> data = N(headline=Score(0.88, 0.84, 0.91, 300), goal=0.85, goal_reached=True)
    >>> goal_text(data, "{:.2f}".format)
    'reached, but its interval begins at 0.84, below the goal: the pictures may have been kind'
    """
    score = data.headline
    if data.goal is None or score is None:
        return ""
    if data.goal_reached:
        if score.low > data.goal:
            return "reached, by the whole of the interval"
        return (
            f"reached, but its interval begins at {share(score.low)}, below the goal: the pictures may have been kind"
        )
    if score.high > data.goal:
        return f"not reached, but its interval ends at {share(score.high)}, above the goal: these pictures cannot tell"
    return "not reached, by the whole of the interval"


def small_part_text(data: ReportData, share: Callable[[float], str]) -> str:
    """Return what the author's best, or the goal, means by so few pictures; empty text where they are 100 or more.

    Args:
        data: Of the recipe.
        share: How a share is written.
    """
    best = data.best_row
    n = best.evaluation.accuracy.n
    if n >= SMALL_PART:
        return ""
    origins = [row.origin for row in data.rows if row.origin is not None]
    example = max(origins) if origins else data.goal if data.goal is not None else best.evaluation.accuracy.value
    low, high = wilson(example * n, n)
    words = (
        f"Only {n} pictures were held out: {share(example)} of {n} means anything from {share(low)} to {share(high)}."
    )
    if is_held_out_once(data):
        words += " `--protocol folds` holds every picture out once and says more."
    return words


def recipe_text(data: ReportData) -> str:
    """Return the comparison as aligned columns in the author's order, and what follows from it.

    `*` marks the best row, `=` those that a paired test cannot tell from it, within 5 points, and `?` those of which
    the pictures are too few to say either. Of names, what would move the cursor of a terminal is shown as `?`.
    """
    best = data.best_row
    heading = ("row", "accuracy", "95 % interval", "macro-F1", "time", "origin", "expected", "")
    cells = [heading, *(_cells(data, row) for row in data.rows)]
    widths = [max(len(text) for text in column) for column in zip(*cells, strict=True)]
    said = [place for place, column in enumerate(zip(*cells[1:], strict=True)) if any(column)]
    unclear = unclear_rows(data)
    second = {row.name: "=" if data.trial_of(row).tied else "?" if row in unclear else " " for row in data.rows}
    marks = ["  ", *(("*" if row is best else " ") + second[row.name] for row in data.rows)]
    lines = [printable(data.title), f"  {scored_text(data)}, {printable(shared_backbone(data.leaderboard))}", ""]
    for mark, line in zip(marks, cells, strict=True):
        shown = "  ".join(_fit(line[place], widths[place], place) for place in said)
        lines.append(f"  {mark} {shown}".rstrip())
    if ties := len(tied_rows(data)):
        told = f"; {ties} tied with it (=): a paired test at 5 % cannot tell them apart, within 5 points"
    else:
        told = "" if unclear else "; none is tied with it"
    lines += ["", f"* best row{told}."]
    if unclear:
        lines.append(f"? the pictures are too few to tell {len(unclear)} of the others from it, or to call that a tie.")
    lines += _of_times(data) + _of_leaks(best)
    if data.goal is not None:
        outcome = "PASS" if data.goal_reached else "FAIL"
        lines.append(f"{outcome}  goal {data.goal:.3f}: {goal_text(data, '{:.3f}'.format)}.")
    if small := small_part_text(data, "{:.2f}".format):
        lines.append(f"Note: {small}")
    return "\n".join(lines)


def recipe_repr_html(data: ReportData) -> str:
    """Return what a notebook shows of a recipe's run: its rows in the author's order, and what became of the goal."""
    best = data.best_row
    scores = [row.evaluation.accuracy for row in data.rows]
    scale = scale_of([score.low for score in scores], [score.high for score in scores])
    rows = []
    for row, score in zip(data.rows, scores, strict=True):
        tied = data.trial_of(row).tied
        tone = "lead" if row is best else "tied" if tied else "behind"
        name, value, _, f1, time, origin, _, verdict = _cells(data, row)
        bar = interval_bar(scale, score.value, low=score.low, high=score.high, tone=tone)
        mark = "tied" if tied else ""
        rows.append((name, value, bar, f1, time, origin, verdict, "best" if row is best else mark))
    said = [f"Goal {data.goal:.3f}: {goal_text(data, '{:.3f}'.format)}." if data.goal is not None else ""]
    return html_table(
        f"{data.title}: {scored_text(data)}",
        ("row", ">accuracy", "95 % interval", ">macro-F1", ">time", ">origin", "expected", ""),
        rows=rows,
        note=" ".join([*said, small_part_text(data, "{:.2f}".format)]).strip(),
    )


def _cells(data: ReportData, row: RowData) -> tuple[str, ...]:
    """Return a row of the table as texts."""
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


def _fit(text: str, width: int, column: int) -> str:
    """Return a cell as wide as its column: words to the left, numbers to the right."""
    return f"{text:<{width}}" if column in (0, 6, 7) else f"{text:>{width}}"


def _of_times(data: ReportData) -> list[str]:
    """Return what the column of times leaves out, where there are heads on the frozen network."""
    if not data.has_shared_pass:
        return []
    shared = f"took {duration_text(data.pass_s)}" if data.pass_s else "was there from an earlier run"
    return [f"+ pass: the one pass of the network over the pictures, which these rows share, {shared}."]


def _of_leaks(row: RowData) -> list[str]:
    """Return the best row's accuracy without held-out pictures that have a copy in training, where there are such."""
    clean: Score | None = row.evaluation.accuracy_without_leaks
    if clean is None:
        return []
    num_leaked = row.evaluation.accuracy.n - clean.n
    pictures = "picture that has" if num_leaked == 1 else "pictures that have"
    scored = f"{clean.value:.3f} [{clean.low:.3f}, {clean.high:.3f}] of {clean.n:,}"
    return [f"Without the {num_leaked:,} held-out {pictures} a copy in training, the best row: {scored}."]
