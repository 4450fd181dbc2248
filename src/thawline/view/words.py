"""Numbers, moments and facts -> the words in which people read them, on the terminal and in the report.

One idea: a number is put into words in one place, so a duration or a share reads the same wherever it stands.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a list and a refusal are worded without the arithmetic of scores
    from thawline.core.scores import Score, ScoreKind
    from thawline.search.leaderboard import Leaderboard, Trial
    from thawline.search.strategy import Kind, Strategy

__all__ = [
    "GAP",
    "KIND_WORDS",
    "duration_text",
    "fact",
    "moment",
    "odds",
    "percent",
    "points",
    "printable",
    "score_span",
    "score_text",
    "shared_backbone",
    "short_name",
    "size_text",
    "span",
    "together_words",
    "training",
    "unit",
]

GAP = "\N{NO-BREAK SPACE}"
KIND_WORDS: dict[Kind, str] = {
    "scratch": "from nothing",
    "frozen": "frozen",
    "partial": "partly thawed",
    "full": "fully thawed",
}
"""How much of a network is trained, in words; in the order in which more of it is."""


def percent(value: float) -> str:
    """Return a share in [0, 1] as text with one decimal and a space that does not break.

    >>> percent(0.98897) == "98.9\N{NO-BREAK SPACE}%"
    True
    """
    return f"{100 * value:.1f}{GAP}%"


def span(low: float, high: float) -> str:
    """Return an interval of shares: `96.8–99.6 %`."""
    return f"{100 * low:.1f}–{100 * high:.1f}{GAP}%"


def score_text(kind: ScoreKind, value: float) -> str:
    """Return a score as its kind is told: a share in per cent, another number with three decimals."""
    return percent(value) if kind.is_share else f"{value:.3f}"


def score_span(kind: ScoreKind, score: Score) -> str:
    """Return a score's interval as its kind is told: `96.8–99.6 %`, or `0.041–0.093`."""
    return span(score.low, score.high) if kind.is_share else f"{score.low:.3f}–{score.high:.3f}"


def points(difference: float) -> str:
    """Return a difference of shares in percentage points, with a true minus sign."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in {"+0.0", "-0.0"} else text.replace("-", "−")


def printable(text: str) -> str:
    r"""Return text in which every space is a plain one, and what cannot be printed a question mark.

    >>> printable("bee\x1b[2J\n😀")
    'bee?[2J 😀'
    """
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in text)


def duration_text(seconds: float) -> str:
    """Return a duration with two or three significant digits, in the units in which people say it.

    >>> [duration_text(seconds) for seconds in (0.0032, 0.25, 3.21, 42.3, 200, 3600, 93_780)]
    ['3.2 ms', '0.25 s', '3.2 s', '42 s', '3 min 20 s', '1 h', '26 h 3 min']
    """
    if seconds < 0.00995:
        return f"{1000 * seconds:.1f} ms"
    if seconds < 0.0995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 0.995:
        return f"{seconds:.2g} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    large, small, names = (
        (*divmod(round(seconds), 60), ("min", "s"))
        if seconds < 3599.5
        else (*divmod(round(seconds / 60), 60), ("h", "min"))
    )
    return f"{large:,} {names[0]}" + (f" {small} {names[1]}" if small else "")


def size_text(num_bytes: float) -> str:
    """Return an amount of memory or disk in MiB or GiB.

    >>> [size_text(num_bytes) for num_bytes in (0, 3_000, 480 * 2**20, 3 * 2**29)]
    ['0 MiB', '0.1 MiB', '480 MiB', '1.5 GiB']
    """
    mebibytes = num_bytes / 2**20
    if mebibytes >= 1000:
        return f"{mebibytes / 1024:,.1f} GiB"
    return f"{mebibytes:.0f} MiB" if mebibytes >= 10 or num_bytes == 0 else f"{max(mebibytes, 0.1):.1f} MiB"


def odds(error: float) -> str:
    """Return how often something goes wrong in words: `about 1 in 90`, `about 3 in 10`.

    >>> odds(0.011)
    'about 1 in 90'
    """
    if error <= 0:
        return "none"
    if error > 0.27:
        return f"about {round(10 * error)} in 10"
    count = 1 / error
    step = 1 if count < 20 else 10 if count < 200 else 100
    return f"about 1 in {round(count / step) * step:,}"


def shared_backbone(leaderboard: Leaderboard) -> str:
    """Return the backbone that all trials but those from nothing share, or empty text where there are several."""
    trials = leaderboard.trials
    names = {trial.strategy.backbone for trial in trials if trial.strategy.kind != "scratch"}
    return names.pop() if len(names) == 1 else ""


def short_name(trial: Trial, backbone: str) -> str:
    """Return a trial's name without the backbone that stands over it."""
    return trial.name.removeprefix(f"{backbone} · ") if backbone else trial.name


def together_words(strategy: Strategy) -> str:
    """Return what answers together: `the mean of 2 heads: whole · linear, fused 4.0–head (mean+std) · linear`."""
    names = [member.name.removeprefix(f"{strategy.backbone} · ") for member in strategy.members]
    return f"the mean of {len(names)} heads: {', '.join(names)}"


def training(strategy: Strategy) -> tuple[str, str]:
    """Return which part of the network is read or trained: the name of the fact, and the fact."""
    augmented = f"; pictures varied by {strategy.augment}" if strategy.augment != "none" else ""
    if strategy.kind == "frozen":
        depths = f"{len(strategy.depths)} depth{'' if len(strategy.depths) == 1 else 's'}"
        what = together_words(strategy) if strategy.members else f"{strategy.head} head"
        return "reads", f"{' + '.join(strategy.pooling)} at {depths}; {what}{augmented}"
    plan = "everything, from random weights" if strategy.kind == "scratch" else strategy.tune or "everything"
    return "trained", plan + augmented


def fact(value: object) -> str:
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
        return ", ".join(fact(item) for item in value)
    return str(value)


def unit(key: str) -> str:
    """Return a key of provenance as words, its unit in brackets: `extract_s` becomes `extract (s)`."""
    words, _, last = key.rpartition("_")
    return f"{words.replace('_', ' ')} ({last})" if words and last in {"s", "ms", "px"} else key.replace("_", " ")


def moment(iso: str) -> str:
    """Return an ISO 8601 date or moment to the minute, in UTC where its zone is known; other text as it is.

    >>> moment("2026-11-22T06:04:23+01:00")
    '2026-11-22 05:04 UTC'
    >>> moment("2026-11-22T05:04:23"), moment("2026-11-22"), moment("last week")
    ('2026-11-22 05:04', '2026-11-22', 'last week')
    """
    try:
        return dt.date.fromisoformat(iso).isoformat()
    except ValueError:
        pass
    try:
        when = dt.datetime.fromisoformat(iso)
        if when.tzinfo is None:
            return f"{when:%Y-%m-%d %H:%M}"
        return f"{when.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):  # no date, or one that another zone puts before year 1 or after 9999
        return iso
