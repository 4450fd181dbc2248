"""How right a model is on what it answers -> SVG text: accuracy against the share of the pictures that it answers.

One idea: a model that may say "not sure" moves along this line; the dot is where it stands, and what it gains by it is
the height over the right end, where it answers everything.
"""

from __future__ import annotations

from typing import Any

from thawline.core.counting import counted
from thawline.vet.abstaining import Abstaining, CoveragePoint, Kept
from thawline.view.axes import round_shares, rule_shares
from thawline.view.svg import LIGHT, drawing, figure_svg, strip_axes
from thawline.view.words import GAP, percent

__all__ = ["coverage_curve_svg"]

_LEFT_PX, _RIGHT_PX, _BOTTOM_PX, _TOP_PX, _HEIGHT_PX = 56, 24, 46, 34, 300
FRAMED_FROM = 0.2
"""Share of the pictures from which on the intervals must fit on the axis."""
_ENDS = (0.0, 0.25, 0.5, 0.75, 1.0)
FEWEST_SHOWN = 5
"""Answered pictures from which on the line is drawn: the interval of fewer fills the paper."""


def coverage_curve_svg(advice: Abstaining, *, width_px: int = 920) -> str:
    """Return accuracy against coverage, its 95 % interval as a band, and the threshold that is kept as a dot.

    Args:
        advice: With its curve; where it is empty, the figure says that nothing is answered.
        width_px: Width that the text is laid out for, 320 or more; the element itself scales.

    Returns:
        A self-contained `<svg>` element, readable on a light and on a dark ground; equal bytes for equal arguments.
    """
    kept = advice.test or advice.out_of_fold
    points = [point for point in advice.curve if point.n >= FEWEST_SHOWN] or list(advice.curve)
    tooltips: dict[str, str] = {}
    with drawing(width_px, _HEIGHT_PX) as figure:
        box = (_LEFT_PX / width_px, _BOTTOM_PX / _HEIGHT_PX)
        size = (1 - (_LEFT_PX + _RIGHT_PX) / width_px, 1 - (_BOTTOM_PX + _TOP_PX) / _HEIGHT_PX)
        axes: Any = figure.add_axes((*box, *size))
        strip_axes(axes)
        axes.set_xlim(0, 1.01)
        axes.set_xticks(_ENDS, [f"{100 * end:.0f}{GAP}%" for end in _ENDS])
        axes.set_xlabel("pictures that are answered", loc="right", size=11, color=LIGHT["muted"])
        axes.set_title("right among them", loc="left", size=12.5, weight="bold", pad=12)
        if points:
            _frame(axes, points)
            _draw(axes, points)
            if advice.min_probability is not None and kept.right is not None:
                axes.plot([kept.answered], [kept.right], "o", color=LIGHT["warm"], markersize=9, gid="kept", zorder=4)
                tooltips["kept"] = _in_words(advice, kept)
        else:
            axes.set_yticks([])
        label = f"{_in_words(advice, kept)} Measured on {counted(kept.num_pictures, 'pictures')}."
        return figure_svg(figure, prefix=f"coverage{width_px}", label=label, tooltips=tooltips)


def _frame(axes: Any, points: list[CoveragePoint]) -> None:
    """Set and rule a share axis that ends at 1; the wide intervals of the few surest answers may leave it below."""
    wide_enough = [point for point in points if point.coverage >= FRAMED_FROM] or points
    low = min(min(point.low for point in wide_enough), min(point.accuracy for point in points))
    pad = max(0.04 * (1 - low), 0.004)
    axes.set_ylim(low - pad, 1 + pad)
    rule_shares(axes, round_shares(axes, num_bins=6))


def _draw(axes: Any, points: list[CoveragePoint]) -> None:
    """Draw the line with its band."""
    shares = [point.coverage for point in points]
    band = {"color": LIGHT["frost"], "linewidth": 0, "zorder": 1}
    least = axes.get_ylim()[0]
    axes.fill_between(shares, [max(point.low, least) for point in points], [point.high for point in points], **band)
    axes.plot(shares, [point.accuracy for point in points], color=LIGHT["ice"], linewidth=2, zorder=3)


def _in_words(advice: Abstaining, kept: Kept) -> str:
    """Return what comes of the threshold in a sentence."""
    if kept.right is None:
        return f"Answers none of {counted(kept.num_pictures, 'pictures')}."
    sure = "" if advice.min_probability is None else f" with a probability of {percent(advice.min_probability)} or more"
    return (
        f"Answers {percent(kept.answered)} of the pictures{sure}, {percent(kept.right)} of them right "
        f"[{100 * kept.right_low:.1f}, {100 * kept.right_high:.1f}]{GAP}%."
    )
