"""A segment's folder -> chosen rows of it, each verified when it is first read.

One idea: a row is right if its own digest is the one that was asked for and its own checksum holds. Nothing else of the
segment need be read for it, and no row is verified twice by the same process. Rows are verified by reading, not by
mapping: a bad sector is then an error that can be healed, not the end of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from thawline.core.types import Floats, Ints
from thawline.features.segment import DIGEST_BYTES, UNREADABLE, Bytes, checksums

__all__ = ["DamagedSegmentError", "StoredRows"]

AT_ONCE_BYTES = 8 << 20
MOST_RUNS = 64  # more pieces than this of a small file, and it is read whole


class DamagedSegmentError(Exception):
    """A segment's files are missing, cut short or not what was written; its rows have to be made again."""


class StoredRows:
    """The rows of one segment, and which of them this process has found sound.

    Attributes:
        path: The segment's folder.
    """

    def __init__(self, path: Path, *, storage: str, shape: tuple[int, int]) -> None:
        """Look at the headers and lengths of the three files; no row is read.

        Raises:
            DamagedSegmentError: They are not what was written.
            FileNotFoundError: The whole segment is gone, as after a compaction.
        """
        self.path = path
        with self._reading():
            self._rows = _Array.in_file(path / "rows.npy", storage, shape)
            self._digests = _Array.in_file(path / "digests.npy", "uint8", (DIGEST_BYTES,))
            self._sums = _Array.in_file(path / "checksums.npy", "uint32", ())
            if not self._rows.num == self._digests.num == self._sums.num:
                raise DamagedSegmentError(path.name)
        self._sound = np.zeros(self._rows.num, dtype=bool)

    def __repr__(self) -> str:
        return f"<StoredRows {self.path.name}: {int(self._sound.sum()):,} of {len(self):,} rows verified>"

    def __len__(self) -> int:
        return self._rows.num

    def has_verified(self, rows: Ints) -> bool:
        """Return whether all of these rows were found sound before; nothing is read."""
        return int(rows.max(initial=-1)) < len(self) and bool(self._sound[rows].all())

    def verify(self, rows: Ints, *, digests: Bytes) -> npt.NDArray[np.bool_]:
        """Return which rows are those of these pictures and match their checksums: (m,) bool.

        Args:
            rows: (m,) rows of the segment; one may occur twice.
            digests: (m, 32) uint8 hash of the picture that each should be of.

        Raises:
            DamagedSegmentError: A file cannot be read, or there is no such row.
            FileNotFoundError: The whole segment is gone.
        """
        if rows.max(initial=-1) >= len(self):
            raise DamagedSegmentError(self.path.name)
        new, first = np.unique(rows, return_index=True)
        first, new = first[~self._sound[new]], new[~self._sound[new]]
        step = max(1, AT_ONCE_BYTES // self._rows.row_bytes)
        with self._reading():
            for start in range(0, len(new), step):
                some = new[start : start + step]
                is_theirs = (self._digests.read(some) == digests[first[start : start + step]]).all(axis=1)
                sums = self._sums.read(some).view("<u4")[:, 0]
                self._sound[some] = is_theirs & (checksums(self._rows.read(some)) == sums)
        return self._sound[rows]

    def mapped(self) -> Floats:
        """Return all rows, mapped and not yet read: (n, V, width) in the storage format.

        Raises:
            FileNotFoundError: The whole segment is gone.
        """
        rows = self._rows
        return np.memmap(rows.file, dtype=rows.dtype, mode="r", offset=rows.offset, shape=(rows.num, *rows.shape))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in UNREADABLE:
                raise
            if not self.path.exists():
                raise FileNotFoundError(str(self.path)) from None
            raise DamagedSegmentError(self.path.name) from None


@dataclass(frozen=True)
class _Array:
    """Where the (num, *shape) numbers lie in a file that `np.save` wrote."""

    file: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    num: int
    offset: int

    @classmethod
    def in_file(cls, file: Path, dtype: str, shape: tuple[int, ...]) -> _Array:
        """Return what a file holds by its length, which its header must agree with.

        Raises:
            DamagedSegmentError: It does not.
        """
        try:
            with file.open("rb") as stream:
                version, header = np.lib.format.read_magic(stream), np.lib.format.read_array_header_1_0(stream)
                offset, end = stream.tell(), stream.seek(0, 2)
            kind = np.dtype(dtype)
            num, rest = divmod(end - offset, int(np.prod(shape, dtype=np.int64)) * kind.itemsize)
        except OSError:
            raise
        except Exception:  # a damaged header makes numpy's parser raise nearly anything
            raise DamagedSegmentError(file.name) from None
        if rest or version != (1, 0) or header != ((num, *shape), False, kind):
            raise DamagedSegmentError(file.name)
        return cls(file, kind, shape, num, offset)

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def read(self, rows: Ints) -> Bytes:
        """Return the bytes of rows that ascend: (m, row_bytes) uint8."""
        runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
        with self.file.open("rb", buffering=0) as stream:
            if len(runs) > MOST_RUNS and self.row_bytes <= DIGEST_BYTES:
                return self._run(stream, 0, self.num)[rows]
            return np.concatenate([self._run(stream, int(run[0]), len(run)) for run in runs])

    def _run(self, stream: BinaryIO, start: int, count: int) -> Bytes:
        out = np.empty((count, self.row_bytes), dtype=np.uint8)
        rest = out.reshape(-1).data
        stream.seek(self.offset + start * self.row_bytes)
        while len(rest):
            got = stream.readinto(rest)  # type: ignore[attr-defined]
            if not got:
                raise DamagedSegmentError(self.file.name)
            rest = rest[got:]
        return out
