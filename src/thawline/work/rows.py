"""The rows of a recipe -> their answers to pictures that they never saw, and the models that gave them.

One idea: a row is a strategy like any other, so it is trained and judged by what trains and judges the leaderboard; the
protocol only says which pictures it learns from and which it answers. Under `test` each row learns from every training
picture and answers the held-out ones once; under `folds` each picture is answered by a model that never saw it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from thawline.core.errors import ThawlineError, UsageError
from thawline.core.types import Curve, Ints
from thawline.data.split import Split, leaked
from thawline.features.drift_pass import measure_drift
from thawline.heads.calibrate import fit_temperature, probabilities
from thawline.search.answers import Answers, Rows, answers_from
from thawline.search.frozen import CompareOptions, rows_of
from thawline.search.leaderboard import Trial
from thawline.search.strategy import Strategy
from thawline.train.context import Ground
from thawline.train.folds import answer_fold, answers_of, held_out_logits, strategy_of, train_rows
from thawline.train.hyperparameters import TrainOptions
from thawline.train.job import plan_network, set_aside
from thawline.train.plan import parse_plan, phases
from thawline.use.bundle import Classifier
from thawline.use.evaluate import evaluate_rows
from thawline.use.evaluation import Evaluation
from thawline.work.model import answer_test, fit_head
from thawline.work.recipe import BEST_FROZEN, Recipe, Row
from thawline.work.run import CompareResult
from thawline.work.session import Session

__all__ = [
    "AnsweredRow",
    "Field",
    "answer_by_folds",
    "answer_once",
    "model_of",
    "require_rows",
    "rows_once",
    "solved_names",
    "training_of",
]

NONE = np.empty(0, dtype=np.int64)
LONGEST_SLUG = 40


@dataclass(frozen=True)
class Field:
    """What all rows of a recipe share.

    Attributes:
        recipe: The recipe.
        session: Checked pictures, the backbone, the machine.
        compared: The frozen comparison on the pictures of choosing: where solved heads come from.
        ground: What training runs share.
        epochs: Epochs of every training instead of the recipe's, for a quick look; or None.
    """

    recipe: Recipe
    session: Session
    compared: CompareResult
    ground: Ground
    epochs: int | None = None

    def training_of(self, row: Row) -> TrainOptions:
        """Return how a row is trained."""
        return training_of(self.recipe, row, self.epochs)

    def ground_of(self, row: Row) -> Ground:
        """Return the ground of a row's training: its own options, and its own folder."""
        slug = re.sub(r"[^a-z0-9]+", "-", row.name.lower()).strip("-")[:LONGEST_SLUG]
        place = [other.name for other in self.recipe.rows].index(row.name)
        context = self.ground.context
        own = replace(context, training=self.training_of(row), folder=context.folder / f"{place}-{slug}")
        return replace(self.ground, context=own)

    def solved(self, row: Row) -> Trial:
        """Return the trial of the frozen comparison that a row with a solved head names."""
        board = self.compared.leaderboard
        if row.frozen == BEST_FROZEN:
            return board.trials[board.winner]
        name = f"{self.session.network.backbone.name} · {row.frozen} · linear"
        return next(trial for trial in board.trials if trial.name == name)


@dataclass(frozen=True)
class AnsweredRow:
    """One row, answered.

    Attributes:
        row: Which.
        does: What was trained or solved, in the words of the leaderboard.
        answers: Its answers, as the leaderboard takes them; named as the row is.
        evaluation: Its scores on the held-out pictures.
        seconds: Of its own training and answering.
        epochs: Of its training, or None for a solved head.
        classifier: Its model, where one was made.
        drift: How far its backbone moved, in plain data, or None.
    """

    row: Row
    does: str
    answers: Answers
    evaluation: Evaluation
    seconds: float
    epochs: int | None
    classifier: Classifier | None = None
    drift: Mapping[str, Any] | None = None


def training_of(recipe: Recipe, row: Row, epochs: int | None) -> TrainOptions:
    """Return how a row is trained; a quick look's `epochs` stand over the recipe's, half of them warm-up at most."""
    training = recipe.training_of(row)
    if epochs is None:
        return training
    return replace(training, epochs=epochs, warmup=min(training.warmup, epochs / 2))


def require_rows(recipe: Recipe, session: Session, epochs: int | None) -> None:
    """Refuse rows that the backbone cannot be trained or read for, before the work.

    Raises:
        ThawlineError: Names the row and what the backbone can do instead.
    """
    backbone = session.network.backbone
    removed = sorted({cut.blocks_removed for cut in backbone.cuts} - {0})
    depths = ["whole", *(f"{number} block{'s' if number > 1 else ''} cut" for number in removed)]
    for row in recipe.rows:
        where = f"recipe {recipe.name}, row {row.name!r}"
        if row.frozen is not None and row.frozen not in (BEST_FROZEN, *depths):
            raise UsageError(
                f"{where}: {backbone.name} cannot be read at {row.frozen!r}. Write frozen = one of "
                f"{', '.join(repr(name) for name in (BEST_FROZEN, *depths))}."
            )
        if row.plan is not None:
            plan = parse_plan(row.plan)
            context = session.context(Path(), training=training_of(recipe, row, epochs))
            try:
                phases(plan, plan_network(plan, context), 1)
            except ThawlineError as error:
                raise type(error)(f"{where}: {error}") from None


def solved_names(recipe: Recipe, backbone: str) -> frozenset[str] | None:
    """Return the frozen strategies that a recipe's rows need compared; None: all, since a row takes the best of them.

    A head on the whole backbone is always among them: trainings whose head comes first start from it.
    """
    wanted = {row.frozen for row in recipe.rows if row.frozen is not None}
    if BEST_FROZEN in wanted:
        return None
    return frozenset(f"{backbone} · {where} · linear" for where in ("whole", *wanted))


def rows_once(field: Field) -> Rows:
    """Return the rows that the protocol `test` scores: the held-out pictures, all others being learnt from."""
    compared = field.compared
    split = compared.split
    once = Split(((split.pool, split.test),), NONE, split.seed, 1, 1, f"{len(split.test):,} held-out pictures")
    options = CompareOptions("accuracy", field.session.options.class_weights, seed=field.session.options.seed)
    return rows_of(compared.dataset, once, options=options)[0]


def answer_once(field: Field, row: Row, rows: Rows) -> AnsweredRow:
    """Return a row that learnt from every training picture and answered the held-out ones: their only reading by it."""
    classifier, strategy, curve, spent = model_of(field, row)
    start, compared = time.perf_counter(), field.compared
    dataset, test = compared.dataset, compared.split.test
    shares = answer_test(compared, classifier, strategy, field.session.progress)
    seconds = spent + time.perf_counter() - start
    leaks = leaked(dataset, compared.split).astype(np.int64)
    evaluation = evaluate_rows(dataset, test, shares=shares, strategy=row.name, leaked=leaks)
    named = replace(strategy, name=row.name)
    logits = np.log(np.maximum(shares, np.finfo(np.float32).tiny))
    answers = answers_from(named, shares.argmax(axis=1)[None], logits=logits, rows=rows, seconds=seconds, curve=curve)
    drift = _drift(field, classifier, test) if row.drift else None
    epochs = len(curve.train_loss) if curve is not None else None
    return AnsweredRow(row, strategy.name, answers, evaluation, seconds, epochs, classifier, drift)


def model_of(field: Field, row: Row) -> tuple[Classifier, Strategy, Curve | None, float]:
    """Return a row's model, trained on every picture that is not held out, with its strategy and its curve.

    Its temperature comes from pictures that it did not learn from: those of the folds, or the tenth that its training
    watched; without either it is 1. The last number is the seconds that it took, those of an earlier run included.
    """
    compared, session = field.compared, field.session
    start = time.perf_counter()
    if row.frozen is not None:
        trial = field.solved(row)
        frozen = compared.comparison.frozen
        entry = next(entry for entry in frozen.answers if entry.strategy.name == trial.name)
        head, strategy, curve, network = fit_head(compared, trial), trial.strategy, None, session.network
        spent = trial.fit_s + time.perf_counter() - start
        temperature = fit_temperature(entry.logits, frozen.rows.scored_labels)
    else:
        ground, plan = field.ground_of(row), parse_plan(row.plan or "")
        network, head, trained = train_rows(plan, ground, rows=compared.split.pool, watched=NONE, part="final")
        strategy, curve = strategy_of(plan, ground.context), trained.curve
        spent = max(trained.seconds, time.perf_counter() - start)
        temperature = 1.0
        context = ground.context
        if context.training.watches:
            _, watched = set_aside(compared.dataset, compared.split.pool, seed=context.seed)
            logits = held_out_logits(network, head, context=context, rows=watched, block=strategy.blocks[0])
            temperature = fit_temperature(logits, compared.dataset.labels[watched])
    classifier = Classifier(
        network,
        session.runtime,
        blocks=strategy.blocks,
        storage=session.options.storage,
        head=head,
        temperature=temperature,
        class_names=compared.dataset.class_names,
    )
    return classifier, strategy, curve, spent


def answer_by_folds(field: Field, row: Row) -> AnsweredRow:
    """Return a row's answers to every picture, each by a model that was trained without it."""
    compared = field.compared
    frozen, split = compared.comparison.frozen, compared.split
    if row.frozen is not None:
        trial = field.solved(row)
        found = next(entry for entry in frozen.answers if entry.strategy.name == trial.name)
        epochs = None
    else:
        plan, ground = parse_plan(row.plan or ""), field.ground_of(row)
        found = answers_of(
            plan, ground, folds=[answer_fold(plan, ground, fold=fold) for fold in range(len(split.folds))]
        )
        epochs = len(found.curve.train_loss) if found.curve is not None else None
    samples = frozen.rows.samples[frozen.rows.scored]
    shares = probabilities(found.logits, 1.0)
    leaks = np.zeros_like(samples)
    evaluation = evaluate_rows(compared.dataset, samples, shares=shares, strategy=row.name, leaked=leaks)
    named = replace(found, strategy=replace(found.strategy, name=row.name))
    return AnsweredRow(row, found.strategy.name, named, evaluation, found.seconds, epochs)


def _drift(field: Field, classifier: Classifier, test: Ints) -> Mapping[str, Any]:
    """Return how far a row's backbone moved from its pretrained features, on held-out pictures."""
    dataset, session = field.compared.dataset, field.session
    known = {name: indices for name, indices in field.recipe.imagenet.items() if name in dataset.class_names}
    drift = measure_drift(
        session.network,
        classifier.network,
        runtime=session.runtime,
        samples=[dataset.samples[sample] for sample in test],
        labels=dataset.labels[test],
        groups=dataset.groups[test],
        class_names=dataset.class_names,
        imagenet=known or None,
        progress=session.progress,
    )
    return asdict(drift)
