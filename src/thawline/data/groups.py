"""Pictures that belong together by the person's word (a patient, a camera) -> groups that no split parts.

The one idea: there is one kind of group. What the person names and what are copies of one another are joined, so that
folds, the test and every interval go by the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from thawline.core.errors import first_few
from thawline.core.options import CheckOptions
from thawline.core.types import Ints
from thawline.data.copies import numbered
from thawline.data.sources.group_columns import NO_GROUPS, GroupError
from thawline.data.sources.listing import Listing, display_path

__all__ = ["group_from_names", "join_groups", "settle_groups"]

SHOWN = 3


def settle_groups(listing: Listing, options: CheckOptions) -> Listing:
    """Return the listing with the groups that count: those of its table, or those that its names say.

    A column with another value for every picture groups nothing and is no source of groups; so is one without values.

    Args:
        listing: As a source returns it.
        options: `group_from` and `group_column` matter.

    Raises:
        GroupError: No picture's path matches, or there is no such column.
    """
    listing = group_from_names(listing, options)
    asked = options.group_column not in {None, NO_GROUPS}
    if asked and not listing.grouped_by:
        raise GroupError(
            f"groups: {display_path(listing.root)} has no column (or key next to a shard's pictures) called "
            f"{options.group_column!r}. Take groups from the paths of the pictures with --group-from."
        )
    names = [item.group for item in listing.candidates if item.group]
    if not listing.grouped_by or len(set(names)) < len(names):
        return listing
    notes = listing.notes
    if asked or options.group_from is not None:
        what = "another value for every picture" if names else "no values"
        notes = (*notes, f"{listing.grouped_by} has {what}, so that it groups nothing")
    candidates = tuple(replace(item, group="") for item in listing.candidates)
    return replace(listing, candidates=candidates, notes=notes, grouped_by="")


def group_from_names(listing: Listing, options: CheckOptions) -> Listing:
    """Return the listing with the group of every picture taken from its name, where `group_from` says how.

    The pattern is looked for anywhere in the path below the root; the group is what its part called `group` matched,
    else the first part in brackets that matched, else the whole match. Pictures that do not match are groups of their
    own, and a note counts them.

    Args:
        listing: As a source returns it.
        options: `group_from` matters.

    Raises:
        GroupError: No picture's path matches.
    """
    if options.group_from is None:
        return listing
    pattern = re.compile(options.group_from)
    names = [_name(pattern, item.path) for item in listing.candidates]
    alone = [item.path for item, name in zip(listing.candidates, names, strict=True) if not name]
    if len(alone) == len(names):
        raise GroupError(
            f"groups: --group-from {options.group_from!r} matches no picture's path in {display_path(listing.root)}; "
            f"there are {first_few(alone, SHOWN)}. Write a pattern for the part that names the group, such as "
            r"'(patient\d+)_'."
        )
    notes = listing.notes
    if alone:
        words = "picture does not match, and" if len(alone) == 1 else "pictures do not match, and each"
        notes = (*notes, f"--group-from: {len(alone):,} {words} is a group of its own: {first_few(alone, SHOWN)}")
    candidates = tuple(replace(item, group=name) for item, name in zip(listing.candidates, names, strict=True))
    return replace(listing, candidates=candidates, notes=notes, grouped_by=f"--group-from {options.group_from}")


def _name(pattern: re.Pattern[str], path: str) -> str:
    """Return the group that a path names, or empty text."""
    match = pattern.search(path)
    if match is None:
        return ""
    named = "group" if "group" in pattern.groupindex else next(iter(pattern.groupindex), None)
    if named is not None:
        return match[named] or ""
    return next(filter(None, match.groups()), "") if pattern.groups else match[0]


def join_groups(copies: Ints, named: Sequence[str]) -> Ints:
    """Return groups that hold together what either says belongs together: (N,) int64, numbered by their first picture.

    Args:
        copies: (N,) groups of copies, in [0, N).
        named: N names of the person's groups; empty ones hold nothing together.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers = {name: len(copies) + number for number, name in enumerate(dict.fromkeys(filter(None, named)))}
    if not numbers:
        return copies
    rows = [row for row, name in enumerate(named) if name]
    ends = np.array([numbers[named[row]] for row in rows], dtype=np.int64)
    size = len(copies) + len(numbers)
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (copies[rows], ends)), shape=(size, size))
    _, parts = connected_components(graph, directed=False)
    return numbered(parts[copies])
