"""A recipe in TOML -> a checked `Recipe`: a comparison that somebody once made, so that it can be made again.

One idea: a recipe is data. It names pictures, options and the rows of a comparison in the very words of the command
line, tells what came out when it was made first, and what to expect here; nothing in it is executed.
"""

from __future__ import annotations

import difflib
from dataclasses import field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from thawline.core.errors import UsageError, first_few
from thawline.core.options import Options
from thawline.core.toml import checked, parse_table, read_text
from thawline.train.hyperparameters import TrainOptions
from thawline.train.job import check_plan
from thawline.train.plan import parse_plan

__all__ = ["Expected", "Goal", "Recipe", "Row", "load_recipe", "parse_recipe", "recipe_names", "recipe_text"]

BEST_FROZEN = "best"
STRICT = ConfigDict(extra="forbid")

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
            `2 blocks cut`; or `best`, what `thawline fit` would choose. Just one of the two is given.
        origin: What the recipe's author got, in [0, 1], or None.
        training: Options of this row's training, over those of the whole recipe.
        drift: Whether to measure how far the training moved the backbone from its pretrained features.
    """

    name: str
    plan: str | None = None
    frozen: str | None = None
    origin: Share | None = None
    training: dict[str, Any] = field(default_factory=dict)
    drift: bool = False


@dataclass(frozen=True, config=STRICT)
class Expected:
    """What a run of the recipe gave where it was measured.

    Attributes:
        pictures: `Dataset.images_key` of the pictures that it was measured on.
        backbone: The backbone that it was measured with.
        command: What was typed.
        minutes: Wall time on two cores, everything included.
        scores: Row → accuracy and the ends of its 95 % interval.
        protocol: As in `Recipe.protocol`.
    """

    pictures: str
    backbone: str
    command: str
    minutes: Minutes
    scores: dict[str, tuple[Share, Share, Share]]
    protocol: Literal["test", "folds"] = "test"


@dataclass(frozen=True, config=STRICT)
class Goal:
    """What the author wanted to reach.

    Attributes:
        accuracy: To be exceeded by the best row; in [0, 1].
        words: The same in words.
    """

    accuracy: Share
    words: str


@dataclass(frozen=True, config=STRICT)
class Recipe:
    """A comparison that can be made again.

    Attributes:
        name: Short name.
        title: One line.
        story: Where it comes from and what was asked; some sentences.
        rows: The comparison, in the author's order.
        deliver: The row whose model is kept, named before anything is scored; None: the last one.
        protocol: `test`: every row learns from all training pictures and answers the held-out ones once, when nothing
            is left to choose. `folds`: every picture is held out once a repeat, and the parts of the data are pooled.
        data: Where the pictures come from when the person names none; or None.
        options: Of the run.
        training: Options of all trainings.
        goal: What the author wanted to reach, or None.
        imagenet: Class → indices of the ImageNet classes that show the same; for measuring what a training forgets.
        outside: What pictures from outside the set are good for, in a sentence; empty where none are asked for.
        expected: What was measured, one entry a data set and backbone.
        text: The TOML itself.
    """

    name: str
    title: str
    story: str
    rows: tuple[Row, ...]
    deliver: str | None = None
    protocol: Literal["test", "folds"] = "test"
    data: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    goal: Goal | None = None
    imagenet: dict[str, tuple[ImageNetClass, ...]] = field(default_factory=dict)
    outside: str = ""
    expected: tuple[Expected, ...] = ()
    text: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        if not names or len(set(names)) < len(names):
            raise UsageError("[[rows]]: one or more are needed, each with a name of its own.")
        for row in self.rows:
            _check_row(row)
            if row.plan is not None:
                check_plan(parse_plan(row.plan), self.training_of(row))
        if self.deliver is not None and self.deliver not in names:
            raise UsageError(f"deliver = {self.deliver!r}: no such row. Name one of {', '.join(names)}.")
        for entry in self.expected:
            if wrong := sorted(set(entry.scores) - set(names)):
                raise UsageError(f"[[expected]] scores {first_few(wrong)}: no such row. Name {', '.join(names)}.")
            for name, (value, low, high) in entry.scores.items():
                if not low <= value <= high:
                    raise UsageError(
                        f"[[expected]] scores {name!r} = [{value}, {low}, {high}]: the accuracy comes first, then the "
                        "lower and the upper end of its interval."
                    )
        _ = self.run_options

    @cached_property
    def run_options(self) -> Options:
        """The run's options, checked."""
        return checked(Options, self.options, "[options]")

    def training_of(self, row: Row) -> TrainOptions:
        """Return the options of a row's training: the recipe's, and the row's own over them."""
        return checked(TrainOptions, self.training | row.training, f"row {row.name!r}, training")

    @property
    def minutes(self) -> float | None:
        """Minutes that it took on two cores where it was measured, or None."""
        return self.expected[0].minutes if self.expected else None

    @property
    def delivered(self) -> str:
        """Name of the row whose model is kept."""
        return self.deliver or self.rows[-1].name


def _check_row(row: Row) -> None:
    """Refuse a row without a name, and one that is neither trained nor solved, or both."""
    if not row.name.strip():
        raise UsageError("[[rows]]: a row has an empty name. Name it as it shall stand in the table.")
    if (row.plan is None) == (row.frozen is None):
        raise UsageError(
            f'row {row.name!r}: give it a plan = "last 20 %" (trained), or frozen = "whole" (a solved head); not both.'
        )
    if row.frozen is not None and (row.training or row.drift):
        raise UsageError(f"row {row.name!r}: a solved head has no training and moves nothing. Give it a plan instead.")


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes that come with Thawline, sorted."""
    folder = resources.files("thawline") / "work"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def recipe_text(name: str) -> str:
    """Return a recipe's TOML: one that comes with Thawline by its name, any other by its file.

    Raises:
        UsageError: There is none of that name, with the nearest that is; or the file cannot be read.
    """
    names = recipe_names()
    if name in names:
        return (resources.files("thawline") / "work" / f"{name}.toml").read_text(encoding="utf-8")
    if not name.endswith(".toml"):
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"There is {', '.join(names)}, or a file: my-own.toml."
        raise UsageError(f"recipe {name!r}: there is no such recipe. {hint}")
    return read_text(Path(name), "recipe")


def load_recipe(name: str) -> Recipe:
    """Return a recipe, every key and value of it checked.

    Args:
        name: Of a recipe that comes with Thawline, or the path of a TOML file.

    Raises:
        UsageError: There is no such recipe, or it says what cannot be; the key is named, with the nearest right one.
    """
    return parse_recipe(recipe_text(name), Path(name).stem)


def parse_recipe(text: str, name: str) -> Recipe:
    """Return the recipe that a TOML text holds.

    Args:
        text: The text.
        name: What to call it.

    Raises:
        UsageError: As in `load_recipe`.
    """
    where = f"recipe {name}"
    table = parse_table(text, where)
    for own in ("name", "text"):
        if own in table:
            raise UsageError(f"{where}: there is no key {own!r}; a recipe is called as its file is.")
    for key, kind in (("rows", Row), ("expected", Expected)):
        entries = table.get(key, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UsageError(f"{where}: {key} must be tables, each begun by [[{key}]].")
        table[key] = tuple(
            checked(kind, entry, f"{where}, [[{key}]] {place}") for place, entry in enumerate(entries, start=1)
        )
    if isinstance(table.get("goal"), dict):
        table["goal"] = checked(Goal, table["goal"], f"{where}, [goal]")
    return checked(Recipe, {"name": name, **table, "text": text}, where)
