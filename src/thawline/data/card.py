"""What `dataset.json` holds -> the README.md next to it, for people; no name can become markup there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thawline.core.counting import counted

__all__ = ["card_markdown"]

MOST_SHOWN = 20


def card_markdown(card: Mapping[str, Any]) -> str:
    """Return the card of an exported data set as Markdown; of each kind of file left out it shows the first twenty.

    Args:
        card: As `data/export.py` makes it.
    """
    counts, classes = card["counts"], card["class_names"]
    where = "`pictures.csv`" if card["form"] == "folder" else "the tables"
    lines = [f"# {_inline(card['made_from'])}", ""]
    lines.append(
        f"{card['pictures']:,} pictures in {counted(len(classes), 'classes')}, checked and written by Thawline "
        f"{card['thawline']}. Split: {card['split']}. Every picture keeps its original bytes."
    )
    lines += ["", f"Licence: {_inline(card.get('licence') or 'not known; ask whoever made the pictures')}."]
    lines += ["", f"| class | {' | '.join(counts)} |", f"|---|{'---:|' * len(counts)}"]
    lines += [f"| {_inline(name)} | {' | '.join(f'{part[name]:,}' for part in counts.values())} |" for name in classes]
    lines.append("")
    lines.append(
        "Exact copies are kept once. Near copies are all kept: pictures with the same number in the column `group` of "
        f"{where} show the same photo; there are {card['groups_of_near_copies']:,} such groups. Keep them together "
        "when you split further."
    )
    if card["held_out_near_copies"]:
        lines.append(f"{card['held_out_near_copies']:,} held-out pictures have a near copy in training or validation.")
    lines += ["", f"Key of the pictures: `{card['images_key']}`. `dataset.json` lists all that was left out."]
    if card["renamed_folders"]:
        lines += ["", "Class folders with other names than their classes:", ""]
        lines += [f"- {_inline(folder)}: {_inline(name)}" for folder, name in card["renamed_folders"].items()]
    left = card["left_out"]
    lines += _left_out("not readable", [(item["path"], item["reason"]) for item in left["skipped"]])
    lines += _left_out("exact copies", [(item["path"], f"of {item['of']}") for item in left["exact_copies"]])
    lines += _left_out("one picture, several labels", [(item["path"], item["label"]) for item in left["conflicts"]])
    if card["notes"]:
        lines += ["", "Notes:", "", *(f"- {_inline(note)}" for note in card["notes"])]
    return "\n".join(lines) + "\n"


def _left_out(title: str, rows: Sequence[tuple[str, str]]) -> list[str]:
    """Return a section of the card, its first rows; none where it would be empty."""
    if not rows:
        return []
    shown = [f"- {_inline(path)}: {_inline(reason)}" for path, reason in rows[:MOST_SHOWN]]
    if len(rows) > MOST_SHOWN:
        shown.append(f"- … and {len(rows) - MOST_SHOWN:,} more in `dataset.json`")
    return ["", f"Left out, {title}: {len(rows):,}", "", *shown]


def _inline(text: str) -> str:
    """Return text as one line of Markdown without markup."""
    flat = "".join(mark if mark.isprintable() else " " for mark in text)
    return "".join(f"\\{mark}" if mark in "\\`*_[]<>|#" else mark for mark in flat)
