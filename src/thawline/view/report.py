"""ReportData -> one offline HTML file; a leaderboard -> CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from markupsafe import Markup

from thawline.features.backbone import CutPoint
from thawline.search.leaderboard import Leaderboard, Trial
from thawline.view.curves import curve_svg, finder_svg, is_stepped
from thawline.view.page import both_widths, render_page, safe_figure
from thawline.view.report_data import ReportData
from thawline.view.story import story_svg
from thawline.view.thaw_line import thaw_line_svg
from thawline.view.words import KIND_WORDS, shared_backbone

__all__ = ["history_csv", "leaderboard_csv", "render_report"]

_METRIC_WORDS = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}


def leaderboard_csv(leaderboard: Leaderboard) -> str:
    """Return the leaderboard as CSV with a heading row: best first, shares in [0, 1], six decimals."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    scores = ("mean", "low", "high", "difference", "difference_low", "difference_high", "p_value")
    numbers = (*scores, "accuracy", "macro_f1", "fit_s", "predict_ms")
    writer.writerow(["rank", "strategy", "kind", "head", "tied", "winner", *numbers, "cost"])
    for index, trial in enumerate(leaderboard.trials):
        strategy = trial.strategy
        row: list[object] = [index + 1, strategy.name, strategy.kind, strategy.head]
        row += [str(trial.tied).lower(), str(index == leaderboard.winner).lower()]
        row += [f"{getattr(trial, name):.6f}" for name in numbers]
        writer.writerow([*row, f"{strategy.cost:.6f}"])
    return out.getvalue()


def history_csv(leaderboard: Leaderboard) -> str:
    """Return the epochs of every trial that has a curve as CSV with a heading row, in the leaderboard's order.

    Epochs count from 1; losses are in nats, accuracies in [0, 1]; a step size that was not recorded is left empty.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy", "learning_rate")
    writer.writerow(["strategy", "kind", "epoch", *columns])
    for trial in leaderboard.trials:
        if trial.curve is None:
            continue
        lines = [getattr(trial.curve, name) for name in columns]
        for epoch, values in enumerate(zip_longest(*lines), 1):
            numbers = ["" if value is None else f"{value:.6g}" for value in values]
            writer.writerow([trial.name, trial.strategy.kind, epoch, *numbers])
    return out.getvalue()


def render_report(data: ReportData) -> str:
    """Return the report as one HTML document that needs no other file, no network and no script.

    Equal data give equal text. Whatever cannot be written as UTF-8 (file names that are not text) becomes `?`.
    """
    board = data.leaderboard
    facts: dict[str, Any] = {
        "winner": board.trials[board.winner],
        "metric": _METRIC_WORDS[board.metric],
        "thaw_line": both_widths(thaw_line_svg, board, data.cuts) if data.cuts else None,
        "finder": both_widths(finder_svg, data.finder, data.finder_rate) if data.finder else None,
        "curves": _curves(board),
        "last_cut": _last_cut(board, data.cuts),
        "shared": shared_backbone(board),
    }
    return render_page("report.html.j2", data, facts | _kind_facts(board) | _budget_facts(data) | _test_facts(data))


def _test_facts(data: ReportData) -> dict[str, Any]:
    """Return what the template says of the test beyond the evaluation's own fields."""
    test = data.evaluation
    if test is None:
        return {"test": None, "wrong": 0}
    return {"test": test, "wrong": int(test.confusion.sum() - np.trace(test.confusion))}


def _curves(board: Leaderboard) -> list[tuple[Trial, Markup]]:
    """Return the trials that have curves, each with its figure: those that train a network first, best first."""
    drawn = [(trial, trial.curve) for trial in board.trials if trial.curve is not None]
    drawn.sort(key=lambda pair: pair[0].strategy.kind == "frozen")
    return [(trial, safe_figure(curve_svg(curve, prefix=f"curve{n}"))) for n, (trial, curve) in enumerate(drawn)]


def _kind_facts(board: Leaderboard) -> dict[str, Any]:
    """Return the story of the kinds where there is more than one: its figure, and the best trial of each kind."""
    of_kind = {kind: [trial for trial in board.trials if trial.strategy.kind == kind] for kind in KIND_WORDS}
    of_kind = {kind: trials for kind, trials in of_kind.items() if trials}
    mixed = len(of_kind) > 1
    return {
        "kinds": of_kind,
        "mixed": mixed,
        "story": both_widths(story_svg, board) if mixed else None,
        "partial": any(trial.num_pictures < board.num_pictures for trial in board.trials),
        "stepped": any(is_stepped(trial.curve) for trial in board.trials if trial.curve),
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


def _last_cut(board: Leaderboard, cuts: Sequence[CutPoint]) -> Trial | None:
    """Return the best linear head on the deepest cut of the frozen network alone: what most would have built."""
    deepest = max((cut.index for cut in cuts), default=-1)
    for trial in board.trials:
        strategy = trial.strategy
        if strategy.kind == "frozen" and strategy.depths == (deepest,) and strategy.head == "linear":
            return trial
    return None
