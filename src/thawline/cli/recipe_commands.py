"""`thawline recipe list | show | run`: words on the command line -> api -> console."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

import thawline
from thawline.cli.arguments import Json
from thawline.cli.console import say, say_json
from thawline.core.errors import UsageError
from thawline.core.progress import progress_for_stderr
from thawline.core.toml import parse_table

__all__ = ["recipe"]

recipe = App(
    name="recipe", help="Remake a comparison: the five projects that Thawline grew out of, or one of your own."
)


@recipe.command(name="list")
def recipe_list(*, json: Json = False) -> None:
    """List the recipes that come with Thawline: what each compares, and how long it takes."""
    from thawline.view.words import duration_text

    found = [thawline.load_recipe(name) for name in thawline.recipe_names()]
    if json:
        say_json([{"name": one.name, "title": one.title, "minutes": one.minutes} for one in found])
        return
    width = max(len(one.name) for one in found)
    for one in found:
        time = "" if one.minutes is None else f" (about {duration_text(60 * one.minutes)} on two cores)"
        say(f"{one.name:<{width}}  {one.title}{time}")


@recipe.command(name="show")
def recipe_show(
    name: Annotated[str, Parameter(help="Name of a recipe, or a TOML file.")],
    *,
    json: Annotated[bool, Parameter(help="Print what the TOML says as JSON.")] = False,
) -> None:
    """Print a recipe: its TOML, with the command, the time that it takes and the scores to expect."""
    text = thawline.load_recipe(name).text
    say_json(parse_table(text, f"recipe {name}")) if json else say(text.rstrip())


@recipe.command(name="run")
def recipe_run(
    name: Annotated[str, Parameter(help="Name of a recipe, or a TOML file of your own.")],
    *,
    data: Annotated[str | None, Parameter(help="The pictures, as for `fit`. Default: what the recipe names.")] = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"], help="Folder of the run. Default: runs/NAME.")] = None,
    backbone: Annotated[str | None, Parameter(help="Another network; `efficientnet_lite0` needs no network.")] = None,
    weights: Annotated[Path | None, Parameter(help="Take the backbone's weights from this file.")] = None,
    size: Annotated[int | None, Parameter(help="Side of the network's input in pixels.")] = None,
    protocol: Annotated[
        Literal["test", "folds"] | None,
        Parameter(help="Hold out a test part (`test`), or every picture once (`folds`). Default: the recipe's."),
    ] = None,
    folds: Annotated[int | None, Parameter(help="Folds of the cross-validation.")] = None,
    repeats: Annotated[int | None, Parameter(help="How often the folds are drawn anew.")] = None,
    class_names: Annotated[Path | None, Parameter(help="File that gives the folders people's names.")] = None,
    one_against_rest: Annotated[str | None, Parameter(help="Tell this class from all others together.")] = None,
    limit: Annotated[int | None, Parameter(help="Pictures a class and part at most, for a quick look.")] = None,
    epochs: Annotated[int | None, Parameter(help="Epochs of every training, for a quick look.")] = None,
    outside: Annotated[
        Path | None, Parameter(help="Pictures from outside the set, for the model to be tried on.")
    ] = None,
    seed: Annotated[int | None, Parameter(help="Of every random choice.")] = None,
    device: Annotated[str | None, Parameter(help="Where the network runs: `auto`, `cpu`, `cuda`, `mps`.")] = None,
    cache_dir: Annotated[Path | None, Parameter(help="Where features are kept between runs.")] = None,
    json: Json = False,
) -> None:
    """Remake a recipe's comparison on its pictures: every row trained, scored with an interval, and reported."""
    from thawline.view.recipe_report import recipe_text

    if epochs is not None and epochs < 1:
        raise UsageError(f"recipe run: --epochs {epochs}: 1 or more are required.")
    given: dict[str, Any] = {
        "backbone": backbone,
        "weights": weights,
        "size": size,
        "folds": folds,
        "repeats": repeats,
        "class_names": class_names,
        "one_against_rest": one_against_rest,
        "limit": limit,
        "seed": seed,
        "device": device,
        "cache_dir": cache_dir,
        "epochs": epochs,
    }
    result = thawline.run_recipe(
        name,
        data,
        out=out,
        changes={key: value for key, value in given.items() if value is not None},
        protocol=protocol,
        outside=outside,
        progress=progress_for_stderr(),
    )
    if json:
        say_json(result.run)
        return
    say(recipe_text(result.data) + "\n")
    for file in ("report.html", "model", "comparison.csv", "leaderboard.json", "history.csv", "ledger.csv", "run.json"):
        say(f"  {result.out / file}")
