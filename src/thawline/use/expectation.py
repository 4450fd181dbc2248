"""What the choosing scored and what the test did -> what a person should expect of the model.

One idea: a small test is a rough number, and the folds are another measurement of the same thing where Thawline drew
the test from the same pictures: then both count, each by what it is worth. A test that the person brought may hold
pictures of another kind: then it counts alone, and where the two disagree that is what it means.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from thawline.core.evidence import differ_by_chance, pooled
from thawline.core.scores import Score
from thawline.search.leaderboard import Leaderboard, MetricName
from thawline.search.ties import SIGNIFICANCE
from thawline.use.evaluation import Evaluation

__all__ = ["Expectation", "expect"]


@dataclass(frozen=True)
class Expectation:
    """What a person should expect on further pictures, and what that stands on.

    Attributes:
        metric: What the scores are.
        score: To be expected, with its interval.
        test: Of the test alone; without the pictures that have a copy in training, where the metric is the accuracy.
        choosing: Of the choosing, on the pictures that it was chosen by.
        is_pooled: Whether `score` takes in both; else it is that of the test.
        p_value: That the two differ by chance.
    """

    metric: MetricName
    score: Score
    test: Score
    choosing: Score
    is_pooled: bool
    p_value: float

    @property
    def disagrees(self) -> bool:
        """Whether test and choosing are further apart than chance explains."""
        return self.p_value <= SIGNIFICANCE

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the score, what it was taken from, and the two that it was taken from."""
        return {
            "metric": self.metric,
            **asdict(self.score),
            "from": "test and choosing" if self.is_pooled else "test",
            "test": asdict(self.test),
            "choosing": asdict(self.choosing),
            "p_value": self.p_value,
            "disagree": self.disagrees,
        }


def expect(evaluation: Evaluation, board: Leaderboard, *, drew_test: bool) -> Expectation:
    """Return what to expect of a winner on further pictures.

    Args:
        evaluation: Of the winner on the test.
        board: That it was chosen on.
        drew_test: Whether the test was drawn at random from the same pictures as the folds.
    """
    test = evaluation.scores[board.metric]
    if board.metric == "accuracy" and evaluation.accuracy_without_leaks is not None:
        test = evaluation.accuracy_without_leaks
    num_pictures = board.trials[board.winner].num_pictures
    choosing = Score(board.chosen_mean, board.chosen_low, board.chosen_high, num_pictures)
    score = pooled((test, choosing)) if drew_test else test
    return Expectation(board.metric, score, test, choosing, drew_test, differ_by_chance(test, choosing))
