"""`thawline recipe list | show | run`: words on the command line -> a recipe, or its run -> console."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

import thawline
from thawline.cli.arguments import (
    DEFAULTS,
    TRAINING_DEFAULTS,
    Flat,
    FlatTraining,
    Goal,
    Json,
    Replace,
    TensorBoard,
    Words,
)
from thawline.cli.console import say, say_json
from thawline.cli.results import say_run
from thawline.cli.sections import House
from thawline.core.errors import UsageError
from thawline.core.progress import progress_for_stderr
from thawline.core.toml import parse_table
from thawline.train.hyperparameters import parse_duration

__all__ = ["recipe"]

recipe = House(
    name="recipe",
    help="Run a comparison again: one of the five projects that Thawline grew out of, or one of your own.",
)


@recipe.command(name="list")
def recipe_list(*, json: Json = False) -> None:
    """List the recipes that come with Thawline: what each compares, and how long it takes."""
    from thawline.view.words import duration_text

    recipes = [thawline.load_recipe(name) for name in thawline.recipe_names()]
    if json:
        say_json([{"name": recipe.name, "title": recipe.title, "minutes": recipe.minutes} for recipe in recipes])
        return
    width = max(len(recipe.name) for recipe in recipes)
    for recipe in recipes:
        time = "" if recipe.minutes is None else f" (about {duration_text(60 * recipe.minutes)} on two cores)"
        say(f"{recipe.name:<{width}}  {recipe.title}{time}")


@recipe.command(name="show")
def recipe_show(
    name: Annotated[str, Parameter(help="Name of a recipe, or a TOML file.")],
    *,
    json: Annotated[bool, Parameter(help="Print what the TOML says as JSON.")] = False,
) -> None:
    """Print a recipe: its TOML, with the command, the time it takes and the scores to expect."""
    text = thawline.load_recipe(name).text
    say_json(parse_table(text, f"recipe {name}")) if json else say(text.rstrip())


@recipe.command(name="run")
def recipe_run(
    recipe: Annotated[str, Parameter(help="Name of a recipe, or a TOML file of your own.")],
    *,
    data: Annotated[str | None, Parameter(help="The pictures, as for `fit`. Default: what the recipe names.")] = None,
    out: Annotated[
        Path | None, Parameter(name=["--out", "-o"], help="Folder of the run. Default: runs/RECIPE.")
    ] = None,
    replace: Replace = False,
    protocol: Annotated[
        Literal["test", "folds"] | None,
        Parameter(help="Hold out a test part (`test`), or every picture once (`folds`). Default: the recipe's."),
    ] = None,
    budget: Annotated[
        str | None, Parameter(help="Time for the whole run: `15min`, `2h`. Rows that do not fit into it are left out.")
    ] = None,
    goal: Goal = None,
    outside: Annotated[
        Path | None, Parameter(help="Pictures from outside the set, to try the finished model on.")
    ] = None,
    options: Flat = DEFAULTS,
    training: FlatTraining = TRAINING_DEFAULTS,
    tensorboard: TensorBoard = None,
    json: Json = False,
    typed: Words,
) -> None:
    """Run a recipe's comparison on its pictures: every row trained, scored with an interval, and reported.

    Options on the command line win over the recipe's and over those of its rows. A run that was cut off goes on where
    it stopped when the same command is given again.
    """
    from thawline.work.run import run

    if typed.recipe is None:
        raise UsageError("recipe run: no recipe is named. `thawline recipe list` shows them.")
    order = typed.recipe.order(
        data,
        protocol=protocol or typed.recipe.protocol or "test",
        options=typed.among(options),
        training=typed.among(training),
        budget_s=None if budget is None else parse_duration(budget),
        goal=goal,
        outside=outside,
        command=typed.command,
    )
    folder = out or Path("runs") / typed.recipe.name
    say_run(run(order, folder, replace=replace, progress=progress_for_stderr(), tensorboard=tensorboard), as_json=json)
