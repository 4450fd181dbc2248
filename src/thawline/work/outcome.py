"""What came of an order's rows: answers to pictures that they never saw, a leaderboard, and the model that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from thawline.search.answers import Answers
from thawline.search.leaderboard import Leaderboard
from thawline.train.budget import Tried
from thawline.use.bundle import Classifier
from thawline.use.evaluation import Evaluation
from thawline.work.model import Made
from thawline.work.order import Row

__all__ = ["AnsweredRow", "Outcome"]


@dataclass(frozen=True)
class AnsweredRow:
    """One row, answered.

    Attributes:
        row: Which.
        does: What was trained or solved, in the words of the leaderboard.
        answers: Its answers, as the leaderboard takes them; named as the row is.
        evaluation: Its scores on the held-out pictures.
        seconds: Of its own training and answering.
        epochs: Of its training run, or None for a solved head.
        made: Its model, where one was made.
    """

    row: Row
    does: str
    answers: Answers
    evaluation: Evaluation
    seconds: float
    epochs: int | None
    made: Made | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of an order's rows.

    Attributes:
        leaderboard: All strategies under `choose`, else the rows; best first.
        strategy: Name of the strategy whose model is kept, in the words of the leaderboard of frozen strategies.
        classifier: That model.
        evaluation: Its scores on held-out pictures.
        rows: The rows one by one, in the author's order; empty under `choose`.
        delivered: Name of the row whose model is kept; empty under `choose`.
        tried: Training runs beside what was expected of them.
        drifts: Strategy or row → how far its backbone moved, in plain data.
    """

    leaderboard: Leaderboard
    strategy: str
    classifier: Classifier
    evaluation: Evaluation
    rows: tuple[AnsweredRow, ...] = ()
    delivered: str = ""
    tried: tuple[Tried, ...] = ()
    drifts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
