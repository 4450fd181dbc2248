"""A word that is not known, and those that are -> the few that a person may have meant, or none.

One idea: a wrong suggestion is worse than none. A word is near another where few letters were slipped, doubled, left
out or swapped, where one begins the other, or ends it at a hyphen, or where it is the other's initials: `--lr`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest"]

SLIPS_PER_LETTER = 1 / 3
"""Slips that a word of so many letters may have: one in three to five letters, two in six."""

_PARTS = re.compile(r"[^0-9a-z]+")


def nearest(word: str, known: Iterable[str], *, limit: int = 1) -> list[str]:
    """Return up to `limit` of the known words that `word` may stand for, the nearest first; often none.

    Case, hyphens, underscores and dots are no difference.

    >>> nearest("bugdet", ["budget", "goal", "out"])
    ['budget']
    >>> nearest("quiet", ["budget", "goal", "out"])
    []
    >>> nearest("--lr", ["--learning-rate", "--limit"]), nearest("batch", ["accumulate", "batch-size"])
    (['--learning-rate'], ['batch-size'])
    """
    ranked = [(rank, place, other) for place, other in enumerate(known) if (rank := _distance(word, other)) is not None]
    return [other for _, _, other in sorted(ranked)[:limit]]


def did_you_mean(word: str, known: Iterable[str], *, limit: int = 1, otherwise: str = "") -> str:
    """Return `Did you mean this or that?` where some known word is near, else `otherwise`.

    >>> did_you_mean("monkey", ["monkeys", "cifar10"]), did_you_mean("birds", ["monkeys"], otherwise="Name one.")
    ('Did you mean monkeys?', 'Name one.')
    """
    near = nearest(word, known, limit=limit)
    return f"Did you mean {' or '.join(near)}?" if near else otherwise


def _distance(word: str, other: str) -> float | None:
    """Return how far two words are apart, in slips; None where nobody would take one for the other."""
    parts, other_parts = _parts(word), _parts(other)
    plain, other_plain = "".join(parts), "".join(other_parts)
    if plain == other_plain:
        return 0
    short, long = sorted((parts, other_parts), key=len)
    if sum(map(len, short)) >= 3 and short in (long[: len(short)], long[-len(short) :]):
        return 0.5
    allowed = int(SLIPS_PER_LETTER * min(len(plain), len(other_plain)))
    if abs(len(plain) - len(other_plain)) <= allowed and (found := _slips(plain, other_plain)) <= allowed:
        return found
    if len(plain) >= 2 and plain == "".join(part[0] for part in other_parts):
        return 1.5
    plain, other_plain = sorted((plain, other_plain), key=len)
    return 2.5 if len(plain) >= max(3, len(other_plain) / 2) and other_plain.startswith(plain) else None


def _parts(word: str) -> list[str]:
    return [part for part in _PARTS.split(word.lower()) if part]


def _slips(one: str, other: str) -> int:
    """Return the least number of letters to add, drop, change or swap with a neighbour that make one the other.

    Source: Damerau, "A technique for computer detection and correction of spelling errors", CACM 1964; each letter is
    touched once.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        before, last, row = row, before, [i]
        for j, its in enumerate(other, start=1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != its))
            if last and j > 1 and letter == other[j - 2] and one[i - 2] == its:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]
