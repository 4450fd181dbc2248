"""Picture hashes in, features out: the content-addressed bank of one backbone and one way of reading it.

A bank is a folder named by the hash of everything that determines its numbers (weights, input preparation, views,
formats, cuts, poolings) and by nothing else. It holds immutable segments, each committed by a rename, and an index of
them that can always be made again. A row is addressed by the hash of its picture's bytes and carries a checksum, which
is compared when the row is first read: what is damaged is dropped, made again by whoever filled the bank for a data
set, and read on. Labels, paths and times are no part of it, so relabelling or moving pictures extracts nothing, two
runs may fill one bank at once, and a kill loses at most the segment being written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import RLock
from typing import TypeVar

import numpy as np

from thawline.core.errors import StoreError, first_few
from thawline.core.store import commit_directory, disk_errors, staging_directory, write_json
from thawline.core.types import Floats, Ints
from thawline.features.mapped import MappedRows, map_rows
from thawline.features.row_places import Places
from thawline.features.segment import DIGEST_BYTES, Bytes, repair_segment, verify_segment
from thawline.features.specification import BankSpec, Block, spec_key
from thawline.features.stored_rows import DamagedSegmentError, StoredRows

__all__ = ["ROWS_AT_ONCE", "BankSpec", "Block", "FeatureBank", "digests_of", "open_bank"]

ROWS_AT_ONCE = 8192
HASHES_AT_ONCE = 1 << 16
ATTEMPTS = 16
Taken = TypeVar("Taken")
_ROW = (1 << 32) - 1


class FeatureBank:
    """An open bank: which pictures it holds, and their features. Threads may share it.

    Attributes:
        spec: What determines its numbers.
        directory: Where it lies.
        num_damaged: Rows found damaged so far, by opening it and by reading; each is dropped and counts as missing. A
            segment whose number of rows is unknown counts as one.
        num_remade: Pictures that were extracted again since it was opened, because their rows were damaged.
        remake: Extracts pictures again whose rows were damaged, given their hashes; None where nobody can.
    """

    def __init__(self, spec: BankSpec, root: Path) -> None:
        self.spec, self.directory = spec, root / "banks" / spec.key
        self.num_remade = 0
        self.remake: Callable[[Sequence[str]], None] | None = None
        self._root = root
        self._num_bad_rows = 0
        self._places = Places(root, self.directory)
        self._stored: dict[int, StoredRows] = {}
        self._lock = RLock()

    def __repr__(self) -> str:
        return f"<FeatureBank {str(self.directory)!r}: {len(self):,} pictures, {self.spec!r}>"

    @property
    def key(self) -> str:
        """The bank's name."""
        return self.spec.key

    @property
    def num_views(self) -> int:
        """V, the views kept of every picture."""
        return len(self.spec.views)

    @property
    def num_damaged(self) -> int:
        """Rows found damaged so far."""
        return self._num_bad_rows + self._places.num_damaged

    def __len__(self) -> int:
        return len(self._places)

    def look(self) -> None:
        """See what this process and others have put into the bank since it was opened.

        Raises:
            StoreError: As `open_bank`.
        """
        self._places.look()

    def missing(self, sha256s: Sequence[str]) -> list[int]:
        """Return the positions of pictures that are not in the bank, each distinct picture once, in order."""
        seen: set[str] = set()
        positions = []
        for position in np.flatnonzero(self._found(sha256s) < 0).tolist():
            if sha256s[position] not in seen:
                positions.append(position)
            seen.add(sha256s[position])
        return positions

    def read(self, sha256s: Sequence[str], blocks: Sequence[Block], *, view: int = 0) -> Floats:
        """Return the features of pictures: (N, D) float32, the blocks side by side in the order given.

        Args:
            sha256s: N picture hashes; all must be in the bank.
            blocks: (cut, pooling) pairs.
            view: Which of the V views.

        Raises:
            StoreError: A picture or a block is not in the bank, or is no longer and cannot be made again.
        """
        out = np.empty((len(sha256s), sum(part.stop - part.start for part in self._slices(blocks))), dtype=np.float32)
        for positions, rows in self.iter_rows(sha256s, blocks, view=view):
            out[positions] = rows
        return out

    def iter_rows(
        self, sha256s: Sequence[str], blocks: Sequence[Block], *, view: int = 0, rows_at_once: int = ROWS_AT_ONCE
    ) -> Iterator[tuple[Ints, Floats]]:
        """Yield (positions, rows) until each of N pictures was read once, in the order that they lie on the disk.

        `rows` are what `read` gives for `[sha256s[at] for at in positions]`. Besides 16 bytes a picture, only
        `rows_at_once` rows are held, however large N is, and each segment is opened about once.

        Args:
            sha256s: N picture hashes; all must be in the bank.
            blocks: (cut, pooling) pairs.
            view: Which of the V views.
            rows_at_once: The most rows of one step, at least 1.

        Yields:
            (n,) int64 positions in `sha256s` and (n, D) float32 features, n ≤ `rows_at_once`.

        Raises:
            StoreError: As `read`, at the earliest at the first call of `next`.
        """
        slices, where = self._slices(blocks), self._located(sha256s)
        order = np.argsort(where, kind="stable")
        for start in range(0, len(order), rows_at_once):
            positions = order[start : start + rows_at_once]
            some = _Some(sha256s, positions)
            yield positions, self._again(some, where[positions], lambda sound: self._gathered(sound, slices, view))

    def mapped(self, sha256s: Sequence[str]) -> MappedRows:
        """Return the whole rows of N pictures, at least one, verified and mapped into memory.

        They are verified here, a few at a time, since whoever is given them reads them while training.

        Raises:
            StoreError: A picture is not in the bank, or is no longer and cannot be made again.
        """
        where = self._located(sha256s)
        for start in range(0, len(where), ROWS_AT_ONCE):
            some = np.arange(start, min(start + ROWS_AT_ONCE, len(where)))
            where[some] = self._again(_Some(sha256s, some), where[some], lambda sound: sound)
        return self._again(_Some(sha256s, np.arange(len(where))), where, self._mapped)

    def _slices(self, blocks: Sequence[Block]) -> list[slice]:
        """Return where the columns of blocks lie in a row."""
        unknown = [block for block in blocks if block not in self.spec.columns]
        if unknown:
            kept = first_few(sorted({pooling for _, pooling in self.spec.columns}))
            raise StoreError(
                f"read features: this bank has no {first_few(unknown)}; at its cuts it has {kept}. "
                "Extract with that pooling."
            )
        return [self.spec.columns[block] for block in blocks]

    def _found(self, sha256s: Sequence[str]) -> Ints:
        """Return where pictures lie: (N,) segment · 2³² + row, -1 for what is not there."""
        starts = range(0, len(sha256s), HASHES_AT_ONCE)
        parts = [self._places.find(digests_of(sha256s[start : start + HASHES_AT_ONCE])) for start in starts]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def _located(self, sha256s: Sequence[str]) -> Ints:
        """Return where pictures lie; all must be there."""
        where = self._found(sha256s)
        absent = int((where < 0).sum())
        if absent:
            raise StoreError(
                f"read features: {absent} of {len(where)} pictures are not in the bank. Extract them first."
            )
        return where

    def _again(self, pictures: _Some, where: Ints, taken: Callable[[Ints], Taken]) -> Taken:
        """Return `taken` of where pictures lie, once their rows are known to be sound: damaged ones are made again."""
        for _ in range(ATTEMPTS):
            with disk_errors("read features", self.directory):
                damaged = self._damaged(pictures, where)
                # another run may remove a segment just now
                with suppress(FileNotFoundError, DamagedSegmentError):
                    if not damaged:
                        return taken(where)
            hashes = pictures.hashes()
            self._heal(damaged, hashes)
            where = self._located(hashes)
        raise self._is_gone()

    def _is_gone(self) -> StoreError:
        return StoreError(
            f"read features: {self.directory} was removed or repaired by another run since it was opened. Run again."
        )

    def _damaged(self, pictures: _Some, where: Ints) -> list[int]:
        """Return the segments of which some of these rows are not sound, or that are gone."""
        return [
            number
            for number, positions in _by_segment(where)
            if not self._is_sound(number, where[positions] & _ROW, pictures, positions)
        ]

    def _is_sound(self, number: int, rows: Ints, pictures: _Some, positions: Ints) -> bool:
        try:
            stored = self._opened(number)
            return stored.has_verified(rows) or bool(
                stored.verify(rows, digests=digests_of(pictures.hashes(positions))).all()
            )
        except (FileNotFoundError, DamagedSegmentError):
            return False

    def _heal(self, suspects: Sequence[int], sha256s: Sequence[str]) -> None:
        """Drop what is damaged in some segments, look at the folder again, and have made again what is gone."""
        with self._lock:
            is_damaged = [self._repair(number) for number in suspects]
            for number, rows in list(self._stored.items()):  # other threads open segments meanwhile
                if not rows.path.exists():
                    self._stored.pop(number, None)
            self._places.look() if all(is_damaged) else self._places.distrust()
            absent = [sha256s[position] for position in self.missing(sha256s)]
            if not self.directory.exists():
                raise self._is_gone()
            if absent:
                if self.remake is None:
                    raise StoreError(
                        f"read features: {self.directory} was damaged: {len(absent)} of {len(sha256s)} rows had to be "
                        "removed. Extract those pictures again."
                    )
                self.remake(absent)
                self.num_remade += len(absent)
                self._places.look()

    def _repair(self, number: int) -> bool:
        """Return False for a segment that is whole: then the index led to wrong rows."""
        self._stored.pop(number, None)
        path = self._places.path(number)
        with disk_errors("open the bank", self.directory):
            shape = (self.num_views, self.spec.width)
            segment, rows = verify_segment(path, storage=self.spec.storage, shape=shape)
            if segment is not None and bool(segment.good.all()):
                return False
            if path.exists():  # else another run removed or repaired it
                self._num_bad_rows += 1 if segment is None else int((~segment.good).sum())
                repair_segment(self._root, path, segment=segment, rows=rows)
        return True

    def _opened(self, number: int) -> StoredRows:
        stored = self._stored.get(number)
        if stored is None:
            shape = (self.num_views, self.spec.width)
            stored = StoredRows(self._places.path(number), storage=self.spec.storage, shape=shape)
            self._stored[number] = stored
        return stored

    def _gathered(self, where: Ints, slices: Sequence[slice], view: int) -> Floats:
        """Return the columns of rows that are sound: (N, D) float32."""
        out = np.empty((len(where), sum(part.stop - part.start for part in slices)), dtype=np.float32)
        for number, positions in _by_segment(where):
            stored, source, start = self._opened(number).mapped(), where[positions] & _ROW, 0
            for part in slices:
                stop = start + part.stop - part.start
                out[positions, start:stop] = stored[source, view, part]
                start = stop
        return out

    def _mapped(self, where: Ints) -> MappedRows:
        numbers, places = np.unique(where >> 32, return_inverse=True)
        segments = []
        for stored in map(self._opened, numbers.tolist()):
            shape = (len(stored), self.num_views, self.spec.width)
            segments.append(map_rows(stored.path / "rows.npy", shape, storage=self.spec.storage))
        return MappedRows(tuple(segments), np.column_stack([places, where & _ROW]))


@dataclass(frozen=True)
class _Some:
    """Some of many pictures, whose hashes are put together only where a row has to be verified or found again."""

    sha256s: Sequence[str]
    positions: Ints

    def hashes(self, some: Ints | slice = slice(None)) -> list[str]:
        return [self.sha256s[position] for position in self.positions[some].tolist()]


def _by_segment(where: Ints) -> Iterator[tuple[int, Ints]]:
    """Yield (segment, positions of its rows, ascending by row)."""
    order = np.argsort(where, kind="stable")
    numbers = where[order] >> 32
    edges = np.flatnonzero(np.diff(numbers, prepend=-1, append=-1)).tolist()
    for low, high in pairwise(edges):
        yield int(numbers[low]), order[low:high]


def digests_of(sha256s: Sequence[str]) -> Bytes:
    """Return (N, 32) uint8 hashes of N in hexadecimal digits."""
    return np.frombuffer(bytes.fromhex("".join(sha256s)), dtype=np.uint8).reshape(-1, DIGEST_BYTES)


def open_bank(root: Path, spec: BankSpec) -> FeatureBank:
    """Return the bank of `spec`, new or existing; no row is read, each is verified when it is first read.

    A whole bank can be opened where nothing may be written.

    Raises:
        StoreError: The cache cannot be read, or a bank that is new or damaged cannot be written.
    """
    directory = root / "banks" / spec.key
    with disk_errors("open the bank", directory):
        _describe(root, directory, spec)
        with suppress(OSError):  # the time of last use is useful, not needed
            os.utime(directory)
        return FeatureBank(spec, root)


def _describe(root: Path, directory: Path, spec: BankSpec) -> None:
    """Make the bank's folder with its description, unless it is there; a damaged description is written again."""
    file, key = directory / "bank.json", ""
    with suppress(FileNotFoundError, ValueError, AttributeError):
        key = spec_key(json.loads(file.read_bytes()))
    if key == spec.key:
        return
    with staging_directory(root) as staged:
        write_json(staged / "bank.json", spec.facts)
        if not commit_directory(staged, directory):
            (staged / "bank.json").replace(file)
