"""Results in, a few lines of plain text out: what a terminal shows and a log keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from thawline.core.types import Prediction
from thawline.search.leaderboard import Leaderboard, Trial
from thawline.use.evaluation import Evaluation
from thawline.view.words import duration_text, size_text

__all__ = [
    "check_text",
    "duration_text",
    "evaluation_text",
    "export_text",
    "forecast_text",
    "leaderboard_text",
    "prediction_lines",
    "thaw_line_text",
]

BAR_WIDTH = 40


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
        f"Leaderboard: {metric} over {board.num_pictures:,} pictures, {board.rule}, {effort}",
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
    chosen = (
        "the best of the plans that were named; = are tied with the leader"
        if board.is_named
        else f"the cheapest of {len(board.ties)} tied (=)"
    )
    is_partial = board.trials[board.winner].num_pictures < board.num_pictures
    scored = "Its score on the folds that it ran" if is_partial else "The whole choice, cross-validated"
    lines.append(
        f"* winner: {chosen}: not told apart by a paired test, within 5 points. "
        f"{scored}: {board.chosen_mean:.3f} [{board.chosen_low:.3f}, {board.chosen_high:.3f}]"
    )
    return "\n".join(lines)


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


def thaw_line_text(board: Leaderboard, labels: Sequence[str]) -> str:
    """Return the thaw line as bars: the score of a linear head on each frozen cut alone, shallow to deep.

    Args:
        board: A leaderboard.
        labels: Short name of every cut.
    """
    single: dict[int, Trial] = {}
    for trial in reversed(board.trials):  # the best of each cut is written last
        strategy = trial.strategy
        if strategy.is_plain and not strategy.is_fused and strategy.head == "linear":
            single[strategy.depths[0]] = trial
    if not single:
        return ""
    best = max(single.values(), key=lambda trial: trial.mean)
    lines = ["The thaw line: a linear head on each depth alone"]
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
    score = evaluation.accuracy
    used = f", {rule}" if rule else ""
    lines = [f"Test: {score.value:.3f} [{score.low:.3f}, {score.high:.3f}] of {score.n:,} pictures{used}"]
    clean = evaluation.accuracy_without_leaks
    if clean is not None:
        lines.append(
            f"      {clean.value:.3f} [{clean.low:.3f}, {clean.high:.3f}] of the {clean.n:,} without a copy in training"
        )
    own_lines = ("accuracy", "accuracy_without_leaks")
    others = [f"{kind.title} {it.value:.3f}" for kind, it in evaluation.listed_scores if kind.name not in own_lines]
    lines.append("      " + ", ".join(others))
    trust = evaluation.calibration
    lines.append(
        f"      mean confidence {trust.mean_confidence:.3f}, calibration error {trust.calibration_error:.3f} "
        f"(by chance alone {trust.calibration_error_by_chance:.3f})"
    )
    return "\n".join(lines)


def prediction_lines(rows: Iterable[Prediction]) -> Iterator[str]:
    """Yield a line a picture: probability, label, path; or the reason why there is none."""
    for row in rows:
        yield f"  ---  {row.path}: {row.error}" if row.error else f"{row.probability:.3f}  {row.label}  {row.path}"


def export_text(card: Mapping[str, Any]) -> str:
    """Return what was exported, in words: pictures of each part, and how many were left out for which reason.

    Args:
        card: `Export.card`.
    """
    parts = ", ".join(f"{sum(counts.values()):,} {part}" for part, counts in card["counts"].items())
    lines = [f"{card['pictures']:,} pictures in {len(card['class_names'])} classes: {parts} ({card['split']})"]
    left = card["left_out"]
    for rows, reason in (
        (left["skipped"], "that cannot be used"),
        (left["exact_copies"], "exact copies of others"),
        (left["conflicts"], "with the same bytes under several labels; settle which is right and export again"),
    ):
        if rows:
            lines.append(f"  {len(rows):6,}  left out: {reason}")
    if card["groups_of_near_copies"]:
        lines.append(f"  {card['groups_of_near_copies']:6,}  groups of near copies, kept; each has a number in `group`")
    if card["held_out_near_copies"]:
        lines.append(f"  {card['held_out_near_copies']:6,}  held-out pictures with a near copy in a part to learn from")
    return "\n".join([*lines, *card["notes"]])


def check_text(report: Mapping[str, Any], *, most: int = 10) -> str:
    """Return what the check found, in words; a section is left out where there is nothing to say.

    Args:
        report: `CheckReport.to_json()`.
        most: Rows a section.
    """
    lines = [f"{report['used']:,} pictures used in {len(report['class_counts'])} classes"]
    for name, count in report["class_counts"].items():
        lines.append(f"  {count:6,}  {name}")

    def section(title: str, rows: Sequence[str]) -> None:
        if rows:
            lines.append(f"{len(rows):,} {title}")
            lines.extend(f"  {row}" for row in rows[:most])
            if len(rows) > most:
                lines.append(f"  … and {len(rows) - most:,} more (--json lists them all)")

    section("skipped:", [f"{row['path']}: {row['reason']}" for row in report["skipped"]])
    section("repaired:", [f"{row['path']}: {row['reason']}" for row in report["repaired"]])
    section("groups of exact copies:", [" = ".join(group) for group in report["exact_copies"]])
    section("groups of near copies:", [" ≈ ".join(group) for group in report["near_copies"]])
    section("held-out pictures with a copy in training:", [f"{r['path']} ≈ {r['of']}" for r in report["leaks"]])
    section(
        "pictures under two labels:",
        [f"{r['path']} ({r['label']}) = {r['other_path']} ({r['other_label']})" for r in report["conflicts"]],
    )
    section(
        "classes with fewer than five pictures:", [f"{r['class']}: {r['pictures']}" for r in report["small_classes"]]
    )
    section("classes without a usable picture:", report["empty_classes"])
    section(
        "groups of class names that differ in case or spaces only:", [", ".join(g) for g in report["similar_names"]]
    )
    if report["imbalance"] >= 3:
        lines.append(f"The largest class has {report['imbalance']:.1f} times the pictures of the smallest.")
    lines.extend(report["notes"])
    return "\n".join(lines)
