"""Scores and curves -> SVG text: the thaw line, and loss and top-1 by epoch.

One idea: what is chosen from the data (which trials, where the scale ends, where labels must move apart) is chosen
here, in the light palette of `svg.py`, which then makes the result follow the reader's light or dark setting. The
same data give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from thawline.search.leaderboard import Curve, Leaderboard, Trial
from thawline.use.report_data import Cut
from thawline.use.svg import LIGHT, drawing, figure_svg, strip_axes

__all__ = ["curve_svg", "percent", "thaw_line_svg"]

_GAP = "\N{NO-BREAK SPACE}"
_STRETCHED = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.99)
_NUM_ROWS = 8


def percent(value: float) -> str:
    """Return a share in [0, 1] as text with one decimal and a space that does not break.

    >>> percent(0.98897) == "98.9\N{NO-BREAK SPACE}%"
    True
    """
    return f"{100 * value:.1f}{_GAP}%"


@dataclass(frozen=True)
class _Depths:
    """What the thaw line shows of a leaderboard: positions on the axis count the cuts from shallow to deep."""

    cuts: tuple[Cut, ...]
    position: dict[int, int]
    single: dict[str, dict[int, Trial]]
    fused: tuple[Trial, ...]

    def span(self, trial: Trial) -> list[int]:
        """Return the positions that a trial reads, ascending; none for a trial that reads no cut."""
        return sorted(self.position[depth] for depth in trial.strategy.depths if depth in self.position)


def _by_depth(leaderboard: Leaderboard, cuts: Sequence[Cut]) -> _Depths:
    """Return the best single-cut trial for every head and depth, and the best fused ones, one for a set of depths."""
    ordered = tuple(sorted(cuts, key=lambda cut: cut.index))
    position = {cut.index: place for place, cut in enumerate(ordered)}
    winner = leaderboard.trials[leaderboard.winner]
    single: dict[str, dict[int, Trial]] = {}
    fused: dict[tuple[int, ...], Trial] = {}
    for trial in leaderboard.trials:  # best first, so the first of its depths is their best
        depths = trial.strategy.depths
        if trial.strategy.kind != "frozen" or not depths or not set(depths) <= set(position):
            continue
        if not trial.strategy.is_fused:
            single.setdefault(trial.strategy.head, {}).setdefault(position[depths[0]], trial)
        elif trial is winner or depths not in fused:
            fused[depths] = trial
    best = sorted(fused.values(), key=lambda trial: -trial.mean)
    shown = [trial for row, trial in enumerate(best) if row < _NUM_ROWS or trial is winner]
    return _Depths(ordered, position, single, tuple(shown))


def thaw_line_svg(leaderboard: Leaderboard, cuts: Sequence[Cut], *, width_px: int = 920) -> str:
    """Return the thaw line: score against the depth at which the frozen network is read.

    Below, a line with its interval band joins the best strategies that read one cut with a linear head; thinner
    lines are other heads, and the shaded stripe holds what is tied with the leader. Above, on the same axis of
    depths, each row is a fused strategy with a dot at every depth that its head reads.

    Args:
        leaderboard: Trials whose strategies index `cuts`; those that read no cut are left out.
        cuts: Cut points of the backbone, in any order.
        width_px: Width that the text is laid out for, 320 or more; the element itself scales.

    Returns:
        A self-contained `<svg>` element, readable on a light and on a dark ground; equal bytes for equal arguments.
    """
    depths = _by_depth(leaderboard, cuts)
    page = _Page(width_px, wide=width_px >= 600, num_rows=len(depths.fused))
    tooltips: dict[str, str] = {}
    with drawing(width_px, page.height_px) as figure:
        axes = _panel(figure, page, page.bottom_px, page.score_px, len(depths.cuts))
        _frame_scores(axes, leaderboard, depths)
        _draw_single(axes, depths, tooltips, wide=page.wide)
        _draw_thaw_line(axes, depths, wide=page.wide)
        _draw_best(axes, leaderboard, depths)
        _label_ends(axes, leaderboard, depths, wide=page.wide)
        _label_cuts(axes, depths, page.spacing_px(len(depths.cuts)))
        if depths.fused:
            rows = _panel(figure, page, page.rows_from_px, page.rows_px, len(depths.cuts))
            _draw_fused(rows, leaderboard, depths, tooltips, wide=page.wide)
        label = "The thaw line: score against the depth at which the network is read"
        return figure_svg(figure, prefix=f"thaw{width_px}", label=label, tooltips=tooltips)


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


def _panel(figure: Figure, page: _Page, from_px: float, height_px: float, num_cuts: int) -> Any:
    """Return plain axes over the cuts: only faint horizontal rules and labels."""
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
    scores = linear + others + best
    if max(best) > 0.95 and min(scores) < max(best) - 0.2:
        _stretch(axes, max(min(scores), 0.02), min(max(scores), 0.999))
    else:
        pad = max(0.04 * (max(scores) - min(scores)), 0.004)
        axes.set_ylim(min(scores) - pad, max(scores) + pad)
        _rule_shares(axes, _round_shares(axes, num_bins=6))
    tied = [_on(axes, leaderboard.trials[index].mean) for index in leaderboard.ties]
    if len(tied) > 1:
        axes.axhspan(min(tied), max(tied), color=LIGHT["glow"], linewidth=0, zorder=0.6)
        above = _shifted(axes, max(tied), 8)
        axes.text(-0.4, above, "tied with the leader", color=LIGHT["muted"], size=10.5, va="center")


def _stretch(axes: Any, low: float, high: float) -> None:
    """Set a log-odds axis, on which 98 % and 99 % are as far apart as 50 % and 67 %: errors halve, not hide."""
    axes.set_yscale("logit")
    axes.set_ylim(low * 0.94, 1 - (1 - high) * 0.94)
    axes.yaxis.set_minor_locator(NullLocator())
    _rule_shares(axes, [at for at in _STRETCHED if at <= high])


def _round_shares(axes: Any, *, num_bins: int) -> list[float]:
    """Return round shares that part the axis into at most `num_bins`."""
    return [float(at) for at in MaxNLocator(nbins=num_bins, steps=[1, 2, 2.5, 5, 10]).tick_values(*axes.get_ylim())]


def _rule_shares(axes: Any, shares: Sequence[float]) -> None:
    """Rule the axis at those shares that are in view and at most 1, with just the decimals that make labels exact."""
    low, high = axes.get_ylim()
    shown = [round(share, 9) + 0.0 for share in shares if low - 1e-9 <= share <= min(high, 1.0) + 1e-9]
    exact = (n for n in range(6) if all(abs(round(100 * share, n) - 100 * share) < 1e-6 for share in shown))
    decimals = next(exact, 6)
    axes.set_yticks(shown, [f"{100 * share:.{decimals}f}{_GAP}%" for share in shown])


def _draw_single(axes: Any, depths: _Depths, tooltips: dict[str, str], *, wide: bool) -> None:
    """Draw the strategies that read one cut: the linear head with its band, other heads as thin lines."""
    for head, by_depth in sorted(depths.single.items()):
        places = sorted(by_depth)
        trials = [by_depth[place] for place in places]
        main = head == "linear"
        colour = LIGHT["ice" if main else "muted"]
        if main:
            low, high = [_on(axes, trial.low) for trial in trials], [_on(axes, trial.high) for trial in trials]
            axes.fill_between(places, low, high, color=LIGHT["frost"], alpha=0.75, linewidth=0, zorder=1)
        style: dict[str, Any] = {"color": colour, "linewidth": 2.6 if main else 1.1, "alpha": 1 if main else 0.55}
        axes.plot(places, [_on(axes, trial.mean) for trial in trials], zorder=3, **style)
        for place, trial in zip(places, trials, strict=True):
            gid = f"{head.replace(' ', '-')}-{place}"
            tooltips[gid] = _tooltip(trial)
            size = (6.5 if wide else 5) if main else (3.5 if wide else 2.5)
            axes.plot(place, _on(axes, trial.mean), "o", color=colour, markersize=size, gid=gid, zorder=4)


def _draw_thaw_line(axes: Any, depths: _Depths, *, wide: bool) -> None:
    """Mark the best single cut: deeper than this, a linear head alone gains nothing."""
    if not (linear := depths.single.get("linear")):
        return
    best = max(linear, key=lambda place: (linear[place].mean, -place))
    axes.axvline(best, color=LIGHT["ice"], linewidth=1.3, linestyle=(0, (2, 3)), zorder=2)
    name = depths.cuts[best].label
    words = f"thaw line: {name} is the best single cut, {percent(linear[best].mean)}" if wide else f"thaw line: {name}"
    top = _shifted(axes, axes.get_ylim()[1], 13)
    align = "right" if best > len(depths.cuts) / 2 else "left"
    nudge = 0.15 if align == "right" else -0.15
    axes.text(best + nudge, top, words, color=LIGHT["ice"], ha=align, va="center", size=12, weight="bold")


def _draw_best(axes: Any, leaderboard: Leaderboard, depths: _Depths) -> None:
    """Draw the winner's score, and the leader's where it is another, over the depths that they read."""
    winner = leaderboard.trials[leaderboard.winner]
    for trial, colour in ((leaderboard.trials[0], "ink"), (winner, "warm")):
        if colour == "ink" and trial is winner:
            continue
        span, height = depths.span(trial), _on(axes, trial.mean)
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
    heights = _apart(axes, [_on(axes, height) for height, _, _ in ends], gap_px=15)
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
        tooltips[gid] = _tooltip(trial)
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


def _label_cuts(axes: Any, depths: _Depths, spacing_px: float) -> None:
    """Write the cuts' names and their shares of the cost below the axis, as many as there is room for."""
    longest = max((len(cut.label) for cut in depths.cuts), default=1)
    step = max(1, -(-int(max(7.0 * longest, 34) + 4) // max(int(spacing_px), 1)))
    last = len(depths.cuts) - 1
    shown = [place for place in range(len(depths.cuts)) if (last - place) % step == 0]
    axes.set_xticks(shown, [depths.cuts[place].label for place in shown], color=LIGHT["ink"])
    below = axes.get_ylim()[0]
    for place in shown:
        share = f"{100 * depths.cuts[place].cost_fraction:.0f}{_GAP}%"
        axes.text(place, _shifted(axes, below, -31), share, color=LIGHT["muted"], ha="center", size=10.5)
    wide, stretched = spacing_px > 25, axes.get_yscale() == "logit"
    long, short = "cut, from shallow to deep, and its share of the network’s cost", "cut, and its share of the cost"
    note = long if wide else short
    note += ("; scores stretched towards 100" + _GAP + "%" if wide else "; scale stretched") if stretched else ""
    axes.text(-0.5, _shifted(axes, below, -54), note, color=LIGHT["muted"], size=11.5)


def _on(axes: Any, score: float) -> float:
    """Return where a score is drawn: log-odds have no place for 0 and 1, so there it stops just short of them."""
    return min(max(score, 0.001), 0.999) if axes.get_yscale() == "logit" else score


def _shifted(axes: Any, score: float, up_px: float) -> float:
    """Return the score that lies `up_px` pixels above another one, whatever the scale of the axis."""
    _, y = axes.transData.transform((0, score))
    return float(axes.transData.inverted().transform((0, y + up_px))[1])


def _apart(axes: Any, scores: Sequence[float], *, gap_px: float) -> list[float]:
    """Return the scores moved upwards as little as keeps their labels `gap_px` apart, in the order given."""
    moved = list(scores)
    floor = float("-inf")
    for index in sorted(range(len(scores)), key=lambda index: scores[index]):
        moved[index] = max(scores[index], floor)
        floor = _shifted(axes, moved[index], gap_px)
    return moved


def _tooltip(trial: Trial) -> str:
    """Return a trial's name, its score and its interval, for a tooltip."""
    return f"{trial.name}: {percent(trial.mean)} ({percent(trial.low)} to {percent(trial.high)})"


def curve_svg(curve: Curve, *, prefix: str) -> str:
    """Return loss and top-1 by epoch, training and held-out rows, side by side; `prefix` keeps ids unique in a page."""
    panels = (
        ("loss", curve.train_loss, curve.validation_loss),
        ("top-1", curve.train_accuracy, curve.validation_accuracy),
    )
    with drawing(440, 205) as figure:
        for column, (name, train, validation) in enumerate(panels):
            axes = figure.add_axes((0.115 + 0.515 * column, 0.22, 0.355, 0.63))
            strip_axes(axes)
            for values, colour in ((train, "muted"), (validation, "ice")):
                epochs = range(1, len(values) + 1)
                axes.plot(epochs, values, color=LIGHT[colour], linewidth=2, clip_on=False)
                if values:
                    axes.plot(len(values), values[-1], "o", color=LIGHT[colour], markersize=5, clip_on=False)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
            if name == "top-1":
                low, high = axes.get_ylim()
                axes.set_ylim(max(low, 0.0), min(high, 1.0))
                _rule_shares(axes, _round_shares(axes, num_bins=5))
            else:
                axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
            axes.set_title(name, loc="left", size=12.5, weight="bold", pad=9)
            axes.set_xlabel("epoch", loc="right", size=11, color=LIGHT["muted"], labelpad=2)
        return figure_svg(figure, prefix=prefix, label="Loss and top-1 by epoch", tooltips={})
