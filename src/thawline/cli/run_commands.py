"""`thawline fit`, `tune`, `demo`, `compare` and `report`: words on the command line -> a run -> console."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

import thawline
from thawline.cli.arguments import (
    DEFAULTS,
    TRAINING_DEFAULTS,
    Budget,
    Config,
    Flat,
    FlatTraining,
    Forecast,
    Goal,
    Json,
    Out,
    PhotosOrFile,
    Plans,
    Replace,
    TensorBoard,
    Words,
)
from thawline.cli.console import say, say_json
from thawline.cli.refused import is_there
from thawline.cli.results import say_compared, say_forecast, say_run, say_thaw_line
from thawline.core.errors import DataError, UsageError, first_few
from thawline.core.progress import progress_for_stderr
from thawline.train.hyperparameters import parse_duration

if TYPE_CHECKING:
    from thawline.cli.typed import Typed
    from thawline.core.options import Options
    from thawline.train.hyperparameters import TrainOptions
    from thawline.work.order import Order

__all__ = ["compare", "demo", "fit", "report", "tune"]

WITH_RESUME = frozenset({"resume", "tensorboard", "json"})


def fit(
    photos: PhotosOrFile = None,
    *,
    out: Out = Path("runs/fit"),
    replace: Replace = False,
    budget: Budget = None,
    plans: Plans = None,
    forecast: Forecast = False,
    goal: Goal = None,
    config: Config = None,
    options: Flat = DEFAULTS,
    training: FlatTraining = TRAINING_DEFAULTS,
    tensorboard: TensorBoard = None,
    json: Json = False,
    typed: Words,
) -> None:
    """Do the main job: check, split, extract, compare, train the winner, test it once, report, write the model.

    With a budget, networks are trained too: the plans that are named, else the most promising.
    """
    from thawline.work.run import forecast as forecast_rows
    from thawline.work.run import run

    budget_s = None if budget is None else parse_duration(budget)
    order = _order(typed, photos, plans=plans, sets=(options, training), budget_s=budget_s, goal=goal)
    if forecast:
        say_forecast(forecast_rows(order, progress=progress_for_stderr()), budget_s, as_json=json)
        return
    if order.rows and budget_s is None:
        raise UsageError(
            "fit: plans without a budget. Give one (--budget 15min), name them to `thawline tune`, or ask what they "
            "would take with --forecast."
        )
    say_run(run(order, out, replace=replace, progress=progress_for_stderr(), tensorboard=tensorboard), as_json=json)


def tune(
    photos: PhotosOrFile = None,
    *,
    plans: Plans = None,
    forecast: Forecast = False,
    resume: Annotated[
        Path | None, Parameter(help="Go on with the run in this folder, which was cut off; nothing else is needed.")
    ] = None,
    out: Out = Path("runs/tune"),
    replace: Replace = False,
    goal: Goal = None,
    config: Config = None,
    options: Flat = DEFAULTS,
    training: FlatTraining = TRAINING_DEFAULTS,
    tensorboard: TensorBoard = None,
    json: Json = False,
    typed: Words,
) -> None:
    """Train networks by named plans, compare them with every frozen strategy, and deliver the best of them."""
    from thawline.work.run import forecast as forecast_rows
    from thawline.work.run import run

    progress = progress_for_stderr()
    if resume is not None:
        if others := [token.keyword or token.value for name, token in typed.given.items() if name not in WITH_RESUME]:
            raise UsageError(
                f"tune: --resume goes on with what the run was started with, and {first_few(others)} was given too. "
                "Give nothing else with it."
            )
        say_run(thawline.resume(resume, tensorboard=tensorboard, progress=progress), as_json=json)
        return
    order = _order(typed, photos, plans=plans, sets=(options, training), goal=goal)
    if not order.rows:
        raise UsageError('tune: no plan is named. Name one or more: --plan "last 20 %" --plan "head, then all".')
    if forecast:
        say_forecast(forecast_rows(order, progress=progress), None, as_json=json)
        return
    say_run(run(order, out, replace=replace, progress=progress, tensorboard=tensorboard), as_json=json)


def demo(
    photos: Annotated[
        str | None, Parameter(help="Your own pictures. Default: scanned digits, five labels a class.")
    ] = None,
    *,
    out: Out = Path("runs/demo"),
    replace: Replace = False,
    options: Flat = DEFAULTS,
    json: Json = False,
    typed: Words,
) -> None:
    """Show the idea on pictures that need no download: where to cut a pretrained network for few labels."""
    from thawline.data.digits import is_digits, write_digits
    from thawline.work.run import run
    from thawline.work.run_folder import require_place

    folder = out / "pictures"
    order = _order(typed, photos or str(folder), sets=(options, TRAINING_DEFAULTS))
    if photos is None and folder.exists() and not is_digits(folder):
        raise DataError(
            f"demo: {folder} holds something else than the demo's pictures. Choose another place with -o, or name your "
            f"pictures: thawline demo {folder}."
        )
    if photos is None and not folder.exists():
        require_place(out, order, replace=replace)
        write_digits(folder)
    result = run(order, out, replace=replace, progress=progress_for_stderr())
    if not json:
        say_thaw_line(result)
    say_run(result, as_json=json)


def compare(
    photos: PhotosOrFile = None,
    *,
    augment: Annotated[
        str, Parameter(help="Let the best heads learn from altered views too: flip, crop, trivial, rand, augmix.")
    ] = "none",
    views: Annotated[int | None, Parameter(help="Views of a picture, the plain one included.")] = None,
    config: Config = None,
    options: Flat = DEFAULTS,
    json: Json = False,
    typed: Words,
) -> None:
    """Show the leaderboard of every frozen strategy; test pictures, where there are any, stay unread."""
    place, progress = typed.photos(photos), progress_for_stderr()
    say_compared(thawline.compare(place, options, augment=augment, views=views, progress=progress), as_json=json)


def report(
    runs: Annotated[
        list[Path],
        Parameter(help="Folder of a run that `thawline fit`, `tune` or `recipe run` wrote; several are compared."),
    ],
    *,
    out: Annotated[
        Path | None,
        Parameter(
            name=["--out", "-o"],
            help="The page that compares several runs. Default: compared.html, next to the first run's folder.",
        ),
    ] = None,
    replace: Annotated[
        bool, Parameter(help="Replace a report of an older version, or what is no report of Thawline, too.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a run's report.html again, e.g. after an update, or set several runs side by side; print the path."""
    if len(runs) == 1:
        if out is not None:
            raise UsageError("report: -o is for several runs; one has its report in its folder. Leave -o out.")
        path = thawline.render(runs[0], replace=replace)
    else:
        path = thawline.compare_runs(runs, out, replace=replace)
    say_json({"report": str(path)}) if json else say(str(path))


def _order(
    typed: Typed,
    photos: str | None,
    *,
    sets: tuple[Options, TrainOptions],
    plans: Sequence[str] | None = None,
    budget_s: float | None = None,
    goal: float | None = None,
) -> Order:
    """Return the order that was typed, over what a file says."""
    from thawline.train.plan import EXAMPLES
    from thawline.work.recipe import Recipe, rows_of_plans

    options, training = sets
    if photos is None and typed.recipe is None and (folder := next(filter(is_there, plans or ()), None)):
        raise UsageError(
            f"{typed.name}: --plan {folder} names a file or folder, and a plan is required, such as --plan "
            f"{EXAMPLES[1]!r}. A forecast is asked for with --forecast: thawline {typed.name} {folder} --forecast."
        )
    return (typed.recipe or Recipe(where=typed.name)).order(
        typed.photos(photos),
        rows=rows_of_plans(plans or ()),
        protocol="choose",
        options=typed.among(options),
        training=typed.among(training),
        budget_s=budget_s,
        goal=goal,
        command=typed.command,
    )
