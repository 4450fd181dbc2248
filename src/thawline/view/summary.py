"""Results -> what people read of them outside the page: text for a terminal and a log, HTML for a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from thawline.core.counting import counted
from thawline.core.html import file_link
from thawline.features.backbone import CutPoint
from thawline.search.leaderboard import Leaderboard, Trial
from thawline.search.ties import AS_GOOD_WORDS, FEW_WORDS, TIE_WORDS
from thawline.use.evaluation import ALL_LEAKED, Evaluation
from thawline.view.dataset_text import groups_text, skipped_text
from thawline.view.ending import answer_text, next_lines
from thawline.view.outcome import (
    better_frozen_text,
    disagreement_text,
    goal_text,
    is_cross_validated,
    refit_text,
    small_part_text,
    source_text,
)
from thawline.view.report_data import ReportData
from thawline.view.row_table import rows_html, rows_text
from thawline.view.words import duration_text, printable, size_text, together_words

__all__ = [
    "evaluation_text",
    "forecast_text",
    "leaderboard_text",
    "run_html",
    "run_text",
    "thaw_line_text",
]

BAR_WIDTH = 40
CHANGES_SCORES = ("--drop-small-classes", "--corrections")
"""Beginnings of the check's notes without which scores would be misread."""


def run_text(data: ReportData) -> str:
    """Return what a terminal shows after a run: what was compared, what came of it, and whether a goal was reached."""
    lines = _comparison_lines(data) if data.rows else _choice_lines(data)
    if note := skipped_text(data.check):
        lines.append(f"Note: {printable(note)}")
    if data.goal is not None and data.headline is not None:
        outcome = "PASS" if data.goal_reached else "FAIL"
        lines.append(f"{outcome}  goal {data.goal:.3f}: {goal_text(data, '{:.3f}'.format)}.")
    if data.rows and (note := small_part_text(data, "{:.2f}".format)):
        lines.append(f"Note: {note}")
    if note := refit_text(data):
        lines.append(f"Note: {note}")
    lines += [f"Warning: {printable(warning)}" for warning in data.warnings]
    return "\n".join(lines)


def _choice_lines(data: ReportData) -> list[str]:
    """Return the leaderboard, what the budget went to, and the test of the winner."""
    board = data.leaderboard
    better = better_frozen_text(data, "{:.3f}".format)
    lines = [*([better, ""] if better else []), leaderboard_text(board), ""]
    if data.forecast:
        lines += [forecast_text(data.forecast, data.budget_s), ""]
    lines += _check_lines(data)
    lines.append(f"Winner: {board.trials[board.winner].name}")
    lines += _expectation_lines(data)
    if data.evaluation is not None:
        lines.append(evaluation_text(data.evaluation, rule="read once"))
    return lines


def _expectation_lines(data: ReportData) -> list[str]:
    """Return what to expect, where that is not the score of the test alone, and what stands against it."""
    found = data.expectation
    if found is None:
        return []
    score, what = found.score, "of further pictures right" if found.metric == "accuracy" else "balanced accuracy"
    line = f"Expect: {score.value:.3f} [{score.low:.3f}, {score.high:.3f}] {what}, {source_text(data)}"
    note = disagreement_text(data, "{:.3f}".format)
    return [line] * found.is_pooled + [f"Note: {note}"] * bool(note)


def _comparison_lines(data: ReportData) -> list[str]:
    """Return the rows, what the budget went to, and the scores of the model that is kept."""
    lines = [rows_text(data)]
    lines += _check_lines(data)
    if data.comparison is not None and data.evaluation is not None:
        lines.append(f"Model kept, {printable(data.comparison.delivered)}: {_other_scores(data.evaluation)}.")
    if data.forecast:
        lines += ["", forecast_text(data.forecast, data.budget_s), ""]
    return lines


def _check_lines(data: ReportData) -> list[str]:
    """Return what the check says that changes what scores mean: groups, classes left out, other labels."""
    notes = [str(note) for note in data.check.get("notes", ()) if str(note).startswith(CHANGES_SCORES)]
    return list(map(printable, ([groups_text(data.check)] if data.check.get("groups") else []) + notes))


def run_html(data: ReportData, out: Path) -> str:
    """Return what a notebook shows of a run: what was compared, what came of it, and a link to its report.

    The answer in one sentence comes first, as a terminal ends with it.

    Args:
        data: Of the run.
        out: Its folder.
    """
    board, parts = data.leaderboard, []
    if not data.rows and data.evaluation is not None:
        score = data.evaluation.accuracy
        if data.expectation is not None and data.expectation.is_pooled:
            lead, what = data.expectation.score, data.expectation.metric.replace("_", " ")
            expected = Markup("<b>Expect: {:.3f}</b> [{:.3f}, {:.3f}] {}")
            parts.append(expected.format(lead.value, lead.low, lead.high, what))
        test = Markup("<b>Test: {:.3f}</b> [{:.3f}, {:.3f}] of {:,} pictures, read once")
        parts.append(test.format(score.value, score.low, score.high, score.n))
        if data.goal is not None:
            parts.append(Markup("goal {:.3f}: {}").format(data.goal, goal_text(data, "{:.3f}".format)))
    below = Markup(" · ").join([*parts, file_link(out / "report.html")])
    table = rows_html(data) if data.rows else board._repr_html_()
    notes = [f"⚠ {text}" for text in data.warnings]
    notes += [note for note in (better_frozen_text(data, "{:.3f}".format),) if note]
    notes += [note for note in (disagreement_text(data, "{:.3f}".format), refit_text(data)) if note]
    told = Markup("").join(Markup('<div style="padding:.4em .7em">{}</div>').format(text) for text in notes)
    answer = Markup('<div style="padding:.4em .7em;font-size:1.15em;font-weight:600">{}</div>')
    steps = Markup("").join(
        Markup('<div style="padding:.1em .7em">{}</div>').format(text) for text in next_lines(data, out)
    )
    first = answer.format(answer_text(data, "{:.3f}".format)) + steps if data.evaluation is not None else Markup("")
    return first + table + told + Markup('<div style="padding:.4em .7em">{}</div>').format(below)


def leaderboard_text(board: Leaderboard, *, most: int = 12) -> str:
    """Return the leaderboard as aligned columns: rank, marks, strategy, score, interval, gap to the leader.

    `*` marks the winner, `=` those that a paired test cannot tell from the leader. Where some trial answered a part of
    the pictures only, a last column says of how many each score is taken.

    Args:
        board: A leaderboard.
        most: Rows from the top; below them still come the winner and the best of each kind of training.
    """
    shown = _rows_shown(board, most)
    width = max(len(board.trials[index].name) for index in shown)
    metric = board.metric.replace("_", " ")
    effort = f"{board.num_fits:,} fits in {duration_text(board.seconds)}"
    partly = any(trial.num_pictures < board.num_pictures for trial in board.trials)
    lines = [
        f"Leaderboard: {metric} over {counted(board.num_pictures, 'pictures')}, {board.rule}, {effort}",
        f"       {'strategy':<{width}}  score  95 % interval   {'against the leader':<24} {'ms':>5}"
        + f"  {'pictures':>8}" * partly,
    ]
    for index in shown:
        trial = board.trials[index]
        mark = ("*" if index == board.winner else " ") + ("=" if trial.tied else " ")
        gap = (
            "leader"
            if index == 0
            else f"{trial.difference:+.3f} [{trial.difference_low:+.3f}, {trial.difference_high:+.3f}]"
        )
        lines.append(
            f"{index + 1:3} {mark} {trial.name:<{width}}  {trial.mean:.3f}  [{trial.low:.3f}, {trial.high:.3f}]"
            f"  {gap:<24} {trial.predict_ms:5.1f}" + f"  {trial.num_pictures:8,}" * partly
        )
    rest = len(board.trials) - len(shown)
    if rest > 0:
        lines.append(f"    … and {rest} more in leaderboard.json")
    return "\n".join([*lines, _choice(board)])


def _choice(board: Leaderboard) -> str:
    """Return how the winner was chosen, and what the choosing scored."""
    if board.is_named:
        chosen = "the best of the plans that were named"
    elif board.is_safe:
        chosen = FEW_WORDS
    else:
        chosen = f"the most credit (how clearly it was right), or a cheaper one {AS_GOOD_WORDS}"
    ties = f"= {len(board.ties)} tied with the leader: {TIE_WORDS}"
    if board.trials[board.winner].num_pictures < board.num_pictures:
        scored = "Its score on the folds that it ran"
    elif is_cross_validated(board):
        scored = "The whole choice, cross-validated"
    else:
        scored = "Its score on the pictures that it was chosen by"
    score = f"{board.chosen_mean:.3f} [{board.chosen_low:.3f}, {board.chosen_high:.3f}]"
    strategy = board.trials[board.winner].strategy
    members = f"\n  {strategy.name} is {together_words(strategy)}" if strategy.members else ""
    return f"* winner: {chosen}. {ties}. {scored}: {score}{members}"


def _rows_shown(board: Leaderboard, most: int) -> list[int]:
    """Return the indices of the first `most` trials, of the winner, and of the best trial of each kind."""
    best = {trial.strategy.kind: index for index, trial in reversed(list(enumerate(board.trials)))}
    return sorted({*range(min(most, len(board.trials))), board.winner, *best.values()})


def forecast_text(rows: Sequence[Mapping[str, Any]], budget_s: float | None) -> str:
    """Return a forecast as aligned columns: strategy, time, memory, disk, and the outcome where there is one.

    The last line adds up: times and disk are summed, the memory is the largest, since strategies train one after
    another.

    Args:
        rows: `strategy`, `seconds`, `memory_bytes`, `disk_bytes`, and perhaps `outcome`; in the order of training.
        budget_s: Seconds of training allowed, or None without a limit.
    """
    if not rows:
        return "Forecast: nothing is trained beyond heads on frozen features."
    cells = [("strategy", "time", "memory", "disk", "")]
    for row in rows:
        sizes = (size_text(row["memory_bytes"]), size_text(row["disk_bytes"]))
        cells.append((row["strategy"], duration_text(row["seconds"]), *sizes, row.get("outcome") or ""))
    total_s = sum(row["seconds"] for row in rows)
    sizes = (size_text(max(row["memory_bytes"] for row in rows)), size_text(sum(row["disk_bytes"] for row in rows)))
    within = "" if budget_s is None else f"of the {duration_text(budget_s)} allowed"
    cells.append(("together", duration_text(total_s), *sizes, within))
    name, time, memory, disk = (max(len(line[column]) for line in cells) for column in range(4))
    return "\n".join(
        f"  {line[0]:<{name}}  {line[1]:>{time}}  {line[2]:>{memory}}  {line[3]:>{disk}}  {line[4]}".rstrip()
        for line in cells
    )


def thaw_line_text(board: Leaderboard, cuts_of: Mapping[str, Sequence[CutPoint]]) -> str:
    """Return the thaw line of each network as bars: the score of a linear head on each frozen cut alone.

    Args:
        board: A leaderboard.
        cuts_of: Name of every network → its cuts, shallow to deep; a single one may have an empty name.
    """
    lines = [_network_line(board, name, {cut.index: cut.label for cut in cuts}) for name, cuts in cuts_of.items()]
    return "\n\n".join(line for line in lines if line)


def _network_line(board: Leaderboard, name: str, labels: Mapping[int, str]) -> str:
    """Return the thaw line of one network, or empty text where no single cut of it was read."""
    single: dict[int, Trial] = {}
    for trial in reversed(board.trials):  # the best of each cut is written last
        strategy = trial.strategy
        is_single = strategy.is_plain and not strategy.is_fused and strategy.head == "linear"
        if is_single and strategy.depths[0] in labels:
            single[strategy.depths[0]] = trial
    if not single:
        return ""
    best = max(single.values(), key=lambda trial: trial.mean)
    lines = [f"The thaw line{f' of {name}' if name else ''}: a linear head on each depth alone"]
    for depth, trial in sorted(single.items()):
        bar = "█" * round(trial.mean * BAR_WIDTH)
        lines.append(f"  {labels[depth]:>12} {bar:<{BAR_WIDTH}} {trial.mean:.3f}{'  ← best' if trial is best else ''}")
    return "\n".join(lines)


def evaluation_text(evaluation: Evaluation, *, rule: str = "") -> str:
    """Return the test scores in three or four lines.

    Args:
        evaluation: The scores.
        rule: How the pictures were used, put behind their number: `read once`.
    """
    score, trust = evaluation.accuracy, evaluation.calibration
    used = f", {rule}" if rule else ""
    grouped = (
        ""
        if evaluation.num_groups is None
        else f" in {evaluation.num_groups:,} group{'' if evaluation.num_groups == 1 else 's'}"
    )
    lines = [
        f"Test: {score.value:.3f} [{score.low:.3f}, {score.high:.3f}] of {counted(score.n, 'pictures')}{grouped}{used}"
    ]
    clean = evaluation.accuracy_without_leaks
    if clean is not None:
        lines.append(
            f"      {clean.value:.3f} [{clean.low:.3f}, {clean.high:.3f}] of the {clean.n:,} without "
            f"{evaluation.leaked_by} in training"
        )
    elif evaluation.is_all_leaked:
        lines.append(f"      {ALL_LEAKED.format(evaluation.leaked_by)}")
    lines.append(f"      {_other_scores(evaluation)}")
    lines.append(
        f"      mean confidence {trust.mean_confidence:.3f}, calibration error {trust.calibration_error:.3f} "
        f"(by chance alone {trust.calibration_error_by_chance:.3f})"
    )
    return "\n".join(lines)


def _other_scores(evaluation: Evaluation) -> str:
    """Return the scores that are told in brief, but the accuracy, which has lines of its own."""
    return ", ".join(
        f"{kind.title} {score.value:.3f}"
        for kind, score in evaluation.listed_scores
        if kind.is_brief and kind.name not in ("accuracy", "accuracy_without_leaks")
    )
