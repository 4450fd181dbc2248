"""A plan and a fold -> held-out answers by a network that was trained without that fold; a plan -> the final network.

Frozen and tuned strategies answer the same rows of the same folds, so they stand on one leaderboard. What a training
made is kept in the run's folder until the run is done, so that a run that was killed trains nothing twice. Held-out
pictures are answered by the very reader that will predict.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from thawline.core.errors import UsageError
from thawline.core.progress import Progress, SilentProgress
from thawline.core.runtime import Runtime
from thawline.core.types import Curve, Floats, Ints
from thawline.data.dataset import Dataset
from thawline.data.split import Split
from thawline.features.backbones import Network
from thawline.features.bank import FeatureBank
from thawline.features.extract import map_pictures
from thawline.features.reader import FeatureReader
from thawline.heads.columns import Columns
from thawline.heads.linear import L2_STRENGTHS, LinearHead, fit_linear
from thawline.search.answers import Answers, answers_from
from thawline.search.frozen import FrozenAnswers, class_row_weights
from thawline.search.strategy import Strategy
from thawline.tune.checkpoint import Checkpoints, State
from thawline.tune.job import Job, Trained, plan_network
from thawline.tune.options import TuneOptions
from thawline.tune.plan import Plan
from thawline.tune.processes import Processes
from thawline.tune.thawed import head_block, write_back
from thawline.tune.train import train

__all__ = [
    "FoldAnswers",
    "Ground",
    "TrainingLog",
    "answer_fold",
    "answers_of",
    "final_model",
    "held_out_logits",
    "job_of",
    "network_of",
    "strategy_of",
]

TrainingLog = Callable[[str, int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Ground:
    """What all trainings of a run have in common.

    Attributes:
        dataset: Checked pictures.
        split: Folds and test rows; the test rows are not read here.
        network: The pretrained backbone.
        runtime: Device and number format.
        bank: Its pooled features, from which heads are solved to start from.
        frozen: The frozen strategies' answers: they tell which rows to answer, and whether classes weigh equally.
        options: How networks are trained.
        seed: Of every random choice.
        storage: Number format that the head's features are rounded to.
        cache: Where activations are kept between runs.
        folder: Where trainings of this run are kept until it is done.
        progress: Where to report to.
        processes: Those that train together.
        log: Called with a training's name, the epoch and its values, after every epoch.
    """

    dataset: Dataset
    split: Split
    network: Network
    runtime: Runtime
    bank: FeatureBank
    frozen: FrozenAnswers
    options: TuneOptions
    seed: int
    storage: Literal["float16", "float32"]
    cache: Path
    folder: Path
    progress: Progress = field(default_factory=SilentProgress)
    processes: Processes = field(default_factory=Processes)
    log: TrainingLog | None = None


@dataclass(frozen=True)
class FoldAnswers:
    """What a plan answered in one fold.

    Attributes:
        fold: Index into `Split.folds`.
        logits: (n, K) float32 of the fold's held-out rows, in their order.
        trained: The training, its weights left out.
        seconds: Wall time of training and answering.
    """

    fold: int
    logits: Floats
    trained: Trained
    seconds: float


def network_of(plan: Plan, ground: Ground) -> Network:
    """Return the network that a plan trains: the backbone, or one with random weights."""
    return plan_network(plan, ground.network, ground.dataset, ground.options, ground.seed)


def strategy_of(plan: Plan, network: Network, ground: Ground) -> Strategy:
    """Return a plan as a strategy of the leaderboard, its cost relative to the backbone."""
    backbone, whole = network.backbone, ground.network.backbone.num_macs
    cut, pooling = head_block(network)
    return Strategy(
        backbone=backbone.name,
        depths=(cut,),
        pooling=(pooling,),
        head="linear",
        name=plan.strategy_name(ground.network.backbone.name),
        cost=(backbone.num_macs + backbone.cuts[cut].channels * len(ground.dataset.class_names)) / whole,
        kind=plan.kind,
        augment=ground.options.policy,
        tune=plan.name,
    )


def job_of(plan: Plan, network: Network, ground: Ground, train_rows: Ints, held_out: Ints) -> Job:
    """Return the training of a plan on some rows; where the head comes first, it is solved here."""
    labels, num_classes = ground.dataset.labels[train_rows], len(ground.dataset.class_names)
    weights = np.ones(num_classes, dtype=np.float32)
    if ground.frozen.balanced and ground.options.sampling == "shuffle":
        weights[labels] = class_row_weights(labels)
    return Job(
        dataset=ground.dataset,
        network=network,
        runtime=ground.runtime,
        plan=plan,
        options=ground.options,
        seed=ground.seed,
        train=train_rows,
        held_out=held_out,
        class_weights=weights,
        start=_solved_head(ground, train_rows) if plan.head_first else None,
        cache=ground.cache,
    )


def _solved_head(ground: Ground, rows: Ints) -> tuple[Floats, Floats]:
    """Return the weights of the best linear head on the last cut's frozen features of some rows."""
    block = head_block(ground.network)
    if block not in ground.bank.spec.columns:
        raise UsageError(f"tune: a head that comes first reads --pooling {block[1]}, which was not extracted. Add it.")
    chosen = [
        entry.choice
        for entry in ground.frozen.answers
        if entry.strategy.blocks == (block,) and entry.strategy.head == "linear" and entry.strategy.augment == "none"
    ]
    labels = ground.dataset.labels[rows]
    head = fit_linear(
        ground.bank.read([ground.dataset.samples[row].sha256 for row in rows], [block]),
        labels,
        l2=L2_STRENGTHS[chosen[0] or 0] if chosen else L2_STRENGTHS[-2],
        num_classes=len(ground.dataset.class_names),
        row_weights=class_row_weights(labels) if ground.frozen.balanced else None,
        rooted=False,
    )
    return head.folded()


def answer_fold(plan: Plan, ground: Ground, fold: int) -> FoldAnswers:
    """Return the answers of a plan to one fold's held-out rows, trained now or in an earlier run of the same folder."""
    network = network_of(plan, ground)
    train_rows, held_out = ground.split.folds[fold]
    job = job_of(plan, network, ground, train_rows, held_out)
    checkpoints = _checkpoints(job, ground, f"fold-{fold + 1}")
    done = checkpoints.result()
    if done is None:
        trained = _train(job, checkpoints, ground, f"{job.name}, fold {fold + 1}")
        start = time.perf_counter()
        logits = held_out_logits(*_model(job, trained), ground, held_out)
        seconds = trained.seconds + time.perf_counter() - start
        done = State({"logits": torch.from_numpy(logits)}, _facts(trained) | {"fold_seconds": seconds})
        if ground.processes.is_first:
            checkpoints.finish(done)
    facts = done.facts
    return FoldAnswers(fold, done.tensors["logits"].numpy(), _trained({}, facts), float(facts["fold_seconds"]))


def final_model(plan: Plan, ground: Ground) -> tuple[Network, LinearHead, Trained]:
    """Return the network and head of a plan trained on every row of choosing."""
    network = network_of(plan, ground)
    job = job_of(plan, network, ground, ground.split.pool, np.empty(0, dtype=np.int64))
    checkpoints = _checkpoints(job, ground, "final")
    done = checkpoints.result()
    if done is None:
        trained = _train(job, checkpoints, ground, f"{job.name}, all rows")
        done = State(trained.tensors, _facts(trained))
        if ground.processes.is_first:
            checkpoints.finish(done)
    trained = _trained(done.tensors, done.facts)
    return *_model(job, trained), trained


def _train(job: Job, checkpoints: Checkpoints, ground: Ground, name: str) -> Trained:
    """Run a training with the run's checkpoints, bars and log."""
    log = ground.log
    return train(
        job,
        checkpoints=checkpoints,
        progress=ground.progress,
        news=None if log is None else lambda epoch, values: log(name, epoch, values),
        processes=ground.processes,
    )


def _model(job: Job, trained: Trained) -> tuple[Network, LinearHead]:
    """Return the trained network, and its dense layer as a head that takes the features as they are."""
    network = write_back(job.network, trained.tensors, job.plan.name, keeps_norms=job.plan.from_nothing)
    weight, bias = trained.head
    columns = len(weight)
    plain = Columns(np.zeros(columns, bool), np.zeros(columns, np.float32), np.ones(columns, np.float32))
    return network, LinearHead(plain, weight, bias)


def held_out_logits(network: Network, head: LinearHead, ground: Ground, rows: Ints) -> Floats:
    """Return (n, K) float32 logits of pictures, read as a model in use reads them."""
    reader = FeatureReader(network, ground.runtime, [head_block(network)], ground.storage)
    samples = [ground.dataset.samples[row] for row in rows]
    spec, size = network.backbone.input, ground.runtime.batch_size
    return np.concatenate(list(map_pictures(lambda pixels: head.logits(reader.read(pixels)), samples, spec, size)))


def answers_of(plan: Plan, ground: Ground, folds: Sequence[FoldAnswers]) -> Answers:
    """Return what a plan brings to the leaderboard: its answers to the folds that were run, NaN elsewhere."""
    rows = ground.frozen.rows
    num_repeats, count = int(rows.repeat.max()) + 1, len(rows.scored)
    predicted = np.full((num_repeats, count), -1, dtype=np.int64)
    logits = np.full((count, len(ground.dataset.class_names)), np.nan, dtype=np.float32)
    for done in folds:
        places = np.searchsorted(rows.scored, rows.held_out[done.fold])
        predicted[rows.repeat[done.fold], places] = done.logits.argmax(axis=1)
        if rows.repeat[done.fold] == 0:
            logits[places] = done.logits
    return answers_from(
        strategy_of(plan, network_of(plan, ground), ground),
        predicted,
        logits,
        rows,
        seconds=sum(done.seconds for done in folds),
        curve=folds[0].trained.curve,
    )


def _checkpoints(job: Job, ground: Ground, part: str) -> Checkpoints:
    slug = re.sub(r"[^a-z0-9]+", "-", job.name.lower().replace("%", "percent")).strip("-")
    return Checkpoints(ground.folder / slug / part, job.identity())


def _facts(trained: Trained) -> dict[str, object]:
    """Return what a training made besides tensors, as JSON."""
    return {
        "curve": asdict(trained.curve),
        "seconds": trained.seconds,
        "learning_rate": trained.learning_rate,
        "finder": trained.finder,
    }


def _trained(tensors: Mapping[str, torch.Tensor], facts: Mapping[str, object]) -> Trained:
    """Return what `_facts` told."""
    held: dict[str, object] = dict(facts)
    curve = Curve(**{name: tuple(values) for name, values in held["curve"].items()})  # type: ignore[attr-defined]
    points = tuple((float(rate), float(loss)) for rate, loss in held["finder"])  # type: ignore[attr-defined]
    return Trained(tensors, curve, float(str(held["seconds"])), float(str(held["learning_rate"])), points)
