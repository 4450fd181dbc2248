"""`thawline fit`, `tune`, `demo`, `compare` and `report`: words on the command line -> a verb -> console."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

import thawline
from thawline.cli.arguments import DEFAULTS, Flat, Json, Out, Photos
from thawline.cli.console import say, say_json
from thawline.core.errors import UsageError
from thawline.core.progress import progress_for_stderr
from thawline.train.hyperparameters import TrainOptions, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thawline.work.run import Run

__all__ = ["compare", "demo", "fit", "report", "tune"]

AnyPhotos = Annotated[str | None, Parameter(help="As for `fit`; not needed with --resume, or a --config that has it.")]
FlatTraining = Annotated[TrainOptions, Parameter(name="*", group="Training")]
TensorBoard = Annotated[Path | None, Parameter(help="Folder for a TensorBoard log of the trainings.")]
TRAINING_DEFAULTS, TUNED = TrainOptions(), Path("runs/tune")


def fit(
    photos: Photos,
    *,
    out: Out = Path("runs/fit"),
    budget: Annotated[
        str | None,
        Parameter(help="Train networks too, the most promising ones, for so long: `15min`, `2h`. Default: heads only."),
    ] = None,
    candidates: Annotated[
        list[str] | None,
        Parameter(name="--candidate", help="What the budget may be spent on; as `--plan` of `tune`. May be repeated."),
    ] = None,
    plan: Annotated[bool, Parameter(help="Print what every strategy would take on this machine, and stop.")] = False,
    options: Flat = DEFAULTS,
    training: FlatTraining = TRAINING_DEFAULTS,
    tensorboard: TensorBoard = None,
    json: Json = False,
) -> None:
    """Do the main job: check, split, extract, compare, train the winner, test it once, report, write the model."""
    budget_s = None if budget is None else parse_duration(budget)
    named = tuple(candidates or ())
    if plan:
        rows = thawline.forecast(photos, options, training=training, plans=named, progress=progress_for_stderr())
        _say_forecast(rows, budget_s, as_json=json)
        return
    result = thawline.fit(
        photos,
        out,
        options=options,
        training=training,
        budget_s=budget_s,
        plans=named,
        tensorboard=tensorboard,
        progress=progress_for_stderr(),
    )
    _say_fit(result, as_json=json)


def tune(
    photos: AnyPhotos = None,
    *,
    plans: Annotated[
        list[str] | None,
        Parameter(
            name="--plan",
            help="What to train: `all`, `last 20 %`, `last 7 blocks`, `head`, `head, 2 blocks cut`, `head, then "
            "all`, `gradual last 7 blocks`, `simple_cnn from nothing`. May be repeated.",
        ),
    ] = None,
    resume: Annotated[Path | None, Parameter(help="Go on with the run in this folder, which was cut off.")] = None,
    out: Out = TUNED,
    options: Flat = DEFAULTS,
    training: FlatTraining = TRAINING_DEFAULTS,
    config: Annotated[
        Path | None, Parameter(help="TOML file with `plans` and any of these options, by their names.")
    ] = None,
    tensorboard: TensorBoard = None,
    json: Json = False,
) -> None:
    """Train networks by named plans, compare them with every frozen strategy, and deliver the best of them."""
    progress = progress_for_stderr()
    if resume is not None:
        beside = photos is not None or plans or config is not None or out != TUNED
        if beside or (options, training) != (DEFAULTS, TRAINING_DEFAULTS):
            raise UsageError("tune: --resume goes on with what the run was started with. Give nothing else with it.")
        _say_fit(thawline.resume(resume, tensorboard=tensorboard, progress=progress), as_json=json)
        return
    if config is not None:
        from thawline.work.recipe import read_config, rows_of_plans
        from thawline.work.run import run

        order = read_config(config).order(photos, rows=rows_of_plans(plans or ()))
        _say_fit(run(order, out, progress=progress, tensorboard=tensorboard), as_json=json)
        return
    if photos is None:
        raise UsageError("tune: no pictures are named. Name their folder: thawline tune PHOTOS --plan all.")
    result = thawline.tune(
        photos,
        out,
        plans=plans or [],
        options=options,
        training=training,
        tensorboard=tensorboard,
        progress=progress,
    )
    _say_fit(result, as_json=json)


def demo(
    photos: Annotated[
        str | None, Parameter(help="Your own pictures; default: scanned digits, five labels a class.")
    ] = None,
    *,
    out: Out = Path("runs/demo"),
    options: Flat = DEFAULTS,
    json: Json = False,
) -> None:
    """Show the idea on pictures that need no download: where a pretrained network should be cut for few labels."""
    if photos is None:
        from thawline.data.digits import write_digits

        folder = out / "pictures"
        photos = str(folder if folder.is_dir() else write_digits(folder))
    result = thawline.fit(photos, out, options=options, progress=progress_for_stderr())
    from thawline.view.summary import thaw_line_text

    if not json:
        say(thaw_line_text(result.leaderboard, [cut.label for cut in result.data.cuts]) + "\n")
    _say_fit(result, as_json=json)


def compare(
    photos: Photos,
    *,
    augment: Annotated[
        str, Parameter(help="Let the best heads learn from altered views too: flip, crop, trivial, rand, augmix.")
    ] = "none",
    views: Annotated[int | None, Parameter(help="Views of a picture, the plain one included.")] = None,
    options: Flat = DEFAULTS,
    json: Json = False,
) -> None:
    """Show the leaderboard of every frozen strategy; test pictures, where there are any, stay unread."""
    from thawline.view.summary import leaderboard_text, thaw_line_text
    from thawline.work.record import leaderboard_json

    result = thawline.compare(photos, options, augment=augment, views=views, progress=progress_for_stderr())
    if json:
        say_json(leaderboard_json(result.leaderboard))
    else:
        say(
            thaw_line_text(result.leaderboard, [cut.label for cut in result.session.context.network.backbone.cuts])
            + "\n"
        )
        say(leaderboard_text(result.leaderboard))


def report(
    run: Annotated[Path, Parameter(help="Folder of a run that `thawline fit` wrote.")], *, json: Json = False
) -> None:
    """Write a run's report.html again, e.g. after an update, and print its path."""
    path = thawline.render(run)
    say_json({"report": str(path)}) if json else say(str(path))


def _say_fit(result: Run, *, as_json: bool) -> None:
    from thawline.view.summary import evaluation_text, forecast_text, leaderboard_text

    if not result.run:  # one of several processes that train together: the first one speaks
        return
    if as_json:
        say_json(result.run)
        return
    say(leaderboard_text(result.leaderboard))
    if result.run["forecast"]:
        say("\n" + forecast_text(result.run["forecast"], result.run["budget_s"]))
    say(f"\nWinner: {result.winner}")
    say(evaluation_text(result.evaluation, rule="read once"))
    say("")
    for name in ("report.html", "model", "leaderboard.json", "history.csv", "ledger.csv", "run.json"):
        say(f"  {result.out / name}")


def _say_forecast(rows: Sequence[Mapping[str, Any]], budget_s: float | None, *, as_json: bool) -> None:
    from thawline.view.summary import forecast_text

    if as_json:
        say_json(list(rows))
    else:
        say(forecast_text(rows, budget_s))
