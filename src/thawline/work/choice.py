"""The protocol `choose`: folds choose among all strategies, and the winner reads the test.

One idea: frozen strategies and trained rows answer the same held-out pictures, so they stand on one leaderboard.
Without a budget every row is trained and one of them wins; with one the most promising are, and whatever is best wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thawline.search.answers import Answers
from thawline.search.compare import Comparison, leaderboard_of
from thawline.train.budget import Tried, spend, try_named
from thawline.train.folds import answers_of
from thawline.train.phases import candidate_plans
from thawline.use.expectation import expect
from thawline.work.model import answer_test, drift_of, evaluate_test, frozen_model, trained_model
from thawline.work.order import BEST_FROZEN, Row
from thawline.work.recipe import rows_of_plans
from thawline.work.refit import deliver, draws_test
from thawline.work.rows import Outcome, candidates_of, ground_of, solved_trial
from thawline.work.session import Compared, Session

__all__ = ["choose", "rows_to_try"]


def choose(compared: Compared) -> Outcome:
    """Return the winner of all strategies, trained on every row of choosing, evaluated once, and then delivered."""
    session, comparison = compared.session, compared.comparison
    tried: tuple[Tried, ...] = ()
    row_of: dict[str, Row] = {}
    if session.order.rows or session.order.budget_s is not None:
        tried, comparison, row_of = _with_trained(compared, rows_to_try(session))
        session.clock.lap("tune")
    board, logits = comparison.leaderboard, comparison.held_out_logits
    winner, labels = board.trials[board.winner], compared.dataset.labels[comparison.rows]
    row = row_of.get(winner.name)
    if row is None:
        made = frozen_model(compared, winner, logits=logits, labels=labels)
    else:
        made = trained_model(compared, row, ground=ground_of(compared, row), logits=logits, labels=labels)
    session.clock.lap("train")
    evaluation = evaluate_test(compared, answer_test(compared, made), name=winner.name)
    session.clock.lap("evaluate")
    drifts = {winner.name: drift_of(compared, made)} if row is not None and row.drift else {}
    final = deliver(compared, made)
    session.clock.lap("refit")
    expectation = expect(evaluation, board, drew_test=draws_test(compared))
    return Outcome(board, winner.name, final, evaluation, tried=tried, drifts=drifts, expectation=expectation)


def rows_to_try(session: Session) -> tuple[Row, ...]:
    """Return the rows of an order; where it has none, what is worth trying on the backbone."""
    order = session.order
    if order.rows:
        return order.rows
    return rows_of_plans(candidate_plans(session.context.network, order.training.hidden))


def _with_trained(compared: Compared, rows: Sequence[Row]) -> tuple[tuple[Tried, ...], Comparison, dict[str, Row]]:
    """Return what was trained, the comparison with it, and the rows behind the new trials by their names."""
    order, frozen = compared.session.order, compared.comparison.frozen
    candidates = candidates_of(compared, rows)
    trained = [candidate for _, candidate in candidates]
    if order.budget_s is None:
        tried = try_named(trained)
    else:
        tried = spend(trained, budget_s=order.budget_s, started_at=compared.session.clock.start)
    answered = [
        (_named(answers_of(result.plan, result.candidate.ground, folds=result.folds), row), row)
        for (row, _), result in zip(candidates, tried, strict=True)
        if result.folds
    ]
    solved = {solved_trial(compared, row).name for row in rows if row.frozen not in (None, BEST_FROZEN)}
    takes_any = order.budget_s is not None or any(row.frozen == BEST_FROZEN for row in rows)
    comparison = leaderboard_of(
        frozen,
        [answers for answers, _ in answered],
        full_pass_ms=compared.full_pass_ms,
        further_pass_ms=compared.further_pass_ms,
        seed=order.options.seed,
        eligible=[takes_any or entry.strategy.name in solved for entry in frozen.answers] + [True] * len(answered),
    )
    return tried, comparison, {answers.strategy.name: row for answers, row in answered}


def _named(answers: Answers, row: Row) -> Answers:
    """Return answers under the row's name, unless it is called as its plan is."""
    if row.name == row.plan:
        return answers
    return replace(answers, strategy=replace(answers.strategy, name=row.name))
