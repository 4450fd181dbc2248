"""The leaderboard: trials of strategies with intervals, who leads and wins, and what the choosing is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thawline.core.counting import counted
from thawline.core.html import html_table, interval_bar, scale_of
from thawline.core.types import Curve
from thawline.search.strategy import Strategy

__all__ = ["Curve", "Gain", "Leaderboard", "Member", "MetricName", "Trial"]

NOTEBOOK_ROWS = 12

MetricName = Literal["accuracy", "balanced_accuracy"]


@dataclass(frozen=True)
class Member:
    """One head of several that answer together, as it was chosen for the final fit.

    Attributes:
        name: Of its strategy.
        l2: Penalty strength, per picture.
        temperature: Divides its logits before they become probabilities.
    """

    name: str
    l2: float
    temperature: float


@dataclass(frozen=True)
class Trial:
    """What one strategy scored.

    Attributes:
        strategy: The strategy.
        fold_scores: Score of every fold that it ran, in the order of `Split.folds`; in [0, 1].
        mean: Score over all held-out pictures that it answered (repeats averaged), in [0, 1].
        low: Lower end of a 95 % interval: the forecast of what it scores once it has learnt from all rows of choosing.
            Where the answers are those of the final model, as on held-out pictures, simply of its score.
        high: Upper end of it.
        accuracy: Top-1 accuracy over the held-out pictures, whatever the metric.
        macro_f1: Macro-averaged F1 over the held-out pictures.
        difference: Mean less the leader's over the pictures that both answered; 0 for the leader, else mostly negative.
            The leader is chosen by credit, so that a strategy may score above it.
        difference_low: Lower end of the paired 95 % interval of `difference`, other training sets included.
        difference_high: Upper end of it.
        p_value: Of the paired test against the leader; 1 for the leader.
        tied: Whether the interval of `difference` holds zero; True for the leader.
        l2: Penalty strength chosen for the final fit, per picture, or None where the head has none.
        neighbours: Chosen k of k-NN, or None.
        fit_s: Seconds of the comparison that it took.
        predict_ms: Estimated milliseconds a picture on this machine, from the measured pass and `Strategy.cost`.
        num_pictures: Held-out pictures that it answered; fewer than the leaderboard's where it ran on some folds only.
        curve: Loss and accuracy by epoch, where it was trained by epochs or a curve was computed for it.
        sketched: Whether looser fits answered each picture once, since it could not win: see `search.held_out`.
        credit: Mean held-out credit, in [0, 1], of the pictures that it answered: how clearly it was right
            (`search.credit`), which is what strategies are chosen by. None where the run did not record it.
        members: The heads that answer together, in the order of `Strategy.members`; empty where it is one head.
    """

    strategy: Strategy
    fold_scores: tuple[float, ...]
    mean: float
    low: float
    high: float
    accuracy: float
    macro_f1: float
    difference: float
    difference_low: float
    difference_high: float
    p_value: float
    tied: bool
    l2: float | None
    neighbours: int | None
    fit_s: float
    predict_ms: float
    num_pictures: int
    curve: Curve | None = None
    sketched: bool = False
    credit: float | None = None
    members: tuple[Member, ...] = ()

    def __repr__(self) -> str:
        return f"<Trial {self.name}: {self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]>"

    @property
    def name(self) -> str:
        """The strategy's name."""
        return self.strategy.name


@dataclass(frozen=True)
class Gain:
    """What choosing gains over the usual choice, fold by fold by what the other folds chose.

    Attributes:
        over: Name of the usual choice: a linear head on the whole network.
        mean: Score of the choosing less that of the usual choice.
        low: Lower end of its paired 95 % interval, other training sets included.
        high: Upper end of it.
    """

    over: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Leaderboard:
    """All trials, best first, and how they were compared.

    Attributes:
        metric: What `Trial.mean` is.
        rule: How the choice was made, in words: `5 folds × 2`, `the validation folder`.
        trials: The leader first, which has the most held-out credit; then by the difference from it, best first.
        winner: Index into `trials` of the winner: the cheapest of those that might win and are shown to be as good as
            the leader, by the rule of `search.ties`, which mostly is the leader itself.
        chosen_mean: Forecast of what the chosen strategy scores once it has learnt from all rows: the score of the
            whole procedure of choosing, each fold scored by what the other folds chose, and `chosen_growth`. None of
            the optimism of having been picked is removed where the validation folder is the one fold, or where the
            winner answered some folds only: then it is the winner's own mean over these.
        chosen_low: Lower end of its 95 % interval.
        chosen_high: Upper end of it.
        num_pictures: Pictures that the scores are taken over.
        num_fits: Heads trained.
        seconds: Wall time of the comparison.
        is_named: Whether only plans that the person named could win.
        chosen_growth: What of `chosen_mean` comes from learning from all rows rather than those of the folds.
        gain: What choosing gains over the usual choice; None where it was not compared.
        is_safe: Whether pictures were so few that of the frozen strategies only the safest could win.
    """

    metric: MetricName
    rule: str
    trials: tuple[Trial, ...]
    winner: int
    chosen_mean: float
    chosen_low: float
    chosen_high: float
    num_pictures: int
    num_fits: int
    seconds: float
    is_named: bool = False
    chosen_growth: float = 0.0
    gain: Gain | None = None
    is_safe: bool = False

    def __repr__(self) -> str:
        scored = f"{len(self.trials):,} strategies by {self.metric}, {self.rule}, {self.num_pictures:,} pictures"
        return f"<Leaderboard of {scored}: winner {self.trials[self.winner]!r}, {len(self.ties)} tied>"

    @property
    def ties(self) -> tuple[int, ...]:
        """Indices of the trials tied with the leader, the leader's own included."""
        return tuple(index for index, trial in enumerate(self.trials) if trial.tied)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the best trials and the winner, with their intervals side by side."""
        shown = [*range(min(NOTEBOOK_ROWS, len(self.trials)))]
        shown += [self.winner] if self.winner not in shown else []
        trials = [self.trials[index] for index in shown]
        scale = scale_of([trial.low for trial in trials], [trial.high for trial in trials])
        rows = []
        for index, trial in zip(shown, trials, strict=True):
            mark = "winner" if index == self.winner else "tied" if trial.tied else ""
            tone = "lead" if index == self.winner else "tied" if trial.tied else "behind"
            bar = interval_bar(scale, trial.mean, low=trial.low, high=trial.high, tone=tone)
            ends = f"{trial.low:.3f} – {trial.high:.3f}"
            rows.append((str(index + 1), trial.name, f"{trial.mean:.3f}", bar, ends, f"{trial.macro_f1:.3f}", mark))
        left_out = len(self.trials) - len(shown)
        return html_table(
            f"{self.metric.replace('_', ' ')} over {counted(self.num_pictures, 'pictures')}, {self.rule}",
            (">", "strategy", ">score", "", "95 % interval", ">macro-F1", ""),
            rows=rows,
            note=f"and {left_out} more strategies" if left_out else "",
        )
