"""The cache's banks -> every row read and compared with its checksum, damage removed, what was found.

One idea: reading verifies a row only when it is first read; this reads them all, so that damage is found before a run
needs the row. What is damaged is removed, and the next run that needs it extracts it again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from thawline.core.cache import cache_entries
from thawline.core.progress import Advance, Progress, SilentProgress
from thawline.core.store import cache_root, disk_errors, paths_in, sweep_staging
from thawline.features.compaction import Compacted, compact_bank
from thawline.features.row_places import Places
from thawline.features.segment import SEGMENT_NAME, repair_segment, verify_segment
from thawline.features.specification import bank_form

__all__ = ["Verified", "compact_cache", "verify_bank", "verify_cache"]


@dataclass(frozen=True)
class Verified:
    """What reading a whole bank found.

    Attributes:
        key: The bank's name.
        num_rows: Rows that are sound.
        num_damaged: Rows that were damaged and have been removed. A segment whose number of rows is unknown counts as
            one.
        damaged: Names of the segments that held them.
        is_index_damaged: Whether the index was damaged; it has been written again.
    """

    key: str
    num_rows: int
    num_damaged: int
    damaged: tuple[str, ...]
    is_index_damaged: bool

    @property
    def is_whole(self) -> bool:
        """Whether nothing was damaged."""
        return not self.damaged and not self.is_index_damaged

    def to_json(self) -> dict[str, Any]:
        """Return the facts as plain data."""
        return {**asdict(self), "damaged": list(self.damaged)}


def verify_bank(
    root: Path, directory: Path, *, storage: str, shape: tuple[int, int], advance: Advance = lambda _: None
) -> Verified:
    """Return what reading every row of a bank found; a damaged segment is replaced by one of its sound rows.

    One segment at a time is held.

    Args:
        root: The cache.
        directory: The bank's folder.
        storage: Number format of its rows.
        shape: (V, width) of a row.
        advance: Called with the number of segments just read.

    Raises:
        StoreError: The bank cannot be read, or a damaged one cannot be written.
    """
    num_rows = num_damaged = 0
    damaged: list[str] = []
    seen: set[Path] = set()
    with disk_errors("verify the bank", directory):
        # until another look adds none
        while unseen := [path for path in paths_in(directory / "segments", SEGMENT_NAME) if path not in seen]:
            for path in unseen:
                segment, rows = verify_segment(path, storage=storage, shape=shape)
                if segment is not None and bool(segment.good.all()):
                    num_rows += len(segment.good)
                elif path.exists():  # else another run repaired it, and the next round finds its sound rows
                    num_damaged += 1 if segment is None else int((~segment.good).sum())
                    damaged.append(path.name)
                    repair_segment(root, path, segment=segment, rows=rows)
                advance(1)
            seen.update(unseen)
        is_index_whole = Places(root, directory).verify_index()
    return Verified(directory.name, num_rows, num_damaged, tuple(damaged), not is_index_whole)


def verify_cache(cache_dir: Path | None = None, *, progress: Progress | None = None) -> tuple[Verified, ...]:
    """Return what reading every row of every bank in the cache found, most recently used first; damage is removed.

    What was removed is extracted again by the next run that needs it.

    Args:
        cache_dir: The cache, or None for the usual one.
        progress: Where to report to.

    Raises:
        StoreError: The cache cannot be read, or what is damaged cannot be removed.
    """
    progress, root = progress or SilentProgress(), cache_root(cache_dir)
    sweep_staging(root)
    directories = [entry.directory for entry in cache_entries(root) if entry.kind == "banks"]
    num_segments = sum(len(paths_in(directory / "segments", SEGMENT_NAME)) for directory in directories)
    with progress.stage("verify", num_segments, unit="segments") as advance:
        forms = [(directory, *bank_form(directory)) for directory in directories]
        return tuple(
            verify_bank(root, directory, storage=storage, shape=shape, advance=advance)
            for directory, storage, shape in forms
        )


def compact_cache(cache_dir: Path | None = None, *, progress: Progress | None = None) -> dict[str, Compacted]:
    """Return what compacting every bank in the cache did, by the bank's key; rows stay what they were.

    Args:
        cache_dir: The cache, or None for the usual one.
        progress: Where to report to.

    Raises:
        StoreError: Another process compacts one, or the cache cannot be written.
    """
    root, done = cache_root(cache_dir), {}
    sweep_staging(root)
    for entry in cache_entries(root):
        if entry.kind == "banks":
            storage, shape = bank_form(entry.directory)
            done[entry.key] = compact_bank(root, entry.directory, storage=storage, shape=shape, progress=progress)
    return done
