"""A finished frozen comparison and plans -> the same comparison with trained networks in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from thawline.core.errors import StoreError, UsageError
from thawline.core.options import Options
from thawline.core.progress import Progress
from thawline.core.runtime import Runtime
from thawline.core.store import cache_root, write_json
from thawline.data.dataset import Dataset
from thawline.data.places import absolute_place
from thawline.data.split import Split
from thawline.features.backbones import Network
from thawline.features.extract import bank_spec
from thawline.search.compare import leaderboard_of
from thawline.tune.budget import spend, try_named
from thawline.tune.forecast import forecast_plans, measure_picture_s
from thawline.tune.options import TuneOptions
from thawline.tune.plan import Plan, candidate_plans, parse_plan
from thawline.tune.processes import Processes
from thawline.tune.trial import Ground, TrainingLog, answers_of
from thawline.use.run import CompareResult, options_json

__all__ = [
    "Resumed",
    "distinct_plans",
    "forecast_all",
    "ground_of",
    "read_request",
    "with_trained",
    "work_folder",
    "write_request",
]

WORK = "tune"
REQUEST = "request.json"
FROZEN_SHARE = 1.7
"""Seconds of extraction and comparison of the frozen strategies over those of the passes alone, as measured."""


@dataclass(frozen=True)
class Resumed:
    """What a run was asked for, read back from its folder.

    Attributes:
        photos: Where its pictures lie.
        options: Of the run.
        training: Of its trainings.
        plans: Named by the person, or candidates of a budget.
    """

    photos: Path
    options: Options
    training: TuneOptions
    plans: tuple[str, ...]


def distinct_plans(texts: Sequence[str]) -> tuple[Plan, ...]:
    """Return the plans that `texts` name, each once, in their order.

    Raises:
        UsageError: None is named, or one is no plan.
    """
    plans = tuple(dict.fromkeys(parse_plan(text) for text in texts))
    if not plans:
        raise UsageError('tune: no plan is named. Name one or more: --plan "last 20 %" --plan "head, then all".')
    return plans


def work_folder(out: Path) -> Path:
    """Return the folder inside a run's that holds its trainings until it is done."""
    return out / WORK


def write_request(out: Path, photos: Path, options: Options, training: TuneOptions, plans: Sequence[Plan]) -> None:
    """Write down what the run was asked for, so that it can be resumed; trainings of an older run there are removed.

    Raises:
        StoreError: The folder cannot be written.
    """
    shutil.rmtree(work_folder(out), ignore_errors=True)
    request = {
        "photos": str(absolute_place(photos)),
        "options": options_json(_with_absolute_paths(options)),
        "training": asdict(training),
        "plans": [f"{plan.network} {plan.name}" if plan.network else plan.name for plan in plans],
    }
    write_json(work_folder(out) / REQUEST, request)


def _with_absolute_paths(options: Options) -> Options:
    """Return options that mean the same from any folder."""
    return replace(
        options,
        weights=options.weights and options.weights.resolve(),
        class_names=options.class_names and options.class_names.resolve(),
        cache_dir=options.cache_dir and options.cache_dir.resolve(),
    )


def read_request(out: Path) -> Resumed:
    """Return what a run that was cut off was asked for.

    Raises:
        StoreError: There is no such run, or it is done.
    """
    path = work_folder(out) / REQUEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Resumed(
            Path(found["photos"]), Options(**found["options"]), TuneOptions(**found["training"]), tuple(found["plans"])
        )
    except FileNotFoundError:
        done = (out / "run.json").exists()
        reason = "that run is done" if done else "no tuning was started there"
        raise StoreError(
            f"resume: {path} does not exist: {reason}. Start one: thawline tune PHOTOS -o {out} --plan all."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"resume: {path} cannot be read ({type(error).__name__}). Start the run anew.") from None


def ground_of(
    compared: CompareResult,
    network: Network,
    runtime: Runtime,
    options: Options,
    training: TuneOptions,
    *,
    out: Path,
    progress: Progress,
    processes: Processes,
    log: TrainingLog | None,
) -> Ground:
    """Return what the trainings of a run share."""
    return Ground(
        dataset=compared.dataset,
        split=compared.split,
        network=network,
        runtime=runtime,
        bank=compared.extraction.bank,
        frozen=compared.comparison.frozen,
        options=training,
        seed=options.seed,
        storage=options.storage,
        cache=cache_root(options.cache_dir),
        folder=work_folder(out),
        progress=progress,
        processes=processes,
        log=log,
    )


def with_trained(
    compared: CompareResult,
    plans: Sequence[Plan],
    ground: Ground,
    *,
    budget_s: float | None,
    started_at: float,
) -> CompareResult:
    """Return the comparison with the plans in it: all of them tried, or as many as a budget allows.

    Without a budget the person named the plans, and one of them is to win. With one, whatever is best wins.

    Args:
        compared: The frozen comparison.
        plans: What to train.
        ground: What the trainings share.
        budget_s: Seconds for the whole run, or None.
        started_at: When the run began, by `time.perf_counter()`.
    """
    named = budget_s is None
    tried = try_named(plans, ground) if budget_s is None else spend(plans, ground, budget_s, started_at)
    extra = [answers_of(one.plan, ground, one.folds) for one in tried if one.folds]
    comparison = leaderboard_of(
        compared.comparison.frozen,
        extra,
        full_pass_ms=compared.full_pass_ms,
        seed=ground.seed,
        eligible=[*[not named] * len(compared.comparison.frozen.answers), *[True] * len(extra)],
    )
    return replace(compared, comparison=comparison, tried=tried, budget_s=budget_s)


def forecast_all(
    dataset: Dataset,
    split: Split,
    network: Network,
    runtime: Runtime,
    options: Options,
    training: TuneOptions,
    plans: Sequence[str],
    progress: Progress,
) -> tuple[Mapping[str, Any], ...]:
    """Return what the frozen strategies and every plan will take, as rows of a forecast; nothing is written.

    A plan's time is that of all folds and of the final training.

    Args:
        dataset: Checked pictures.
        split: Folds.
        network: The backbone.
        runtime: Device and number format.
        options: Of the run.
        training: Of the trainings.
        plans: What to forecast; none: the candidates.
        progress: Where to report to.
    """
    spec = bank_spec(network.backbone, runtime, poolings=options.pooling, storage=options.storage)
    pictures = len({sample.sha256 for sample in dataset.samples})
    picture_s = measure_picture_s(dataset, network, runtime, split.pool.tolist())
    rows: list[Mapping[str, Any]] = [
        {
            "strategy": f"{network.backbone.name} · every depth, frozen",
            "seconds": FROZEN_SHARE * pictures * picture_s,
            "memory_bytes": 4 * len(split.pool) * spec.width,
            "disk_bytes": pictures * spec.row_bytes,
        }
    ]
    chosen = distinct_plans(plans) if plans else candidate_plans(network, training.hidden)
    for found in forecast_plans(
        chosen,
        dataset,
        split,
        network,
        runtime,
        training,
        bank=spec,
        seed=options.seed,
        picture_s=picture_s,
        progress=progress,
    ):
        rows.append(
            {
                "strategy": found.name,
                "seconds": found.folds_s(split.num_folds) + found.final_s,
                "memory_bytes": found.memory_bytes,
                "disk_bytes": found.disk_bytes,
            }
        )
    return tuple(rows)
