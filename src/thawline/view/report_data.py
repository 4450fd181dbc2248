"""What a report shows <-> JSON text, whatever run it is of.

One idea: `ReportData` is everything the page shows and nothing else, so the page is a pure function of it and can be
drawn again from `RUN/report.json`. Pictures are in base64, arrays compressed; nothing here draws.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from thawline.core.scores import Score
from thawline.features.backbone import CutPoint
from thawline.search.leaderboard import Leaderboard, Trial
from thawline.use.evaluation import Evaluation
from thawline.use.expectation import Expectation
from thawline.vet.advice import Advice
from thawline.vet.answer_table import AnswerTable
from thawline.view.album import Album, album_from
from thawline.view.report_json import (
    advice_from,
    answers_from,
    encode,
    evaluation_from,
    expectation_from,
    leaderboard_from,
    refusing_damage,
    with_jpeg,
)

__all__ = ["ALIKE", "Outside", "Picture", "ReportData", "RowComparison", "RowData", "Verdict"]

_FORMAT = 4

Verdict = Literal["as expected", "above", "below", "not stated"]

ALIKE = "alike"


@dataclass(frozen=True)
class Picture:
    """A picture of the sample grid; the album has its thumbnail.

    Attributes:
        class_name: Its label.
        role: `train`, `validation`, `test`, or `alike` where it is shown with the scene that it belongs to.
        path: Its name as shown to people.
    """

    class_name: str
    role: str
    path: str


@dataclass(frozen=True)
class Outside:
    """A picture from outside the set, and the answer of the model that is kept.

    Attributes:
        path: Its name as shown to people.
        jpeg: Encoded thumbnail.
        predicted: The model's answer.
        probability: How sure it was, in [0, 1].
        true: Name of the folder that the picture lies in where that is one of the classes, else None.
    """

    path: str
    jpeg: bytes
    predicted: str
    probability: float
    true: str | None

    @property
    def is_right(self) -> bool:
        """Whether the answer is known to be true; False where that is not known."""
        return self.predicted == self.true


@dataclass(frozen=True)
class RowData:
    """One row of a comparison whose rows were answered one by one.

    Attributes:
        name: As the recipe calls it.
        does: What was trained or solved, in the words of the leaderboard.
        origin: What the recipe's author got, in [0, 1], or None.
        expected: Accuracy and the ends of its 95 % interval as the recipe states them for these pictures and this
            backbone, or None.
        seconds: Of its own training and answering, without the pass that rows on the frozen network share.
        epochs: Epochs of its training, or None for a solved head.
        evaluation: Of its answers to the held-out pictures.
    """

    name: str
    does: str
    origin: float | None
    expected: tuple[float, float, float] | None
    seconds: float
    epochs: int | None
    evaluation: Evaluation

    @property
    def verdict(self) -> Verdict:
        """Whether the accuracy lies inside the interval that the recipe states, above it or below it."""
        if self.expected is None:
            return "not stated"
        _, low, high = self.expected
        value = self.evaluation.accuracy.value
        return "below" if value < low else "above" if value > high else "as expected"


@dataclass(frozen=True)
class RowComparison:
    """Rows side by side, each answered by itself on the same held-out pictures.

    Attributes:
        recipe: Name of the recipe.
        story: Where it comes from and what was asked.
        rows: One or more, in the author's order.
        delivered: Name of the row whose model is kept.
        pass_s: Seconds of the pass that rows on the frozen network share; 0 where the bank was there already.
        total_s: Wall seconds of the run.
        frozen: The frozen strategies compared behind the rows, which the thaw line is drawn from; or None.
        outside: Pictures from outside the set; empty where none were given.
        outside_words: What they are good for.
    """

    recipe: str
    story: str
    rows: tuple[RowData, ...]
    delivered: str
    pass_s: float
    total_s: float
    frozen: Leaderboard | None = None
    outside: tuple[Outside, ...] = ()
    outside_words: str = ""


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows.

    Attributes:
        title: Its heading: the name of the data set, or the title of the recipe.
        created: When the run ended, ISO 8601.
        command: The command as it was given.
        class_names: K names.
        counts: Role (`train`, `validation`, `test`) → pictures of each class, K numbers in the order of `class_names`.
            Without `test` and with `comparison`, the parts of the first fold: every picture was held out in turn.
        leaderboard: Strategies; or, with `comparison`, its rows as trials, named as the rows are.
        cuts: Cut points of the (first) backbone, shallow to deep.
        evaluation: Of the model that is kept, on the pictures that it was tested on; None where none were read.
        pictures: The sample grid; about eight for each class are enough.
        album: Every picture that is shown, with what was said of it, and the counts of all answers.
        check: `CheckReport.to_json()`.
        provenance: Versions, seeds, weights, input preparation, timings: text, numbers, lists and mappings of them.
        notes: Sentences on what was decided for the person, e.g. which folder became the test.
        forecast: What each tuned or scratch strategy was expected to need, in the order of the forecast; rows of
            `strategy` (its name), `seconds`, `memory_bytes`, `disk_bytes`, `outcome` (in words, e.g.
            `ran 5 of 5 folds`), `took_s` (None where it did not run), `folds`, `epochs` (of each training run),
            `epochs_wanted` and `size_px` (None: the backbone's own).
        budget_s: Seconds of training that the person allowed, or None without a limit.
        finder: The learning-rate finder's sweep, (step size, smoothed loss) in its order; empty where none was run.
        finder_rate: The step size that the sweep led to, or None.
        goal: The accuracy to be exceeded, in [0, 1], or None.
        goal_words: The goal in words.
        drifts: Name of a strategy or row → how far its training moved the backbone, as `Drift` in plain data.
        comparison: The rows side by side, where they were answered one by one; else None.
        warnings: Sentences without which scores would be misread; shown with them.
        networks: Where several networks were compared, name → cut points of each, numbered on; else empty.
        num_refitted: Held-out pictures that the delivered model learnt from after they were read; 0 where it is the
            measured one.
        expectation: What to expect on further pictures, where a strategy was chosen and tested; else None.
        advice: What was found for a person to act on; None where nothing was asked.
        place: Folder of the run as the person named it; empty where it is not known.
        answers: Picture by picture, what runs are compared by; None in reports of earlier versions.
    """

    title: str
    created: str
    command: str
    class_names: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    leaderboard: Leaderboard
    cuts: tuple[CutPoint, ...]
    evaluation: Evaluation | None = None
    pictures: tuple[Picture, ...] = ()
    album: Album = field(default_factory=Album)
    check: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    forecast: tuple[Mapping[str, Any], ...] = ()
    budget_s: float | None = None
    finder: tuple[tuple[float, float], ...] = ()
    finder_rate: float | None = None
    goal: float | None = None
    goal_words: str = ""
    drifts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    comparison: RowComparison | None = None
    warnings: tuple[str, ...] = ()
    num_refitted: int = 0
    networks: Mapping[str, tuple[CutPoint, ...]] = field(default_factory=dict)
    expectation: Expectation | None = None
    advice: Advice | None = None
    place: str = ""
    answers: AnswerTable | None = None

    @property
    def cuts_of(self) -> Mapping[str, tuple[CutPoint, ...]]:
        """Cut points of every network that was compared, by its name; of a single one under no name."""
        return self.networks or {"": self.cuts}

    @property
    def rows(self) -> tuple[RowData, ...]:
        """The rows of the comparison; none where strategies were compared instead."""
        return self.comparison.rows if self.comparison else ()

    @property
    def pass_s(self) -> float:
        """Seconds of the pass that rows on the frozen network share; 0 where there was none."""
        return self.comparison.pass_s if self.comparison else 0.0

    @property
    def best_row(self) -> RowData:
        """The row that leads the leaderboard, where there are rows."""
        leader = self.leaderboard.trials[0].name
        return next(row for row in self.rows if row.name == leader)

    @property
    def headline(self) -> Score | None:
        """The accuracy that a goal is held against: the best row's, what is expected of the winner, or its test's."""
        if self.expectation is not None and self.expectation.metric == "accuracy":
            return self.expectation.score
        evaluation = self.best_row.evaluation if self.rows else self.evaluation
        return evaluation.accuracy if evaluation else None

    @property
    def goal_reached(self) -> bool | None:
        """Whether the headline exceeds the goal; None without a goal or a headline."""
        if self.goal is None or self.headline is None:
            return None
        return self.headline.value > self.goal

    def trial_of(self, row: RowData) -> Trial:
        """Return a row's trial on the leaderboard."""
        return next(trial for trial in self.leaderboard.trials if trial.name == row.name)

    def shares_pass(self, row: RowData) -> bool:
        """Return whether a row learns from features of the one pass that all heads on the frozen network share."""
        return self.trial_of(row).strategy.kind == "frozen"

    @property
    def has_shared_pass(self) -> bool:
        """Whether any row shares the pass."""
        return any(self.shares_pass(row) for row in self.rows)

    def to_json(self) -> str:
        """Return the data as JSON text: pictures in base64, arrays compressed; the same text for the same data."""
        return json.dumps({"format": _FORMAT} | asdict(self), default=encode, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ReportData:
        """Return the data that `to_json` wrote.

        Raises:
            StoreError: The text is damaged, incomplete, or of another version's format.
        """
        with refusing_damage():
            raw = json.loads(text)
            if (found := raw.pop("format")) != _FORMAT:
                raise ValueError(f"format {found}, this version reads {_FORMAT}")
            raw["leaderboard"] = leaderboard_from(raw["leaderboard"])
            raw["evaluation"] = raw["evaluation"] and evaluation_from(raw["evaluation"])
            raw["comparison"] = raw["comparison"] and _comparison_from(raw["comparison"])
            raw["expectation"] = raw.get("expectation") and expectation_from(raw["expectation"])
            raw["advice"] = raw.get("advice") and advice_from(raw["advice"])
            raw["answers"] = raw.get("answers") and answers_from(raw["answers"])
            raw["cuts"] = tuple(CutPoint(**cut) for cut in raw["cuts"])
            networks = raw.get("networks", {})
            raw["networks"] = {name: tuple(CutPoint(**cut) for cut in cuts) for name, cuts in networks.items()}
            raw["pictures"] = tuple(Picture(**picture) for picture in raw["pictures"])
            raw["album"] = album_from(raw["album"])
            raw["counts"] = {role: tuple(counts) for role, counts in raw["counts"].items()}
            raw["finder"] = tuple((rate, loss) for rate, loss in raw["finder"])
            lists = ("class_names", "notes", "forecast", "warnings")
            return cls(**raw | {name: tuple(raw.get(name, ())) for name in lists})


def _comparison_from(raw: dict[str, Any]) -> RowComparison:
    rows = tuple(_row_from(row) for row in raw["rows"])
    outside = tuple(Outside(**with_jpeg(picture)) for picture in raw["outside"])
    frozen = raw["frozen"] and leaderboard_from(raw["frozen"])
    return RowComparison(**raw | {"rows": rows, "outside": outside, "frozen": frozen})


def _row_from(raw: dict[str, Any]) -> RowData:
    expected = raw["expected"] and tuple(raw["expected"])
    return RowData(**raw | {"evaluation": evaluation_from(raw["evaluation"]), "expected": expected})
