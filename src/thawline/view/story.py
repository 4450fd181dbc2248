"""A leaderboard of all kinds of training -> SVG text: what a second, a minute or an hour of training buys.

One idea: from nothing, frozen, partly thawed and fully thawed are dots of one picture, score against time, so what
a person pays for a point of accuracy is a distance on the paper. Labels are placed where there is room, best first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from thawline.search.leaderboard import Leaderboard, Trial
from thawline.search.strategy import Kind
from thawline.view.axes import frame_shares, frame_times, height_of, is_stretched, tooltip
from thawline.view.svg import LIGHT, drawing, figure_svg, strip_axes
from thawline.view.words import GAP, KIND_WORDS, duration_text, percent, shared_backbone, short_name

__all__ = ["story_svg"]

_MARKS: dict[Kind, tuple[str, str]] = {
    "scratch": ("muted", "D"),
    "frozen": ("ice", "o"),
    "partial": ("slush", "^"),
    "full": ("melt", "s"),
}
_MOST_A_KIND = 5
_LEAST_S = 0.01
_TIMES_S = (0.01, 0.1, 1, 10, 60, 600, 3600, 36_000, 360_000)
_LABEL_PX, _CHAR_PX, _MOST_CHARS = 15, 6.8, 40
_BESIDE_PX = ((12, 0), (-12, 0), (10, 13), (-10, 13), (10, -13), (-10, -13))
_Box = tuple[float, float, float, float]  # left, bottom, right, top in pixels


def story_svg(leaderboard: Leaderboard, *, width_px: int = 920, trials: Sequence[Trial] | None = None) -> str:
    """Return the story of a leaderboard: score with its interval against the seconds that training took.

    Every kind has its colour and shape; the winner has a ring. Of each kind the best five are shown, of the frozen
    ones the best of each head, on one depth and on several. A hollow mark answered only part of the pictures. Labels
    leave out the backbone that all share, the name where only the score has room, and both where neither has; the
    tooltips and the text alternative have them all.

    Args:
        leaderboard: Trials of any kinds; times below 10 ms are drawn at 10 ms.
        width_px: Width that the text is laid out for, 320 or more; the element itself scales.
        trials: What to show instead, best first, the winner among them.

    Returns:
        A self-contained `<svg>` element, readable on a light and on a dark ground; equal bytes for equal arguments.
    """
    shown = list(trials) if trials is not None else _worth_showing(leaderboard)
    wide = width_px >= 600
    height_px = 430 if wide else 400
    left_px, bottom_px, top_px = (50, 56, 62) if wide else (46, 56, 82)
    tooltips: dict[str, str] = {}
    with drawing(width_px, height_px) as figure:
        box = (left_px / width_px, bottom_px / height_px)
        size = (1 - (left_px + 8) / width_px, 1 - (bottom_px + top_px) / height_px)
        axes = figure.add_axes((*box, *size))
        strip_axes(axes)
        ends = [end for trial in shown for end in (trial.low, trial.mean, trial.high)]
        frame_shares(axes, ends, best=max(trial.mean for trial in shown))
        _frame_times(axes, [_time(trial) for trial in shown])
        sheet = figure.add_axes((0, 0, 1, 1), xlim=(0, width_px), ylim=(0, height_px))  # one unit a pixel
        sheet.set_axis_off()
        _draw_legend(sheet, leaderboard, width_px=width_px, from_top_px=height_px - 16)
        note = "time that training took" + ("" if wide else ", logarithmic")
        note += ("; scores stretched towards 100" + GAP + "%" if wide else "; scores stretched") * is_stretched(axes)
        sheet.text(left_px, 14, note, color=LIGHT["muted"], size=11.5)
        room = _Room(left_px, width_px - 2, bottom_px, height_px - top_px + 26, has_names=wide)
        for index, trial in enumerate(shown):
            tooltips[f"dot-{index}"] = f"{tooltip(trial)} after {duration_text(trial.fit_s)}{_part(leaderboard, trial)}"
            _draw_trial(axes, leaderboard, trial, gid=f"dot-{index}")
            room.take(_boxes(axes, trial))
        _label_trials(axes, leaderboard, shown=shown, sheet=sheet, room=room)
        return figure_svg(figure, prefix=f"story{width_px}", label=_in_words(leaderboard, shown), tooltips=tooltips)


def _worth_showing(leaderboard: Leaderboard) -> list[Trial]:
    """Return the best few trials of each kind, best first, the winner and the leader always among them."""
    winner = leaderboard.trials[leaderboard.winner]
    rows_of: dict[Kind, set[object]] = {}
    shown = []
    for trial in leaderboard.trials:
        strategy = trial.strategy
        row = (strategy.head, strategy.is_fused) if strategy.kind == "frozen" else strategy.name
        seen = rows_of.setdefault(strategy.kind, set())
        if trial is winner or (row not in seen and len(seen) < _MOST_A_KIND):
            shown.append(trial)
            seen.add(row)
    return shown


def _time(trial: Trial) -> float:
    """Return where on the axis of seconds a trial is drawn."""
    return max(trial.fit_s, _LEAST_S)


def _part(leaderboard: Leaderboard, trial: Trial) -> str:
    """Return which part of the pictures a trial answered, where that is not all of them."""
    partly = trial.num_pictures < leaderboard.num_pictures
    return f", on {trial.num_pictures:,} of {leaderboard.num_pictures:,}" if partly else ""


def _frame_times(axes: Any, times_s: Sequence[float]) -> None:
    """Make the horizontal axis logarithmic over all times, with two or more of the round times labelled."""
    low, high = min(times_s) / 2, max(times_s) * 3
    if sum(low <= at <= high for at in _TIMES_S) < 2:
        low = max((at for at in _TIMES_S if at <= low), default=low)
        high = min((at for at in _TIMES_S if at >= high), default=high)
    shown = [at for at in _TIMES_S if low <= at <= high]
    frame_times(axes, low=low, high=high, labels={at: _time_label(at) for at in shown})
    for at, label in zip(shown, axes.get_xticklabels(), strict=True):
        if at > high**0.96 * low**0.04:  # so near the edge of the paper that half of the label would lie beyond it
            label.set_horizontalalignment("right")


def _time_label(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 60 else duration_text(seconds)


def _draw_legend(sheet: Any, leaderboard: Leaderboard, *, width_px: int, from_top_px: float) -> None:
    """Name the kinds that are there, in the order in which more of the network is trained, in one row or two."""
    kinds = {trial.strategy.kind for trial in leaderboard.trials}
    at_px, row_px = 8.0, from_top_px
    for kind, words in KIND_WORDS.items():
        if kind not in kinds:
            continue
        needed_px = 14 + 7.2 * len(words)
        if at_px + needed_px > width_px:
            at_px, row_px = 8.0, row_px - 20
        colour, marker = _MARKS[kind]
        sheet.plot(at_px, row_px, marker, color=LIGHT[colour], markersize=7)
        sheet.text(at_px + 10, row_px, words, color=LIGHT[colour], va="center", size=12, weight="bold")
        at_px += needed_px + 22


@dataclass
class _Room:
    """What of the paper is free for labels, and whether they have room for names next to scores."""

    left: float
    right: float
    bottom: float
    top: float
    has_names: bool
    taken: list[_Box] = field(default_factory=list)

    def take(self, boxes: Sequence[_Box]) -> None:
        """Keep boxes free of labels."""
        self.taken.extend(boxes)

    def has(self, box: _Box) -> bool:
        """Return whether a box lies on the paper and touches nothing that is taken."""
        left, bottom, right, top = box
        inside = self.left <= left and right <= self.right and self.bottom <= bottom and top <= self.top
        return inside and not any(
            left < other[2] and other[0] < right and bottom < other[3] and other[1] < top for other in self.taken
        )


def _draw_trial(axes: Any, leaderboard: Leaderboard, trial: Trial, *, gid: str) -> None:
    """Draw a trial's interval and its mark, ringed where it is the winner."""
    colour, marker = _MARKS[trial.strategy.kind]
    at, height = _time(trial), height_of(axes, trial.mean)
    ends = [height_of(axes, trial.low), height_of(axes, trial.high)]
    axes.plot([at, at], ends, color=LIGHT[colour], linewidth=2.5, alpha=0.35, solid_capstyle="round", zorder=2)
    fill = LIGHT["paper" if trial.num_pictures < leaderboard.num_pictures else colour]
    style = {"markerfacecolor": fill, "markeredgecolor": LIGHT[colour], "markeredgewidth": 2}
    axes.plot(at, height, marker, markersize=8, gid=gid, zorder=4, **style)
    if trial is leaderboard.trials[leaderboard.winner]:
        ring = {"markerfacecolor": "none", "markeredgecolor": LIGHT["warm"], "markeredgewidth": 2.2}
        axes.plot(at, height, "o", markersize=19, zorder=5, **ring)


def _boxes(axes: Any, trial: Trial) -> tuple[_Box, _Box]:
    """Return the boxes that a trial's mark and its interval fill."""
    heights = (height_of(axes, score) for score in (trial.mean, trial.low, trial.high))
    (x, y), (_, low), (_, high) = (axes.transData.transform((_time(trial), height)) for height in heights)
    return (x - 6, y - 6, x + 6, y + 6), (x - 2, low, x + 2, high)


def _label_trials(axes: Any, leaderboard: Leaderboard, *, shown: Sequence[Trial], sheet: Any, room: _Room) -> None:
    """Label the trials where there is room: the winner first, then the best of each kind, then the others."""
    winner, backbone = leaderboard.trials[leaderboard.winner], shared_backbone(leaderboard)
    best = {trial.strategy.kind: trial for trial in reversed(shown)}
    for trial in sorted(shown, key=lambda trial: (trial is not winner, trial is not best[trial.strategy.kind])):
        won = trial is winner
        colour = LIGHT["warm" if won else _MARKS[trial.strategy.kind][0]]
        name = short_name(trial, backbone) if room.has_names else ""
        for text in _texts(trial, name, won=won):
            places = _places(*_boxes(axes, trial), further_px=5 if won else 0)
            free = next((place for place in places if room.has(_label_box(place, text))), None)
            if free is not None:
                x, y, side = free
                weight = "bold" if won else "normal"
                sheet.text(x, y, text, ha=side, va="center", size=11.5, color=colour, weight=weight)
                room.take([_label_box(free, text)])
                break


def _texts(trial: Trial, name: str, *, won: bool) -> Iterator[str]:
    """Yield what a label may say, longest first: the name, where one is given, and the score; the score alone."""
    role, score = "winner" if won else "", percent(trial.mean)
    if name:
        cut = name if len(name) <= _MOST_CHARS else name[: _MOST_CHARS - 1] + "…"
        yield f"{role}: {cut}  {score}" if won else f"{cut}  {score}"
    yield f"{role} {score}".strip()


def _label_box(place: tuple[float, float, str], text: str) -> _Box:
    """Return the box that a label fills at a place, by the width of an average letter."""
    x, y, side = place
    width_px = _CHAR_PX * len(text)
    left = x - width_px * {"left": 0.0, "center": 0.5, "right": 1.0}[side]
    return left, y - _LABEL_PX / 2, left + width_px, y + _LABEL_PX / 2


def _places(mark: _Box, interval: _Box, *, further_px: float) -> Iterator[tuple[float, float, str]]:
    """Yield where a label may stand, best first: its x, its y, and the side of the text that is at x."""
    x, y = (mark[0] + mark[2]) / 2, (mark[1] + mark[3]) / 2
    for right, up in _BESIDE_PX:
        yield x + right + (further_px if right > 0 else -further_px), y + up, "left" if right > 0 else "right"
    for above in (max(interval[3], mark[3]) + 10, min(interval[1], mark[1]) - 10):
        for side in ("center", "right", "left"):
            yield x, above, side


def _in_words(leaderboard: Leaderboard, shown: Sequence[Trial]) -> str:
    """Return what the figure shows as one sentence, for those who hear it."""
    winner = leaderboard.trials[leaderboard.winner]
    parts = [
        f"{trial.name} ({KIND_WORDS[trial.strategy.kind]}{', the winner' if trial is winner else ''}) "
        f"{percent(trial.mean)} after {duration_text(trial.fit_s)}{_part(leaderboard, trial)}"
        for trial in shown
    ]
    metric = leaderboard.metric.replace("_", " ")
    return f"From nothing to fully thawed, {metric} against the time that training took: {'; '.join(parts)}"
