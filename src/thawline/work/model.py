"""A strategy -> its model, trained on every row of choosing; its answers to the test; what its folder records.

That it may learn from the held-out pictures too, once they have been read, is `refit.py`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thawline.core.options import Options
from thawline.core.remembered import recalled
from thawline.core.runtime import package_versions
from thawline.core.types import Curve, Floats, Ints
from thawline.core.version import __version__
from thawline.data.dataset import Dataset
from thawline.data.images import decode, encode_jpeg
from thawline.data.load import read_checked
from thawline.data.split import leaked
from thawline.features.bank import Block
from thawline.features.drift_pass import measure_drift
from thawline.features.joined import joined_blocks, own_blocks
from thawline.features.joined_bank import banks_in
from thawline.features.network import Network
from thawline.heads.calibrate import fit_temperature, probabilities
from thawline.heads.head import Head
from thawline.search.leaderboard import Trial
from thawline.search.settled import settled_logits
from thawline.search.strategy import Strategy
from thawline.train.allowance import UNLIMITED, Allowance
from thawline.train.context import Ground
from thawline.train.folds import held_out_logits, strategy_of, train_rows
from thawline.train.job import set_aside
from thawline.train.plan import Plan
from thawline.use.bundle import Training
from thawline.use.classifier import Classifier
from thawline.use.classify import classify_samples
from thawline.use.evaluate import evaluate_rows
from thawline.use.evaluation import Evaluation
from thawline.work.final_head import banks_of, fit_head, logits_of
from thawline.work.hard_pictures import hard_rows
from thawline.work.kept_picture import kept_pictures
from thawline.work.order import Row
from thawline.work.session import Compared

__all__ = [
    "Made",
    "answer_test",
    "classifier_of",
    "describe_training",
    "drift_of",
    "evaluate_test",
    "frozen_model",
    "options_json",
    "thumbnail",
    "trained_model",
]

NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Made:
    """A model, and how it was made.

    Attributes:
        classifier: The model.
        strategy: What was trained or solved.
        curve: Its training run, epoch by epoch, or None for a solved head.
        seconds: That it took, those of an earlier start included.
        trial: Of the frozen strategy whose head was fitted, or None.
        plan: By which a network was trained, or None.
        ground: What that training run started from.
        epochs: That it had, with fractions.
    """

    classifier: Classifier
    strategy: Strategy
    curve: Curve | None
    seconds: float
    trial: Trial | None = None
    plan: Plan | None = None
    ground: Ground | None = None
    epochs: float = 0.0


def frozen_model(compared: Compared, trial: Trial, *, logits: Floats, labels: Ints) -> Made:
    """Return the head of a frozen strategy, fitted on every row of choosing.

    A strategy that learnt from augmented views is fitted on every view of these rows. The temperature of a linear head
    comes from the held-out logits of its own strength in every fold, where there are folds.

    Args:
        compared: The comparison.
        trial: Of the strategy.
        logits: (n, K) of held-out rows, for the temperature of any other head.
        labels: (n,) their classes.
    """
    start = time.perf_counter()
    head = fit_head(compared, trial, rows=compared.split.pool)
    seconds = trial.fit_s + time.perf_counter() - start
    networks, blocks = networks_of(compared, trial.strategy)
    temperature = _own_temperature(compared, trial) or fit_temperature(logits, labels)
    classifier = classifier_of(compared, networks, blocks=blocks, head=head, temperature=temperature)
    return Made(classifier, trial.strategy, None, seconds, trial=trial)


def _own_temperature(compared: Compared, trial: Trial) -> float | None:
    """Return the temperature of a linear head's own strength; None where no fold can have had another one.

    With one fold, the validation folder, the answers of the comparison are those of that strength.
    """
    rows = compared.comparison.frozen.rows
    if trial.l2 is None or len(rows.held_out) == 1:
        return None

    def settled(l2: float = trial.l2) -> float | None:
        hashes = [compared.dataset.samples[sample].sha256 for sample in rows.samples]
        banks = banks_of(compared, trial.strategy)
        logits, labels = settled_logits(banks, hashes, rows=rows, strategy=trial.strategy, l2=l2)
        return fit_temperature(logits, labels, repeats=int(rows.repeat.max()) + 1) if len(labels) else None

    return recalled("temperature", [compared.key, trial.strategy, trial.l2], make=settled)


def trained_model(
    compared: Compared,
    row: Row,
    *,
    ground: Ground,
    logits: Floats | None = None,
    labels: Ints | None = None,
    allowance: Allowance = UNLIMITED,
) -> Made:
    """Return the network of a row's plan, trained on every row of choosing.

    Args:
        compared: The comparison.
        row: With a plan.
        ground: Of the row.
        logits: (n, K) of held-out rows, for the temperature; None: it comes from the tenth of the training rows that
            the run watched, and is 1 where it watched none.
        labels: (n,) their classes.
        allowance: Of the training run.
    """
    start = time.perf_counter()
    plan, pool = row.parsed, compared.split.pool
    if plan is None:
        raise ValueError(f"train the row {row.name!r}: it has no plan.")
    network, head, trained = train_rows(plan, ground, rows=pool, watched=NONE, part="final", allowance=allowance)
    seconds = max(trained.seconds, time.perf_counter() - start)
    strategy = strategy_of(plan, ground.context)
    temperature = 1.0
    if logits is not None and labels is not None:
        temperature = fit_temperature(logits, labels)
    elif ground.context.training.watches:
        _, watched = set_aside(compared.dataset, pool, seed=ground.context.seed)
        answers = held_out_logits(network, head, context=ground.context, rows=watched, block=strategy.blocks[0])
        temperature = fit_temperature(answers, compared.dataset.labels[watched])
    return Made(
        classifier_of(compared, (network,), blocks=strategy.blocks, head=head, temperature=temperature),
        strategy,
        trained.curve,
        seconds,
        plan=plan,
        ground=ground,
        epochs=trained.epochs,
    )


def networks_of(compared: Compared, strategy: Strategy) -> tuple[tuple[Network, ...], tuple[Block, ...]]:
    """Return the networks that a frozen strategy reads, and its blocks numbered on through these alone."""
    networks = compared.session.context.networks
    num_cuts = [len(network.backbone.cuts) for network in networks]
    parts = own_blocks(strategy.blocks, num_cuts)
    read = [place for place, part in enumerate(parts) if part]
    blocks = joined_blocks([parts[place] for place in read], [num_cuts[place] for place in read])
    return tuple(networks[place] for place in read), blocks


def classifier_of(
    compared: Compared, networks: Sequence[Network], *, blocks: Sequence[Block], head: Head, temperature: float
) -> Classifier:
    """Return networks and the head that reads them at `blocks` as one model of the session's pictures."""
    context = compared.session.context
    return Classifier(
        networks,
        context.runtime.answering,
        blocks=blocks,
        storage=context.storage,
        head=head,
        temperature=temperature,
        class_names=context.dataset.class_names,
    )


def answer_test(compared: Compared, made: Made) -> Floats:
    """Return (n, K) probabilities of the test rows; no label is read.

    What a frozen backbone says of them lies in the bank where the pass read it as models answer: in float32, eager.
    Else, and where it was trained, the model reads the pictures; that of a frozen backbone only once.
    """
    context, bank = compared.session.context, compared.bank
    samples = [compared.dataset.samples[row] for row in compared.split.test]
    strategy, classifier = made.strategy, made.classifier
    reads_alike = all(own.spec.compute == "float32" and own.spec.engine == "eager" for own in banks_in(bank))
    is_read = set(strategy.blocks) <= set(bank.spec.columns) and reads_alike
    if strategy.kind == "frozen" and is_read:
        logits = logits_of(classifier.head, compared, rows=compared.split.test, blocks=strategy.blocks)
        return probabilities(logits, classifier.temperature)

    def read() -> Floats:
        return classify_samples(classifier, samples, progress=context.machine.progress)

    if strategy.kind != "frozen":
        return read()
    return recalled("test answers", [*classifier.determined_by, [sample.sha256 for sample in samples]], make=read)


def evaluate_test(compared: Compared, shares: Floats, *, name: str) -> Evaluation:
    """Return the scores on the test rows: the only reading of their labels."""
    leaks = leaked(compared.dataset, compared.split).astype(np.int64)
    return evaluate_rows(compared.dataset, compared.split.test, shares=shares, strategy=name, leaked=leaks)


def drift_of(compared: Compared, made: Made) -> Mapping[str, Any]:
    """Return how far a model's backbone moved from its pretrained features, on held-out pictures."""
    dataset, context, test = compared.dataset, compared.session.context, compared.split.test
    imagenet = compared.session.order.expectations.imagenet
    known = {name: indices for name, indices in imagenet.items() if name in dataset.class_names}
    drift = measure_drift(
        context.network,
        made.classifier.networks[0],
        runtime=context.runtime,
        samples=[dataset.samples[sample] for sample in test],
        labels=dataset.labels[test],
        groups=dataset.groups[test],
        copies=np.array([dataset.samples[row].copies for row in test], dtype=np.int64),
        class_names=dataset.class_names,
        imagenet=known or None,
        progress=context.machine.progress,
    )
    return asdict(drift)


def describe_training(
    compared: Compared, strategy: str, *, rows: Ints, classifier: Classifier | None = None
) -> Training:
    """Return what the model folder records of its training, with training pictures as proof: see `hard_rows`.

    Args:
        compared: The comparison.
        strategy: Name of the strategy that is kept.
        rows: (n,) indices of the samples that the model learnt from.
        classifier: The model, so that pictures near its borders are found; None takes any.
    """
    dataset = compared.dataset
    hard = [dataset.samples[row] for row in hard_rows(compared, classifier, rows=rows).tolist()]
    golden = kept_pictures([read_checked(sample) for sample in hard], rendering=dataset.rendering)
    options = options_json(compared.session.order.options)
    held_out = len(np.intersect1d(rows, compared.split.test))
    refit = {"refit": {"pictures": len(rows), "held_out": held_out}} if held_out else {}
    return Training(
        strategy=strategy,
        images_key=dataset.images_key,
        sha256s=[dataset.samples[row].sha256 for row in rows],
        golden=golden,
        provenance={"versions": package_versions(), "options": options, "rule": compared.leaderboard.rule, **refit},
        version=__version__,
    )


def thumbnail(dataset: Dataset, row: int, *, max_px: int) -> bytes:
    """Return a picture as a JPEG of at most `max_px` on its longer side."""
    picture = decode(read_checked(dataset.samples[row]), max_px, rendering=dataset.rendering)
    return encode_jpeg(picture.image, max_px)


def options_json(options: Options) -> dict[str, Any]:
    """Return the options as plain data; a single backbone is its name alone."""
    plain = {
        name: str(value) if isinstance(value, Path) else [*map(str, value)] if isinstance(value, tuple) else value
        for name, value in asdict(options).items()
    }
    return plain | ({"backbone": options.backbone[0]} if len(options.backbone) == 1 else {})
