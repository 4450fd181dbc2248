"""Records -> the plots of RESULTS.md, drawn as the product draws its own: text stays text, light and dark.

One idea: few plots. All marks in one, a row a section; and lines where a record carries points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thawline.view.svg import LIGHT, drawing, figure_svg, strip_axes

WIDTH_PX = 880
LOG_FROM = 20.0
_COLOURS = ("ice", "warm", "slush", "melt", "muted")


def marks_svg(shares: Mapping[str, Sequence[tuple[str, float, bool]]]) -> str:
    """Return every figure as a share of what is allowed, on a row of its section; what misses in another colour.

    Args:
        shares: (words, share, whether it holds) by section. A share is at most 1 where the mark is met.
    """
    names = list(shares)
    with drawing(WIDTH_PX, 24 * len(names) + 64) as figure:
        height = 24 * len(names) + 64
        axes: Any = figure.add_axes((0.24, 44 / height, 0.74, 24 * len(names) / height))
        strip_axes(axes)
        axes.set_xscale("log")
        tooltips = {}
        for row, name in enumerate(names):
            for number, (what, share, holds) in enumerate(shares[name]):
                colour = LIGHT["ice" if holds else "warm"]
                (dot,) = axes.plot([share], [row], marker="o" if holds else "D", color=colour, alpha=0.8)
                dot.set_gid(f"mark{row}-{number}")
                tooltips[f"mark{row}-{number}"] = f"{what}: {share:.2f} of what is allowed"
        axes.axvline(1, color=LIGHT["muted"], linewidth=1, linestyle="--")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        ticks = [tick for tick in (0.01, 0.1, 0.25, 0.5, 1, 2, 4) if _within(tick, shares)]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("measured ÷ allowed (log); left of the line the mark is met", color=LIGHT["muted"])
        label = "Every figure as a share of what is allowed, a row a section"
        return figure_svg(figure, prefix="thawline-results", label=label, tooltips=tooltips)


def lines_svg(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the points of records as lines, named at their ends; logarithmic where they span more than twentyfold.

    Args:
        rows: Records whose facts have `points`, [[x, y], …], and perhaps `axes`, the two axes' names, and `line`,
            the line's; else its words.
    """
    with drawing(WIDTH_PX, 300) as figure:
        axes: Any = figure.add_axes((0.09, 0.17, 0.6, 0.76))
        strip_axes(axes)
        for row, colour in zip(rows, _COLOURS * len(rows), strict=False):
            x, y = zip(*sorted(map(tuple, row["facts"]["points"])), strict=True)
            axes.plot(x, y, color=LIGHT[colour], marker="o", markersize=4, linewidth=1.5)
            name = row["facts"].get("line") or row["what"]
            axes.annotate(
                name if len(name) < 42 else f"{name[:40]}…",
                (x[-1], y[-1]),
                xytext=(8, 0),
                textcoords="offset points",
                color=LIGHT[colour],
                va="center",
                annotation_clip=False,
            )
        _scale(axes, [point for row in rows for point in row["facts"]["points"]])
        across, up = rows[0]["facts"].get("axes") or ("", "")
        axes.set_xlabel(across, color=LIGHT["muted"])
        axes.set_ylabel(up, color=LIGHT["muted"])
        title = rows[0]["facts"].get("title", "The figures above as lines")
        return figure_svg(figure, prefix="thawline-results", label=title, tooltips={})


def _scale(axes: Any, points: Sequence[Sequence[float]]) -> None:
    """Make an axis logarithmic where its points span much, with ticks at plain numbers; others begin at zero."""
    for number, axis, name in ((0, axes.xaxis, "x"), (1, axes.yaxis, "y")):
        found = sorted({point[number] for point in points})
        if found[0] > 0 and found[-1] / found[0] >= (LOG_FROM if number else 8):
            axes.set(**{f"{name}scale": "log"})
            axes.minorticks_off()
        elif number:
            axes.set_ylim(0, 1.08 * found[-1])
        if number == 0 and len(found) <= 8:
            axis.set_ticks(found, [f"{value:,.6g}" for value in found])


def _within(tick: float, shares: Mapping[str, Sequence[tuple[str, float, bool]]]) -> bool:
    found = [share for rows in shares.values() for _, share, _ in rows]
    return min(found) * 0.8 <= tick <= max(found) * 1.25 or tick == 1
