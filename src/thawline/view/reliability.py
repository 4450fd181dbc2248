"""How sure a model was and how often it was right -> SVG text: dots on the diagonal are honest probabilities.

One idea: what is meant by 80 % is that 80 % of such answers are right, so the one is drawn against the other, each bin
with its interval and below it how many pictures it stands on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thawline.use.evaluation import Evaluation, ReliabilityBin
from thawline.view.axes import rule_shares
from thawline.view.svg import LIGHT, drawing, figure_svg, strip_axes
from thawline.view.words import GAP, percent, span

__all__ = ["reliability_svg"]

_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def reliability_svg(evaluation: Evaluation, *, width_px: int = 920) -> str:
    """Return the share of right answers against how sure the model was, in up to 15 bins of its highest probability.

    Every bin has a dot with its 95 % interval, copies counted once, and a bar of how many pictures it has. Above the
    diagonal the model is right more often than it says, below it less often.

    Args:
        evaluation: With at least one bin in `reliability`.
        width_px: Width that the text is laid out for, 320 or more; the element itself scales.

    Returns:
        A self-contained `<svg>` element, readable on a light and on a dark ground; equal bytes for equal arguments.
    """
    bins, wide = evaluation.reliability, width_px >= 600
    height_px, left_px = 460 if wide else 400, 56 if wide else 46
    size = 1 - (left_px + 26) / width_px
    tooltips: dict[str, str] = {}
    with drawing(width_px, height_px) as figure:
        axes: Any = figure.add_axes((left_px / width_px, 148 / height_px, size, 1 - 178 / height_px))
        counts: Any = figure.add_axes((left_px / width_px, 60 / height_px, size, 58 / height_px))
        for part in (axes, counts):
            strip_axes(part)
            part.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.02, 1.02)
        rule_shares(axes, _SHARES)
        axes.set_xticks([])
        axes.plot([0, 1], [0, 1], color=LIGHT["muted"], linewidth=1.2, linestyle=(0, (4, 4)), zorder=1)
        for number, one in enumerate(bins):
            tooltips[f"bin-{number}"] = tooltips[f"bar-{number}"] = _bin_words(one)
            _draw_bin(axes, one, gid=f"bin-{number}")
            counts.bar(one.confidence, one.num_pictures, width=0.02, color=LIGHT["ice"], gid=f"bar-{number}")
        counts.grid(visible=False)
        counts.set_yticks([])
        counts.set_xticks(_SHARES, [f"{100 * share:.0f}{GAP}%" for share in _SHARES], color=LIGHT["ink"])
        _label_counts(counts, bins)
        sheet = figure.add_axes((0, 0, 1, 1), xlim=(0, width_px), ylim=(0, height_px))  # one unit a pixel
        sheet.set_axis_off()
        sheet.text(8, height_px - 16, "right answers", color=LIGHT["ice"], size=12, weight="bold", va="center")
        note = "; on the dashed line its probabilities are honest" if wide else ""
        sheet.text(left_px, 12, f"how sure the model was; below, pictures{note}", color=LIGHT["muted"], size=11.5)
        return figure_svg(figure, prefix=f"reliability{width_px}", label=_in_words(bins), tooltips=tooltips)


def _draw_bin(axes: Any, one: ReliabilityBin, *, gid: str) -> None:
    """Draw the interval of one bin, and its dot."""
    ends = {"color": LIGHT["ice"], "linewidth": 2.5, "alpha": 0.35, "solid_capstyle": "round", "zorder": 2}
    axes.plot([one.confidence, one.confidence], [one.low, one.high], **ends)
    style = {"markerfacecolor": LIGHT["ice"], "markeredgecolor": LIGHT["ice"]}
    axes.plot(one.confidence, one.accuracy, "o", markersize=8, gid=gid, zorder=3, clip_on=False, **style)


def _label_counts(counts: Any, bins: Sequence[ReliabilityBin]) -> None:
    """Write how many pictures the bins have, largest first, as far as the numbers do not touch."""
    most, written = max(one.num_pictures for one in bins), list[float]()
    counts.set_ylim(0, 1.45 * most)
    _, _, width_px, _ = counts.get_window_extent().bounds
    for one in sorted(bins, key=lambda one: -one.num_pictures):
        text = f"{one.num_pictures:,}"
        if all(abs(one.confidence - other) * width_px > 7.5 * len(text) + 10 for other in written):
            style = {"ha": "center", "va": "bottom", "size": 10.5, "color": LIGHT["muted"]}
            counts.text(one.confidence, one.num_pictures + 0.06 * most, text, **style)
            written.append(one.confidence)


def _bin_words(one: ReliabilityBin) -> str:
    pictures = f"{one.num_pictures:,} picture{'' if one.num_pictures == 1 else 's'}"
    return f"{percent(one.confidence)} sure, {percent(one.accuracy)} right ({span(one.low, one.high)}) of {pictures}"


def _in_words(bins: Sequence[ReliabilityBin]) -> str:
    """Return what the figure shows as one sentence, for those who hear it."""
    return f"How often the model was right, by how sure it was: {'; '.join(_bin_words(one) for one in bins)}"
