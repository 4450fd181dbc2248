"""A finished frozen comparison and plans -> the same comparison with trained networks in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from thawline.core.errors import UsageError
from thawline.core.options import Options
from thawline.core.progress import Progress
from thawline.core.runtime import Runtime
from thawline.core.store import cache_root
from thawline.data.dataset import Dataset
from thawline.data.split import Split
from thawline.features.extract import bank_spec
from thawline.features.network import Network
from thawline.search.compare import leaderboard_of
from thawline.train.budget import spend, try_named
from thawline.train.folds import Ground, TrainingLog, answers_of
from thawline.train.forecast import forecast_plans, measure_picture_s
from thawline.train.hyperparameters import TrainOptions
from thawline.train.plan import Plan, candidate_plans, parse_plan
from thawline.train.processes import Processes
from thawline.work.request import work_folder
from thawline.work.run import CompareResult

__all__ = [
    "distinct_plans",
    "forecast_all",
    "ground_of",
    "with_trained",
]

FROZEN_SHARE = 1.7
"""Seconds of extraction and comparison of the frozen strategies over those of the passes alone, as measured."""


def distinct_plans(texts: Sequence[str]) -> tuple[Plan, ...]:
    """Return the plans that `texts` name, each once, in their order.

    Raises:
        UsageError: None is named, or one is no plan.
    """
    plans = tuple(dict.fromkeys(parse_plan(text) for text in texts))
    if not plans:
        raise UsageError('tune: no plan is named. Name one or more: --plan "last 20 %" --plan "head, then all".')
    return plans


def ground_of(
    compared: CompareResult,
    network: Network,
    runtime: Runtime,
    options: Options,
    training: TrainOptions,
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
    training: TrainOptions,
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
