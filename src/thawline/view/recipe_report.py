"""ReportData -> one offline HTML file that sets the rows of a comparison side by side; the same as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from functools import partial
from typing import Any

from markupsafe import Markup

from thawline.core.html import Scale, scale_of
from thawline.view.curves import curve_svg
from thawline.view.page import both_widths, render_page, safe_figure
from thawline.view.recipe_summary import (
    goal_text,
    is_held_out_once,
    recipe_text,
    scored_text,
    small_part_text,
    tied_rows,
    unclear_rows,
)
from thawline.view.report_data import ReportData, RowData
from thawline.view.story import story_svg
from thawline.view.words import percent, printable, shared_backbone

__all__ = ["recipe_csv", "recipe_text", "render_recipe_report"]


def recipe_csv(data: ReportData) -> str:
    """Return the comparison as CSV with a heading row, in the author's order: shares in [0, 1], six decimals.

    `expected` is the accuracy that the recipe states; what it, the author or the data do not say is left empty.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    scores = ("accuracy", "low", "high", "accuracy_without_leaks", "precision", "recall", "macro_f1")
    writer.writerow(["row", "does", "origin", *scores, "seconds", "shares_pass", "tied", "expected", "verdict"])
    for row in data.rows:
        test = row.evaluation
        clean = test.accuracy_without_leaks
        numbers = [row.origin, test.accuracy.value, test.accuracy.low, test.accuracy.high]
        numbers += [
            clean.value if clean else None,
            test.macro_precision.value,
            test.macro_recall.value,
            test.macro_f1.value,
            row.seconds,
        ]
        facts = [str(fact).lower() for fact in (data.shares_pass(row), data.trial_of(row).tied)]
        stated = row.expected[0] if row.expected else None
        writer.writerow([row.name, row.does, *map(_number, numbers), *facts, _number(stated), row.verdict])
    return out.getvalue()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def render_recipe_report(data: ReportData) -> str:
    """Return the report as one HTML document that needs no other file, no network and no script.

    Equal data give equal text. Whatever cannot be written as UTF-8 (file names that are not text) becomes `?`.
    """
    outside = data.comparison.outside if data.comparison else ()
    facts: dict[str, Any] = {
        "rows_of": data.comparison,
        "backbone": shared_backbone(data.leaderboard),
        "best": data.best_row,
        "ties": tied_rows(data),
        "unclear": unclear_rows(data),
        "goal_text": goal_text(data, percent),
        "scored": scored_text(data),
        "small_part": small_part_text(data, percent),
        "held_out_once": is_held_out_once(data),
        "row_scale": _row_scale(data),
        "clean_n": next((clean.n for row in data.rows if (clean := row.evaluation.accuracy_without_leaks)), None),
        "has_origins": any(row.origin is not None for row in data.rows),
        "has_expected": any(row.expected for row in data.rows),
        "is_mixed": len({trial.strategy.kind for trial in data.leaderboard.trials}) > 1,
        "times": _times(data),
        "curves": _curves(data),
        "drifts": _drifts(data),
        "known": [picture for picture in outside if picture.true is not None],
    }
    return render_page("recipe.html.j2", data, facts)


def _row_scale(data: ReportData) -> Scale:
    """Return a scale that holds every row's intervals, what the author got, and the goal."""
    tests = [row.evaluation for row in data.rows]
    scores = [score for test in tests for score in (test.accuracy, test.accuracy_without_leaks) if score]
    marks = [row.origin for row in data.rows if row.origin is not None]
    marks += [data.goal] if data.goal is not None else []
    return scale_of([*(score.low for score in scores), *marks], [*(score.high for score in scores), *marks])


def _times(data: ReportData) -> tuple[Markup, Markup] | None:
    """Return accuracy against time for a page and a phone, where rows are trained in more than one way."""
    of_name = {row.name: row for row in data.rows}
    if len({(trial.strategy.kind, of_name[trial.name].epochs is None) for trial in data.leaderboard.trials}) == 1:
        return None
    took = {row.name: row.seconds + (data.pass_s if data.shares_pass(row) else 0.0) for row in data.rows}
    trials = tuple(
        replace(
            trial,
            fit_s=took[trial.name],
            strategy=replace(trial.strategy, name=printable(trial.name)),
        )
        for trial in data.leaderboard.trials
    )
    board = replace(data.leaderboard, trials=trials, winner=0)  # the ring is to mark the best row
    return both_widths(partial(story_svg, trials=trials), board)


def _curves(data: ReportData) -> list[tuple[RowData, Markup]]:
    """Return the rows that were trained epoch by epoch, each with its figure, in the author's order."""
    drawn = [(row, data.trial_of(row).curve) for row in data.rows]
    return [
        (row, safe_figure(curve_svg(curve, prefix=f"curve{n}", goal=data.goal)))
        for n, (row, curve) in enumerate(drawn)
        if curve is not None
    ]


def _drifts(data: ReportData) -> list[tuple[RowData, tuple[Markup, Markup], str]]:
    """Return the rows whose backbone was measured before and after, each with its figure and a line of words."""
    moved = [(row, data.drifts[row.name]) for row in data.rows if row.name in data.drifts]
    if not moved:
        return []
    from thawline.features.drift import drift_from_json  # torch
    from thawline.view.drift_plot import drift_svg, head_words

    drawn = []
    for n, (row, raw) in enumerate(moved):
        drift = drift_from_json(raw)
        wide, narrow = (drift_svg(drift, prefix=f"drift{n}-{width}", width_px=width) for width in (920, 360))
        drawn.append((row, (safe_figure(wide), safe_figure(narrow)), head_words(drift)))
    return drawn
