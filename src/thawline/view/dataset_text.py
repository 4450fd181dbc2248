"""What a check found, or what was exported -> a few lines of plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thawline.core.counting import counted
from thawline.core.errors import by_reason, first_few
from thawline.view.words import printable

__all__ = ["check_text", "export_text", "groups_text", "scene_text", "scenes_title", "skipped_text"]

SHOWN = 5
SCENES = " of many pictures (a fixed camera, a burst? scores then speak of that only)"


def check_text(report: Mapping[str, Any], *, most: int = 10) -> str:
    """Return what the check found, in words; a section is left out where there is nothing to say.

    Args:
        report: `CheckReport.to_json()`.
        most: Rows a section.
    """
    used, classes = counted(report["used"], "pictures"), counted(len(report["class_counts"]), "classes")
    lines = [f"{used} used in {classes}"]
    for name, count in report["class_counts"].items():
        lines.append(f"  {count:6,}  {name}")

    def section(things: str, rest: str, rows: Sequence[str]) -> None:
        if rows:
            lines.append(f"{counted(len(rows), things)}{rest}:")
            lines.extend(f"  {row}" for row in rows[:most])
            if len(rows) > most:
                lines.append(f"  … and {len(rows) - most:,} more (--json lists them all)")

    def grouped(title: str, rows: Sequence[Mapping[str, str]], word: str) -> None:
        alike = by_reason([(row["path"], row[word]) for row in rows])
        if alike:
            lines.append(title)
            lines.extend(f"  {_reason_text(why, paths)}" for why, paths in alike[:most])
            if len(alike) > most:
                num = sum(len(paths) for _, paths in alike[most:])
                lines.append(f"  … and {num:,} more, for other reasons (--json lists them all)")

    skipped, repaired, remarks = report["skipped"], report["repaired"], report["remarks"]
    grouped(f"{len(skipped):,} of {counted(report['used'] + len(skipped), 'files')} skipped:", skipped, "reason")
    grouped(f"{len(repaired):,} repaired:", repaired, "reason")
    grouped(f"{counted(len(remarks), 'remarks')} on files that are used:", remarks, "remark")
    section("pictures", " blank or nearly blank, used all the same", report["blank"])
    section("groups", " of exact copies", [_joined(group, " = ") for group in report["exact_copies"]])
    section("groups", " of near copies", [_joined(group, " ≈ ") for group in report["near_copies"]])
    copied = [row for row in report["leaks"] if "group" not in row]
    section("held-out pictures", " with a copy in training", [f"{r['path']} ≈ {r['of']}" for r in copied])
    grouped_leaks = [f"{r['path']} ({r['group']}, as {r['of']})" for r in report["leaks"] if "group" in r]
    section("held-out pictures", " of a group that is in training too", grouped_leaks)
    section(
        "pictures",
        " under two labels",
        [f"{r['path']} ({r['label']}) = {r['other_path']} ({r['other_label']})" for r in report["conflicts"]],
    )
    small = [f"{r['class']}: {r['pictures']}" for r in report["small_classes"]]
    section("classes", " with fewer than five pictures", small)
    section("classes", " without a usable picture", report["empty_classes"])
    section(
        "groups", " of class names that differ in case or spaces only", [", ".join(g) for g in report["similar_names"]]
    )
    if report["imbalance"] >= 3:
        lines.append(f"The largest class has {report['imbalance']:.1f} times the pictures of the smallest.")
    lines.extend([groups_text(report)] if report.get("groups") else [])
    scenes = report.get("scenes", ())
    section("scenes", SCENES, [scene_text(scene, report["class_counts"]) for scene in scenes])
    section("facts", " by which alone a class can be told", [one["words"] for one in report.get("cheats", ())])
    lines.extend(report["notes"])
    return "\n".join(map(printable, lines))


def scenes_title(count: int) -> str:
    """Return what so many scenes are called, without their number."""
    return f"{'scene' if count == 1 else 'scenes'}{SCENES}"


def skipped_text(report: Mapping[str, Any]) -> str:
    """Return in one sentence how many of how many files were skipped and why; empty where none was.

    Args:
        report: `CheckReport.to_json()`.
    """
    skipped = report.get("skipped", ())
    if not skipped:
        return ""
    alike = by_reason([(row["path"], row["reason"]) for row in skipped])
    reasons = first_few([f"{len(paths):,} × {why}" for why, paths in alike], 4)
    total = report.get("used", 0) + len(skipped)
    were = "was" if len(skipped) == 1 else "were"
    return f"{len(skipped):,} of {counted(total, 'files')} {were} skipped: {reasons}. The ledger names them."


def _reason_text(reason: str, paths: Sequence[str]) -> str:
    """Return the files that share a reason in one line."""
    return f"{paths[0]}: {reason}" if len(paths) == 1 else f"{len(paths):,} × {reason}: {first_few(paths, 3)}"


def _joined(group: Sequence[str], sign: str) -> str:
    """Return the first few of a group of copies, with a count of the rest."""
    rest = len(group) - SHOWN
    return sign.join(group[:SHOWN]) + (f"{sign}{rest:,} more" if rest > 0 else "")


def scene_text(scene: Mapping[str, Any], class_counts: Mapping[str, int]) -> str:
    """Return in words which alike pictures make much of a class, and how many they count as.

    Args:
        scene: Of the `scenes` of `CheckReport.to_json()`.
        class_counts: Class name -> pictures used.
    """
    num, distinct = len(scene["pictures"]), scene["distinct"]
    shares = " and ".join(f"{count:,} of {class_counts[name]:,} of {name}" for name, count in scene["classes"].items())
    shown = first_few(scene["pictures"], SHOWN)
    if distinct == 1:
        found = "copies of one another, which count as one picture"
    elif distinct == num:
        found = "they count as pictures of their own"
    else:
        found = f"they count as {distinct:,} different ones, the others being copies of these"
    return f"{counted(num, 'pictures')}, {shares}: {found} ({shown})"


def groups_text(report: Mapping[str, Any]) -> str:
    """Return in a sentence how many groups the person named, and what they change.

    Args:
        report: `CheckReport.to_json()`, with groups.
    """
    facts = report["groups"]
    alone = f", {facts['alone']:,} in none" if facts["alone"] else ""
    how = "with single pictures" if facts["counted"] == facts["groups"] + facts["alone"] else "copies taken together"
    in_all = f" ({facts['counted']:,} in all, {how})" if facts["counted"] != facts["groups"] else ""
    groups = f"{counted(facts['groups'], 'groups')} by {facts['by']}"
    return (
        f"{groups}, with {counted(facts['pictures'], 'pictures')}{alone}; no fold or test that is drawn parts one, and "
        f"every interval counts groups{in_all}, not pictures."
    )


def export_text(card: Mapping[str, Any]) -> str:
    """Return what was exported, in words: pictures of each part, and how many were left out for which reason.

    Args:
        card: `Export.card`.
    """
    parts = ", ".join(f"{sum(counts.values()):,} {part}" for part, counts in card["counts"].items())
    pictures, classes = counted(card["pictures"], "pictures"), counted(len(card["class_names"]), "classes")
    lines = [f"{pictures} in {classes}: {parts} ({card['split']})"]
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
