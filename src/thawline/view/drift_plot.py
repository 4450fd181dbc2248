"""A drift -> SVG text, similarity to the pretrained features against depth, and the original head's score in words.

One idea: what is still frozen is drawn in the colour of ice and what has thawed in a warm one, so the depth at which
tuning began is seen before a number is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from thawline.core.counting import counted
from thawline.features.drift import CutDrift, Drift
from thawline.view.axes import apart, label_cuts, shifted
from thawline.view.svg import LIGHT, drawing, figure_svg, strip_axes
from thawline.view.words import percent, span

__all__ = ["drift_svg", "head_words"]

_BOTTOM_PX, _TOP_PX = 62, 34
_LEAST_SPAN = 0.2  # of the axis: a change too small to matter does not look like one


def head_words(drift: Drift) -> str:
    """Return one line on what the original head makes of the features before and after tuning, or why it says nothing.

    >>> head_words(Drift((), 272, None, "simple_cnn started from nothing"))
    'ImageNet’s own head was not scored: simple_cnn started from nothing.'
    """
    head = drift.head
    if head is None:
        return f"ImageNet’s own head was not scored: {drift.no_head.rstrip('.')}."
    classes = counted(len(head.class_names), "classes")
    return (
        f"ImageNet’s own head, on {counted(head.num_pictures, 'pictures')} of {classes} that it knows: "
        f"{percent(head.before)} right before tuning ({span(head.before_low, head.before_high)}), "
        f"{percent(head.after)} after ({span(head.after_low, head.after_high)})."
    )


def drift_svg(drift: Drift, *, prefix: str, width_px: int = 920) -> str:
    """Return linear CKA between pretrained and tuned features at every cut, from shallow to deep.

    The thick line with its interval band is of the features as a head reads them, in the colour of ice as far as they
    are unchanged; the thin line is of whole activations. The axis ends at 1 and spans at least 0.2.

    Args:
        drift: At least one cut.
        prefix: Keeps the ids of several figures in a page apart.
        width_px: Width that the text is laid out for, 320 or more; the element itself scales.

    Returns:
        A self-contained `<svg>` element; equal bytes for equal arguments.
    """
    cuts, wide = drift.cuts, width_px >= 600
    left_px, right_px, panel_px = (50, 104, 210) if wide else (38, 92, 170)
    height_px = _BOTTOM_PX + panel_px + _TOP_PX
    inner_px = width_px - left_px - right_px
    tooltips: dict[str, str] = {}
    with drawing(width_px, height_px) as figure:
        box = (left_px / width_px, _BOTTOM_PX / height_px, inner_px / width_px, panel_px / height_px)
        axes: Any = figure.add_axes(box)
        strip_axes(axes)
        axes.set_xlim(-0.5, len(cuts) - 0.5)
        _frame(axes, cuts)
        _draw(axes, cuts, tooltips, wide=wide)
        _label_ends(axes, cuts, wide=wide)
        label_cuts(axes, [(cut.label, cut.cost_fraction) for cut in cuts], spacing_px=inner_px / len(cuts))
        label = f"Similarity of tuned to pretrained features at {len(cuts)} cuts: linear CKA, 1 is unchanged"
        return figure_svg(figure, prefix=prefix, label=label, tooltips=tooltips)


def _frame(axes: Any, cuts: Sequence[CutDrift]) -> None:
    """Set and rule the axis from a round number below all values to 1."""
    least = min(min(cut.low, cut.unpooled_cka) for cut in cuts)
    bottom = max(0.0, min(math.floor(10 * least) / 10, 1 - _LEAST_SPAN))
    axes.set_ylim(bottom, 1 + 0.02 * (1 - bottom))
    step = 0.05 if bottom > 0.7 else 0.1 if bottom > 0.4 else 0.2
    values = [1 - number * step for number in range(math.floor((1 - bottom) / step + 1e-9) + 1)]
    axes.set_yticks(values, [f"{value:.2f}" if step == 0.05 else f"{value:.1f}" for value in values])


def _num_unchanged(cuts: Sequence[CutDrift]) -> int:
    """Return how many cuts, from the shallowest on, are exactly what they were."""
    changed = [place for place, cut in enumerate(cuts) if min(cut.cka, cut.unpooled_cka) < 1]
    return changed[0] if changed else len(cuts)


def _draw(axes: Any, cuts: Sequence[CutDrift], tooltips: dict[str, str], *, wide: bool) -> None:
    """Draw both lines, the band, and a dot with a tooltip at every cut."""
    places, same = range(len(cuts)), _num_unchanged(cuts)
    axes.fill_between(
        places, [cut.low for cut in cuts], [cut.high for cut in cuts], color=LIGHT["glow"], linewidth=0, zorder=1
    )
    axes.plot(places, [cut.unpooled_cka for cut in cuts], color=LIGHT["muted"], linewidth=1.1, zorder=2)
    ckas = [cut.cka for cut in cuts]
    thawing = max(same - 1, 0)
    axes.plot(places[thawing:], ckas[thawing:], color=LIGHT["warm"], linewidth=2.6, zorder=3)
    axes.plot(places[:same], ckas[:same], color=LIGHT["ice"], linewidth=2.6, zorder=4)
    for place, cut in enumerate(cuts):
        gid = f"cut-{place}"
        tooltips[gid] = (
            f"{cut.label}, stage {cut.stage}: {cut.cka:.2f} ({cut.low:.2f} to {cut.high:.2f}); "
            f"unpooled {cut.unpooled_cka:.2f}"
        )
        colour = LIGHT["ice" if place < same else "warm"]
        axes.plot(place, cut.cka, "o", color=colour, markersize=6.5 if wide else 5, gid=gid, zorder=5)
    if same:
        words = "unchanged" if same < len(cuts) else "unchanged at every cut"
        axes.text(0, shifted(axes, 1.0, up_px=-14), words, color=LIGHT["ice"], va="center", size=12, weight="bold")


def _label_ends(axes: Any, cuts: Sequence[CutDrift], *, wide: bool) -> None:
    """Name the axis above it, and each line at its right end, moved apart where they would overlap."""
    name = "similarity to the pretrained features (linear CKA)" if wide else "linear CKA with the pretrained features"
    axes.text(-0.5, shifted(axes, axes.get_ylim()[1], up_px=16), name, size=12.5, weight="bold", va="center")
    ends = (("pooled", cuts[-1].cka), ("unpooled", cuts[-1].unpooled_cka))
    heights = apart(axes, [value for _, value in ends], gap_px=15)
    styles = (("ice" if _num_unchanged(cuts) == len(cuts) else "warm", "bold"), ("muted", "normal"))
    for (words, value), height, (colour, weight) in zip(ends, heights, styles, strict=True):
        style = {"color": LIGHT[colour], "size": 12 if wide else 11, "weight": weight}
        axes.text(len(cuts) - 0.4, height, f"{value:.2f} {words}", va="center", **style)
