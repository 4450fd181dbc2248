"""Rows of a few hundred pictures <-> a folder of three files that is committed whole and notices damage.

One idea: a segment's name is the hash of its pictures and every row has a checksum, so that a damaged row is found,
dropped and extracted again, and two runs that extract the same pictures end with one segment.
"""

from __future__ import annotations

import errno
import io
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from thawline.core.errors import StoreError, first_few
from thawline.core.store import commit_directory, content_key, disk_errors, paths_in, staging_directory
from thawline.core.types import Floats

__all__ = ["DIGEST_BYTES", "SEGMENT_NAME", "Segment", "checksums", "repair_segment", "verify_segment", "write_segment"]

DIGEST_BYTES = 32
SEGMENT_NAME = "[0-9a-f]" * 32  # other entries of the folder are not ours and stay
SEGMENT_FILES = ("rows.npy", "digests.npy", "checksums.npy")
UNREADABLE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EIO}
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Segment:
    """Rows of one committed folder whose checksums hold.

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


def checksums(rows: Floats) -> npt.NDArray[np.uint32]:
    """Return the CRC-32 of every row: (n,) uint32 for (n, …) rows."""
    return np.array([zlib.crc32(row.tobytes()) for row in rows], dtype=np.uint32)


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
            (staged / name).write_bytes(_npy_bytes(array))
        commit_directory(staged, final)
    return Segment(final, digests, np.ones(len(digests), dtype=bool))


def _npy_bytes(array: npt.NDArray[Any]) -> bytes:
    """Return the file that `np.save` writes; its own writing to disk hides why it fails."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


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
    if foreign := [file.name for file in paths_in(path) if file.name not in SEGMENT_FILES]:
        raise StoreError(
            f"open the bank: {path} is damaged, and {first_few(foreign)} in it is not Thawline's. Move that away first."
        )
    with staging_directory(root) as staged, suppress(FileNotFoundError):  # another run may be repairing it too
        path.rename(staged / "damaged")


def verify_segment(path: Path, *, storage: str, shape: tuple[int, int]) -> tuple[Segment | None, Floats | None]:
    """Return the segment with its sound rows marked, and its rows; None for what cannot be read at all.

    Args:
        path: Its folder.
        storage: Number format of its rows.
        shape: (V, width) of a row.
    """
    digests = _stored(path / "digests.npy", "uint8", (DIGEST_BYTES,))
    if digests is None or path.name != content_key(digests.tobytes().hex()):
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
