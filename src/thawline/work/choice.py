"""The protocol `choose`: folds choose among all strategies, and the winner reads the test.

One idea: frozen strategies and trained rows answer the same held-out pictures, so they stand on one leaderboard.
Without a budget every row is trained and one of them wins; with one the most promising are, and whatever is best wins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from thawline.search.answers import Answers
from thawline.search.compare import Comparison, leaderboard_of
from thawline.train.budget import spend, try_named
from thawline.train.folds import answers_of
from thawline.train.phases import candidate_plans
from thawline.train.tried import Tried
from thawline.use.expectation import expect
from thawline.work.allotment import final_allowance, left_for_training_s, picture_s
from thawline.work.model import answer_test, drift_of, evaluate_test, frozen_model, trained_model
from thawline.work.order import BEST_FROZEN, Row
from thawline.work.recipe import rows_of_plans
from thawline.work.refit import deliver, draws_test
from thawline.work.rows import Outcome, candidates_of, solved_trial
from thawline.work.session import Compared, Session

__all__ = ["choose", "rows_to_try"]


FINAL_SLACK = 1.1
"""A final training run that needs more than so many times what is left is not begun: its plan cannot win."""


@dataclass(frozen=True)
class _Entry:
    """A row that was trained, what came of it, and its answers under its name on the leaderboard."""

    row: Row
    tried: Tried
    answers: Answers


def choose(compared: Compared) -> Outcome:
    """Return the winner of all strategies, trained on every row of choosing, evaluated once, and then delivered."""
    session, comparison = compared.session, compared.comparison
    tried: tuple[Tried, ...] = ()
    entries: dict[str, _Entry] = {}
    if session.order.rows or session.order.budget_s is not None:
        tried, comparison, entries = _with_trained(compared, rows_to_try(session))
        session.clock.lap("tune")
    board, logits = comparison.leaderboard, comparison.held_out_logits
    winner, labels = board.trials[board.winner], compared.dataset.labels[comparison.rows]
    entry = entries.get(winner.name)
    if entry is None:
        made = frozen_model(compared, winner, logits=logits, labels=labels)
    else:
        ground = entry.tried.candidate.ground
        stops_itself = ground.context.training.patience is not None
        allowance = final_allowance(compared, 0.0 if stops_itself else entry.tried.epochs[0])
        made = trained_model(compared, entry.row, ground=ground, logits=logits, labels=labels, allowance=allowance)
    session.clock.lap("train")
    evaluation = evaluate_test(compared, answer_test(compared, made), name=winner.name)
    session.clock.lap("evaluate")
    drifts = {winner.name: drift_of(compared, made)} if entry is not None and entry.row.drift else {}
    final = deliver(compared, made)
    session.clock.lap("refit")
    expectation = expect(evaluation, board, drew_test=draws_test(compared))
    return Outcome(
        board,
        winner.name,
        final,
        evaluation,
        tried=tried,
        drifts=drifts,
        expectation=expectation,
        chosen=comparison,
    )


def rows_to_try(session: Session) -> tuple[Row, ...]:
    """Return the rows of an order; where it has none, what is worth trying on the backbone."""
    order = session.order
    if order.rows:
        return order.rows
    return rows_of_plans(candidate_plans(session.context.network, order.training.hidden))


def _with_trained(compared: Compared, rows: Sequence[Row]) -> tuple[tuple[Tried, ...], Comparison, dict[str, _Entry]]:
    """Return what was trained, the comparison with it, and what is behind the new trials by their names."""
    order, frozen = compared.session.order, compared.comparison.frozen
    candidates = candidates_of(compared, rows)
    trained = [candidate for _, candidate in candidates]
    if order.budget_s is None:
        tried = try_named(trained)
    else:
        tried = spend(
            trained,
            left_s=lambda: left_for_training_s(compared),
            count_in=compared.session.clock.count_in,
            picture_s=picture_s(compared),
        )
    entries = [
        _Entry(row, result, _answers(compared, result, row))
        for (row, _), result in zip(candidates, tried, strict=True)
        if result.folds
    ]
    solved = {solved_trial(compared, row).name for row in rows if row.frozen not in (None, BEST_FROZEN)}
    takes_any = order.budget_s is not None or any(row.frozen == BEST_FROZEN for row in rows)
    if order.budget_s is not None and not entries:
        return tried, compared.comparison, {}
    left_s = compared.session.context.machine.processes.agree(left_for_training_s(compared))
    comparison = leaderboard_of(
        frozen,
        [entry.answers for entry in entries],
        full_pass_ms=compared.full_pass_ms,
        further_pass_ms=compared.further_pass_ms,
        eligible=[takes_any or entry.strategy.name in solved for entry in frozen.answers]
        + [_may_win(entry.tried, left_s) for entry in entries],
    )
    comparison = replace(comparison, leaderboard=replace(comparison.leaderboard, is_named=not takes_any))
    return tried, comparison, {entry.answers.strategy.name: entry for entry in entries}


def _may_win(tried: Tried, left_s: float) -> bool:
    """Return whether what was measured says something, and time is left to train it on every row of choosing."""
    return not math.isfinite(left_s) or (not tried.is_too_short and tried.final_s <= FINAL_SLACK * max(0.0, left_s))


def _answers(compared: Compared, tried: Tried, row: Row) -> Answers:
    """Return a row's answers, under its own name unless it is called as its plan is; a smaller input is named too."""
    ground, whole = tried.candidate.ground, compared.session.context.network.backbone
    answers, backbone = answers_of(tried.plan, ground, folds=tried.folds), ground.context.network.backbone
    strategy = answers.strategy if row.name == row.plan else replace(answers.strategy, name=row.name)
    if tried.side < 1:
        name = f"{strategy.name}, {backbone.input.size_px} px"
        strategy = replace(strategy, name=name, cost=strategy.cost * backbone.num_macs / whole.num_macs)
    return replace(answers, strategy=strategy)
