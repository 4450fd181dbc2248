"""Answered rows -> what the report of a recipe shows, and what `run.json` holds; nothing is computed twice."""

from __future__ import annotations

import datetime as dt
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from thawline.core.runtime import package_versions
from thawline.core.types import Ints
from thawline.core.version import __version__
from thawline.data.dataset import Dataset
from thawline.search.leaderboard import Leaderboard
from thawline.view.report_data import Outside, Picture, ReportData, RowComparison, RowData
from thawline.work.recipe import Expected
from thawline.work.recipe_order import RecipeOrder
from thawline.work.rows import AnsweredRow, Field
from thawline.work.run import Clock, mistakes_of, options_json, thumbnail

__all__ = ["recipe_data", "recipe_json"]

PICTURES_A_CLASS, SHOWN_CLASSES, THUMBNAIL_PX = 6, 20, 110
SAME_SCORES = frozenset({"backbone", "class_names", "one_against_rest", "limit", "cache_dir", "device", "on_bad"})
"""Options that may differ from the recipe's where its stated scores are compared: the key of the pictures and labels
tells whether they changed anything, or they change no score."""


def recipe_data(
    order: RecipeOrder,
    field: Field,
    answered: Sequence[AnsweredRow],
    board: Leaderboard,
    outside: tuple[Outside, ...],
    clock: Clock,
) -> ReportData:
    """Return everything that the report shows.

    Args:
        order: What was asked for.
        field: What the rows share.
        answered: The rows, in the author's order.
        board: The same as a leaderboard.
        outside: Pictures from outside the set, as the delivered model answers them.
        clock: Of the run.
    """
    recipe, compared = order.recipe, field.compared
    dataset, split, backbone = compared.dataset, compared.split, field.session.network.backbone
    stated, frozen = _stated(order, dataset, backbone.name), compared.comparison.frozen
    if len(split.test):
        roles = {"train": split.pool, "test": split.test}
    else:  # every picture is held out in turn: the parts of the first fold, whose curves are drawn
        roles = dict(zip(("train", "validation"), split.folds[0], strict=True))
    num_classes = len(dataset.class_names)
    kept = next(row for row in answered if row.row.name == recipe.delivered)
    held_out = split.test if len(split.test) else frozen.rows.samples[frozen.rows.scored]
    return ReportData(
        title=recipe.title,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        command=" ".join(["thawline", *map(shlex.quote, sys.argv[1:])]),
        class_names=dataset.class_names,
        counts={
            role: tuple(np.bincount(dataset.labels[rows], minlength=num_classes).tolist())
            for role, rows in roles.items()
        },
        leaderboard=board,
        cuts=backbone.cuts,
        evaluation=kept.evaluation,
        pictures=_sample_grids(dataset, roles),
        mistakes=mistakes_of(dataset, held_out, kept.evaluation),
        check=compared.report.to_json(),
        provenance=_provenance(order, field, clock),
        notes=_notes(order, field, stated),
        goal=recipe.goal.accuracy if recipe.goal else None,
        goal_words=recipe.goal.words if recipe.goal else "",
        drifts={row.row.name: row.drift for row in answered if row.drift is not None},
        comparison=RowComparison(
            recipe=recipe.name,
            story=recipe.story.strip(),
            rows=tuple(_row_data(one, stated) for one in answered),
            delivered=recipe.delivered,
            pass_s=compared.extraction.seconds if compared.extraction.num_extracted else 0.0,
            total_s=clock.parts["total"],
            frozen=compared.leaderboard,
            outside=outside,
            outside_words=recipe.outside,
        ),
    )


def _row_data(answered: AnsweredRow, stated: Expected | None) -> RowData:
    """Return what the report shows of a row, beside what is stated of it."""
    return RowData(
        name=answered.row.name,
        does=answered.does,
        origin=answered.row.origin,
        expected=stated.scores.get(answered.row.name) if stated else None,
        seconds=answered.seconds,
        epochs=answered.epochs,
        evaluation=answered.evaluation,
    )


def _stated(order: RecipeOrder, dataset: Dataset, backbone: str) -> Expected | None:
    """Return what the recipe states for these pictures, labels, backbone and protocol; None where it says nothing.

    A quick look, another seed, size or weights are another run than the one that was measured.
    """
    asked, own = options_json(order.options), options_json(replace(order, changes={}).options)
    if order.epochs is not None or any(asked[name] != own[name] for name in asked.keys() - SAME_SCORES):
        return None
    wanted = (dataset.labelled_key, backbone, order.scored_by)
    found = [one for one in order.recipe.expected if (one.pictures, one.backbone, one.protocol) == wanted]
    return found[0] if found else None


def _sample_grids(dataset: Dataset, roles: Mapping[str, Ints]) -> tuple[Picture, ...]:
    """Return the first few training and held-out pictures of each class."""
    return tuple(
        Picture(name, role, dataset.samples[row].path, thumbnail(dataset, int(row), THUMBNAIL_PX))
        for role, rows in roles.items()
        for label, name in enumerate(dataset.class_names[:SHOWN_CLASSES])
        for row in rows[dataset.labels[rows] == label][:PICTURES_A_CLASS]
    )


def _notes(order: RecipeOrder, field: Field, stated: Expected | None) -> tuple[str, ...]:
    """Return sentences on how the rows were scored and what a reader should mind."""
    protocol = order.scored_by
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
        "pictures and labels": field.session.dataset.labelled_key,
        "options": options_json(field.session.options),
        "runtime": asdict(field.session.runtime),
        "seconds": {f"{name}_s": seconds for name, seconds in clock.parts.items()},
        "versions": package_versions(),
    }


def recipe_json(data: ReportData, clock: Clock) -> dict[str, Any]:
    """Return what `run.json` holds; scripts may rely on `recipe` and `rows`."""
    rows, delivered = [], data.comparison.delivered if data.comparison else None
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
                "precision": row.evaluation.macro_precision.value,
                "recall": row.evaluation.macro_recall.value,
                "seconds": row.seconds,
                "shares_pass": data.shares_pass(row),
                "tied_with_the_best": trial.tied,
                "origin": row.origin,
                "expected": row.expected,
                "verdict": row.verdict,
                "drift": data.drifts.get(row.name),
            }
        )
    return {
        "thawline": __version__,
        "recipe": data.provenance["recipe"],
        "rule": data.leaderboard.rule,
        "rows": rows,
        "delivered": delivered,
        "goal": data.goal,
        "goal_reached": data.goal_reached,
        "pass_s": data.pass_s,
        **data.provenance,
        "seconds": {f"{name}_s": seconds for name, seconds in clock.parts.items()},
    }
