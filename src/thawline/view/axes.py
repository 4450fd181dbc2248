"""An axis of shares, as every figure has it: ruled where labels are exact, stretched where scores crowd near 100 %.

One idea: on log-odds 98 % and 99 % are as far apart as 50 % and 67 %, so a score that halves the errors is seen to.
What lies on such an axis is placed and moved in pixels, whatever its scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thawline.search.leaderboard import Trial
from thawline.view.svg import LIGHT
from thawline.view.words import GAP, percent

__all__ = [
    "apart",
    "frame_shares",
    "frame_times",
    "height_of",
    "is_stretched",
    "label_cuts",
    "round_shares",
    "rule_shares",
    "shifted",
    "tooltip",
]

_STRETCHED = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.99)


def frame_shares(axes: Any, scores: Sequence[float], *, best: float) -> None:
    """Set and rule a share axis that holds all `scores`, stretched where the best is high and others lie far below."""
    if best > 0.95 and min(scores) < best - 0.2:
        _stretch(axes, max(min(scores), 0.02), min(max(scores), 0.999))
    else:
        pad = max(0.04 * (max(scores) - min(scores)), 0.004)
        axes.set_ylim(min(scores) - pad, max(scores) + pad)
        rule_shares(axes, round_shares(axes, num_bins=6))


def _stretch(axes: Any, low: float, high: float) -> None:
    """Set a log-odds axis, on which errors halve, not hide."""
    from matplotlib.ticker import NullLocator

    axes.set_yscale("logit")
    axes.set_ylim(low * 0.94, 1 - (1 - high) * 0.94)
    axes.yaxis.set_minor_locator(NullLocator())
    rule_shares(axes, [at for at in _STRETCHED if at <= high])


def is_stretched(axes: Any) -> bool:
    """Return whether the share axis shows log-odds."""
    return bool(axes.get_yscale() == "logit")


def round_shares(axes: Any, *, num_bins: int) -> list[float]:
    """Return round shares that part the axis into at most `num_bins`."""
    from matplotlib.ticker import MaxNLocator

    return [float(at) for at in MaxNLocator(nbins=num_bins, steps=[1, 2, 2.5, 5, 10]).tick_values(*axes.get_ylim())]


def rule_shares(axes: Any, shares: Sequence[float]) -> None:
    """Rule the axis at those shares that are in view and at most 1, with just the decimals that make labels exact."""
    low, high = axes.get_ylim()
    shown = [round(share, 9) + 0.0 for share in shares if low - 1e-9 <= share <= min(high, 1.0) + 1e-9]
    exact = (n for n in range(6) if all(abs(round(100 * share, n) - 100 * share) < 1e-6 for share in shown))
    decimals = next(exact, 6)
    axes.set_yticks(shown, [f"{100 * share:.{decimals}f}{GAP}%" for share in shown])


def height_of(axes: Any, score: float) -> float:
    """Return where a score is drawn: log-odds have no place for 0 and 1, so there it stops at the ends of the axis."""
    if not is_stretched(axes):
        return score
    low, high = axes.get_ylim()
    return float(min(max(score, low), high))


def shifted(axes: Any, score: float, *, up_px: float) -> float:
    """Return the score that lies `up_px` pixels above another one, whatever the scale of the axis."""
    _, y = axes.transData.transform((axes.get_xlim()[0], score))
    return float(axes.transData.inverted().transform((0, y + up_px))[1])


def apart(axes: Any, scores: Sequence[float], *, gap_px: float) -> list[float]:
    """Return the scores moved upwards as little as keeps their labels `gap_px` apart, in the order given."""
    moved = list(scores)
    floor = float("-inf")
    for index in sorted(range(len(scores)), key=lambda index: scores[index]):
        moved[index] = max(scores[index], floor)
        floor = shifted(axes, moved[index], up_px=gap_px)
    return moved


def label_cuts(axes: Any, cuts: Sequence[tuple[str, float]], *, spacing_px: float) -> None:
    """Write the cuts' names and their shares of the cost below the axis, as many as there is room for.

    Args:
        axes: Counts the cuts from 0, shallow to deep.
        cuts: (label, share of the network's cost in [0, 1]) of each.
        spacing_px: Pixels from one cut to the next.
    """
    longest = max((len(label) for label, _ in cuts), default=1)
    step = max(1, -(-int(max(7.0 * longest, 34) + 4) // max(int(spacing_px), 1)))
    shown = [place for place in range(len(cuts)) if (len(cuts) - 1 - place) % step == 0]
    axes.set_xticks(shown, [cuts[place][0] for place in shown], color=LIGHT["ink"])
    below = axes.get_ylim()[0]
    for place in shown:
        share = f"{100 * cuts[place][1]:.0f}{GAP}%"
        axes.text(place, shifted(axes, below, up_px=-31), share, color=LIGHT["muted"], ha="center", size=10.5)
    wide, stretched = spacing_px > 25, is_stretched(axes)
    long, short = "cut, from shallow to deep, and its share of the network’s cost", "cut, and its share of the cost"
    note = long if wide else short
    note += ("; scores stretched towards 100" + GAP + "%" if wide else "; scale stretched") if stretched else ""
    axes.text(-0.5, shifted(axes, below, up_px=-54), note, color=LIGHT["muted"], size=11.5)


def tooltip(trial: Trial) -> str:
    """Return a trial's name, its score and its interval, for a tooltip."""
    return f"{trial.name}: {percent(trial.mean)} ({percent(trial.low)} to {percent(trial.high)})"


def frame_times(axes: Any, *, low: float, high: float, labels: Mapping[float, str]) -> None:
    """Make the horizontal axis logarithmic, with labels at these times alone.

    Args:
        axes: To frame.
        low: Its left end; above 0, in the unit of the labels' times.
        high: Its right end.
        labels: Time → label, ascending.
    """
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    shown = list(labels)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(shown, list(labels.values()), color=LIGHT["ink"])
