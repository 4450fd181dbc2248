"""Leaderboard and cut points -> SVG text: the thaw line, score against the depth at which a network is read.

One idea: what is chosen from the data (which trials, where the scale ends, where labels must move apart) is chosen
here, in the light palette of `svg.py`, which then makes the result follow the reader's light or dark setting. The
same data give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thawline.features.backbone import CutPoint
from thawline.search.leaderboard import Leaderboard, Trial
from thawline.view.axes import apart, frame_shares, height_of, label_cuts, shifted, tooltip
from thawline.view.svg import LIGHT, drawing, figure_svg, strip_axes
from thawline.view.words import percent

if TYPE_CHECKING:  # matplotlib is imported where something is drawn
    from matplotlib.figure import Figure

__all__ = ["thaw_line_svg"]

_NUM_ROWS = 8


@dataclass(frozen=True)
class _Depths:
    """What the thaw line shows of a leaderboard: positions on the axis count the cuts from shallow to deep."""

    cuts: tuple[CutPoint, ...]
    position: dict[int, int]
    single: dict[str, dict[int, Trial]]
    fused: tuple[Trial, ...]

    def span(self, trial: Trial) -> list[int]:
        """Return the positions that a frozen trial reads, ascending; none for one that trains the network."""
        if not trial.strategy.is_plain:
            return []
        return sorted(self.position[depth] for depth in trial.strategy.depths if depth in self.position)


def _by_depth(leaderboard: Leaderboard, cuts: Sequence[CutPoint]) -> _Depths:
    """Return the best single-cut trial for every head and depth, and the best fused ones, one for a set of depths."""
    ordered = tuple(sorted(cuts, key=lambda cut: cut.index))
    position = {cut.index: place for place, cut in enumerate(ordered)}
    winner = leaderboard.trials[leaderboard.winner]
    single: dict[str, dict[int, Trial]] = {}
    fused: dict[tuple[int, ...], Trial] = {}
    for trial in leaderboard.trials:  # best first, so the first of its depths is their best
        depths = trial.strategy.depths
        if not trial.strategy.is_plain or not set(depths) <= set(position):
            continue
        if not trial.strategy.is_fused:
            single.setdefault(trial.strategy.head, {}).setdefault(position[depths[0]], trial)
        elif trial is winner or depths not in fused:
            fused[depths] = trial
    best = sorted(fused.values(), key=lambda trial: -trial.mean)
    shown = [trial for row, trial in enumerate(best) if row < _NUM_ROWS or trial is winner]
    return _Depths(ordered, position, single, tuple(shown))


def thaw_line_svg(
    leaderboard: Leaderboard, cuts: Sequence[CutPoint], *, width_px: int = 920, prefix: str = "thaw"
) -> str:
    """Return the thaw line: score against the depth at which the frozen network is read.

    Below, a line with its interval band joins the best strategies that read one cut with a linear head; thinner
    lines are other heads, and the shaded stripe holds what is tied with the leader. Above, on the same axis of
    depths, each row is a fused strategy with a dot at every depth that its head reads.

    Args:
        leaderboard: Trials whose strategies index `cuts`; those that read no cut are left out.
        cuts: Cut points of the backbone, in any order.
        width_px: Width that the text is laid out for, 320 or more; the element itself scales.
        prefix: Of the ids, unique on a page.

    Returns:
        A self-contained `<svg>` element, readable on a light and on a dark ground; equal bytes for equal arguments.
    """
    depths = _by_depth(leaderboard, cuts)
    page = _Page(width_px, wide=width_px >= 600, num_rows=len(depths.fused))
    tooltips: dict[str, str] = {}
    with drawing(width_px, page.height_px) as figure:
        axes = _panel(figure, page, (page.bottom_px, page.score_px), len(depths.cuts))
        _frame_scores(axes, leaderboard, depths)
        _draw_single(axes, depths, tooltips, wide=page.wide)
        _draw_thaw_line(axes, depths, wide=page.wide)
        _draw_best(axes, leaderboard, depths)
        _label_ends(axes, leaderboard, depths, wide=page.wide)
        named = [(cut.label, cut.cost_fraction) for cut in depths.cuts]
        label_cuts(axes, named, spacing_px=page.spacing_px(len(named)))
        if depths.fused:
            rows = _panel(figure, page, (page.rows_from_px, page.rows_px), len(depths.cuts))
            _draw_fused(rows, leaderboard, depths, tooltips, wide=page.wide)
        label = "The thaw line: score against the depth at which the network is read"
        return figure_svg(figure, prefix=f"{prefix}{width_px}", label=label, tooltips=tooltips)


@dataclass(frozen=True)
class _Page:
    """Where the two panels of the thaw line lie, in pixels from the lower left corner."""

    width_px: int
    wide: bool
    num_rows: int

    bottom_px = 62

    @property
    def left_px(self) -> int:
        return 50 if self.wide else 38

    @property
    def right_px(self) -> int:
        return 124 if self.wide else 90

    @property
    def score_px(self) -> int:
        return 310 if self.wide else 250

    @property
    def rows_from_px(self) -> int:
        return self.bottom_px + self.score_px + 50

    @property
    def rows_px(self) -> int:
        return 21 * self.num_rows

    @property
    def height_px(self) -> int:
        return self.rows_from_px + self.rows_px + 26 if self.num_rows else self.rows_from_px - 16

    def spacing_px(self, num_cuts: int) -> float:
        return (self.width_px - self.left_px - self.right_px) / max(num_cuts, 1)


def _panel(figure: Figure, page: _Page, place_px: tuple[float, float], num_cuts: int) -> Any:
    """Return plain axes over the cuts, at a height above the lower edge and of a height: faint rules and labels."""
    from_px, height_px = place_px
    width = page.width_px - page.left_px - page.right_px
    box = (page.left_px / page.width_px, from_px / page.height_px)
    axes = figure.add_axes((*box, width / page.width_px, height_px / page.height_px))
    axes.set_xlim(-0.5, max(num_cuts - 0.5, 0.5))
    strip_axes(axes)
    return axes


def _frame_scores(axes: Any, leaderboard: Leaderboard, depths: _Depths) -> None:
    """Set the score axis to hold every band and mark, and shade what is tied with the leader."""
    linear = [score for trial in depths.single.get("linear", {}).values() for score in (trial.low, trial.high)]
    others = [trial.mean for by_depth in depths.single.values() for trial in by_depth.values()]
    best = [trial.mean for trial in (leaderboard.trials[0], leaderboard.trials[leaderboard.winner])]
    frame_shares(axes, linear + others + best, best=max(best))
    tied = [height_of(axes, leaderboard.trials[index].mean) for index in leaderboard.ties]
    if len(tied) > 1:
        axes.axhspan(min(tied), max(tied), color=LIGHT["glow"], linewidth=0, zorder=0.6)
        if max(tied) - min(tied) > 0:  # a stripe of no height shows nothing that words could name
            above = shifted(axes, max(tied), up_px=8)
            axes.text(-0.4, above, "tied with the leader", color=LIGHT["muted"], size=10.5, va="center")


def _draw_single(axes: Any, depths: _Depths, tooltips: dict[str, str], *, wide: bool) -> None:
    """Draw the strategies that read one cut: the linear head with its band, other heads as thin lines."""
    for head, by_depth in sorted(depths.single.items()):
        places = sorted(by_depth)
        trials = [by_depth[place] for place in places]
        main = head == "linear"
        colour = LIGHT["ice" if main else "muted"]
        if main:
            low, high = (
                [height_of(axes, trial.low) for trial in trials],
                [height_of(axes, trial.high) for trial in trials],
            )
            axes.fill_between(places, low, high, color=LIGHT["frost"], alpha=0.75, linewidth=0, zorder=1)
        style: dict[str, Any] = {"color": colour, "linewidth": 2.6 if main else 1.1, "alpha": 1 if main else 0.55}
        axes.plot(places, [height_of(axes, trial.mean) for trial in trials], zorder=3, **style)
        for place, trial in zip(places, trials, strict=True):
            gid = f"{head.replace(' ', '-')}-{place}"
            tooltips[gid] = tooltip(trial)
            size = (6.5 if wide else 5) if main else (3.5 if wide else 2.5)
            axes.plot(place, height_of(axes, trial.mean), "o", color=colour, markersize=size, gid=gid, zorder=4)


def _draw_thaw_line(axes: Any, depths: _Depths, *, wide: bool) -> None:
    """Mark the best single cut: deeper than this, a linear head alone gains nothing."""
    if not (linear := depths.single.get("linear")):
        return
    best = max(linear, key=lambda place: (linear[place].mean, -place))
    axes.axvline(best, color=LIGHT["ice"], linewidth=1.3, linestyle=(0, (2, 3)), zorder=2)
    name = depths.cuts[best].label
    words = f"thaw line: {name} is the best single cut, {percent(linear[best].mean)}" if wide else f"thaw line: {name}"
    top = shifted(axes, axes.get_ylim()[1], up_px=13)
    align = "right" if best > len(depths.cuts) / 2 else "left"
    nudge = 0.15 if align == "right" else -0.15
    axes.text(best + nudge, top, words, color=LIGHT["ice"], ha=align, va="center", size=12, weight="bold")


def _draw_best(axes: Any, leaderboard: Leaderboard, depths: _Depths) -> None:
    """Draw the winner's score, and the leader's where it is another, over the depths that they read."""
    winner = leaderboard.trials[leaderboard.winner]
    for trial, colour in ((leaderboard.trials[0], "ink"), (winner, "warm")):
        if colour == "ink" and trial is winner:
            continue
        span, height = depths.span(trial), height_of(axes, trial.mean)
        if trial.strategy.is_fused and span:
            axes.plot(span[:1] + span[-1:], [height] * 2, color=LIGHT[colour], linewidth=2.4, zorder=5)
        elif span:
            axes.plot(span[0], height, "o", markersize=11, color=LIGHT[colour], zorder=5)
        ends = [span[-1] if span else -0.5, axes.get_xlim()[1]]
        axes.plot(ends, [height] * 2, color=LIGHT[colour], linewidth=1, linestyle=(0, (1, 2.5)), zorder=4)


def _label_ends(axes: Any, leaderboard: Leaderboard, depths: _Depths, *, wide: bool) -> None:
    """Name every line at its right end, moved apart where they would overlap."""
    winner, leader = leaderboard.trials[leaderboard.winner], leaderboard.trials[0]
    ends = [(winner.mean, f"winner {percent(winner.mean)}" if wide else f"winner {100 * winner.mean:.1f}", "warm")]
    if leader is not winner:
        ends.append(
            (leader.mean, f"leader {percent(leader.mean)}" if wide else f"leader {100 * leader.mean:.1f}", "ink")
        )
    for head, by_depth in sorted(depths.single.items()):
        name = "one cut, linear" if wide and head == "linear" else head
        ends.append((by_depth[max(by_depth)].mean, name, "ice" if head == "linear" else "muted"))
    heights = apart(axes, [height_of(axes, height) for height, _, _ in ends], gap_px=15)
    x = axes.get_xlim()[1]
    for height, (_, text, colour) in zip(heights, ends, strict=True):
        weight = "normal" if colour == "muted" else "bold"
        axes.text(x + 0.1, height, text, color=LIGHT[colour], va="center", size=12 if wide else 11, weight=weight)


def _draw_fused(axes: Any, leaderboard: Leaderboard, depths: _Depths, tooltips: dict[str, str], *, wide: bool) -> None:
    """Draw a row for each fused strategy: a dot at every depth that it reads, its score at the right end."""
    winner, leader = leaderboard.trials[leaderboard.winner], leaderboard.trials[0]
    axes.set_ylim(len(depths.fused) - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(-0.5, -0.95, "several cuts read at once", weight="bold", size=12)
    for row, trial in enumerate(depths.fused):
        span, gid = depths.span(trial), f"fused-{row}"
        tooltips[gid] = tooltip(trial)
        colour = "warm" if trial is winner else "ink" if trial.tied else "muted"
        style: dict[str, Any] = {"color": LIGHT[colour], "alpha": 1 if trial.tied else 0.6}
        style |= {"linewidth": 2.6, "markersize": 8} if trial is winner else {"linewidth": 1.4, "markersize": 5}
        if not wide:
            style["markersize"] *= 0.75
        axes.plot([-0.5, len(depths.cuts) - 0.5], [row, row], color=LIGHT["rule"], linewidth=1, zorder=0)
        axes.plot(span, [row] * len(span), "-o", gid=gid, **style)
        role = "winner" if trial is winner else "leader" if trial is leader else "tied" if trial.tied else ""
        words = f"{percent(trial.mean)} {role}" if wide else f"{100 * trial.mean:.1f} {role}"
        weight = "bold" if role in {"winner", "leader"} else "normal"
        axes.text(len(depths.cuts) - 0.4, row, words, color=LIGHT[colour], va="center", size=11.5, weight=weight)
