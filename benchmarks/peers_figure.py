"""Curves of accuracy against wall time -> one figure for the README: three sets, a line a tool."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thawline.view.svg import LIGHT, drawing, figure_svg, strip_axes

TITLES = {
    "monkeys": "10 monkeys, 1,097 pictures",
    "celebrities": "5 people, 294 pictures",
    "cifar10": "CIFAR-10, 5,000",
}
LINES = {
    "thawline": ("Thawline", "ice", "-", "o"),
    "budget": ("Thawline, 5 min", "ice", "", "D"),
    "sklearn": ("timm + scikit-learn", "slush", "", "s"),
    "fastai": ("fastai", "warm", "-", "o"),
    "torch": ("PyTorch loop", "muted", "-", "o"),
    "trainer": ("HF Trainer", "muted", ":", "^"),
    "keras": ("Keras, frozen", "melt", "", "v"),
}
BELOW = 0.15
"""How far below the worst end an axis reaches; what lies lower, of early epochs, is left out."""
SIZE_PX = (880, 330)


def write_figure(curves: Mapping[str, Mapping[str, Mapping[str, Any]]], file: Path) -> None:
    """Write the figure of the sets and tools that were measured; nothing where none was.

    Args:
        curves: set → tool → its `seconds` and `accuracies`.
        file: The SVG.
    """
    names = [name for name in TITLES if name in curves]
    if not names:
        return
    with drawing(*SIZE_PX) as figure:
        handles: dict[str, Any] = {}
        for place, name in enumerate(names):
            left, width = 0.055 + place * 0.945 / len(names), 0.945 / len(names) - 0.045
            axes: Any = figure.add_axes((left, 0.3, width, 0.58))
            strip_axes(axes)
            axes.set_title(TITLES[name], loc="left", fontsize=10, color=LIGHT["ink"])
            lowest = min(curve["accuracies"][-1] for curve in curves[name].values()) - BELOW
            for tool, (label, colour, line, marker) in LINES.items():
                if tool not in curves[name]:
                    continue
                curve = curves[name][tool]
                points = list(zip(curve["seconds"], curve["accuracies"], strict=True))
                points = [point for point in points if point[1] >= lowest] if line else points[-1:]
                drawn = {"color": LIGHT[colour], "linestyle": line or "none", "marker": marker}
                size = 8 if tool in ("thawline", "budget") else 5
                (handles[label],) = axes.plot(*zip(*points, strict=True), markersize=size, linewidth=1.4, **drawn)
            axes.set_xscale("log")
            axes.set_xlim(5, 480)
            axes.set_xticks([10, 30, 60, 120, 300], ["10 s", "30 s", "1 min", "2", "5 min"])
            axes.minorticks_off()
            axes.set_ylim(max(0.0, lowest), 1.01)
        axes = figure.add_axes((0.02, 0.0, 0.96, 0.14))
        axes.axis("off")
        axes.legend(list(handles.values()), list(handles), ncols=4, loc="center", frameon=False, fontsize=9)
        label = "Accuracy on the held-out pictures against seconds of wall time on two cores, by tool"
        file.write_text(figure_svg(figure, prefix="thawline-peers", label=label, tooltips={}), encoding="utf-8")
