"""A plan and a fold -> held-out answers by a network that was trained without that fold; a plan -> the final network.

Frozen and tuned strategies answer the same rows of the same folds, so they stand on one leaderboard. The result of a
training run is kept in the run's folder until the run is done, so that a run that was killed trains nothing twice.
Held-out pictures are answered by the same reader that will predict.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from thawline.core.errors import UsageError
from thawline.core.types import Curve, Floats, Ints
from thawline.features.bank import Block
from thawline.features.extract import map_pictures
from thawline.features.network import Network
from thawline.features.reader import FeatureReader
from thawline.heads.head import Head
from thawline.heads.linear import L2_STRENGTHS, fit_linear
from thawline.heads.streamed import fit_streamed
from thawline.search.answers import Answers, answers_from
from thawline.search.frozen import class_row_weights
from thawline.search.held_out import BankTable
from thawline.search.room import holds, room_of
from thawline.search.strategy import Strategy
from thawline.train.allowance import UNLIMITED, Allowance
from thawline.train.checkpoint import Checkpoints, State
from thawline.train.context import Context, Ground
from thawline.train.crew import Fit, crew_of, have_done
from thawline.train.job import Job, Trained, plan_network
from thawline.train.loop import train
from thawline.train.new_head import head_block
from thawline.train.plan import Plan
from thawline.train.thawed import write_back

__all__ = [
    "FoldAnswers",
    "answer_fold",
    "answer_folds",
    "answers_of",
    "final_model",
    "held_out_logits",
    "is_kept",
    "job_of",
    "run_fit",
    "strategy_of",
    "train_rows",
]


@dataclass(frozen=True)
class FoldAnswers:
    """What a plan answered in one fold.

    Attributes:
        fold: Index into `Split.folds`.
        logits: (n, K) float32 of the fold's held-out rows, in their order.
        trained: The result of the training run, without its weights.
        seconds: Wall time of training and answering.
    """

    fold: int
    logits: Floats
    trained: Trained
    seconds: float

    def __repr__(self) -> str:
        """Return one short line."""
        return f"FoldAnswers(fold {self.fold + 1}, {len(self.logits):,} pictures, {self.seconds:.1f} s)"


def strategy_of(plan: Plan, context: Context) -> Strategy:
    """Return a plan as a strategy of the leaderboard, its cost relative to the backbone."""
    network, whole = plan_network(plan, context), context.network.backbone.num_macs
    backbone, num_hidden = network.backbone, context.training.hidden
    depth, pooling = head_block(network, plan.blocks_cut)
    cut, num_classes = backbone.cuts[depth], len(context.dataset.class_names)
    columns = num_hidden or cut.channels
    head_macs = cut.channels * num_hidden + columns * num_classes
    return Strategy(
        backbone=backbone.name,
        depths=(depth,),
        pooling=(pooling,),
        head="dense" if num_hidden else "linear",
        name=plan.strategy_name(context.network.backbone.name, num_hidden),
        cost=(cut.cost_fraction * backbone.num_macs + head_macs) / whole,
        kind=plan.kind,
        augment=context.training.policy,
        blocks_removed=plan.blocks_cut,
        tune=plan.name,
    )


def job_of(plan: Plan, ground: Ground, *, rows: Ints, held_out: Ints) -> Job:
    """Return the training run of a plan on some rows; where the head comes first, it is solved here."""
    context = ground.context
    labels, num_classes = context.dataset.labels[rows], len(context.dataset.class_names)
    weights = np.ones(num_classes, dtype=np.float32)
    if ground.frozen.balanced and context.training.sampling == "shuffle":
        weights[labels] = class_row_weights(labels)
    return Job(
        context=context,
        plan=plan,
        network=plan_network(plan, context),
        train=rows,
        held_out=held_out,
        class_weights=weights,
        start=_solved_head(ground, rows) if plan.head_first else None,
        bank=ground.bank.spec,
    )


def _solved_head(ground: Ground, rows: Ints) -> tuple[Floats, Floats]:
    """Return the weights of the best linear head on the last cut's frozen features of some rows."""
    block = head_block(ground.context.network)
    if block not in ground.bank.spec.columns:
        raise UsageError(f"tune: a head that comes first reads --pooling {block[1]}, which was not extracted. Add it.")
    chosen = [
        entry.choice
        for entry in ground.frozen.answers
        if entry.strategy.blocks == (block,) and entry.strategy.head == "linear" and entry.strategy.augment == "none"
    ]
    dataset = ground.context.dataset
    labels = dataset.labels[rows]
    table = BankTable((ground.bank,), [dataset.samples[row].sha256 for row in rows], [block])
    room = room_of(ground.context.options.memory)
    is_held = holds(room, num_rows=len(rows), num_columns=table.shape[1])
    l2 = L2_STRENGTHS[chosen[0] or 0] if chosen else L2_STRENGTHS[-2]
    weights, num_classes = class_row_weights(labels) if ground.frozen.balanced else None, len(dataset.class_names)
    if is_held:
        head = fit_linear(table[:], labels, l2=l2, num_classes=num_classes, row_weights=weights, rooted=False)
    else:
        head = fit_streamed(table, labels, l2=l2, num_classes=num_classes, row_weights=weights, rooted=False)
    return head.folded()


def answer_fold(plan: Plan, ground: Ground, *, fold: int, allowance: Allowance = UNLIMITED) -> FoldAnswers:
    """Return the answers of a plan to one fold's held-out rows, trained now or in an earlier run of the same folder."""
    rows, held_out = ground.split.folds[fold]
    job = job_of(plan, ground, rows=rows, held_out=held_out)

    def answered(trained: Trained) -> State:
        start = time.perf_counter()
        logits = held_out_logits(*_model(job, trained), context=job.context, rows=held_out, block=job.block)
        seconds = trained.seconds + time.perf_counter() - start
        return State({"logits": torch.from_numpy(logits)}, _facts(trained) | {"fold_seconds": seconds})

    done = _done(job, _fold_part(fold), answered, allowance)
    return FoldAnswers(
        fold, done.tensors["logits"].numpy(), _trained({}, done.facts), float(done.facts["fold_seconds"])
    )


def answer_folds(plan: Plan, ground: Ground, *, allowance: Allowance = UNLIMITED) -> tuple[FoldAnswers, ...]:
    """Return the answers of a plan to every fold, the later ones for no more epochs than the first one had.

    Where a fold's epochs are known beforehand, all are trained side by side; else the first one tells them.

    Args:
        plan: What is trained.
        ground: On what.
        allowance: Of all folds together; each gets its share of the time that is left.
    """
    folds: list[FoldAnswers] = []
    crew, num_folds, epochs = crew_of(ground), len(ground.split.folds), allowance.epochs
    is_known = math.isinf(allowance.ends_at) and not ground.context.training.watches
    rounds = [range(num_folds)] if is_known else [range(1)]
    while rounds[-1].stop < num_folds:
        rounds.append(range(rounds[-1].stop, min(num_folds, rounds[-1].stop + crew.count)))
    for number, together in enumerate(rounds):
        now = time.monotonic()
        own = Allowance(now + (allowance.ends_at - now) / (len(rounds) - number), epochs)
        have_done([Fit(plan, ground, fold, allowance=own) for fold in together], crew)
        folds += [answer_fold(plan, ground, fold=fold, allowance=own) for fold in together]
        epochs = folds[0].trained.epochs
    return tuple(folds)


def final_model(plan: Plan, ground: Ground) -> tuple[Network, Head, Trained]:
    """Return the network and head of a plan trained on every row of choosing."""
    return train_rows(plan, ground, rows=ground.split.pool, watched=np.empty(0, dtype=np.int64), part="final")


def train_rows(
    plan: Plan, ground: Ground, *, rows: Ints, watched: Ints, part: str, allowance: Allowance = UNLIMITED
) -> tuple[Network, Head, Trained]:
    """Return the network and head of a plan trained on some rows, now or in an earlier run of the same folder.

    The head reads the block that `strategy_of` names. Plans that are trained more than once in a run, with other
    options or rows, need a folder or a part each.

    Args:
        plan: What is trained.
        ground: With the options, and the folder, of this training run.
        rows: Rows to learn from, as indices of samples.
        watched: Rows to watch, for the curves; may be empty. With `TrainOptions.watches` a tenth of `rows` is instead.
        part: Names the training run in the folder of the plan and, hyphens as spaces, in the log: `final`.
        allowance: When it must end, and after how many epochs.
    """
    have_done([Fit(plan, ground, rows=rows, watched=watched, part=part, allowance=allowance)], crew_of(ground))
    job = job_of(plan, ground, rows=rows, held_out=watched)
    done = _done(job, part, lambda trained: State(trained.tensors, _facts(trained)), allowance)
    trained = _trained(done.tensors, done.facts)
    return *_model(job, trained), trained


def run_fit(fit: Fit) -> None:
    """Do a training run, or nothing where its result is kept already; this process does it, in whatever crew it is."""
    if fit.fold is not None:
        answer_fold(fit.plan, fit.ground, fold=fit.fold, allowance=fit.allowance)
    else:
        rows, watched = _rows_of(fit)
        train_rows(fit.plan, fit.ground, rows=rows, watched=watched, part=fit.part, allowance=fit.allowance)


def is_kept(fit: Fit) -> bool:
    """Return whether the result of a training run lies in the run's folder, whole.

    Raises:
        TrainingError: What lies there is of another training run.
    """
    rows, held_out = _rows_of(fit)
    job = job_of(fit.plan, fit.ground, rows=rows, held_out=held_out)
    return _checkpoints(job, _fold_part(fit.fold) if fit.fold is not None else fit.part).result() is not None


def _rows_of(fit: Fit) -> tuple[Ints, Ints]:
    """Return the rows that a training run learns from, and those that it watches."""
    if fit.fold is not None:
        return fit.ground.split.folds[fit.fold]
    none = np.empty(0, dtype=np.int64)
    return fit.ground.split.pool if fit.rows is None else fit.rows, none if fit.watched is None else fit.watched


def _fold_part(fold: int) -> str:
    return f"fold-{fold + 1}"


def _checkpoints(job: Job, part: str) -> Checkpoints:
    slug = re.sub(r"[^a-z0-9]+", "-", job.name.lower().replace("%", "percent")).strip("-")
    return Checkpoints(job.context.folder / slug / part, job.identity())


def _done(job: Job, part: str, kept: Callable[[Trained], State], allowance: Allowance) -> State:
    """Return what is kept of a finished training run, after running it where that is not there yet."""
    machine, checkpoints = job.context.machine, _checkpoints(job, part)
    done = checkpoints.result()
    if done is None:
        log, name = machine.log, f"{job.name}, {part.replace('-', ' ')}"
        news = None if log is None else lambda epoch, values: log(name, epoch, values)
        trained = train(job, checkpoints=checkpoints, news=news, allowance=allowance)
        done = kept(trained)
        if machine.processes.is_first:
            checkpoints.finish(done)
    return done


def _model(job: Job, trained: Trained) -> tuple[Network, Head]:
    """Return the trained network and its head; a network of which nothing trained stays as it is."""
    if job.plan.kind == "frozen":
        return job.network, trained.head
    return write_back(job.network, trained.tensors, plan=job.plan.name, keeps_norms=job.plan.from_nothing), trained.head


def held_out_logits(network: Network, head: Head, *, context: Context, rows: Ints, block: Block) -> Floats:
    """Return (n, K) float32 logits of pictures, read as a model in use reads them: in float32.

    Args:
        network: The whole network.
        head: Reads the block.
        context: Pictures, machine and storage format.
        rows: (n,) indices of samples.
        block: The cut and pooling that the head reads.
    """
    reader = FeatureReader(network, context.runtime.answering, [block], context.storage)
    samples = [context.dataset.samples[row] for row in rows]
    spec, size = network.backbone.input, context.runtime.batch_size
    return np.concatenate(
        list(map_pictures(lambda pixels: head.logits(reader.read(pixels)), samples, specs=(spec,), batch_size=size))
    )


def answers_of(plan: Plan, ground: Ground, *, folds: Sequence[FoldAnswers]) -> Answers:
    """Return what a plan brings to the leaderboard: its answers to the folds that were run, NaN elsewhere."""
    rows = ground.frozen.rows
    num_repeats, count = int(rows.repeat.max()) + 1, len(rows.scored)
    predicted = np.full((num_repeats, count), -1, dtype=np.int64)
    logits = np.full((num_repeats, count, len(ground.context.dataset.class_names)), np.nan, dtype=np.float32)
    for done in folds:
        places = np.searchsorted(rows.scored, rows.held_out[done.fold])
        predicted[rows.repeat[done.fold], places] = done.logits.argmax(axis=1)
        logits[rows.repeat[done.fold], places] = done.logits
    return answers_from(
        strategy_of(plan, ground.context),
        predicted,
        logits=logits,
        rows=rows,
        seconds=sum(done.seconds for done in folds),
        curve=folds[0].trained.curve,
    )


def _facts(trained: Trained) -> dict[str, Any]:
    """Return the result of a training run without its tensors, as JSON."""
    return {
        "curve": asdict(trained.curve),
        "seconds": trained.seconds,
        "learning_rate": trained.learning_rate,
        "finder": trained.finder,
        "epochs": trained.epochs,
        "wanted_epochs": trained.wanted_epochs,
    }


def _trained(tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> Trained:
    """Return the result whose `_facts` are given."""
    curve = Curve(**{name: tuple(values) for name, values in facts["curve"].items()})
    points = tuple((float(rate), float(loss)) for rate, loss in facts["finder"])
    return Trained(
        tensors,
        curve,
        float(facts["seconds"]),
        float(facts["learning_rate"]),
        points,
        epochs=float(facts["epochs"]),
        wanted_epochs=float(facts["wanted_epochs"]),
    )
