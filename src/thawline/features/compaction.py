"""Many small segments of a bank -> few large ones with the same rows, while others read and write.

One idea: the large segment is committed before the small ones go, and only rows that were read and found sound are
carried over; so at any moment every row lies in a committed segment, whoever is killed. A reader that meets a segment
that is gone looks again. One process at a time compacts a bank: a lock says which, and ends with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thawline.core import locks
from thawline.core.errors import StoreError
from thawline.core.progress import Advance, Progress, SilentProgress
from thawline.core.store import disk_errors, paths_in
from thawline.core.types import Floats
from thawline.features.bank import FeatureBank
from thawline.features.row_places import Places
from thawline.features.segment import (
    SEGMENT_BYTES,
    SEGMENT_NAME,
    Bytes,
    foreign_files,
    remove_segments,
    verify_segment,
    write_segment,
)
from thawline.features.stored_rows import DamagedSegmentError, StoredRows

__all__ = ["COMPACT_AT", "Compacted", "compact_bank", "compact_often"]

COMPACT_AT = 32
"""So many small segments, each less than half full, and a bank is compacted by itself after an extraction."""

_ROW = (1 << 32) - 1


@dataclass(frozen=True)
class Compacted:
    """What a compaction did.

    Attributes:
        num_before: Segments before it.
        num_after: Segments after it.
        num_repeated: Rows of pictures that were there twice, and are there once now.
    """

    num_before: int
    num_after: int
    num_repeated: int = 0


def compact_often(root: Path, bank: FeatureBank, *, progress: Progress | None = None) -> Compacted | None:
    """Look at a bank again, and compact it if it has gathered many small segments.

    Not while somebody else does, nor where there is no room: it is useful, not needed.

    Args:
        root: The cache.
        bank: Was just written to.
        progress: Where to report to.

    Returns:
        What was done, or None.
    """
    bank.look()
    if len(_small(bank.directory)) < COMPACT_AT:
        return None
    try:
        shape = (bank.num_views, bank.spec.width)
        done = compact_bank(root, bank.directory, storage=bank.spec.storage, shape=shape, progress=progress)
    except StoreError:
        return None
    bank.look()
    return done


def compact_bank(
    root: Path, directory: Path, *, storage: str, shape: tuple[int, int], progress: Progress | None = None
) -> Compacted:
    """Return what was done: small segments are merged, in the order they were written, into ones of at most 64 MiB.

    Damaged segments are left as they are: who reads or verifies them heals them. About 128 MiB are held.

    Args:
        root: The cache.
        directory: The bank's folder.
        storage: Number format of its rows.
        shape: (V, width) of a row.
        progress: Where to report to.

    Raises:
        StoreError: Another process compacts it, the disk is full or cannot be written, or has no locks.
    """
    progress = progress or SilentProgress()
    with disk_errors("compact", directory), _alone(directory):
        places, before = Places(root, directory), len(_segments(directory))
        groups = _groups(_small(directory))
        merging = _Merging(root, directory, storage, shape, places)
        with progress.stage("compact", sum(map(len, groups)), unit="segments") as advance:
            for group in groups:
                merging.merge(group, advance)
        if groups:
            places.look()
            if not places.is_indexed:
                places.write_index()
        return Compacted(before, len(_segments(directory)), merging.num_repeated)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the lock of a bank's compaction."""
    file = directory / "compaction.lock"
    try:
        lock = locks.take(file, create=True)
    except BlockingIOError:
        raise StoreError(f"compact: {directory} is being compacted by another process. Wait for it.") from None
    except locks.NoLocksError:
        raise StoreError(
            f"compact: the file system of {directory} has no locks, so two processes could compact it at once. Copy "
            "the cache to one that has."
        ) from None
    try:
        yield
    finally:
        locks.release(file, lock)


def _segments(directory: Path) -> list[Path]:
    return paths_in(directory / "segments", SEGMENT_NAME)


def _small(directory: Path) -> list[tuple[Path, int]]:
    """Return (segment, bytes of its rows) of those less than half full, in the order they were written."""
    found = []
    for path in _segments(directory):
        with suppress(OSError):
            facts = (path / "rows.npy").stat()
            if 2 * facts.st_size < SEGMENT_BYTES:
                found.append((facts.st_mtime_ns, path, facts.st_size))
    return [(path, size) for _, path, size in sorted(found)]


def _groups(small: Sequence[tuple[Path, int]]) -> list[list[Path]]:
    """Return which segments become one: neighbours, as many as fit."""
    groups: list[list[Path]] = [[]]
    filled = 0
    for path, size in small:
        if filled + size > SEGMENT_BYTES:
            groups.append([])
            filled = 0
        groups[-1].append(path)
        filled += size
    return [group for group in groups if len(group) > 1]


@dataclass
class _Merging:
    """One compaction under way.

    Attributes:
        root: The cache.
        directory: The bank's folder.
        storage: Number format of its rows.
        shape: (V, width) of a row.
        places: Where every picture lay when it began: the one segment that keeps its row.
        num_repeated: Rows dropped so far, since another segment keeps them.
    """

    root: Path
    directory: Path
    storage: str
    shape: tuple[int, int]
    places: Places
    num_repeated: int = 0

    def __post_init__(self) -> None:
        self._merged: set[str] = set()

    def merge(self, group: Sequence[Path], advance: Advance) -> None:
        """Commit one segment with the rows of several, then remove those."""
        digests: list[Bytes] = []
        rows: list[Floats] = []
        whole = []
        for path in group:
            segment, stored = verify_segment(path, storage=self.storage, shape=self.shape)
            if segment is not None and stored is not None and segment.good.all() and not foreign_files(path):
                keeps = ~self._is_kept_elsewhere(path.name, segment.digests)
                self.num_repeated += int((~keeps).sum())
                digests.append(segment.digests[keeps])
                rows.append(stored[keeps])
                whole.append(path)
            advance(1)
        merged = np.concatenate(digests) if digests else np.empty((0, 32), dtype=np.uint8)
        kept = ""
        if len(whole) > 1 and len(merged):
            kept = write_segment(self.root, self.directory, digests=merged, rows=np.concatenate(rows)).directory.name
        if len(whole) > 1:
            self._merged.update(path.name for path in whole)
            remove_segments(self.root, [path for path in whole if path.name != kept])

    def _is_kept_elsewhere(self, name: str, digests: Bytes) -> Any:
        """Return which rows another segment keeps, (n,) bool: their one place is there, and they are sound there."""
        where = self.places.find(digests)
        kept = np.zeros(len(digests), dtype=bool)
        for number in np.unique(where[where >= 0] >> 32).tolist():
            owner = self.places.names[number]
            theirs = np.flatnonzero(where >> 32 == number)
            if owner == name:
                continue
            if owner in self._merged:  # its sound rows were carried over
                kept[theirs] = True
                continue
            with suppress(DamagedSegmentError, FileNotFoundError):
                stored = StoredRows(self.places.path(number), storage=self.storage, shape=self.shape)
                kept[theirs] = stored.verify(where[theirs] & _ROW, digests=digests[theirs])
        return kept
