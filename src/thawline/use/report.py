"""ReportData -> one offline HTML file; a leaderboard -> CSV.

One idea: names of classes and files come from strangers. The template escapes everything, and a content security
policy inside the page forbids scripts and requests.
"""

from __future__ import annotations

import base64
import csv
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from thawline.search.leaderboard import Leaderboard, Trial
from thawline.use.evaluation import Evaluation
from thawline.use.figures import curve_svg, percent, thaw_line_svg
from thawline.use.report_data import Cut, Mistake, Picture, ReportData
from thawline.use.svg import PALETTE_CSS

__all__ = ["Cut", "Mistake", "Picture", "ReportData", "leaderboard_csv", "render_report"]

_GAP = "\N{NO-BREAK SPACE}"
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
        "thaw_wide": _figure(thaw_line_svg(board, data.cuts)) if data.cuts else None,
        "thaw_narrow": _figure(thaw_line_svg(board, data.cuts, width_px=360)) if data.cuts else None,
        "curves": _curves(board),
        "last_cut": _last_cut(board, data.cuts),
        "findings": _findings(data.check),
        "check_notes": _check_notes(data.check),
        "shared": board.trials[0].strategy.backbone if len({t.strategy.backbone for t in board.trials}) == 1 else "",
        "provenance": {"command": data.command, "created": _moment(data.created)} | dict(data.provenance),
    }
    template = _environment().get_template("report.html.j2")
    html = template.render(facts | _test_facts(data.evaluation) | _picture_facts(data))
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


def _curves(board: Leaderboard, limit: int = 6) -> list[tuple[Trial, Markup]]:
    """Return the best trials that have curves, each with its figure."""
    drawn = [trial for trial in board.trials if trial.curve is not None][:limit]
    return [(t, _figure(curve_svg(t.curve, prefix=f"curve{n}"))) for n, t in enumerate(drawn) if t.curve is not None]


def _last_cut(board: Leaderboard, cuts: Sequence[Cut]) -> Trial | None:
    """Return the best trial with a linear head on the deepest cut alone: what most people would have built."""
    deepest = max((cut.index for cut in cuts), default=-1)
    for trial in board.trials:
        if trial.strategy.depths == (deepest,) and trial.strategy.head == "linear":
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
        "span": _span,
        "points": _points,
        "jpeg": _jpeg_url,
        "moment": _moment,
        "fact": _fact,
        "unit": _unit,
        "odds": _odds,
        "duration": _duration,
    }
    environment.globals |= {"scale": _scale, "confusions": _confusions}
    return environment


def _span(low: float, high: float) -> str:
    """Return an interval of shares: `96.8–99.6 %`."""
    return f"{100 * low:.1f}–{100 * high:.1f}{_GAP}%"


def _points(difference: float) -> str:
    """Return a difference of shares in percentage points, with a true minus sign."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in {"+0.0", "-0.0"} else text.replace("-", "−")


def _jpeg_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _fact(value: object) -> str:
    """Return a fact of provenance as text: numbers with at most four significant digits after the point."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(_fact(item) for item in value)
    return str(value)


def _unit(key: str) -> str:
    """Return a key of provenance as words, its unit in brackets: `extract_s` becomes `extract (s)`."""
    words, _, unit = key.rpartition("_")
    return f"{words.replace('_', ' ')} ({unit})" if words and unit in {"s", "ms", "px"} else key.replace("_", " ")


def _moment(iso: str) -> str:
    """Return an ISO 8601 date or moment to the minute, in UTC where its zone is known; other text as it is.

    >>> _moment("2026-11-22T06:04:23+01:00")
    '2026-11-22 05:04 UTC'
    >>> _moment("2026-11-22T05:04:23"), _moment("2026-11-22"), _moment("last week")
    ('2026-11-22 05:04', '2026-11-22', 'last week')
    """
    try:
        return dt.date.fromisoformat(iso).isoformat()
    except ValueError:
        pass
    try:
        moment = dt.datetime.fromisoformat(iso)
        if moment.tzinfo is None:
            return f"{moment:%Y-%m-%d %H:%M}"
        return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):  # no date, or one that another zone puts before year 1 or after 9999
        return iso


def _odds(error: float) -> str:
    """Return how often something goes wrong in words: `about 1 in 90`, `about 3 in 10`.

    >>> _odds(0.011)
    'about 1 in 90'
    """
    if error <= 0:
        return "none"
    if error > 0.27:
        return f"about {round(10 * error)} in 10"
    count = 1 / error
    step = 1 if count < 20 else 10 if count < 200 else 100
    return f"about 1 in {round(count / step) * step:,}"


def _duration(milliseconds: float) -> str:
    """Return milliseconds with two significant digits."""
    return f"{milliseconds:.1f}{_GAP}ms" if milliseconds < 10 else f"{milliseconds:,.0f}{_GAP}ms"


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
