"""Picture hashes -> where their rows lie, by an index on disk that is sorted and read by the block, never whole.

One idea: two levels. The first hash and the checksum of every block are read and proved when the index is opened, 12
bytes for 1,024 rows; a look-up reads and proves the blocks that it needs. So a damaged index is noticed before it
answers, whatever was damaged, and it can always be written again from the segments.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from thawline.core.store import commit_directory, content_key, disk_errors, staging_directory
from thawline.core.types import Ints
from thawline.features.segment import UNREADABLE, Bytes

__all__ = [
    "INDEX_FILE",
    "DamagedIndexError",
    "Records",
    "RowIndex",
    "Words",
    "count_pictures",
    "find_in",
    "make_records",
    "sorted_records",
    "words_of",
    "write_index",
]

INDEX_FILE = "places.bin"
BLOCK_ROWS = 1024
RECORD = np.dtype([("head", "<u8"), ("tail", "<u8", (3,)), ("segment", "<u4"), ("row", "<u4")])
Records = npt.NDArray[np.void]
Words = npt.NDArray[np.uint64]
_MAGIC = b"thawline places1"
# magic, rows, pictures, segments, rows a block, checksum of all that comes before the rows
_HEADER = struct.Struct("<16sQQQQI")


class DamagedIndexError(Exception):
    """The index is not what was written; it is to be removed and written again."""


def words_of(digests: Bytes) -> Words:
    """Return (N, 32) uint8 picture hashes as (N, 4) numbers; the first orders them."""
    return np.ascontiguousarray(digests).view("<u8").reshape(-1, 4)


def make_records(digests: Bytes, *, segment: int) -> Records:
    """Return a record for each row of a segment, (n,) with fields head, tail, segment and row.

    Args:
        digests: (n, 32) uint8 picture hashes, in the order of the rows.
        segment: Number of the segment.
    """
    words, records = words_of(digests), np.empty(len(digests), dtype=RECORD)
    records["head"], records["tail"] = words[:, 0], words[:, 1:]
    records["segment"], records["row"] = segment, np.arange(len(digests))
    return records


def sorted_records(records: Records) -> Records:
    """Return records by ascending hash; several rows of a picture stay in the order given."""
    ordered: Records = records[np.argsort(records["head"], kind="stable")]
    return ordered


def count_pictures(records: Records) -> int:
    """Return how many pictures there are among records that ascend."""
    if not (records["head"][1:] == records["head"][:-1]).any():
        return len(records)
    first = find_in(records, np.column_stack([records["head"], records["tail"]]))
    return int((first == _packed(records)).sum())


def find_in(records: Records, words: Words, *, is_there: npt.NDArray[np.bool_] | None = None) -> Ints:
    """Return where pictures lie among records that ascend: (N,) segment · 2³² + row, -1 for what is not there.

    Of several rows of a picture, it is the first.

    Args:
        records: As `sorted_records` gives them.
        words: (N, 4), as `words_of` gives them.
        is_there: (segments,) bool; rows of segments that are not there are passed over. None where all are.
    """
    found = np.full(len(words), -1, dtype=np.int64)
    at = np.searchsorted(np.ascontiguousarray(records["head"]), words[:, 0])
    pending = np.arange(len(words))
    while len(pending := pending[at[pending] < len(records)]):
        met = records[at[pending]]
        is_near = met["head"] == words[pending, 0]
        pending, met = pending[is_near], met[is_near]
        is_it = (met["tail"] == words[pending, 1:]).all(axis=1)
        if is_there is not None:
            is_it &= is_there[met["segment"]]
        found[pending[is_it]] = _packed(met[is_it])
        pending = pending[~is_it]  # a picture whose hash begins alike, or a row that is gone
        at[pending] += 1
    return found


def _packed(records: Records) -> Ints:
    places: Ints = (records["segment"].astype(np.int64) << 32) | records["row"]
    return places


def write_index(root: Path, bank: Path, *, names: Sequence[str], records: Records) -> Path:
    """Return the folder of a new index of the bank, written, flushed and renamed into place.

    Args:
        root: The cache.
        bank: `FeatureBank.directory`.
        names: Names of the segments, by their numbers in the records.
        records: As `sorted_records` gives them.

    Raises:
        StoreError: The disk is full or cannot be written.
    """
    final = bank / "index" / content_key([*names, len(records)])
    starts = range(0, len(records), BLOCK_ROWS)
    sums = np.array(
        [zlib.crc32(records[start : start + BLOCK_ROWS].view(np.uint8).data) for start in starts], dtype="<u4"
    )
    firsts = np.ascontiguousarray(records["head"][::BLOCK_ROWS])
    start = b"".join([bytes.fromhex("".join(names)), firsts.tobytes(), sums.tobytes()])
    with disk_errors("index the bank", final), staging_directory(root) as staged:
        with (staged / INDEX_FILE).open("wb") as file:
            file.write(_header(len(records), count_pictures(records), len(names), start))
            file.write(start)
            file.write(records.view(np.uint8).data)
        commit_directory(staged, final)
    return final


def _header(num_rows: int, num_pictures: int, num_segments: int, start: bytes) -> bytes:
    facts = (_MAGIC, num_rows, num_pictures, num_segments, BLOCK_ROWS)
    return _HEADER.pack(*facts, zlib.crc32(start, zlib.crc32(_HEADER.pack(*facts, 0))))


class RowIndex:
    """An index on disk, of which the first level is in memory.

    Attributes:
        directory: Its folder.
        names: Names of the segments that it knows, by number.
        num_rows: Rows that it knows.
        num_pictures: Pictures that it knows; fewer, where there are several rows of one.
    """

    def __init__(self, directory: Path) -> None:
        """Read and prove the first level.

        Raises:
            DamagedIndexError: It is not what was written.
            FileNotFoundError: It is gone, as after a newer one was written.
        """
        self.directory = directory
        self.num_rows: int
        self.num_pictures: int
        with self._opened() as file:
            head = file.read(_HEADER.size)
            if len(head) < _HEADER.size:
                raise DamagedIndexError
            magic, self.num_rows, self.num_pictures, num_segments, block_rows, _ = _HEADER.unpack(head)
            num_blocks = -(-self.num_rows // BLOCK_ROWS)
            self._start = _HEADER.size + 16 * num_segments + 12 * num_blocks
            size = file.seek(0, 2)
            if magic != _MAGIC or block_rows != BLOCK_ROWS or size != self._start + RECORD.itemsize * self.num_rows:
                raise DamagedIndexError
            file.seek(_HEADER.size)
            start = file.read(self._start - _HEADER.size)
        if head != _header(self.num_rows, self.num_pictures, num_segments, start):
            raise DamagedIndexError
        names, firsts = 16 * num_segments, 16 * num_segments + 8 * num_blocks
        self.names = tuple(start[at : at + 16].hex() for at in range(0, names, 16))
        self._firsts = np.frombuffer(start[names:firsts], dtype="<u8")
        self._sums = np.frombuffer(start[firsts:], dtype="<u4")

    def __repr__(self) -> str:
        return f"<RowIndex {self.directory.name}: {self.num_rows:,} rows of {len(self.names):,} segments>"

    def find(self, words: Words, *, is_there: npt.NDArray[np.bool_] | None = None) -> Ints:
        """Return where pictures lie: (N,) segment · 2³² + row, -1 for what is not there; segments as in `names`.

        Args:
            words: (N, 4), as `words_of` gives them.
            is_there: As in `find_in`.

        Raises:
            DamagedIndexError: A block that was needed is not what was written.
            FileNotFoundError: The index is gone.
        """
        found = np.full(len(words), -1, dtype=np.int64)
        if not self.num_rows or not len(words):
            return found
        pending = np.argsort(words[:, 0])
        blocks = np.maximum(np.searchsorted(self._firsts, words[pending, 0]) - 1, 0)
        with self._opened() as file:
            while len(pending):
                edges = np.flatnonzero(np.diff(blocks, prepend=-1, append=-1))
                for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
                    some = pending[low:high]
                    found[some] = find_in(self._block(file, int(blocks[low])), words[some], is_there=is_there)
                following = np.minimum(blocks + 1, len(self._firsts) - 1)
                # a hash that begins as the next block does may lie there
                goes_on = (found[pending] < 0) & (following > blocks) & (self._firsts[following] == words[pending, 0])
                pending, blocks = pending[goes_on], following[goes_on]
        return found

    def records(self) -> Records:
        """Return all records, proved; what a new index is made of.

        Raises:
            DamagedIndexError: A block is not what was written.
            FileNotFoundError: The index is gone.
        """
        out = np.empty(self.num_rows, dtype=RECORD)
        with self._opened() as file:
            for block in range(len(self._sums)):
                out[block * BLOCK_ROWS : (block + 1) * BLOCK_ROWS] = self._block(file, block)
        return out

    def _block(self, file: BinaryIO, number: int) -> Records:
        count = min(BLOCK_ROWS, self.num_rows - number * BLOCK_ROWS)
        file.seek(self._start + number * BLOCK_ROWS * RECORD.itemsize)
        data = file.read(count * RECORD.itemsize)
        if zlib.crc32(data) != self._sums[number]:
            raise DamagedIndexError
        return np.frombuffer(data, dtype=RECORD)

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        try:
            with (self.directory / INDEX_FILE).open("rb") as file:
                yield file
        except OSError as error:
            if error.errno not in UNREADABLE:
                raise
            if self.directory.exists():
                raise DamagedIndexError from None
            raise FileNotFoundError(str(self.directory)) from None
