"""ReportData -> one offline HTML file; a leaderboard -> CSV.

One idea: names of classes and files come from strangers. The template escapes everything, and a content security
policy inside the page forbids scripts and requests.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from thawline.search.leaderboard import Leaderboard, Trial
from thawline.use.curves import curve_svg, finder_svg
from thawline.use.evaluation import Evaluation
from thawline.use.report_data import Cut, Mistake, Picture, ReportData
from thawline.use.story import shared_backbone, short_name, story_svg
from thawline.use.svg import PALETTE_CSS
from thawline.use.thaw_line import thaw_line_svg
from thawline.use.words import (
    GAP,
    KIND_WORDS,
    duration_text,
    fact,
    moment,
    odds,
    percent,
    points,
    size_text,
    span,
    training,
    unit,
)

__all__ = ["Cut", "Mistake", "Picture", "ReportData", "history_csv", "leaderboard_csv", "render_report"]

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
        "data": data,
        "board": board,
        "winner": board.trials[board.winner],
        "metric": _METRIC_WORDS[board.metric],
        "palette": Markup(PALETTE_CSS),  # noqa: S704  (a constant of ours)
        "thaw_line": _both_widths(thaw_line_svg, board, data.cuts) if data.cuts else None,
        "finder": _both_widths(finder_svg, data.finder, data.finder_rate) if data.finder else None,
        "curves": _curves(board),
        "last_cut": _last_cut(board, data.cuts),
        "findings": _findings(data.check),
        "check_notes": _check_notes(data.check),
        "shared": shared_backbone(board),
        "provenance": {"command": data.command, "created": moment(data.created)} | dict(data.provenance),
    }
    facts |= _kind_facts(board) | _budget_facts(data) | _test_facts(data.evaluation) | _picture_facts(data)
    template = _environment().get_template("report.html.j2")
    html = template.render(facts)
    return html.encode("utf-8", "replace").decode("utf-8")


def _test_facts(test: Evaluation | None) -> dict[str, Any]:
    """Return what the template says of the test beyond the evaluation's own fields."""
    if test is None:
        return {"test": None, "wrong": 0, "weakest": [], "recall_scale": None}
    seen = [row for row in test.per_class if row.support]
    return {
        "test": test,
        "wrong": int(test.confusion.sum() - np.trace(test.confusion)),
        "weakest": sorted(test.per_class, key=lambda row: (row.support == 0, row.recall, row.f1)),
        "recall_scale": _scale([row.recall_low for row in seen], [row.recall_high for row in seen]),
    }


def _picture_facts(data: ReportData) -> dict[str, Any]:
    """Return the pictures by class, and the totals that the bars are drawn from."""
    pictures_of: dict[str, list[Picture]] = {}
    for picture in data.pictures:
        pictures_of.setdefault(picture.class_name, []).append(picture)
    roles = [role for role in ("train", "validation", "test") if sum(data.counts.get(role, ()))]
    totals = [sum(data.counts[role][k] for role in roles) for k in range(len(data.class_names))]
    largest = max(totals, default=0) or 1
    return {
        "K": len(data.class_names),
        "roles": roles,
        "class_totals": totals,
        "largest": largest,
        "pictures_of": pictures_of,
    }


_FINDINGS = {  # field of the check -> what the report calls one and several, and whether a person should look
    "used": ("picture used", "pictures used", False),
    "skipped": ("file skipped", "files skipped", True),
    "repaired": ("picture repaired", "pictures repaired", True),
    "exact_copies": ("group of exact copies", "groups of exact copies", True),
    "near_copies": ("group of near copies", "groups of near copies", True),
    "leaks": ("held-out picture with a copy in training", "held-out pictures with a copy in training", True),
    "conflicts": ("same picture, two labels", "same picture, two labels", True),
    "small_classes": ("class with fewer than five", "classes with fewer than five", True),
    "empty_classes": ("class left with nothing", "classes left with nothing", True),
    "similar_names": ("group of names that look alike", "groups of names that look alike", True),
}


def _findings(check: Mapping[str, Any]) -> list[tuple[str, int, bool, Any]]:
    """Return title, count, whether to look at it, and the value itself, for every known part of the check."""
    rows = []
    for key, (one, several, matters) in _FINDINGS.items():
        if key not in check:
            continue
        value = check[key]
        count = value if isinstance(value, int) else len(value)
        rows.append((one if count == 1 else several, count, matters and count > 0, value))
    return rows


def _check_notes(check: Mapping[str, Any]) -> list[str]:
    """Return the remarks of the check as sentences, imbalance included where it is worth one."""
    notes = [str(note) for note in check.get("notes", ())]
    if (imbalance := float(check.get("imbalance", 1.0))) >= 1.5:
        notes.append(f"The largest class has {imbalance:.1f} times the pictures of the smallest.")
    return notes


def _figure(svg: str) -> Markup:
    """Mark a figure as safe: its text was escaped when its tree was written."""
    return Markup(svg)  # noqa: S704


def _both_widths(draw: Callable[..., str], *what: object) -> tuple[Markup, Markup]:
    """Return a figure laid out for a page and for a phone."""
    return _figure(draw(*what)), _figure(draw(*what, width_px=360))


def _curves(board: Leaderboard) -> list[tuple[Trial, Markup]]:
    """Return the trials that have curves, each with its figure: those that train a network first, best first."""
    drawn = [(trial, trial.curve) for trial in board.trials if trial.curve is not None]
    drawn.sort(key=lambda pair: pair[0].strategy.kind == "frozen")
    return [(trial, _figure(curve_svg(curve, prefix=f"curve{n}"))) for n, (trial, curve) in enumerate(drawn)]


def _kind_facts(board: Leaderboard) -> dict[str, Any]:
    """Return the story of the kinds where there is more than one: its figure, and the best trial of each kind."""
    of_kind = {kind: [trial for trial in board.trials if trial.strategy.kind == kind] for kind in KIND_WORDS}
    of_kind = {kind: trials for kind, trials in of_kind.items() if trials}
    mixed = len(of_kind) > 1
    return {
        "kinds": of_kind,
        "mixed": mixed,
        "story": _both_widths(story_svg, board) if mixed else None,
        "partial": any(trial.num_pictures < board.num_pictures for trial in board.trials),
        "stepped": any(trial.curve.learning_rate for trial in board.trials if trial.curve),
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


def _last_cut(board: Leaderboard, cuts: Sequence[Cut]) -> Trial | None:
    """Return the best linear head on the deepest cut of the frozen network alone: what most would have built."""
    deepest = max((cut.index for cut in cuts), default=-1)
    for trial in board.trials:
        strategy = trial.strategy
        if strategy.kind == "frozen" and strategy.depths == (deepest,) and strategy.head == "linear":
            return trial
    return None


@cache
def _environment() -> jinja2.Environment:
    """Return the template environment: everything is escaped, an unknown name is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("thawline", "use"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "span": span,
        "points": points,
        "jpeg": _jpeg_url,
        "moment": moment,
        "fact": fact,
        "unit": unit,
        "odds": odds,
        "duration": _duration,
        "size": size_text,
        "training": training,
        "short": short_name,
    }
    environment.globals |= {"scale": _scale, "confusions": _confusions, "kind_words": KIND_WORDS}
    return environment


def _jpeg_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _duration(seconds: float) -> str:
    """Return a duration with spaces that do not break."""
    return duration_text(seconds).replace(" ", GAP)


@dataclass(frozen=True)
class _Scale:
    """A common scale for interval bars: shares between two round ends."""

    low: float
    high: float

    def at(self, share: float) -> str:
        """Return the place of a share in percent of the scale's width."""
        return f"{100 * min(max((share - self.low) / (self.high - self.low), 0.0), 1.0):.2f}%"

    def width(self, low: float, high: float) -> str:
        """Return the width of an interval in percent of the scale's width."""
        return f"{100 * (min(high, self.high) - max(low, self.low)) / (self.high - self.low):.2f}%"


def _scale(lows: Sequence[float], highs: Sequence[float]) -> _Scale:
    """Return a scale with ends at whole five percents that holds all the intervals."""
    low = min(max(float(np.floor(20 * min(lows, default=0.0)) / 20), 0.0), 0.95)
    high = float(np.ceil(20 * max(highs, default=1.0) - 1e-9) / 20)
    return _Scale(low, min(max(high, low + 0.05), 1.0))


def _confusions(test: Evaluation, limit: int = 20) -> list[tuple[str, str, int, int]]:
    """Return the pairs confused most often: true class, predicted class, pictures, pictures of the true class."""
    wrong = np.array(test.confusion)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    pairs = [divmod(int(flat), len(test.class_names)) for flat in order]
    totals = np.asarray(test.confusion).sum(axis=1)
    names = test.class_names
    return [(names[i], names[j], int(wrong[i, j]), int(totals[i])) for i, j in pairs if wrong[i, j]]
