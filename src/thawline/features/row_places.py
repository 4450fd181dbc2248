"""The segments of a bank's folder -> where the row of each picture lies.

One idea: what the index knows is looked up on disk; only segments that came after it are held, 40 bytes a row, and once
there are many of them, the index is written anew. So opening a bank lists one folder and reads no row, and every look
sees what other processes have added.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

import numpy as np

from thawline.core.errors import StoreError
from thawline.core.store import disk_errors, paths_in, staging_directory
from thawline.core.types import Ints
from thawline.features.row_index import (
    DamagedIndexError,
    Records,
    RowIndex,
    Words,
    count_pictures,
    find_in,
    make_records,
    sorted_records,
    words_of,
    write_index,
)
from thawline.features.segment import SEGMENT_NAME, Bytes, repair_segment, stored_digests

__all__ = ["NO_SEGMENT", "Places"]

NO_SEGMENT = -1
MOST_UNINDEXED_SEGMENTS, MOST_UNINDEXED_ROWS = 16, 4096
_ROW = (1 << 32) - 1


@dataclass(frozen=True)
class _Look:
    """What one look at the folder found.

    Attributes:
        index: The newest whole index, or None.
        numbers: For each segment of the index its number, -1 where it is gone.
        later: Rows of the segments that the index does not know, sorted, by their numbers.
        names: Segments that are there.
        num_later: Segments that the index does not know.
    """

    index: RowIndex | None
    numbers: Ints
    later: Records
    names: frozenset[str]
    num_later: int


class Places:
    """Where rows lie. A segment keeps its number for as long as this lives, also after it is gone.

    Threads may share it.

    Attributes:
        names: Names of the segments, by number.
        num_damaged: Segments whose pictures are unknown, found on the way and removed.
    """

    def __init__(self, root: Path, bank: Path) -> None:
        self.names: list[str] = []
        self.num_damaged = 0
        self._root, self._bank = root, bank
        self._numbers: dict[str, int] = {}
        self._distrusted: set[str] = set()
        self._is_whole = True
        self._lock = RLock()
        self.look()

    def __repr__(self) -> str:
        return f"<Places: {len(self):,} pictures in {len(self.present):,} segments>"

    def __len__(self) -> int:
        look, indexed = self._sure(lambda look: np.column_stack([look.later["head"], look.later["tail"]]))
        new = count_pictures(look.later[indexed < 0])
        if look.index is None:
            return new
        if (is_there := look.numbers != NO_SEGMENT).all():
            return look.index.num_pictures + new
        known = look.index.records()
        alive: Records = known[is_there[known["segment"]]]
        return count_pictures(alive) + new

    @property
    def present(self) -> frozenset[str]:
        """Names of the segments that the last look found."""
        return self._seen.names

    @property
    def is_indexed(self) -> bool:
        """Whether the index knows every segment that the last look found, and no other."""
        look = self._seen
        return look.index is not None and not look.num_later and not (look.numbers == NO_SEGMENT).any()

    def path(self, number: int) -> Path:
        """Return the folder of a segment."""
        return self._bank / "segments" / self.names[number]

    def find(self, digests: Bytes) -> Ints:
        """Return where pictures lie: (N,) segment · 2³² + row, -1 for what is not there.

        Args:
            digests: (N, 32) uint8 picture hashes.

        Raises:
            StoreError: The bank cannot be read, or what is damaged cannot be removed.
        """
        words = words_of(digests)
        look, found = self._sure(lambda _: words)
        if len(look.later):
            absent = np.flatnonzero(found < 0)
            found[absent] = find_in(look.later, words[absent])
        return found

    def distrust(self) -> None:
        """Remove the index, which did not lead to the right rows, and look again."""
        with self._lock:
            if self._seen.index is not None:
                self._drop(self._seen.index.directory)
            self.look()

    def look(self) -> None:
        """Look at the folder again, and write the index anew if much came after it.

        Raises:
            StoreError: The bank cannot be read, or what is damaged cannot be removed.
        """
        with self._lock, disk_errors("open the bank", self._bank):
            while (look := self._look()) is None:  # another run removed a segment meanwhile
                pass
            self._seen = look
            is_stale = (look.numbers == NO_SEGMENT).any()
            is_large = look.num_later > MOST_UNINDEXED_SEGMENTS or len(look.later) >= MOST_UNINDEXED_ROWS
            if (is_large or is_stale) and os.access(self._bank, os.W_OK):
                with suppress(StoreError, DamagedIndexError, FileNotFoundError):  # it is useful, not needed
                    self.write_index()

    def write_index(self) -> None:
        """Write an index of all that the last look found, and remove older ones.

        Raises:
            StoreError: The disk is full or cannot be written.
            DamagedIndexError: The one that there is was damaged.
        """
        with self._lock:
            look = self._seen
            old = paths_in(self._bank / "index", SEGMENT_NAME)
            names = sorted(look.names)
            place_of = {name: place for place, name in enumerate(names)}
            number_of = np.array([place_of.get(name, 0) for name in self.names], dtype="<u4")
            parts = [look.later.copy()]
            if look.index is not None:
                known = look.index.records()
                known["segment"] = numbers = look.numbers[known["segment"]]
                parts.insert(0, known[numbers != NO_SEGMENT])
            records = np.concatenate(parts)
            records["segment"] = number_of[records["segment"]]
            written = write_index(self._root, self._bank, names=names, records=sorted_records(records))
            for path in old:
                if path != written:
                    _remove(self._root, path)
            self._seen = self._look() or look

    def verify_index(self) -> bool:
        """Return whether the index is what was written, or there is none; a damaged one is removed and written again.

        Raises:
            StoreError: As `look`.
        """
        with self._lock:
            try:
                if self._seen.index is not None:
                    self._seen.index.records()
            except FileNotFoundError:  # another run has written a newer one
                self.look()
            except DamagedIndexError:
                self.distrust()
            return self._is_whole

    def _look(self) -> _Look | None:
        """Return what is there, or None where a segment vanished meanwhile."""
        names = frozenset(path.name for path in paths_in(self._bank / "segments", SEGMENT_NAME))
        index = self._newest(names)
        known = frozenset(index.names) if index else frozenset()
        parts, num_later = [], 0
        for name in sorted(names - known):
            path = self._bank / "segments" / name
            digests = stored_digests(path)
            if digests is None:
                if path.exists():
                    repair_segment(self._root, path, segment=None, rows=None)
                    self.num_damaged += 1
                return None
            parts.append(make_records(digests, segment=self._number(name)))
            num_later += 1
        later = sorted_records(np.concatenate(parts)) if parts else make_records(np.empty((0, 32), np.uint8), segment=0)
        numbers = [self._number(name) if name in names else NO_SEGMENT for name in (index.names if index else ())]
        return _Look(index, np.array(numbers, dtype=np.int64), later, names, num_later)

    def _newest(self, names: frozenset[str]) -> RowIndex | None:
        """Return the index that knows most of the segments that are there; those that are damaged are removed."""
        indexes = []
        for path in paths_in(self._bank / "index", SEGMENT_NAME):
            with suppress(FileNotFoundError):
                try:
                    indexes += [] if path.name in self._distrusted else [RowIndex(path)]
                except DamagedIndexError:
                    self._drop(path)
        return max(indexes, key=lambda index: len(names & set(index.names)), default=None)

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]

    def _sure(self, words_in: Callable[[_Look], Words]) -> tuple[_Look, Ints]:
        """Return the last look and where its index says that pictures lie, -1 for what it does not know."""
        while True:
            look = self._seen
            words = words_in(look)
            if look.index is None:
                return look, np.full(len(words), -1, dtype=np.int64)
            try:
                found = look.index.find(words, is_there=look.numbers != NO_SEGMENT)
            except FileNotFoundError:  # another run has written a newer one
                self.look()
            except DamagedIndexError:
                self.distrust()
            else:
                inside = np.flatnonzero(found >= 0)
                found[inside] = (look.numbers[found[inside] >> 32] << 32) | (found[inside] & _ROW)
                return look, found

    def _drop(self, index: Path) -> None:
        """Remove an index, or pass it over where it cannot be removed."""
        self._is_whole = False
        try:
            _remove(self._root, index)
        except StoreError:
            self._distrusted.add(index.name)


def _remove(root: Path, index: Path) -> None:
    with disk_errors("index the bank", index), staging_directory(root) as staged, suppress(FileNotFoundError):
        index.rename(staged / "old")
