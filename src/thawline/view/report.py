"""ReportData -> one offline HTML file, whatever run it is of.

One idea: the parts stand in the order of a person's questions, and each is there where the data have something for it;
`_sections` says which, and the page and its table of contents follow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from markupsafe import Markup

from thawline.core.html import Scale, scale_of
from thawline.core.scores import SCORES, Score
from thawline.features.backbone import CutPoint
from thawline.features.drift import drift_from_json
from thawline.search.leaderboard import Leaderboard, Trial
from thawline.use.evaluation import ALL_LEAKED, Evaluation
from thawline.view.curves import curve_svg, finder_svg, is_stepped
from thawline.view.drift_plot import drift_svg, head_words
from thawline.view.outcome import (
    better_frozen_text,
    choosing_text,
    disagreement_text,
    goal_text,
    is_cross_validated,
    is_held_out_once,
    refit_text,
    scored_text,
    small_part_text,
    source_text,
    tied_rows,
    unclear_rows,
)
from thawline.view.page import both_widths, one_width, render_page, safe_figure
from thawline.view.page_advice import advice_facts
from thawline.view.page_pictures import picture_facts, script_facts
from thawline.view.pareto import pareto_front, pareto_svg
from thawline.view.report_data import ReportData, RowComparison
from thawline.view.story import story_svg
from thawline.view.thaw_line import thaw_line_svg
from thawline.view.usage import commands_of
from thawline.view.what_next import next_steps
from thawline.view.words import KIND_WORDS, percent, printable, shared_backbone

__all__ = ["render_report"]


def render_report(data: ReportData) -> str:
    """Return the report as one HTML document that needs no other file and no network.

    Equal data give equal text. Whatever cannot be written as UTF-8 (file names that are not text) becomes `?`.

    Raises:
        StoreError: A drift among the data cannot be read.
    """
    board = data.leaderboard
    facts: dict[str, Any] = {
        "rows_of": data.comparison,
        "winner": board.trials[board.winner],
        "metric": board.metric.replace("_", " "),
        "shared": shared_backbone(board),
        "held_out_once": is_held_out_once(data),
        "goal_text": goal_text(data, percent),
        "refit_text": refit_text(data),
        "source_text": source_text(data),
        "better_frozen": better_frozen_text(data, percent),
        "disagreement": disagreement_text(data, percent),
        "choosing_text": choosing_text(board),
        "cross_validated": is_cross_validated(board),
        "goal_marks": [("goal", data.goal)] if data.goal is not None else [],
        "finder": both_widths(finder_svg, data.finder, data.finder_rate) if data.finder else None,
        "drifts": _drifts(data),
    }
    facts |= _kind_facts(board) | _test_facts(data) | _curve_facts(data) | _budget_facts(data)
    facts |= _thaw_facts(data.comparison.frozen if data.comparison else board, data)
    facts |= _row_facts(data, data.comparison) if data.comparison else _choice_facts(data)
    facts |= picture_facts(data) | advice_facts(data)
    facts |= {
        "script_facts": script_facts(data, facts["heat_of"]),
        "steps": next_steps(data),
        "commands": commands_of(data),
    }
    facts["has"] = _held(data, facts)
    return render_page(data, facts | {"sections": _sections(data, facts)})


def _sections(data: ReportData, facts: dict[str, Any]) -> dict[str, str]:
    """Return the parts that the data have something for: id → title in the table of contents."""
    has = facts["has"]
    sections = {
        "answer": ("Answer", True),
        "next": ("Next", facts["steps"]),
        "fails": ("Where it fails", data.evaluation or data.album.num_answered),
        "sure": ("How sure", data.evaluation),
        "data": ("Your data", has & OF_THE_DATA),
        "strategies": ("Strategies", has - OF_THE_DATA),
        "usage": ("Use it", data.evaluation),
        "provenance": ("Provenance", True),
    }
    return {name: title for name, (title, content) in sections.items() if content}


OF_THE_DATA = {"check", "pictures", "outside", "suspects", "map"}


def _held(data: ReportData, facts: dict[str, Any]) -> set[str]:
    """Return what there is to show of data and strategies."""
    rows = data.comparison
    parts = {
        "story": facts["story"],
        "thaw-line": facts["thaw_lines"],
        "milliseconds": facts["pareto"],
        "leaderboard": not rows,
        "budget": data.forecast,
        "curves": facts["curves"] or facts["finder"],
        "forgetting": facts["drifts"],
        "pictures": data.counts or data.pictures,
        "outside": rows and rows.outside,
        "check": data.check,
        "suspects": facts["advice"].suspects,
        "map": facts["map_figures"],
    }
    return {name for name, content in parts.items() if content}


def _kind_facts(board: Leaderboard) -> dict[str, Any]:
    """Return the trials of each kind, and what the template says where there are several kinds or parts."""
    of_kind = {kind: [trial for trial in board.trials if trial.strategy.kind == kind] for kind in KIND_WORDS}
    of_kind = {kind: trials for kind, trials in of_kind.items() if trials}
    return {
        "kinds": of_kind,
        "mixed": len(of_kind) > 1,
        "partial": any(trial.num_pictures < board.num_pictures for trial in board.trials),
    }


def _test_facts(data: ReportData) -> dict[str, Any]:
    """Return the evaluations: the one that the page opens with, the kept model's, and all of them by name."""
    board, kept = data.leaderboard, data.evaluation
    opening = data.best_row.evaluation if data.rows else kept
    answered = [(row.name, row.evaluation) for row in data.rows]
    if not answered and kept:
        answered = [(board.trials[board.winner].name, kept)]
    return {
        "opening": opening,
        "kept": kept,
        "all_leaked": ALL_LEAKED.format(opening.leaked_by) if opening and opening.is_all_leaked else "",
        "answered": answered,
        "score_kinds": [kind for kind in SCORES if any(kind.name in test.scores for _, test in answered)],
        "wrong": int(opening.confusion.sum() - np.trace(opening.confusion)) if opening else 0,
    }


def _curve_facts(data: ReportData) -> dict[str, Any]:
    """Return every trial that has a curve, with its figure: rows in their order, else trained networks first."""
    board = data.leaderboard
    trials = [data.trial_of(row) for row in data.rows]
    trials = trials or sorted(board.trials, key=lambda trial: trial.strategy.kind == "frozen")
    curves = [(trial, trial.curve) for trial in trials if trial.curve is not None]
    return {
        "curves": [
            (trial, one_width(partial(curve_svg, prefix=f"curve{n}", goal=data.goal), curve))
            for n, (trial, curve) in enumerate(curves)
        ],
        "stepped": any(is_stepped(curve) for _, curve in curves),
        "watched": bool(data.rows) and is_held_out_once(data),
    }


def _budget_facts(data: ReportData) -> dict[str, Any]:
    """Return the totals of the budget, and the seconds at which its bars end.

    The bars end where what ran, and the budget itself, are just held: the forecast of what was left out for its
    length may be far longer.
    """
    ran = [row for row in data.forecast if row["took_s"] is not None]
    end = max([*(row["took_s"] for row in ran), *(row["seconds"] for row in ran), data.budget_s or 0.0], default=0.0)
    return {
        "ran": ran,
        "ran_forecast_s": sum(row["seconds"] for row in ran),
        "ran_took_s": sum(row["took_s"] for row in ran),
        "bars_end_s": end or max((row["seconds"] for row in data.forecast), default=1.0) or 1.0,
    }


def _thaw_facts(board: Leaderboard | None, data: ReportData) -> dict[str, Any]:
    """Return the thaw line of every network's frozen strategies; there is none where they read a single depth."""
    trials = [trial for trial in board.trials if trial.strategy.is_plain] if board else []
    num_depths = len({depth for trial in trials for depth in trial.strategy.depths})
    drawn = board is not None and num_depths > 1
    return {
        "frozen": board,
        "num_depths": num_depths,
        "thaw_lines": [
            (name, both_widths(partial(thaw_line_svg, prefix=f"thaw{place or ''}"), board, cuts))
            for place, (name, cuts) in enumerate(data.cuts_of.items())
            if drawn and cuts
        ],
        "last_cut": _last_cut(trials, data.cuts),
        "has_fused": any(trial.strategy.is_fused for trial in trials),
    }


def _last_cut(trials: Sequence[Trial], cuts: Sequence[CutPoint]) -> Trial | None:
    """Return the best linear head on the deepest cut of the frozen network alone: what most would have built."""
    deepest = max((cut.index for cut in cuts), default=-1)
    return next(
        (trial for trial in trials if trial.strategy.depths == (deepest,) and trial.strategy.head == "linear"), None
    )


def _choice_facts(data: ReportData) -> dict[str, Any]:
    """Return what the page says where strategies were compared and one was chosen."""
    board, test = data.leaderboard, data.evaluation
    winner = board.trials[board.winner]
    lows, highs = [board.chosen_low, winner.low], [board.chosen_high, winner.high]
    is_mixed = len({trial.strategy.kind for trial in board.trials}) > 1
    return {
        "best": winner,
        "small_part": "",
        "result_scale": _scale([test] if test else [], lows, highs, data.goal),
        "story": both_widths(story_svg, board) if is_mixed else None,
        "pareto": both_widths(pareto_svg, board) if len(pareto_front(board.trials)) > 1 else None,
    }


def _scale(tests: Sequence[Evaluation], lows: Sequence[float], highs: Sequence[float], goal: float | None) -> Scale:
    """Return a scale that holds the accuracies of the tests with their intervals, all other ends, and the goal."""
    scores: list[Score] = [score for test in tests for score in (test.accuracy, test.accuracy_without_leaks) if score]
    goals = [goal] if goal is not None else []
    low_ends = [*(score.low for score in scores), *lows, *goals]
    return scale_of(low_ends, [*(score.high for score in scores), *highs, *goals])


def _row_facts(data: ReportData, comparison: RowComparison) -> dict[str, Any]:
    """Return what the page says where rows were answered one by one."""
    tests = [row.evaluation for row in data.rows]
    origins = [row.origin for row in data.rows if row.origin is not None]
    known = [picture for picture in comparison.outside if picture.true is not None]
    return {
        "best": data.best_row,
        "ties": tied_rows(data),
        "unclear": unclear_rows(data),
        "scored": scored_text(data),
        "small_part": small_part_text(data, percent),
        "row_scale": _scale(tests, origins, origins, data.goal),
        "clean_n": next((clean.n for test in tests if (clean := test.accuracy_without_leaks)), None),
        "has_origins": bool(origins),
        "has_expected": any(row.expected for row in data.rows),
        "story": _row_times(data),
        "pareto": None,
        "known": known,
        "num_known_right": sum(picture.is_right for picture in known),
    }


def _row_times(data: ReportData) -> tuple[Markup, Markup] | None:
    """Return accuracy against time for a page and a phone, where rows are trained in more than one way."""
    row_of = {row.name: row for row in data.rows}
    board = data.leaderboard
    if len({(trial.strategy.kind, row_of[trial.name].epochs is None) for trial in board.trials}) == 1:
        return None
    trials = tuple(
        replace(
            trial,
            fit_s=row_of[trial.name].seconds + (data.pass_s if data.shares_pass(row_of[trial.name]) else 0.0),
            strategy=replace(trial.strategy, name=printable(trial.name)),
        )
        for trial in board.trials
    )
    ringed = replace(board, trials=trials, winner=0)  # the ring is to mark the best row
    return both_widths(partial(story_svg, trials=trials), ringed)


def _drifts(data: ReportData) -> list[tuple[str, tuple[Markup, Markup], str]]:
    """Return what was measured before and after its training: its name, its figure, and a line of words."""
    drawn = []
    for n, (name, raw) in enumerate(data.drifts.items()):
        drift = drift_from_json(raw)
        wide, narrow = (drift_svg(drift, prefix=f"drift{n}-{width}", width_px=width) for width in (920, 360))
        drawn.append((name, (safe_figure(wide), safe_figure(narrow)), head_words(drift)))
    return drawn
