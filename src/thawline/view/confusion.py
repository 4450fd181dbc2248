"""An evaluation -> SVG text: its confusion matrix as a figure, rows true classes, columns what the model said.

One idea: of very many classes only those with most mistakes are drawn, since nobody reads a matrix of a million cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from thawline.core.types import Ints
from thawline.use.evaluation import Evaluation
from thawline.view.svg import LIGHT, drawing, figure_svg
from thawline.view.words import printable

__all__ = ["confusion_svg"]

MOST_CLASSES = 40
_MOST_CHARS = 24
_CHAR_PX = 6.4


def confusion_svg(evaluation: Evaluation, *, width_px: int = 920) -> str:
    """Return the confusion matrix: blue on the diagonal is right, orange next to it is wrong.

    The deeper a cell, the larger its share of the pictures of the class. Of more than 40 classes those with most
    mistakes, made by them or taken for them, are shown.

    Args:
        evaluation: Of one model.
        width_px: Width that the text is laid out for; the figure is about as high as wide.

    Returns:
        A self-contained `<svg>` element, readable on a light and on a dark ground; equal bytes for equal arguments.
    """
    shown = _worth_showing(evaluation.confusion)
    counts = np.asarray(evaluation.confusion)[np.ix_(shown, shown)]
    totals = np.asarray(evaluation.confusion).sum(axis=1)[shown]
    names = [_short(evaluation.class_names[k]) for k in shown.tolist()]
    num_all = len(evaluation.class_names)
    left_px = 16 + _CHAR_PX * max(map(len, names))
    cell_px = min(48.0, (width_px - left_px - 12) / len(shown))
    side_px, note_px = cell_px * len(shown), 30
    height_px = side_px + left_px + note_px
    tooltips: dict[str, str] = {}
    with drawing(max(left_px + side_px + 12, 280), height_px) as figure:
        width, height = figure.get_size_inches() * 72
        axes: Any = figure.add_axes((left_px / width, note_px / height, side_px / width, side_px / height))
        axes.set_facecolor("none")
        axes.set_xlim(0, len(shown))
        axes.set_ylim(len(shown), 0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0, pad=5)
        ticks, size = np.arange(len(shown)) + 0.5, min(11.5, max(5.0, 0.8 * cell_px))
        axes.set_yticks(ticks, names, color=LIGHT["ink"], size=size)
        axes.xaxis.tick_top()
        axes.set_xticks(ticks, names, color=LIGHT["ink"], size=size, rotation=90)
        for row, column in zip(*np.nonzero(counts), strict=True):
            n, all_of_row = int(counts[row, column]), int(totals[row])
            gid = f"cell-{row}-{column}"
            said = printable(evaluation.class_names[shown[column]])
            tooltips[gid] = f"{printable(evaluation.class_names[shown[row]])} → {said}: {n:,} of {all_of_row:,}"
            _draw_cell(
                axes, (int(row), int(column)), share=n / all_of_row, text=f"{n}" if cell_px >= 15 else "", gid=gid
            )
        few = f"the {len(shown)} of {num_all:,} classes with most mistakes; " if len(shown) < num_all else ""
        note = f"{few}rows are the labels, columns what the model said"
        figure.text(8 / width, 8 / height, note, color=LIGHT["muted"], size=11)
        label = f"Confusion matrix of {num_all:,} classes: {int(np.trace(evaluation.confusion)):,} of "
        label += f"{int(evaluation.confusion.sum()):,} pictures on the diagonal"
        return figure_svg(figure, prefix=f"confusion{width_px}", label=label, tooltips=tooltips)


def _worth_showing(confusion: Ints) -> Ints:
    """Return the classes to show, in their order: all of a few, else those with most mistakes."""
    counts = np.array(confusion)
    np.fill_diagonal(counts, 0)
    mistakes = counts.sum(axis=0) + counts.sum(axis=1)
    return np.sort(np.argsort(-mistakes, kind="stable")[:MOST_CLASSES])


def _short(name: str) -> str:
    """Return a class name that has room next to the matrix."""
    text = printable(name)
    return text if len(text) <= _MOST_CHARS else f"{text[: _MOST_CHARS - 1]}…"


def _draw_cell(axes: Any, place: tuple[int, int], *, share: float, text: str, gid: str) -> None:
    """Draw a cell as deep as its share of the row, with its count where there is room."""
    row, column = place
    colour, depth = LIGHT["ice" if row == column else "warm"], 0.12 + 0.88 * share
    box = {"color": colour, "alpha": depth, "linewidth": 0, "gid": gid}
    axes.fill(
        [column + 0.03, column + 0.97, column + 0.97, column + 0.03],
        [row + 0.03, row + 0.03, row + 0.97, row + 0.97],
        **box,
    )
    ink = LIGHT["paper" if depth > 0.6 else "ink"]
    axes.text(column + 0.5, row + 0.53, text, color=ink, ha="center", va="center", size=10 if len(text) < 4 else 8)
