"""Files at addresses -> this machine's copies of them, in the cache, several at once.

The one idea: `check` reads every picture, and what comes after reads them again, so shards are brought once and read
like any others. A copy is called by the hash of its address, length and stamp, never by a name from afar; it is
committed whole, so a run that was cut off brings what is missing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from thawline.core.errors import DataError
from thawline.core.progress import Progress, SilentProgress
from thawline.core.store import (
    commit_directory,
    content_key,
    disk_errors,
    require_space,
    staging_directory,
    write_json,
)
from thawline.data.load import map_ordered
from thawline.data.sources.far_file import FarFile

__all__ = ["copy_here", "copy_path"]

KIND = "shards"
FILES_AT_ONCE = 4
PIECES_AT_ONCE = 4
PIECE_BYTES = 8 << 20


def copy_path(far: FarFile, cache: Path) -> Path:
    """Return where the copy of a file lies, or would."""
    key = content_key([far.address, far.size_bytes, far.stamp])
    return cache / KIND / key / f"copy{'.parquet' if far.name.endswith('.parquet') else '.tar'}"


def copy_here(files: Sequence[FarFile], *, cache: Path, progress: Progress | None = None) -> list[Path]:
    """Return the copies of files, in their order; those that are not there yet are brought.

    Memory: 128 MiB, however large they are.

    Args:
        files: As listed.
        cache: From `cache_root`.
        progress: Where to report to.

    Raises:
        NoRoomError: The disk does not hold them; nothing was brought.
        DataError: One cannot be read, or became another meanwhile. What was brought whole is kept.
        StoreError: The cache cannot be written.
    """
    copies = [copy_path(far, cache) for far in files]
    lacking = [far for far, copy in zip(files, copies, strict=True) if not _is_there(far, copy)]
    if lacking:
        needed_bytes = sum(far.size_bytes for far in lacking)
        remedy = "pass --cache-dir on a larger disk, or name fewer shards at a time"
        require_space("copy", cache, needed_bytes=needed_bytes, remedy=remedy)
        with (progress or SilentProgress()).stage("copy", len(lacking), unit="files") as advance:
            bring = partial(_bring, cache=cache)
            for _ in map_ordered(bring, lacking, num_threads=FILES_AT_ONCE, ahead=FILES_AT_ONCE):
                advance(1)
    return copies


def _is_there(far: FarFile, copy: Path) -> bool:
    """Return whether a copy is there, and note that it is used; one that is damaged is told."""
    if not (copy.parent / "source.json").is_file():
        return False
    num_bytes = copy.stat().st_size if copy.is_file() else 0
    if num_bytes != far.size_bytes:
        raise DataError(
            f"copy: the copy of {far.address} has {num_bytes:,} bytes, {far.size_bytes:,} are required. Remove "
            f"{copy.parent}, and run again to bring it."
        )
    with suppress(OSError):  # pruning goes by the time of last use
        os.utime(copy.parent)
    return True


def _bring(far: FarFile, *, cache: Path) -> None:
    copy = copy_path(far, cache)
    with disk_errors("copy", copy.parent), staging_directory(cache) as staged:
        starts = range(0, far.size_bytes, PIECE_BYTES)
        pieces = map_ordered(partial(_piece, far), starts, num_threads=PIECES_AT_ONCE, ahead=PIECES_AT_ONCE)
        with (staged / copy.name).open("wb") as stream:
            stream.writelines(pieces)
        write_json(staged / "source.json", {"source": far.address, "stamp": far.stamp, "bytes": far.size_bytes})
        commit_directory(staged, copy.parent)


def _piece(far: FarFile, start: int) -> bytes:
    return far.fetch(start, min(start + PIECE_BYTES, far.size_bytes))
