"""The rows of an order -> their answers to pictures that they never saw, a leaderboard, and the model that is kept.

One idea: a row is a strategy like any other, so it is trained and judged by what trains and judges the leaderboard; the
protocol only says which pictures it learns from and which it answers. Under `test` each row learns from every training
picture and answers the held-out ones once; under `folds` each picture is answered by a model that never saw it. Under
`choose` rows compete with all frozen strategies: `choice.py`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from thawline.core.counting import counted
from thawline.core.errors import ThawlineError, TrainingError, UsageError
from thawline.data.split import Split
from thawline.features.network import load_backbone, rendering_as
from thawline.features.scratch import SCRATCH
from thawline.features.shortlist import AUTO
from thawline.heads.calibrate import probabilities
from thawline.search.answers import Answers, answers_from
from thawline.search.compare import Comparison, leaderboard_of
from thawline.search.frozen import CompareOptions, FrozenAnswers, rows_of
from thawline.search.leaderboard import Leaderboard, Trial
from thawline.train.allowance import UNLIMITED, Allowance
from thawline.train.context import Ground
from thawline.train.folds import answer_folds, answers_of
from thawline.train.job import plan_network
from thawline.train.phases import phases
from thawline.train.row_budget import spend_on_rows, train_side_by_side
from thawline.train.tried import Candidate, Tried
from thawline.use.classifier import Classifier
from thawline.use.evaluate import evaluate_rows
from thawline.use.evaluation import Evaluation
from thawline.use.expectation import Expectation
from thawline.vet.strangest import Doubted
from thawline.work.allotment import final_allowance, left_for_training_s
from thawline.work.model import Made, answer_test, drift_of, evaluate_test, frozen_model, trained_model
from thawline.work.order import BEST_FROZEN, Row
from thawline.work.refit import Delivered, deliver
from thawline.work.session import Compared, Session, depth_names

__all__ = ["AnsweredRow", "Outcome", "answer_rows", "candidates_of", "ground_of", "require_rows", "solved_trial"]

NONE = np.empty(0, dtype=np.int64)
LONGEST_SLUG = 40
STRIDE_PX = 32


@dataclass(frozen=True)
class AnsweredRow:
    """One row, answered.

    Attributes:
        row: Which.
        does: What was trained or solved, in the words of the leaderboard.
        answers: Its answers, as the leaderboard takes them; named as the row is.
        evaluation: Its scores on the held-out pictures.
        seconds: Of its own training and answering.
        epochs: Of its training run, begun ones included, or None for a solved head.
        ran_epochs: The same with fractions, the mean over folds; 0 for a solved head.
        made: Its model, where one was made.
    """

    row: Row
    does: str
    answers: Answers
    evaluation: Evaluation
    seconds: float
    epochs: int | None
    made: Made | None = None
    ran_epochs: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What came of an order's rows.

    Attributes:
        leaderboard: All strategies under `choose`, else the rows; best first.
        strategy: Name of the strategy whose model is kept, in the words of the leaderboard of frozen strategies.
        final: That model as it is delivered, and what it learnt from.
        evaluation: Its scores on held-out pictures, measured before it may have learnt from them too.
        rows: The rows one by one, in the author's order; empty under `choose`.
        delivered: Name of the row whose model is kept; empty under `choose`.
        tried: Training runs beside what was expected of them.
        drifts: Strategy or row → how far its backbone moved, in plain data.
        expectation: What to expect of the model on further pictures; None where rows were answered one by one.
        chosen: The comparison that chose it, with its like's answers to held-out rows; None where rows were answered
            one by one.
        doubted: When the model abstains, and how strange held-out pictures look; None as there.
    """

    leaderboard: Leaderboard
    strategy: str
    final: Delivered
    evaluation: Evaluation
    rows: tuple[AnsweredRow, ...] = ()
    delivered: str = ""
    tried: tuple[Tried, ...] = ()
    drifts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    expectation: Expectation | None = None
    chosen: Comparison | None = None
    doubted: Doubted | None = None

    @property
    def classifier(self) -> Classifier:
        """The model that is delivered."""
        return self.final.classifier


def require_rows(session: Session) -> None:
    """Refuse rows that the backbone cannot be trained or read for, before the work.

    Raises:
        ThawlineError: Names the row and what the backbone can do instead.
    """
    order, context = session.order, session.context
    name, depths = context.network.backbone.name, depth_names(context.network)
    for row in order.rows:
        where = f"{order.where}, row {row.name!r}"
        if row.frozen is not None and row.frozen not in (BEST_FROZEN, *depths):
            raise UsageError(
                f"{where}: {name} cannot be read at {row.frozen!r}. Write frozen = one of "
                f"{', '.join(repr(depth) for depth in (BEST_FROZEN, *depths))}."
            )
        if (plan := row.parsed) is not None:
            try:
                phases(plan, plan_network(plan, replace(context, training=order.training_of(row))), epochs=1)
            except ThawlineError as error:
                raise type(error)(f"{where}: {error}" if row.name != row.plan else str(error)) from None


def ground_of(compared: Compared, row: Row) -> Ground:
    """Return what a row's training runs start from: its own options, and its own folder."""
    session, ground = compared.session, compared.ground
    slug = re.sub(r"[^a-z0-9]+", "-", row.name.lower()).strip("-")[:LONGEST_SLUG]
    rows = session.order.rows
    place = rows.index(row) if row in rows else "candidate"
    context = replace(
        session.context,
        training=session.order.training_of(row),
        folder=session.context.folder / f"{place}-{slug}",
    )
    return replace(ground, context=context)


def solved_trial(compared: Compared, row: Row) -> Trial:
    """Return the trial of the frozen comparison that a row with a solved head names."""
    board = compared.leaderboard
    if row.frozen == BEST_FROZEN:
        return board.trials[board.winner]
    name = f"{compared.session.context.network.backbone.name} · {row.frozen} · linear"
    return next(trial for trial in board.trials if trial.name == name)


def _frozen_answers(compared: Compared, trial: Trial) -> Answers:
    """Return the held-out answers behind a trial of the frozen comparison."""
    return next(entry for entry in compared.comparison.frozen.answers if entry.strategy is trial.strategy)


def candidates_of(compared: Compared, rows: Sequence[Row]) -> tuple[tuple[Row, Candidate], ...]:
    """Return the rows that train, each as a candidate for the time that there is, in their order."""
    backbone, is_choice = compared.session.context.network.backbone, compared.session.order.protocol == "choose"
    has_sizes = is_choice and not backbone.num_prefix_tokens and backbone.name not in SCRATCH
    candidates = []
    for row in rows:
        if (plan := row.parsed) is not None:
            name = "" if row.name == row.plan else row.name
            resizes = has_sizes and plan.kind in ("partial", "full")
            at_side = partial(_ground_at_side, compared, row) if resizes else None
            candidates.append((row, Candidate(plan, ground_of(compared, row), name=name, at_side=at_side)))
    return tuple(candidates)


def _ground_at_side(compared: Compared, row: Row, side: float) -> Ground:
    """Return what a row's training runs start from on a smaller input, whose side is a share of the backbone's own."""
    options, ground = compared.session.order.options, ground_of(compared, row)
    backbone, folder = ground.context.network.backbone, ground.context.folder
    spec, (first, *_) = backbone.input, options.backbone
    size_px = max(STRIDE_PX, STRIDE_PX * round(side * spec.size_px / STRIDE_PX))
    network = load_backbone(
        backbone.name if first == AUTO else first,
        weights=options.weights,
        fit=spec.fit,
        crop_share=spec.crop_share,
        size_px=size_px,
        seed=options.seed,
    )
    context = replace(
        ground.context,
        network=rendering_as(network, spec.rendering),
        folder=folder.with_name(f"{folder.name}-{size_px}px"),
    )
    return replace(ground, context=context)


def answer_rows(compared: Compared) -> Outcome:
    """Return every row's answers to pictures that it never saw, and the model of the row that was named beforehand."""
    session, order = compared.session, compared.session.order
    frozen = _scored_rows(compared)
    answered, tried = _answer_all(compared, frozen)
    session.clock.lap("rows")
    names = [row.name for row in order.rows if row.name in answered]
    if not names:
        raise TrainingError(
            f"{order.where}: none of {len(order.rows)} rows fits into the budget of {order.budget_s:,.0f} s, the "
            f"shortest takes about {min(result.expected_s for result in tried):,.0f} s. Raise --budget."
        )
    board = leaderboard_of(
        frozen,
        [answered[name].answers for name in names],
        full_pass_ms=compared.full_pass_ms,
        is_forecast=order.protocol != "test",
        by="score",
    ).leaderboard
    kept = answered[order.delivered if order.delivered in answered else names[-1]]
    made = kept.made or _make(compared, kept.row, kept.answers, allowance=final_allowance(compared, kept.ran_epochs))
    moved = [(name, one.made) for name in names if (one := answered[name]).row.drift]
    drifts = {name: drift_of(compared, one) for name, one in moved if one is not None}
    return Outcome(
        board,
        kept.does,
        deliver(compared, made),
        kept.evaluation,
        rows=tuple(answered[name] for name in names),
        delivered=kept.row.name,
        tried=tried,
        drifts=drifts,
    )


def _answer_all(compared: Compared, frozen: FrozenAnswers) -> tuple[dict[str, AnsweredRow], tuple[Tried, ...]]:
    """Return the rows that were answered, by name, and with a budget what every training run took of it."""
    order = compared.session.order
    answer, is_test = (_answer_once, True) if order.protocol == "test" else (_answer_by_folds, False)
    if order.budget_s is None:
        train_side_by_side([one for _, one in candidates_of(compared, order.rows)], by_folds=not is_test)
        return {row.name: answer(compared, row, frozen) for row in order.rows}, ()
    answered = {row.name: answer(compared, row, frozen) for row in order.rows if row.plan is None}
    candidates = candidates_of(compared, order.rows)

    def run(candidate: Candidate, allowance: Allowance) -> float:
        row, start = next(row for row, other in candidates if other is candidate), time.perf_counter()
        answered[row.name] = answer(compared, row, frozen, allowance)
        earlier_s = answered[row.name].seconds - (time.perf_counter() - start)
        compared.session.clock.count_in(max(0.0, earlier_s))
        return answered[row.name].ran_epochs

    tried = spend_on_rows(
        [candidate for _, candidate in candidates],
        run,
        num_folds=0 if is_test else len(compared.split.folds),
        delivered=order.delivered,
        left_s=lambda: left_for_training_s(compared),
    )
    return answered, tried


def _scored_rows(compared: Compared) -> FrozenAnswers:
    """Return what the rows are scored on, with no answers in it yet."""
    frozen, split, options = compared.comparison.frozen, compared.split, compared.session.order.options
    if compared.session.order.protocol == "folds":
        return replace(frozen, answers=(), seconds=0.0)
    rule = f"{counted(len(split.test), 'held-out pictures')}, read once"
    once = Split(((split.pool, split.test),), NONE, split.seed, 1, 1, rule)
    scored = rows_of(
        compared.dataset, once, options=CompareOptions("accuracy", options.class_weights, seed=options.seed)
    )[0]
    return replace(frozen, rows=scored, rule=rule, answers=(), seconds=0.0)


def _answer_once(compared: Compared, row: Row, frozen: FrozenAnswers, allowance: Allowance = UNLIMITED) -> AnsweredRow:
    """Return a row that learnt from every training picture and answered the held-out ones: its only reading of them."""
    made = _make(compared, row, allowance=allowance)
    start = time.perf_counter()
    shares = answer_test(compared, made)
    seconds = made.seconds + time.perf_counter() - start
    evaluation = evaluate_test(compared, shares, name=row.name)
    logits = np.log(np.maximum(shares, np.finfo(np.float32).tiny))
    answers = answers_from(
        replace(made.strategy, name=row.name),
        shares.argmax(axis=1)[None],
        logits=logits[None],
        rows=frozen.rows,
        seconds=seconds,
        curve=made.curve,
    )
    epochs = len(made.curve.train_loss) if made.curve is not None else None
    return AnsweredRow(row, made.strategy.name, answers, evaluation, seconds, epochs, made, made.epochs)


def _answer_by_folds(
    compared: Compared, row: Row, frozen: FrozenAnswers, allowance: Allowance = UNLIMITED
) -> AnsweredRow:
    """Return a row's answers to every picture, each by a model that was trained without it."""
    plan, epochs, ran_epochs = row.parsed, None, 0.0
    if plan is None:
        answers = _frozen_answers(compared, solved_trial(compared, row))
    else:
        ground = ground_of(compared, row)
        folds = answer_folds(plan, ground, allowance=allowance)
        answers = answers_of(plan, ground, folds=folds)
        ran_epochs = float(np.mean([done.trained.epochs for done in folds]))
        epochs = len(answers.curve.train_loss) if answers.curve is not None else None
    samples = frozen.rows.samples[frozen.rows.scored]
    evaluation = evaluate_rows(
        compared.dataset,
        samples,
        shares=probabilities(answers.logits, 1.0),
        strategy=row.name,
        leaked=np.zeros_like(samples),
    )
    does = answers.strategy.name
    named = replace(answers, strategy=replace(answers.strategy, name=row.name))
    return AnsweredRow(row, does, named, evaluation, answers.seconds, epochs, ran_epochs=ran_epochs)


def _make(compared: Compared, row: Row, answers: Answers | None = None, *, allowance: Allowance = UNLIMITED) -> Made:
    """Return a row's model, trained on every picture that is not held out.

    Its temperature comes from pictures that it did not learn from: those of the folds, or the tenth that its training
    run watched; without either it is 1.

    Args:
        compared: The frozen comparison.
        row: Which.
        answers: Its answers to the folds, where there are any.
        allowance: Of its training run.
    """
    labels = compared.comparison.frozen.rows.scored_labels
    if row.plan is None:
        trial = solved_trial(compared, row)
        return frozen_model(compared, trial, logits=_frozen_answers(compared, trial).logits, labels=labels)
    logits = None if answers is None else answers.logits
    ground = ground_of(compared, row)
    return trained_model(compared, row, ground=ground, logits=logits, labels=labels, allowance=allowance)
