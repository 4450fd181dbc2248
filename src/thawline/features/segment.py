"""Rows of many pictures <-> a folder of three files that is committed whole and notices damage.

One idea: a segment's name is the hash of its pictures and every row has a checksum, so that a damaged row is found,
dropped and extracted again, and two runs that extract the same pictures end with one segment.
"""

from __future__ import annotations

import errno
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from thawline.core.errors import StoreError, first_few
from thawline.core.store import commit_directory, content_key, disk_errors, paths_in, staging_directory
from thawline.core.types import Floats

__all__ = [
    "DIGEST_BYTES",
    "SEGMENT_BYTES",
    "SEGMENT_NAME",
    "UNREADABLE",
    "Bytes",
    "Segment",
    "checksums",
    "foreign_files",
    "remove_segments",
    "repair_segment",
    "stored_digests",
    "verify_segment",
    "write_segment",
]

DIGEST_BYTES = 32
SEGMENT_BYTES = 64 << 20  # the most that a segment holds
SEGMENT_NAME = "[0-9a-f]" * 32  # other entries of the folder are not ours and stay
SEGMENT_FILES = ("rows.npy", "digests.npy", "checksums.npy")
UNREADABLE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EIO}
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Segment:
    """A committed folder, and which of its rows match their checksums.

    Attributes:
        directory: Where it lies.
        digests: (n, 32) uint8 picture hashes.
        good: (n,) bool; False where a row no longer matches its checksum.
    """

    directory: Path
    digests: Bytes
    good: npt.NDArray[np.bool_]

    def __repr__(self) -> str:
        return f"<Segment {self.directory.name}: {int(self.good.sum()):,} of {len(self.good):,} rows sound>"


def checksums(rows: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """Return the CRC-32 of every row's bytes: (n,) uint32 for (n, …) rows."""
    whole = np.ascontiguousarray(rows)
    flat = whole.reshape(len(rows), -1).view(np.uint8) if whole.size else np.empty((len(rows), 0), dtype=np.uint8)
    return np.fromiter((zlib.crc32(row.data) for row in flat), dtype=np.uint32, count=len(flat))


def write_segment(root: Path, bank: Path, *, digests: Bytes, rows: Floats) -> Segment:
    """Return a new segment of the bank, written, flushed and renamed into place.

    Its name is the hash of its pictures, so a second run that extracts the same pictures finds it there and drops its
    own copy.

    Args:
        root: The cache.
        bank: `FeatureBank.directory`.
        digests: (n, 32) uint8 picture hashes.
        rows: (n, V, width) in the storage format.

    Raises:
        StoreError: The disk is full or cannot be written; nothing is half-written.
    """
    final = bank / "segments" / content_key(digests.tobytes().hex())
    with disk_errors("extract", final), staging_directory(root) as staged:
        arrays: tuple[npt.NDArray[Any], ...] = (rows, digests, checksums(rows))
        for name, array in zip(SEGMENT_FILES, arrays, strict=True):
            with (staged / name).open("wb") as file:
                _write_npy(file, np.ascontiguousarray(array))
        commit_directory(staged, final)
    return Segment(final, digests, np.ones(len(digests), dtype=bool))


def _write_npy(file: BinaryIO, array: npt.NDArray[Any]) -> None:
    """Write the file that `np.save` writes; its own writing to disk hides why it fails."""
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    file.write(array.reshape(-1).view(np.uint8).data)


def repair_segment(root: Path, path: Path, *, segment: Segment | None, rows: Floats | None) -> None:
    """Commit the sound rows of a damaged segment as one of their own, then remove the damaged one.

    Args:
        root: The cache.
        path: The segment's folder.
        segment: As `verify_segment` read it.
        rows: Likewise.

    Raises:
        StoreError: The folder holds something that is not ours, or the cache cannot be written.
    """
    if segment is not None and rows is not None and segment.good.any():
        write_segment(root, path.parents[1], digests=segment.digests[segment.good], rows=rows[segment.good])
    if foreign := foreign_files(path):
        raise StoreError(
            f"open the bank: {path} is damaged, and {first_few(foreign)} in it is not Thawline's. Move that away first."
        )
    remove_segments(root, [path])


def foreign_files(path: Path) -> list[str]:
    """Return the names of what lies in a segment's folder and is not ours."""
    return [file.name for file in paths_in(path) if file.name not in SEGMENT_FILES]


def remove_segments(root: Path, paths: Sequence[Path]) -> None:
    """Remove segments: each disappears at once by a rename, then its files are deleted; another run may do so too."""
    with staging_directory(root) as staged:
        for path in paths:
            with suppress(FileNotFoundError):
                path.rename(staged / path.name)


def stored_digests(path: Path) -> Bytes | None:
    """Return the (n, 32) picture hashes of a segment, whose name proves them; None where they are damaged or gone."""
    digests: Bytes | None = _stored(path / "digests.npy", "uint8", (DIGEST_BYTES,))
    return digests if digests is not None and path.name == content_key(digests.tobytes().hex()) else None


def verify_segment(path: Path, *, storage: str, shape: tuple[int, int]) -> tuple[Segment | None, Floats | None]:
    """Return the segment with its sound rows marked, and its rows; None for what cannot be read at all.

    Args:
        path: Its folder.
        storage: Number format of its rows.
        shape: (V, width) of a row.
    """
    digests = stored_digests(path)
    if digests is None:
        return None, None
    sums = _stored(path / "checksums.npy", "uint32", ())
    rows = _stored(path / "rows.npy", storage, shape)
    if sums is None or rows is None or not len(digests) == len(sums) == len(rows):
        return Segment(path, digests, np.zeros(len(digests), dtype=bool)), None
    return Segment(path, digests, checksums(rows) == sums), rows


def _stored(file: Path, dtype: str, shape: tuple[int, ...]) -> Any:
    """Return the (n, *shape) array in a file that `np.save` wrote, n by the file's length; None if it is damaged.

    The header is compared, never followed: no file can ask for memory or load objects.
    """
    try:
        with file.open("rb") as stream:
            version, header = np.lib.format.read_magic(stream), np.lib.format.read_array_header_1_0(stream)
            array = np.frombuffer(stream.read(), dtype=dtype).reshape(-1, *shape)
        return array if version == (1, 0) and header == (array.shape, False, array.dtype) else None
    except OSError as error:
        if error.errno in UNREADABLE:
            return None
        raise
    except Exception:  # a damaged header makes numpy's parser raise nearly anything
        return None
