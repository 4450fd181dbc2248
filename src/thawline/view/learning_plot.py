"""A learning curve and its forecast -> SVG text, and the sentences that say the same.

One idea: what was measured is solid, with its intervals; what is forecast is dashed in a band that widens, from as many
pictures as there are to four times as many. Pictures double from rule to rule, since it is doublings that help.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thawline.core.counting import counted
from thawline.vet.more_pictures import ClassGain, Forecast, MorePictures
from thawline.view.axes import round_shares, rule_shares
from thawline.view.svg import LIGHT, drawing, figure_svg, strip_axes
from thawline.view.words import GAP, percent, points

__all__ = ["class_gain_text", "growth_text", "learning_svg"]

_ROUND = (1, 2, 5)
_LEAST_PX = 64
"""Between two labels of the horizontal axis."""


def learning_svg(curve: MorePictures, *, width_px: int = 920) -> str:
    """Return the score against the number of training pictures, measured and forecast, on a logarithmic axis.

    Measured points have their 95 % intervals, the forecast its 80 % band and, fainter, that of 95 %; tooltips say both.

    Args:
        curve: With points and a forecast.
        width_px: Width that the text is laid out for, 320 or more; the element itself scales.

    Returns:
        A self-contained `<svg>` element, readable on a light and on a dark ground; equal bytes for equal arguments.
    """
    wide = width_px >= 600
    height_px, left_px, bottom_px, top_px = (330 if wide else 300), (52 if wide else 48), 56, 38
    tooltips: dict[str, str] = {}
    with drawing(width_px, height_px) as figure:
        size = (1 - (left_px + 20) / width_px, 1 - (bottom_px + top_px) / height_px)
        axes = figure.add_axes((left_px / width_px, bottom_px / height_px, *size))
        strip_axes(axes)
        _frame(axes, curve, width_px=width_px)
        _draw_forecast(axes, curve.forecast)
        at, means = [point.pictures for point in curve.points], [point.mean for point in curve.points]
        axes.plot([*at, curve.pictures], [*means, curve.forecast[0].mean], color=LIGHT["ice"], linewidth=2.4, zorder=3)
        for number, point in enumerate((*curve.points, *curve.forecast)):
            is_forecast = number >= len(curve.points)
            fill = LIGHT["paper" if is_forecast else "ice"]
            style: dict[str, Any] = {"markerfacecolor": fill, "markeredgecolor": LIGHT["ice"], "markeredgewidth": 2}
            axes.plot(point.pictures, point.mean, "o", markersize=7, gid=f"dot-{number}", zorder=5, **style)
            if not is_forecast:
                ends = [point.low, point.high]
                axes.plot([point.pictures] * 2, ends, color=LIGHT["ice"], linewidth=2.5, alpha=0.35, zorder=2)
            tooltips[f"dot-{number}"] = _tooltip(curve, number)
        _write(figure, curve, width_px=width_px, height_px=height_px, left_px=left_px)
        return figure_svg(figure, prefix=f"learning{width_px}", label=_in_words(curve), tooltips=tooltips)


def _frame(axes: Any, curve: MorePictures, *, width_px: int) -> None:
    """Set both axes: round numbers of pictures, as many as there is room for, and shares that hold all 80 % ends."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    every = (*curve.points, *curve.forecast)
    low, high = min(one.pictures for one in every) / 1.15, max(one.pictures for one in every) * 1.12
    axes.set_xscale("log")
    axes.set_xlim(max(low, 0.5), high)
    known = [step * 10**power for power in range(8) for step in _ROUND if low <= step * 10**power <= high]
    most = max(2, int(width_px // _LEAST_PX))
    shown = known[:: -(-len(known) // most)] if known else [curve.pictures]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(shown, [f"{at:,}" for at in shown])
    bottom, top = min(one.low_80 for one in every), max(one.high for one in every)
    pad = max(0.06 * (top - bottom), 0.004)
    axes.set_ylim(max(bottom - pad, 0.0), min(top + pad, 1.0) + 0.02 * (top - bottom) + 1e-3)
    rule_shares(axes, round_shares(axes, num_bins=6))
    axes.axvline(curve.pictures, color=LIGHT["warm"], linewidth=1.5, linestyle=(0, (2, 3)), zorder=1)


def _draw_forecast(axes: Any, forecast: Sequence[Forecast]) -> None:
    """Draw the bands and the dashed line of the forecast."""
    at = [one.pictures for one in forecast]
    bands = (([one.low for one in forecast], [one.high for one in forecast], 0.45),
             ([one.low_80 for one in forecast], [one.high_80 for one in forecast], 1.0))  # fmt: skip
    for low, high, alpha in bands:
        axes.fill_between(at, low, high, color=LIGHT["frost"], alpha=alpha, linewidth=0, zorder=1)
    means = [one.mean for one in forecast]
    place = {"xytext": (-8, 9), "textcoords": "offset points", "ha": "right", "size": 11.5, "color": LIGHT["ice"]}
    axes.annotate(percent(means[-1]), (at[-1], means[-1]), zorder=6, **place)
    axes.plot(at, means, color=LIGHT["ice"], linewidth=2.4, linestyle=(0, (3, 2)), zorder=3)


def _write(figure: Any, curve: MorePictures, *, width_px: int, height_px: int, left_px: int) -> None:
    """Write what the axes are, what the dotted line is, and what the forecast ends at."""
    sheet = figure.add_axes((0, 0, 1, 1), xlim=(0, width_px), ylim=(0, height_px))  # one unit a pixel
    sheet.set_axis_off()
    metric = curve.metric.replace("_", " ")
    sheet.text(8, height_px - 16, metric, size=12.5, weight="bold", va="center")
    today = f"now: {counted(curve.pictures, 'pictures')}"
    sheet.text(width_px - 8, height_px - 16, today, color=LIGHT["warm"], size=11.5, ha="right", va="center")
    note = "pictures to learn from, logarithmic; dashed: forecast, 80" + GAP + "% and 95" + GAP + "% bands"
    short = "pictures to learn from; dashed: forecast"
    sheet.text(left_px, 14, note if width_px >= 600 else short, color=LIGHT["muted"], size=11.5)


def _tooltip(curve: MorePictures, number: int) -> str:
    """Return what a dot says: `2,194 pictures, forecast: 99.0 % (80 %: 98.5 % to 99.5 %; 95 %: …)`."""
    point = (*curve.points, *curve.forecast)[number]
    forecast = ", forecast" if number >= len(curve.points) else ""
    return (
        f"{counted(point.pictures, 'pictures')}{forecast}: {percent(point.mean)} (80{GAP}%: {percent(point.low_80)} to "
        f"{percent(point.high_80)}; 95{GAP}%: {percent(point.low)} to {percent(point.high)})"
    )


def _in_words(curve: MorePictures) -> str:
    """Return what the figure shows as one sentence, for those who hear it."""
    metric = curve.metric.replace("_", " ")
    dots = "; ".join(_tooltip(curve, number) for number in range(len(curve.points) + len(curve.forecast)))
    return f"Learning curve of {curve.strategy}: {metric} against the pictures to learn from: {dots}"


def growth_text(curve: MorePictures) -> str:
    """Return what twice as many pictures should bring, in a sentence; why it is not known, where it is not.

    >>> growth_text(MorePictures("accuracy", "linear", 40, note="Too few pictures."))
    'Too few pictures.'
    """
    if not curve.forecast:
        return curve.note
    twice = min(curve.forecast, key=lambda one: abs(one.pictures - 2 * curve.pictures))
    gained = f"{points(twice.gain)} points [{points(twice.gain_low)}, {points(twice.gain_high)}]"
    metric, what = curve.metric.replace("_", " "), f"Twice as many pictures ({twice.pictures:,} to learn from)"
    return f"{what} should bring {gained} of {metric}; four times in five the truth lies between."


def class_gain_text(gain: ClassGain, *, more: int) -> str:
    """Return what more pictures of a class should bring, in a sentence, with the 80 % interval.

    >>> class_gain_text(ClassGain("glass", 100, 0.9, 0.012, 0.0, 0.024, 0.004, 0.02, helps=True), more=50)
    '50 more pictures of glass should bring +1.2 points [+0.4, +2.0] there.'
    """
    between = f"[{points(gain.low_80)}, {points(gain.high_80)}]"
    if not gain.helps:
        return f"{more:,} more pictures of {gain.name} would hardly help: {points(gain.gain)} points {between} there."
    return f"{more:,} more pictures of {gain.name} should bring {points(gain.gain)} points {between} there."
