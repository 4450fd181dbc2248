"""What a run is asked for: pictures, the rows of a comparison, a protocol and options; and what is expected of it.

One idea: every run is an order. `fit` names no rows, `tune` names them, a recipe gives each its own options, a goal and
the scores to expect. An order is plain data, so a run that was cut off goes on from what its folder says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from thawline.core.errors import UsageError, first_few
from thawline.core.options import Options
from thawline.core.remote_files import absolute_place
from thawline.core.store import content_key
from thawline.core.toml import checked
from thawline.data.sources.places import Place
from thawline.train.hyperparameters import TrainOptions
from thawline.train.plan import Plan, check_plan, parse_plan

__all__ = ["BEST_FROZEN", "Expectations", "Expected", "Goal", "Order", "Protocol", "Row", "overridden"]

BEST_FROZEN = "best"
STRICT = ConfigDict(extra="forbid")

Protocol = Literal["choose", "test", "folds"]
Share = Annotated[float, Field(ge=0, le=1)]
Minutes = Annotated[float, Field(gt=0, allow_inf_nan=False)]
ImageNetClass = Annotated[int, Field(ge=0, le=999)]


@dataclass(frozen=True, config=STRICT)
class Row:
    """One row of the comparison: a network that is trained, or a head that is solved on frozen features.

    Attributes:
        name: As it stands in the table.
        plan: What is trained, in the words of `tune --plan`; or None.
        frozen: Where a solved linear head reads the frozen backbone, as the leaderboard says it: `whole`,
            `2 blocks cut`; or `best`, what `thawline fit` would choose. Exactly one of the two is given.
        origin: What the comparison's author got, in [0, 1], or None.
        training: Options of this row's training run, over those of the whole order.
        drift: Whether to measure how far training moved the backbone from its pretrained features.
    """

    name: str
    plan: str | None = None
    frozen: str | None = None
    origin: Share | None = None
    training: dict[str, Any] = field(default_factory=dict)
    drift: bool = False

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise UsageError("[[rows]]: a row has an empty name. Name it as it should stand in the table.")
        if (self.plan is None) == (self.frozen is None):
            raise UsageError(
                f'row {self.name!r}: give it a plan = "last 20 %" (trained), or frozen = "whole" (a solved head); not '
                "both."
            )
        if self.frozen is not None and (self.training or self.drift):
            raise UsageError(
                f"row {self.name!r}: a solved head has no training and moves nothing. Give it a plan instead."
            )

    @property
    def parsed(self) -> Plan | None:
        """The plan, or None for a solved head."""
        return None if self.plan is None else parse_plan(self.plan)


@dataclass(frozen=True, config=STRICT)
class Goal:
    """What somebody wants to reach.

    Attributes:
        accuracy: To be exceeded by the best row, or by what is to be expected of the model; in [0, 1].
        words: The same in words.
    """

    accuracy: Share
    words: str = ""


@dataclass(frozen=True, config=STRICT)
class Expected:
    """What a run of a recipe gave where it was measured.

    Attributes:
        pictures: `Dataset.labelled_key` of the pictures that it was measured on.
        backbone: The backbone that it was measured with.
        command: What was typed.
        minutes: Wall time on two cores, everything included.
        scores: Row → accuracy and the ends of its 95 % interval.
        protocol: As in `Order.protocol`.
    """

    pictures: str
    backbone: str
    command: str
    minutes: Minutes
    scores: dict[str, tuple[Share, Share, Share]]
    protocol: Protocol = "test"

    def __post_init__(self) -> None:
        for name, (value, low, high) in self.scores.items():
            if not low <= value <= high:
                raise UsageError(
                    f"[[expected]] scores {name!r} = [{value}, {low}, {high}]: the accuracy comes first, then the "
                    "lower and the upper end of its interval."
                )


@dataclass(frozen=True, config=STRICT)
class Expectations:
    """What is known beforehand of a comparison that somebody made once.

    Attributes:
        name: Of the recipe; empty where a run follows none.
        title: One line.
        story: Where it comes from and what the question was.
        goal: What somebody wants to reach, or None.
        expected: What was measured, one entry a data set, backbone and protocol.
        imagenet: Class → indices of the ImageNet classes that show the same; for measuring what training forgets.
        outside_words: What pictures from outside the set are good for, in a sentence.
        is_changed: Whether something was asked for that the stated scores do not hold for.
    """

    name: str = ""
    title: str = ""
    story: str = ""
    goal: Goal | None = None
    expected: tuple[Expected, ...] = ()
    imagenet: dict[str, tuple[ImageNetClass, ...]] = field(default_factory=dict)
    outside_words: str = ""
    is_changed: bool = False

    @property
    def where(self) -> str:
        """What errors call the order: `recipe monkeys`, or `tune`."""
        return f"recipe {self.name}" if self.name else "tune"


@dataclass(frozen=True, config=STRICT)
class Order:
    """What a run is asked for, on the command line, in Python, by a file, or by the run that it goes on with.

    Attributes:
        photos: The pictures.
        rows: What is compared besides the frozen strategies; none: these alone, or with a budget what is worth trying.
        protocol: `choose`: folds choose among all strategies, and the winner reads the test once. `test`: every row
            learns from all training pictures and answers the test once, when nothing is left to choose. `folds`: every
            picture is held out once a repeat, and the parts of the data are pooled.
        options: Of the run.
        training: Of training runs; under `choose` its `augment`, where given, also makes views for frozen heads.
        overrides: Options of training runs that go before a row's own.
        budget_s: Seconds for the whole run, or None. Under `choose` rows are candidates for it and any strategy may
            win; without one every row is trained to its end and one of them wins.
        deliver: The row whose model is kept under `test` and `folds`, named before anything is scored; None: the last.
        expectations: What is known beforehand.
        outside: Pictures from outside the set that the delivered model is tried on, or None.
        command: What the person typed; empty from Python.
    """

    photos: Place
    rows: tuple[Row, ...] = ()
    protocol: Protocol = "choose"
    options: Options = field(default_factory=Options)
    training: TrainOptions = field(default_factory=TrainOptions)
    overrides: dict[str, Any] = field(default_factory=dict)
    budget_s: float | None = None
    deliver: str | None = None
    expectations: Expectations = field(default_factory=Expectations)
    outside: Path | None = None
    command: str = ""

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names) or (self.protocol != "choose" and not names):
            raise UsageError("[[rows]]: one or more are needed, each with a name of its own.")
        for row in self.rows:
            if (plan := row.parsed) is not None:
                check_plan(plan, self.training_of(row))
        if self.deliver is not None and self.deliver not in names:
            raise UsageError(f"deliver = {self.deliver!r}: no such row. Name one of {', '.join(names)}.")
        for entry in self.expectations.expected:
            if wrong := sorted(set(entry.scores) - set(names)):
                raise UsageError(f"[[expected]] scores {first_few(wrong)}: no such row. Name {', '.join(names)}.")
        if self.protocol != "choose" and self.options.metric == "balanced_accuracy":
            raise UsageError("metric = 'balanced_accuracy': the rows are compared by accuracy. Leave the option out.")

    @property
    def where(self) -> str:
        """What errors call the order."""
        return self.expectations.where

    @property
    def delivered(self) -> str:
        """Name of the row whose model is kept under `test` and `folds`."""
        return self.deliver or self.rows[-1].name

    def training_of(self, row: Row) -> TrainOptions:
        """Return the options of a row's training run: the order's, the row's own over them, then the overrides.

        Raises:
            UsageError: An option that does not exist, or values that contradict each other.
        """
        table = overridden(asdict(self.training) | row.training, self.overrides)
        return checked(TrainOptions, table, where=f"row {row.name!r}, training")

    @cached_property
    def key(self) -> str:
        """What tells this order from any other whose training runs would differ; the same from any folder."""
        rows = [asdict(row) for row in self.rows]
        options = {name: str(value) for name, value in asdict(self.from_anywhere().options).items()}
        after_the_test = ("refit", "error_rate", "false_alarms")
        places = ("cache_dir", "cluster", "store")
        for name in (*places, "corrections", *after_the_test):  # or by the key of pictures and labels
            options.pop(name)
        training = [asdict(self.training), self.overrides]
        return content_key([self.protocol, rows, options, training])[:12]

    def from_anywhere(self) -> Order:
        """Return the order with every path absolute, so that it means the same from any folder."""
        options = self.options
        return replace(
            self,
            photos=self.photos.absolute(),
            outside=self.outside and self.outside.resolve(),
            options=replace(
                options,
                weights=options.weights and options.weights.resolve(),
                class_names=options.class_names and options.class_names.resolve(),
                picture_folder=options.picture_folder and options.picture_folder.resolve(),
                cache_dir=options.cache_dir and options.cache_dir.resolve(),
                store=options.store and absolute_place(options.store),
                corrections=tuple(file.resolve() for file in options.corrections),
            ),
        )


def overridden(training: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a training run by name, with others over them.

    Where only the number of epochs is overridden, warm-up shortens with it, to half of them at most.
    """
    table = {**training, **overrides}
    if "warmup" in training and "warmup" not in overrides and isinstance(overrides.get("epochs"), int):
        table["warmup"] = min(training["warmup"], overrides["epochs"] / 2)
    return table
