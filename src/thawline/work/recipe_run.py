"""A recipe and pictures -> a finished run: the comparison that its author made, with intervals, ties and leaks.

What a run writes stands in its folder: `report.html`, `comparison.csv`, `history.csv`, `ledger.csv`, `run.json`, and
the delivered row's `model/`. A run that was cut off goes on where it stopped when it is started again.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thawline.core.errors import BackboneError, UsageError
from thawline.core.options import Options
from thawline.core.progress import Progress, SilentProgress
from thawline.core.store import content_key, write_bytes, write_json
from thawline.data.check import ledger_csv
from thawline.data.dataset import Dataset
from thawline.features.network import Network
from thawline.search.answers import Rows
from thawline.search.judge import rank
from thawline.search.leaderboard import Leaderboard
from thawline.train.context import Ground
from thawline.train.hyperparameters import TrainOptions
from thawline.use.bundle import Bundle, load_bundle, save_bundle
from thawline.view.report_data import ReportData
from thawline.work.model import describe_training
from thawline.work.outside import answer_outside, outside_files
from thawline.work.recipe import Recipe
from thawline.work.recipe_facts import THUMBNAIL_PX, recipe_data, recipe_json
from thawline.work.recipe_order import RecipeOrder
from thawline.work.request import work_folder
from thawline.work.rows import (
    AnsweredRow,
    Field,
    answer_by_folds,
    answer_once,
    model_of,
    require_rows,
    rows_once,
    solved_names,
)
from thawline.work.run import Clock, CompareResult, options_json
from thawline.work.session import Session, compare_frozen, load_network, open_session, require_place
from thawline.work.tuning import ground_of

__all__ = ["RecipeOrder", "RecipeRun", "run_recipe"]

OFFLINE_BACKBONE = "efficientnet_lite0"


@dataclass(frozen=True)
class RecipeRun:
    """What a run of a recipe made.

    Attributes:
        out: Its folder.
        data: What its report shows.
        run: What `run.json` holds.
    """

    out: Path
    data: ReportData
    run: dict[str, Any]

    def _repr_html_(self) -> str:
        """Return the rows as a table, for a notebook."""
        from thawline.view.recipe_summary import recipe_repr_html

        return recipe_repr_html(self.data)


def run_recipe(order: RecipeOrder, progress: Progress | None = None) -> RecipeRun:
    """Do the whole of a recipe and write its run folder, each file whole or not at all.

    Args:
        order: What is asked for.
        progress: Where to report to.

    Raises:
        BackboneError: The recipe's weights are not at hand; says so before anything else, and what works without.
        UsageError: A protocol, option, row or folder that cannot be; says so before anything is trained.
        ThawlineError: Anything else that the person can mend; what was extracted and trained is kept.
    """
    recipe, out, clock = order.recipe, order.out, Clock()
    options, protocol = order.options, order.scored_by
    network = _load_backbone(recipe, options)
    require_place(out, order.photos)
    shown = outside_files(order.outside)
    session = open_session(order.photos, options, TrainOptions(), progress or SilentProgress(), clock, network)
    if session.processes.count > 1:
        raise UsageError("recipe run: a recipe runs in one process. Start it without `accelerate launch`.")
    if protocol == "folds":
        session = replace(session, dataset=_pooled(session.dataset))
    require_rows(recipe, session, order.epochs)
    named = solved_names(recipe, session.network.backbone.name)
    compared = compare_frozen(session, hold_out=protocol == "test", only=named)
    field = Field(recipe, session, compared, _ground(order, session, compared), order.epochs)
    if protocol == "test":
        rows = rows_once(field)
        answered = [answer_once(field, row, rows) for row in recipe.rows]
    else:
        rows = compared.comparison.frozen.rows
        answered = [answer_by_folds(field, row) for row in recipe.rows]
    clock.lap("rows")
    board = _leaderboard(answered, rows, field, protocol)
    bundle = _deliver(field, answered, out)
    clock.lap("model")
    outside, unread = answer_outside(shown, bundle, THUMBNAIL_PX, session.progress)
    clock.lap("outside")
    data = recipe_data(order, field, answered, board, outside, clock)
    data = replace(data, notes=(*data.notes, *unread))
    return _write(out, data, compared, clock)


def _load_backbone(recipe: Recipe, options: Options) -> Network:
    """Return the backbone; where its weights are not at hand, the refusal names one whose weights always are."""
    try:
        return load_network(options)
    except BackboneError as error:
        if options.backbone == OFFLINE_BACKBONE:
            raise
        raise BackboneError(
            f"recipe {recipe.name}: {error} Or run it with --backbone {OFFLINE_BACKBONE}, which needs no network."
        ) from None


def _pooled(dataset: Dataset) -> Dataset:
    """Return the data set without the person's own parts: every picture is to be held out once."""
    return replace(dataset, samples=tuple(replace(sample, split=None) for sample in dataset.samples))


def _ground(order: RecipeOrder, session: Session, compared: CompareResult) -> Ground:
    """Return what trainings share; their folder is this order's own, so that only the same order goes on with them."""
    key = session.dataset.labelled_key
    said = [order.recipe.text, options_json(session.options), order.scored_by, order.epochs, key]
    return ground_of(compared, session.context(work_folder(order.out) / content_key(said)[:12]))


def _leaderboard(answered: Sequence[AnsweredRow], rows: Rows, field: Field, protocol: str) -> Leaderboard:
    """Return the rows as a leaderboard: intervals, paired tests against the best, ties."""
    compared, options = field.compared, field.session.options
    trials, winner, _ = rank(
        [one.answers for one in answered], rows, full_pass_ms=compared.full_pass_ms, seed=options.seed
    )
    count = len(rows.scored)
    best = trials[winner]
    return Leaderboard(
        metric="accuracy",
        rule=f"{count:,} held-out pictures, read once" if protocol == "test" else compared.split.rule,
        trials=trials,
        winner=winner,
        chosen_mean=best.mean,
        chosen_low=best.low,
        chosen_high=best.high,
        num_pictures=count,
        num_fits=sum(len(one.answers.fold_scores) for one in answered),
        seconds=sum(one.seconds for one in answered),
    )


def _deliver(field: Field, answered: Sequence[AnsweredRow], out: Path) -> Bundle:
    """Write the model of the row that the recipe named beforehand, and return it as it will be loaded."""
    name = field.recipe.delivered
    chosen = next(one for one in answered if one.row.name == name)
    classifier = chosen.classifier or model_of(field, chosen.row)[0]
    training = describe_training(field.compared, field.session.options)
    with field.session.progress.stage("model"):
        save_bundle(out / "model", classifier, training=replace(training, strategy=chosen.does))
    return load_bundle(out / "model", device=field.session.options.device)


def _write(out: Path, data: ReportData, compared: CompareResult, clock: Clock) -> RecipeRun:
    """Write the files of the run and remove what was kept for going on with it."""
    from thawline.view.recipe_report import recipe_csv, render_recipe_report  # matplotlib
    from thawline.view.report import history_csv

    write_bytes(out / "report.json", data.to_json().encode())
    write_bytes(out / "report.html", render_recipe_report(data).encode())
    write_bytes(out / "comparison.csv", recipe_csv(data).encode())
    write_bytes(out / "history.csv", history_csv(data.leaderboard).encode())
    write_bytes(out / "ledger.csv", ledger_csv(compared.dataset.ledger).encode("utf-8", "surrogateescape"))
    clock.lap("report")
    run = recipe_json(data, clock)
    write_json(out / "run.json", run)
    shutil.rmtree(work_folder(out), ignore_errors=True)
    return RecipeRun(out, data, run)
