"""What a recipe's report shows <-> JSON text: the rows of the comparison, side by side, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from thawline.search.leaderboard import Leaderboard, Trial
from thawline.use.evaluation import Evaluation
from thawline.view.report_data import Picture
from thawline.view.report_json import encode, evaluation_from, leaderboard_from, refusing_damage, with_jpeg

__all__ = ["RECIPE_KIND", "Outside", "RecipeData", "RowData", "Verdict", "is_recipe"]

RECIPE_KIND = "recipe"
_FORMAT = 2

Verdict = Literal["as expected", "above", "below", "not stated"]


@dataclass(frozen=True)
class RowData:
    """One row of the comparison.

    Attributes:
        name: As the recipe calls it.
        does: What was trained or solved, in the words of the leaderboard.
        origin: What the recipe's author got, in [0, 1], or None.
        expected: Accuracy and the ends of its 95 % interval as the recipe states them for these pictures and this
            backbone, or None.
        seconds: Of its own training; where `RecipeData.shares_pass`, `RecipeData.pass_s` comes on top, once for all.
        epochs: Passes of its training, or None for a solved head.
        evaluation: Of its answers to the held-out pictures.
        drift: How far the training moved the backbone, as `Drift` says it in plain data, or None.
    """

    name: str
    does: str
    origin: float | None
    expected: tuple[float, float, float] | None
    seconds: float
    epochs: int | None
    evaluation: Evaluation
    drift: Mapping[str, Any] | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether the accuracy lies inside the interval that the recipe states, above it or below it."""
        if self.expected is None:
            return "not stated"
        _, low, high = self.expected
        value = self.evaluation.accuracy.value
        return "below" if value < low else "above" if value > high else "as expected"


@dataclass(frozen=True)
class Outside:
    """A picture from outside the set, and what the delivered model said of it.

    Attributes:
        path: Its name as shown to people.
        jpeg: Encoded thumbnail.
        predicted: What the model said.
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
        """Whether the model said what is known to be true; False where that is not known."""
        return self.predicted == self.true


@dataclass(frozen=True)
class RecipeData:
    """Everything that a recipe's report shows.

    Attributes:
        name: Of the recipe.
        title: Its title.
        story: Where it comes from and what was asked.
        created: When the run ended, ISO 8601.
        command: What the person typed.
        rule: How rows were scored, in words: `5 folds × 1`, `272 held-out pictures, read once`.
        backbone: Its name.
        class_names: K names.
        counts: Role → pictures of each class: `train` and `test`, or those of the first fold, `train` and `validation`.
        leaderboard: The rows as trials, best first, with intervals, paired tests and curves; named as the rows are.
        rows: The rows in the author's order.
        delivered: Name of the row whose model is kept.
        pass_s: Seconds of the pass that every head on frozen features shares; 0 where the bank was there already.
        total_s: Wall seconds of the run.
        goal: The accuracy that the author wanted to exceed, or None.
        goal_words: The same in words.
        pictures: Sample grids: training and held-out pictures.
        outside: Pictures from outside the set; empty where none were given.
        outside_words: What they are good for.
        check: `CheckReport.to_json()`.
        provenance: Versions, seeds, weights, input preparation, timings.
        notes: Sentences on what a person should know.
    """

    name: str
    title: str
    story: str
    created: str
    command: str
    rule: str
    backbone: str
    class_names: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    leaderboard: Leaderboard
    rows: tuple[RowData, ...]
    delivered: str
    pass_s: float
    total_s: float
    goal: float | None = None
    goal_words: str = ""
    pictures: tuple[Picture, ...] = ()
    outside: tuple[Outside, ...] = ()
    outside_words: str = ""
    check: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def goal_reached(self) -> bool | None:
        """Whether the best row exceeds the goal; None where there is none."""
        if self.goal is None:
            return None
        return max(row.evaluation.accuracy.value for row in self.rows) > self.goal

    def trial_of(self, row: RowData) -> Trial:
        """Return a row's trial on the leaderboard."""
        return next(trial for trial in self.leaderboard.trials if trial.name == row.name)

    @property
    def has_shared_pass(self) -> bool:
        """Whether any row shares the pass."""
        return any(self.shares_pass(row) for row in self.rows)

    def shares_pass(self, row: RowData) -> bool:
        """Return whether a row learns from features of the one pass that all heads on the frozen network share."""
        return self.trial_of(row).strategy.kind == "frozen"

    def to_json(self) -> str:
        """Return the data as JSON text; the same text for the same data."""
        head = {"kind": RECIPE_KIND, "format": _FORMAT}
        return json.dumps(head | asdict(self), default=encode, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> RecipeData:
        """Return the data that `to_json` wrote.

        Raises:
            StoreError: The text is damaged, incomplete, or of another version's format.
        """
        with refusing_damage("Run the recipe again"):
            raw = json.loads(text)
            if (found := (raw.pop("kind"), raw.pop("format"))) != (RECIPE_KIND, _FORMAT):
                raise ValueError(f"format {found}, this version reads {(RECIPE_KIND, _FORMAT)}")
            raw["leaderboard"] = leaderboard_from(raw["leaderboard"])
            raw["rows"] = tuple(_row_from(row) for row in raw["rows"])
            raw["pictures"] = tuple(Picture(**with_jpeg(picture)) for picture in raw["pictures"])
            raw["outside"] = tuple(Outside(**with_jpeg(picture)) for picture in raw["outside"])
            raw["counts"] = {role: tuple(counts) for role, counts in raw["counts"].items()}
            return cls(**raw | {name: tuple(raw[name]) for name in ("class_names", "notes")})


def is_recipe(text: str) -> bool:
    """Whether a report's JSON text is that of a recipe's run."""
    return text.startswith(f'{{"kind":"{RECIPE_KIND}"')


def _row_from(raw: dict[str, Any]) -> RowData:
    expected = raw["expected"] and tuple(raw["expected"])
    return RowData(**raw | {"evaluation": evaluation_from(raw["evaluation"]), "expected": expected})
