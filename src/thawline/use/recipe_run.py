"""A recipe and pictures -> a finished run: the comparison that its author made, with intervals, ties and leaks.

What a run writes stands in its folder: `report.html`, `comparison.csv`, `history.csv`, `ledger.csv`, `run.json`, and
the delivered row's `model/`. A run that was cut off goes on where it stopped when it is started again.
"""

from __future__ import annotations

import datetime as dt
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from thawline import __version__
from thawline.core.errors import BackboneError, UsageError
from thawline.core.options import Options
from thawline.core.progress import Progress, SilentProgress
from thawline.core.runtime import package_versions
from thawline.core.store import content_key, write_bytes, write_json
from thawline.core.tables import checked
from thawline.core.types import Ints
from thawline.data.check import ledger_csv
from thawline.data.dataset import Dataset
from thawline.search.answers import Rows
from thawline.search.judge import rank
from thawline.search.leaderboard import Leaderboard
from thawline.tune.options import TuneOptions
from thawline.tune.trial import Ground
from thawline.use.bundle import Bundle, load_bundle, save_bundle
from thawline.use.recipe import Expected, Recipe
from thawline.use.recipe_data import Outside, RecipeData, RowData
from thawline.use.recipe_outside import answer_outside, outside_files
from thawline.use.recipe_rows import (
    AnsweredRow,
    Field,
    answer_by_folds,
    answer_once,
    model_of,
    require_rows,
    rows_once,
    solved_names,
)
from thawline.use.report_data import Picture
from thawline.use.run import Clock, CompareResult, options_json, thumbnail
from thawline.use.session import Session, compare_frozen, load_network, open_session, require_place
from thawline.use.tuning import ground_of, work_folder
from thawline.use.winner import describe_training

__all__ = ["RecipeOrder", "RecipeRun", "run_recipe"]

OFFLINE_BACKBONE = "efficientnet_lite0"
PICTURES_A_CLASS, SHOWN_CLASSES, THUMBNAIL_PX = 6, 20, 110
SAME_SCORES = frozenset({"backbone", "class_names", "one_against_rest", "limit", "cache_dir", "device", "on_bad"})
"""Options that may differ from the recipe's where its stated scores are compared: the key of the pictures and labels
tells whether they changed anything, or they change no score."""


@dataclass(frozen=True)
class RecipeOrder:
    """What a run of a recipe is asked for.

    Attributes:
        recipe: The recipe.
        photos: The pictures.
        out: Folder of the run.
        changes: Options of the run that differ from the recipe's, by name.
        protocol: Instead of the recipe's, or None.
        epochs: Epochs of every training instead of the recipe's, for a quick look; or None.
        outside: Pictures from outside the set, or None.
    """

    recipe: Recipe
    photos: Path
    out: Path
    changes: Mapping[str, Any]
    protocol: Literal["test", "folds"] | None = None
    epochs: int | None = None
    outside: Path | None = None


@dataclass(frozen=True)
class RecipeRun:
    """What a run of a recipe made.

    Attributes:
        out: Its folder.
        data: What its report shows.
        run: What `run.json` holds.
    """

    out: Path
    data: RecipeData
    run: dict[str, Any]

    def _repr_html_(self) -> str:
        """Return the rows as a table, for a notebook."""
        from thawline.use.recipe_summary import recipe_repr_html

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
    options = _options(order)
    protocol = order.protocol or recipe.protocol
    _require_weights(recipe, options)
    require_place(out, order.photos)
    shown = outside_files(order.outside)
    session = open_session(order.photos, options, TuneOptions(), progress or SilentProgress(), clock)
    if session.processes.count > 1:
        raise UsageError("recipe run: a recipe runs in one process. Start it without `accelerate launch`.")
    if protocol == "folds":
        session = replace(session, dataset=_pooled(session.dataset))
    require_rows(recipe, session, order.epochs)
    named = solved_names(recipe, session.network.backbone.name)
    compared = compare_frozen(session, hold_out=protocol == "test", only=named)
    field = Field(recipe, session, compared, _ground(order, session, compared, protocol), order.epochs)
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
    data = _data(order, field, answered, board, outside, protocol, clock)
    data = replace(data, notes=(*data.notes, *unread))
    return _write(out, data, compared, clock)


def _options(order: RecipeOrder) -> Options:
    """Return the options of the run: the recipe's, what the person changed, and accuracy as what is compared.

    Folds are drawn once unless somebody says otherwise: every repeat trains all rows anew.
    """
    recipe, protocol = order.recipe, order.protocol or order.recipe.protocol
    if protocol not in ("test", "folds"):
        raise UsageError(f"recipe {recipe.name}: there is no protocol {protocol!r}. Name test or folds.")
    if order.epochs is not None and order.epochs < 1:
        raise UsageError(f"recipe {recipe.name}: --epochs {order.epochs}: 1 or more are required.")
    table = {"metric": "accuracy", **recipe.options, **order.changes}
    if protocol == "folds":
        table.setdefault("repeats", 1)
    options = checked(Options, table, f"recipe {recipe.name}, options")
    if options.metric != "accuracy":
        raise UsageError(
            f"recipe {recipe.name}, options: metric = {options.metric!r}: the rows are compared by accuracy. Leave the "
            "option out."
        )
    return options


def _require_weights(recipe: Recipe, options: Options) -> None:
    """Refuse a backbone whose weights are not at hand before the work begins, with one that always is."""
    try:
        load_network(options)
    except BackboneError as error:
        if options.backbone == OFFLINE_BACKBONE:
            raise
        raise BackboneError(
            f"recipe {recipe.name}: {error} Or run it with --backbone {OFFLINE_BACKBONE}, which needs no network."
        ) from None


def _pooled(dataset: Dataset) -> Dataset:
    """Return the data set without the person's own parts: every picture is to be held out once."""
    return replace(dataset, samples=tuple(replace(sample, split=None) for sample in dataset.samples))


def _ground(order: RecipeOrder, session: Session, compared: CompareResult, protocol: str) -> Ground:
    """Return what trainings share; their folder is this order's own, so that only the same order goes on with them."""
    ground = ground_of(
        compared,
        session.network,
        session.runtime,
        session.options,
        TuneOptions(),
        out=order.out,
        progress=session.progress,
        processes=session.processes,
        log=None,
    )
    said = [order.recipe.text, options_json(session.options), protocol, order.epochs, _labelled_key(session.dataset)]
    return replace(ground, folder=work_folder(order.out) / content_key(said)[:12])


def _labelled_key(dataset: Dataset) -> str:
    """Return a key of pictures with their labels: what a stated score holds for."""
    return content_key(sorted((sample.sha256, dataset.class_names[sample.label]) for sample in dataset.samples))


def _leaderboard(answered: Sequence[AnsweredRow], rows: Rows, field: Field, protocol: str) -> Leaderboard:
    """Return the rows as a leaderboard: intervals, paired tests against the best, ties."""
    compared, options = field.compared, field.session.options
    trials, winner, _ = rank([one.answers for one in answered], rows, compared.full_pass_ms, options.seed)
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
        save_bundle(out / "model", classifier, replace(training, strategy=chosen.does))
    return load_bundle(out / "model", device=field.session.options.device)


def _data(
    order: RecipeOrder,
    field: Field,
    answered: Sequence[AnsweredRow],
    board: Leaderboard,
    outside: tuple[Outside, ...],
    protocol: str,
    clock: Clock,
) -> RecipeData:
    """Return everything that the report shows."""
    recipe, compared = order.recipe, field.compared
    dataset, split, backbone = compared.dataset, compared.split, field.session.network.backbone
    stated = _stated(order, dataset, backbone.name, protocol)
    roles: dict[str, Ints] = {"train": split.pool}
    if len(split.test):
        roles["test"] = split.test
    num_classes = len(dataset.class_names)
    return RecipeData(
        name=recipe.name,
        title=recipe.title,
        story=recipe.story.strip(),
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        command=" ".join(["thawline", *map(shlex.quote, sys.argv[1:])]),
        rule=board.rule,
        backbone=backbone.name,
        class_names=dataset.class_names,
        counts={
            role: tuple(np.bincount(dataset.labels[rows], minlength=num_classes).tolist())
            for role, rows in roles.items()
        },
        leaderboard=board,
        rows=tuple(
            RowData(
                name=one.row.name,
                does=one.does,
                origin=one.row.origin,
                expected=stated.scores.get(one.row.name) if stated else None,
                seconds=one.seconds,
                epochs=one.epochs,
                evaluation=one.evaluation,
                drift=one.drift,
            )
            for one in answered
        ),
        delivered=recipe.delivered,
        pass_s=compared.extraction.seconds if compared.extraction.num_extracted else 0.0,
        total_s=clock.parts["total"],
        goal=recipe.goal.accuracy if recipe.goal else None,
        goal_words=recipe.goal.words if recipe.goal else "",
        pictures=_sample_grids(dataset, roles),
        outside=outside,
        outside_words=recipe.outside,
        check=compared.report.to_json(),
        provenance=_provenance(order, field, clock),
        notes=_notes(order, field, protocol, stated),
    )


def _stated(order: RecipeOrder, dataset: Dataset, backbone: str, protocol: str) -> Expected | None:
    """Return what the recipe states for these pictures, labels, backbone and protocol; None where it says nothing.

    A quick look, another seed, size or weights are another run than the one that was measured.
    """
    asked, own = options_json(_options(order)), options_json(_options(replace(order, changes={})))
    if order.epochs is not None or any(asked[name] != own[name] for name in asked.keys() - SAME_SCORES):
        return None
    key = _labelled_key(dataset)
    found = [
        one for one in order.recipe.expected if (one.pictures, one.backbone, one.protocol) == (key, backbone, protocol)
    ]
    return found[0] if found else None


def _sample_grids(dataset: Dataset, roles: Mapping[str, Ints]) -> tuple[Picture, ...]:
    """Return the first few training and held-out pictures of each class."""
    return tuple(
        Picture(name, role, dataset.samples[row].path, thumbnail(dataset, int(row), THUMBNAIL_PX))
        for role, rows in roles.items()
        for label, name in enumerate(dataset.class_names[:SHOWN_CLASSES])
        for row in rows[dataset.labels[rows] == label][:PICTURES_A_CLASS]
    )


def _notes(order: RecipeOrder, field: Field, protocol: str, stated: Expected | None) -> tuple[str, ...]:
    """Return sentences on how the rows were scored and what a reader should mind."""
    split, dataset = field.compared.split, field.compared.dataset
    own = any(sample.split == "test" for sample in dataset.samples)
    notes = [
        f"Held out: {'your own test folder' if own else 'a stratified fifth, copies kept together'}, "
        f"{len(split.test):,} pictures; every row answered them once, and nothing was chosen by them."
        if protocol == "test"
        else f"Held out: every picture, by {split.rule}; each was answered by models that never saw it."
    ]
    notes.append(f"The model kept is that of the row “{field.recipe.delivered}”, named in the recipe beforehand.")
    watched = [row.name for row in field.recipe.rows if row.plan and field.training_of(row).watches]
    if watched:
        notes.append("Where a training watched pictures while it ran, they are a tenth of its training pictures.")
    if protocol == "folds" and split.num_repeats > 1:
        notes.append("The scores of a row are those of the first drawing of the folds; tests and ties take them all.")
    if protocol == "folds" and any(row.drift for row in field.recipe.rows):
        notes.append("How far a training moved the backbone is measured on held-out pictures: --protocol test.")
    if order.epochs is not None:
        epochs = "one epoch" if order.epochs == 1 else f"{order.epochs} epochs"
        notes.append(f"A quick look: {epochs} instead of the recipe's; its stated scores do not apply.")
    elif stated is None:
        notes.append("The recipe states no scores for these pictures, labels, backbone and options; none are compared.")
    return tuple(notes)


def _provenance(order: RecipeOrder, field: Field, clock: Clock) -> dict[str, Any]:
    backbone = field.session.network.backbone
    return {
        "recipe": order.recipe.name,
        "backbone": {
            "name": backbone.name,
            "weights": backbone.weights_origin,
            "licence": backbone.license,
            "sha256": backbone.weights_sha256,
        },
        "pictures and labels": _labelled_key(field.session.dataset),
        "options": options_json(field.session.options),
        "runtime": asdict(field.session.runtime),
        "seconds": {f"{name}_s": seconds for name, seconds in clock.parts.items()},
        "versions": package_versions(),
    }


def _write(out: Path, data: RecipeData, compared: CompareResult, clock: Clock) -> RecipeRun:
    """Write the files of the run and remove what was kept for going on with it."""
    from thawline.use.recipe_report import recipe_csv, render_recipe_report  # matplotlib
    from thawline.use.report import history_csv

    write_bytes(out / "report.json", data.to_json().encode())
    write_bytes(out / "report.html", render_recipe_report(data).encode())
    write_bytes(out / "comparison.csv", recipe_csv(data).encode())
    write_bytes(out / "history.csv", history_csv(data.leaderboard).encode())
    write_bytes(out / "ledger.csv", ledger_csv(compared.dataset.ledger).encode("utf-8", "surrogateescape"))
    clock.lap("report")
    run = _run_json(data, clock)
    write_json(out / "run.json", run)
    shutil.rmtree(work_folder(out), ignore_errors=True)
    return RecipeRun(out, data, run)


def _run_json(data: RecipeData, clock: Clock) -> dict[str, Any]:
    """Return what `run.json` holds; scripts may rely on `recipe` and `rows`."""
    rows = []
    for row in data.rows:
        score, clean, trial = row.evaluation.accuracy, row.evaluation.accuracy_without_leaks, data.trial_of(row)
        rows.append(
            {
                "row": row.name,
                "does": row.does,
                "accuracy": score.value,
                "low": score.low,
                "high": score.high,
                "n": score.n,
                "accuracy_without_leaks": clean.value if clean else None,
                "macro_f1": row.evaluation.macro_f1.value,
                "precision": row.evaluation.macro_precision,
                "recall": row.evaluation.macro_recall,
                "seconds": row.seconds,
                "tied_with_the_best": trial.tied,
                "origin": row.origin,
                "expected": row.expected,
                "verdict": row.verdict,
                "drift": row.drift,
            }
        )
    return {
        "thawline": __version__,
        "recipe": data.name,
        "rule": data.rule,
        "rows": rows,
        "delivered": data.delivered,
        "goal": data.goal,
        "goal_reached": data.goal_reached,
        "pass_s": data.pass_s,
        **data.provenance,
        "seconds": {f"{name}_s": seconds for name, seconds in clock.parts.items()},
    }
