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
from thawline.features.bank import Block, FeatureBank
from thawline.features.extract import map_pictures
from thawline.features.network import Network
from thawline.features.reader import FeatureReader
from thawline.heads.head import Head
from thawline.heads.linear import L2_STRENGTHS, fit_linear
from thawline.search.answers import Answers, answers_from
from thawline.search.frozen import FrozenAnswers, class_row_weights
from thawline.search.strategy import Strategy
from thawline.train.checkpoint import Checkpoints, State
from thawline.train.hyperparameters import TrainOptions
from thawline.train.job import Job, Trained, plan_network
from thawline.train.loop import train
from thawline.train.new_head import head_block
from thawline.train.plan import Plan
from thawline.train.processes import Processes
from thawline.train.thawed import write_back

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
    "train_rows",
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
        bank: Its pooled features, which heads to start from are solved on, and heads alone are trained on.
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
    options: TrainOptions
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
    depth, pooling = head_block(network, plan.blocks_cut)
    cut, num_hidden, num_classes = backbone.cuts[depth], ground.options.hidden, len(ground.dataset.class_names)
    columns = num_hidden or cut.channels
    head_macs = cut.channels * num_hidden + columns * num_classes
    return Strategy(
        backbone=backbone.name,
        depths=(depth,),
        pooling=(pooling,),
        head="dense" if num_hidden else "linear",
        name=plan.strategy_name(ground.network.backbone.name, num_hidden),
        cost=(cut.cost_fraction * backbone.num_macs + head_macs) / whole,
        kind=plan.kind,
        augment=ground.options.policy,
        blocks_removed=plan.blocks_cut,
        tune=plan.name,
    )


def job_of(plan: Plan, network: Network, ground: Ground, rows: Ints, held_out: Ints) -> Job:
    """Return the training of a plan on some rows; where the head comes first, it is solved here."""
    labels, num_classes = ground.dataset.labels[rows], len(ground.dataset.class_names)
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
        train=rows,
        held_out=held_out,
        class_weights=weights,
        start=_solved_head(ground, rows) if plan.head_first else None,
        cache=ground.cache,
        bank=ground.bank.spec,
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
    rows, held_out = ground.split.folds[fold]
    job = job_of(plan, network_of(plan, ground), ground, rows, held_out)

    def answered(trained: Trained) -> State:
        start = time.perf_counter()
        logits = held_out_logits(*_model(job, trained), ground, held_out, job.block)
        seconds = trained.seconds + time.perf_counter() - start
        return State({"logits": torch.from_numpy(logits)}, _facts(trained) | {"fold_seconds": seconds})

    done = _done(job, ground, f"fold-{fold + 1}", answered)
    return FoldAnswers(
        fold, done.tensors["logits"].numpy(), _trained({}, done.facts), float(done.facts["fold_seconds"])
    )


def final_model(plan: Plan, ground: Ground) -> tuple[Network, Head, Trained]:
    """Return the network and head of a plan trained on every row of choosing."""
    return train_rows(plan, ground, ground.split.pool, np.empty(0, dtype=np.int64), "final")


def train_rows(plan: Plan, ground: Ground, rows: Ints, watched: Ints, part: str) -> tuple[Network, Head, Trained]:
    """Return the network and head of a plan trained on some rows, now or in an earlier run of the same folder.

    The head reads the block that `strategy_of` names. Plans that are trained more than once in a run, with other
    options or rows, need a folder or a part each.

    Args:
        plan: What is trained.
        ground: With the options, and the folder, of this training.
        rows: Rows to learn from, as indices of samples.
        watched: Rows to watch, for the curves; may be empty. With `TrainOptions.watches` a tenth of `rows` is instead.
        part: Names the training in the folder of the plan and, hyphens as spaces, in the log: `final`.
    """
    job = job_of(plan, network_of(plan, ground), ground, rows, watched)
    done = _done(job, ground, part, lambda trained: State(trained.tensors, _facts(trained)))
    trained = _trained(done.tensors, done.facts)
    return *_model(job, trained), trained


def _done(job: Job, ground: Ground, part: str, kept: Callable[[Trained], State]) -> State:
    """Return what is kept of a finished training, after running it where that is not there yet."""
    slug = re.sub(r"[^a-z0-9]+", "-", job.name.lower().replace("%", "percent")).strip("-")
    checkpoints = Checkpoints(ground.folder / slug / part, job.identity())
    done = checkpoints.result()
    if done is None:
        log, name = ground.log, f"{job.name}, {part.replace('-', ' ')}"
        trained = train(
            job,
            checkpoints=checkpoints,
            progress=ground.progress,
            news=None if log is None else lambda epoch, values: log(name, epoch, values),
            processes=ground.processes,
        )
        done = kept(trained)
        if ground.processes.is_first:
            checkpoints.finish(done)
    return done


def _model(job: Job, trained: Trained) -> tuple[Network, Head]:
    """Return the trained network and its head; a network of which nothing trained stays as it is."""
    if job.plan.kind == "frozen":
        return job.network, trained.head
    return write_back(job.network, trained.tensors, job.plan.name, keeps_norms=job.plan.from_nothing), trained.head


def held_out_logits(network: Network, head: Head, ground: Ground, rows: Ints, block: Block) -> Floats:
    """Return (n, K) float32 logits of pictures, read as a model in use reads them.

    Args:
        network: The whole network.
        head: Reads the block.
        ground: Pictures, machine and storage format.
        rows: (n,) indices of samples.
        block: The cut and pooling that the head reads.
    """
    reader = FeatureReader(network, ground.runtime, [block], ground.storage)
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
