"""A training run epoch by epoch, or a learning-rate finder's sweep -> SVG text.

One idea: what training does is read from three lines together, the loss, the top-1 and the step size that drove
both; the step size is drawn where it was recorded and changed, on a logarithmic scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thawline.core.types import Curve
from thawline.view.axes import round_shares, rule_shares
from thawline.view.svg import LIGHT, drawing, figure_svg, strip_axes
from thawline.view.words import percent

if TYPE_CHECKING:  # matplotlib is imported where something is drawn
    from matplotlib.figure import Figure

__all__ = ["curve_svg", "finder_svg", "is_stepped"]

_WIDTH_PX, _PANEL_PX, _TOP_PX, _BOTTOM_PX = 440, 130, 31, 44
_STRIP_PX, _STRIP_GAP_PX = 34, 70
_EXPONENTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"


def curve_svg(curve: Curve, *, prefix: str, goal: float | None = None) -> str:
    """Return loss and top-1 by epoch, training and held-out rows, side by side, the step size in a strip below.

    Args:
        curve: At least one epoch; the strip is left out where the step size stayed the same, or none was recorded.
        prefix: Keeps the ids of several figures in a page apart.
        goal: A top-1 in [0, 1] that somebody wanted to exceed, drawn as a line in the panel of top-1; or None.

    Returns:
        A self-contained `<svg>` element; equal bytes for equal arguments.
    """
    from matplotlib.ticker import MaxNLocator

    rates = curve.learning_rate if is_stepped(curve) else ()
    base_px = _BOTTOM_PX + (_STRIP_PX + _STRIP_GAP_PX if rates else 0)
    height_px = base_px + _PANEL_PX + _TOP_PX
    with drawing(_WIDTH_PX, height_px) as figure:
        losses = _panel(figure, (51, base_px, 156, _PANEL_PX), "loss")
        _draw_pair(losses, curve.train_loss, curve.validation_loss)
        losses.yaxis.set_major_locator(MaxNLocator(nbins=4))
        shares = _panel(figure, (277, base_px, 156, _PANEL_PX), "top-1")
        _draw_pair(shares, curve.train_accuracy, curve.validation_accuracy)
        if goal is not None:
            _draw_goal(shares, goal)
        low, high = shares.get_ylim()
        shares.set_ylim(max(low, 0.0), min(high, 1.0))
        rule_shares(shares, round_shares(shares, num_bins=5))
        if rates:
            strip = _panel(figure, (51, _BOTTOM_PX, _WIDTH_PX - 58, _STRIP_PX), "step size")
            _draw_rates(strip, rates)
        label = "Loss, top-1 and step size by epoch" if rates else "Loss and top-1 by epoch"
        label += f"; the goal is {percent(goal)}" if goal is not None else ""
        return figure_svg(figure, prefix=prefix, label=label, tooltips={})


def is_stepped(curve: Curve) -> bool:
    """Return whether the step size of a training run changed, so that there is something to draw."""
    return len({rate for rate in curve.learning_rate if rate > 0}) > 1


def _panel(figure: Figure, box_px: tuple[float, float, float, float], name: str) -> Any:
    """Return plain axes over whole epochs in a box of (left, bottom, width, height) pixels."""
    from matplotlib.ticker import MaxNLocator

    width_px, height_px = (72 * inches for inches in figure.get_size_inches())
    left, bottom, width, height = box_px
    axes = figure.add_axes((left / width_px, bottom / height_px, width / width_px, height / height_px))
    strip_axes(axes)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4 if width < 200 else 8, integer=True, min_n_ticks=1))
    axes.set_title(name, loc="left", size=12.5, weight="bold", pad=9)
    axes.set_xlabel("epoch", loc="right", size=11, color=LIGHT["muted"], labelpad=2)
    return axes


def _frame_epochs(axes: Any, num_epochs: int) -> None:
    """Set the axis to hold epochs 1 to `num_epochs`, and no epoch 0."""
    pad = min(0.04 * num_epochs, 0.9) if num_epochs > 1 else 0.9
    axes.set_xlim(1 - pad, max(num_epochs, 1) + pad)


def _draw_pair(axes: Any, train: Sequence[float], held_out: Sequence[float]) -> None:
    """Draw the training and the held-out line, each with a dot on its last epoch."""
    _frame_epochs(axes, max(len(train), len(held_out)))
    for values, colour in ((train, "muted"), (held_out, "ice")):
        axes.plot(range(1, len(values) + 1), values, color=LIGHT[colour], linewidth=2, clip_on=False)
        if values:
            axes.plot(len(values), values[-1], "o", color=LIGHT[colour], markersize=5, clip_on=False)


def _draw_goal(axes: Any, goal: float) -> None:
    """Draw the goal across the panel, named at its right end, with room for it on the axis."""
    low, high = axes.get_ylim()
    pad = 0.06 * (max(high, goal) - min(low, goal))
    axes.set_ylim(min(low, goal - pad), max(high, goal + pad))
    axes.axhline(goal, color=LIGHT["warm"], linewidth=1.5, linestyle=(0, (2, 3)))
    axes.set_title(f"goal {percent(goal)}", loc="right", size=11, color=LIGHT["warm"], pad=9)


def _draw_rates(axes: Any, rates: Sequence[float]) -> None:
    """Draw the positive step sizes on a logarithmic axis that is ruled at the powers of ten on both sides of them."""
    _frame_epochs(axes, len(rates))
    shown = [(epoch, rate) for epoch, rate in enumerate(rates, 1) if rate > 0]
    axes.plot(*zip(*shown, strict=True), color=LIGHT["ink"], linewidth=1.5, clip_on=False)
    _rule_powers(axes, [rate for _, rate in shown], most=2)


def _rule_powers(axes: Any, values: Sequence[float], *, most: int) -> None:
    """Make the vertical axis logarithmic, from the power of ten below all values to the one above, `most` labelled."""
    low, high = math.floor(math.log10(min(values)) + 1e-9), math.ceil(math.log10(max(values)) - 1e-9)
    high = max(high, low + 1)
    step = max(1, math.ceil((high - low) / (most - 1)))
    axes.set_ylim(10.0**low, 10.0**high)  # before the scale, which cannot fit itself to a single value
    axes.set_yscale("log")
    _label_powers(axes.yaxis, range(high, low - 1, -step))


def _label_powers(axis: Any, exponents: Sequence[int]) -> None:
    """Label an axis at powers of ten: `10⁻³`, as plain text."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_major_locator(FixedLocator([10.0**exponent for exponent in sorted(exponents)]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _power(round(math.log10(value)))))
    axis.set_minor_locator(NullLocator())


def _power(exponent: int) -> str:
    """Return a power of ten as text: `10⁻³`."""
    digits = "".join(_EXPONENTS[int(digit)] for digit in str(abs(exponent)))
    return f"10{'⁻' if exponent < 0 else ''}{digits}"


def finder_svg(points: Sequence[tuple[float, float]], chosen: float | None, *, width_px: int = 920) -> str:
    """Return a learning-rate finder's sweep: the smoothed loss against the step size, with the step size chosen.

    The loss of a sweep explodes at its end; the axis ends a little above where the sweep began, so that the fall
    can be read and the line leaves the figure. The method is Smith's (https://arxiv.org/abs/1506.01186).

    Args:
        points: (step size, smoothed loss), in the order of the sweep; those not positive and finite are left out.
        chosen: The step size that the sweep led to, above 0, or None where it led to none.
        width_px: Width that the text is laid out for, 320 or more; the element itself scales.

    Returns:
        A self-contained `<svg>` element; equal bytes for equal arguments.
    """
    drawn = [(rate, loss) for rate, loss in points if rate > 0 and math.isfinite(rate) and math.isfinite(loss)]
    wide = width_px >= 600
    with drawing(width_px, 290 if wide else 250) as figure:
        axes = _panel(figure, (50, 48, width_px - 70, 205 if wide else 165), "")
        axes.set_title("smoothed loss", loc="left", size=12.5, weight="bold", pad=12)
        axes.set_xlabel("step size", loc="right", size=11, color=LIGHT["muted"], labelpad=4)
        axes.set_xscale("log")
        ends = [rate for rate, _ in drawn] + [rate for rate in (chosen,) if rate] or [1e-4, 1e-1]
        axes.set_xlim(min(ends) / 1.5, max(ends) * 1.5)
        if drawn:
            _draw_sweep(axes, drawn)
        if chosen:
            axes.axvline(chosen, color=LIGHT["warm"], linewidth=1.5, linestyle=(0, (2, 3)))
            place = {"xytext": (6, -4), "textcoords": "offset points", "ha": "left", "va": "top"}
            if drawn and chosen > math.sqrt(drawn[0][0] * drawn[-1][0]):
                place |= {"xytext": (-6, -4), "ha": "right"}
            axes.annotate(
                f"chosen: {chosen:.2g}", (chosen, 1), xycoords=("data", "axes fraction"), color=LIGHT["warm"],
                size=12, weight="bold", **place,
            )  # fmt: skip
        label = f"Learning-rate finder: smoothed loss at {len(drawn)} step sizes"
        label += f"; {chosen:.2g} was chosen" if chosen is not None else ""
        return figure_svg(figure, prefix=f"finder{width_px}", label=label, tooltips={})


def _draw_sweep(axes: Any, points: Sequence[tuple[float, float]]) -> None:
    """Draw the sweep, the steps in powers of ten, the loss up to a little above where it began."""
    from matplotlib.ticker import MaxNLocator

    rates, losses = zip(*points, strict=True)
    axes.plot(rates, losses, color=LIGHT["ice"], linewidth=2.4)
    low, first, high = min(losses), losses[0], max(losses)
    top = min(high, first + 0.4 * (first - low)) if first > low else high
    pad = 0.06 * (top - low) or 0.1
    axes.set_ylim(low - pad, top + pad)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    exponents = range(math.ceil(math.log10(min(rates)) - 1e-9), math.floor(math.log10(max(rates)) + 1e-9) + 1)
    _label_powers(axes.xaxis, exponents)
