"""A leaderboard -> SVG text: what a millisecond buys, score against the time that a picture takes.

One idea: of all strategies only those on the line are worth choosing among, each the best of what is no slower; with
several networks the line crosses from one to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thawline.search.leaderboard import Leaderboard, Trial
from thawline.view.axes import frame_shares, frame_times, height_of, is_stretched, tooltip
from thawline.view.svg import LIGHT, drawing, figure_svg, strip_axes
from thawline.view.words import GAP, percent

__all__ = ["pareto_front", "pareto_svg"]

_COLOURS = ("ice", "slush", "melt", "ink", "muted")
"""Of the networks, in their order on the leaderboard; of several at once, and of the fifth on, the last."""

_NAMED = 5
_LEAST_MS = 0.01
_TICKS_MS = tuple(step * 10.0**power for power in range(-2, 5) for step in (1, 2, 5))


def pareto_front(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that are better than every one that is no slower, fastest first."""
    front: list[Trial] = []
    for trial in sorted(trials, key=lambda trial: (trial.predict_ms, -trial.mean)):
        if not front or trial.mean > front[-1].mean:
            front.append(trial)
    return front


def pareto_svg(leaderboard: Leaderboard, *, width_px: int = 920) -> str:
    """Return score against milliseconds a picture: every strategy a dot, and the line of those worth choosing among.

    Each network has its colour, and what reads several at once another; the winner has a ring. What answered only part
    of the pictures is left out.

    Args:
        leaderboard: Trials with the milliseconds that a picture takes on the machine of the run.
        width_px: Width that the text is laid out for, 320 or more; the element itself scales.

    Returns:
        A self-contained `<svg>` element, readable on a light and on a dark ground; equal bytes for equal arguments.
    """
    whole = [trial for trial in leaderboard.trials if trial.num_pictures == leaderboard.num_pictures]
    front, winner = pareto_front(whole), leaderboard.trials[leaderboard.winner]
    best = max(trial.mean for trial in whole)
    floor = min(trial.mean for trial in front)
    shown = [trial for trial in whole if trial.mean >= floor - 0.1 * (best - floor) or trial is winner]
    wide = width_px >= 600
    colours = _colours(whole)
    num_named = len(_legend(colours))
    rows = -(-num_named // (3 if wide else 1)) if num_named > 1 else 0
    height_px, left_px, bottom_px = (360 if wide else 320) + 20 * rows, 50 if wide else 46, 52
    tooltips: dict[str, str] = {}
    with drawing(width_px, height_px) as figure:
        top_px = 24 + 20 * rows
        box = (left_px / width_px, bottom_px / height_px)
        axes = figure.add_axes((*box, 1 - (left_px + 12) / width_px, 1 - (bottom_px + top_px) / height_px))
        strip_axes(axes)
        frame_shares(axes, [trial.mean for trial in shown], best=best)
        _frame_times(axes, [_ms(trial) for trial in shown])
        sheet = figure.add_axes((0, 0, 1, 1), xlim=(0, width_px), ylim=(0, height_px))  # one unit a pixel
        sheet.set_axis_off()
        _draw_legend(sheet, colours, width_px=width_px, from_top_px=height_px - 14)
        _draw_front(axes, front)
        for index, trial in enumerate(shown):
            gid, on_line = f"dot-{index}", trial in front
            tooltips[gid] = f"{tooltip(trial)}, {trial.predict_ms:.3g} ms a picture"
            style: dict[str, Any] = {"markersize": 8 if on_line else 4, "alpha": 1 if on_line else 0.5}
            colour = LIGHT[colours[trial.strategy.backbone]]
            axes.plot(_ms(trial), height_of(axes, trial.mean), "o", color=colour, gid=gid, zorder=4, **style)
        ring: dict[str, Any] = {"markerfacecolor": "none", "markeredgewidth": 2.2, "markersize": 14, "zorder": 5}
        axes.plot(_ms(winner), height_of(axes, winner.mean), "o", markeredgecolor=LIGHT["warm"], **ring)
        note = "milliseconds a picture, logarithmic"
        note += ("; scores stretched towards 100" + GAP + "%" if wide else "; stretched") * is_stretched(axes)
        sheet.text(left_px, 12, note, color=LIGHT["muted"], size=11.5)
        return figure_svg(figure, prefix=f"pareto{width_px}", label=_in_words(front, winner), tooltips=tooltips)


def _ms(trial: Trial) -> float:
    return max(trial.predict_ms, _LEAST_MS)


def _colours(trials: Sequence[Trial]) -> dict[str, str]:
    """Return the colour of every network, and of those that are read together, in the order of the leaderboard."""
    alone = list(dict.fromkeys(trial.strategy.backbone for trial in trials if trial.strategy.num_networks == 1))
    found = {name: _COLOURS[min(place, len(_COLOURS) - 1)] for place, name in enumerate(alone)}
    together = (trial.strategy.backbone for trial in trials if trial.strategy.num_networks > 1)
    return found | dict.fromkeys(together, "warm")


def _legend(colours: dict[str, str]) -> dict[str, str]:
    """Return what the legend names: every network, and all that read several of them as one."""
    named = {name: colour for name, colour in colours.items() if colour != "warm"}
    return named | ({"several at once": "warm"} if "warm" in colours.values() else {})


def _frame_times(axes: Any, times_ms: Sequence[float]) -> None:
    """Make the horizontal axis logarithmic over all times, with round times labelled."""
    low, high = min(times_ms) / 1.25, max(times_ms) * 1.25
    shown = [at for at in _TICKS_MS if low <= at <= high]
    frame_times(axes, low=low, high=high, labels={at: f"{at:g}" for at in shown})


def _draw_front(axes: Any, front: Sequence[Trial]) -> None:
    """Draw the line as steps: up to the next strategy nothing better is to be had."""
    ends = [*(_ms(trial) for trial in front), axes.get_xlim()[1]]
    heights = [height_of(axes, trial.mean) for trial in front]
    axes.step(ends, [*heights, heights[-1]], where="post", color=LIGHT["ice"], linewidth=2, alpha=0.7, zorder=3)


def _draw_legend(sheet: Any, colours: dict[str, str], *, width_px: int, from_top_px: float) -> None:
    """Name the networks where there are several, and what reads more than one of them."""
    named = _legend(colours)
    if len(named) < 2:
        return
    at_px, row_px = 8.0, from_top_px
    for name, colour in named.items():
        needed_px = 24 + 7.4 * len(name)
        if at_px > 8 and at_px + needed_px > width_px:
            at_px, row_px = 8.0, row_px - 20
        sheet.plot(at_px + 2, row_px, "o", color=LIGHT[colour], markersize=7)
        sheet.text(at_px + 12, row_px, name, color=LIGHT["ink"], va="center", size=11.5)
        at_px += needed_px


def _in_words(front: Sequence[Trial], winner: Trial) -> str:
    steps = [f"{percent(trial.mean)} at {trial.predict_ms:.3g} ms ({trial.name})" for trial in front[-_NAMED:]]
    return f"Score against milliseconds a picture; the line: {'; '.join(steps)}; the winner is {winner.name}"
