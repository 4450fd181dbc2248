"""What a check found, or what was exported -> a few lines of plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thawline.view.words import printable

__all__ = ["check_text", "export_text", "groups_text"]


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
    section("remarks on files that are used:", [f"{row['path']}: {row['remark']}" for row in report["remarks"]])
    section("groups of exact copies:", [" = ".join(group) for group in report["exact_copies"]])
    section("groups of near copies:", [" ≈ ".join(group) for group in report["near_copies"]])
    copied = [row for row in report["leaks"] if "group" not in row]
    section("held-out pictures with a copy in training:", [f"{r['path']} ≈ {r['of']}" for r in copied])
    section(
        "held-out pictures of a group that is in training too:",
        [f"{r['path']} ({r['group']}, as {r['of']})" for r in report["leaks"] if "group" in r],
    )
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
    lines.extend([groups_text(report)] if report.get("groups") else [])
    lines.extend(report["notes"])
    return "\n".join(map(printable, lines))


def groups_text(report: Mapping[str, Any]) -> str:
    """Return in a sentence how many groups the person named, and what they change.

    Args:
        report: `CheckReport.to_json()`, with groups.
    """
    facts = report["groups"]
    alone = f", {facts['alone']:,} in none" if facts["alone"] else ""
    counted = (
        f" ({facts['counted']:,} of them, single pictures included)" if facts["counted"] != facts["groups"] else ""
    )
    return (
        f"{facts['groups']:,} groups by {facts['by']}, with {facts['pictures']:,} pictures{alone}; no fold or test "
        f"that is drawn parts one, and every interval counts groups{counted}, not pictures."
    )


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
    return "\n".join(map(printable, [*lines, *card["notes"]]))
