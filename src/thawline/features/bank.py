"""Picture hashes in, features out: the content-addressed bank of one backbone and one way of reading it.

A bank is a folder named by the hash of everything that determines its numbers (weights, input preparation, views,
formats, cuts, poolings) and by nothing else. It holds immutable segments, each committed by a rename; a row is
addressed by the hash of its picture's bytes and carries a checksum. Labels, paths and times are no part of it, so
relabelling or moving pictures extracts nothing, two runs may fill one bank at once, and a kill loses at most the
segment being written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from thawline.core.errors import StoreError, first_few
from thawline.core.store import commit_directory, content_key, disk_errors, paths_in, staging_directory, write_json
from thawline.core.types import Floats, InputSpec, Ints
from thawline.features.mapped import MappedRows, map_rows
from thawline.features.segment import DIGEST_BYTES, SEGMENT_NAME, Segment, repair_segment, verify_segment

__all__ = ["ROWS_AT_ONCE", "BankSpec", "Block", "FeatureBank", "open_bank"]

FORMAT = 1
ROWS_AT_ONCE = 8192
Block = tuple[int, str]


@dataclass(frozen=True)
class BankSpec:
    """Everything that determines the numbers in a bank.

    Attributes:
        backbone_name: For display only; the hash of the weights identifies it.
        weights_sha256: Hash of the tensors of the backbone.
        input: Input preparation.
        views: Names of the V views of a picture; `("plain",)` reads each once, unaltered.
        compute: Number format of the pass.
        storage: Number format on disk.
        cuts: Module and channels of every cut point, shallow to deep.
        poolings: What is kept at every cut.
        blocks: (cut index, pooling, columns) in the order of a row's columns.
    """

    backbone_name: str
    weights_sha256: str
    input: InputSpec
    views: tuple[str, ...]
    compute: str
    storage: Literal["float16", "float32"]
    cuts: tuple[tuple[str, int], ...]
    poolings: tuple[str, ...]
    blocks: tuple[tuple[int, str, int], ...]

    def __repr__(self) -> str:
        return f"<BankSpec {self.key}: {self.width:,} columns of {self.backbone_name}, view {', '.join(self.views)}>"

    @cached_property
    def key(self) -> str:
        """The bank's name: 32 hex digits."""
        return spec_key(self.facts)

    @property
    def facts(self) -> dict[str, Any]:
        """What `bank.json` says of the bank."""
        return {"format": FORMAT, **asdict(self), "input": self.input.facts()}

    @cached_property
    def columns(self) -> dict[Block, slice]:
        """(cut, pooling) → where its columns lie in a row."""
        columns, start = {}, 0
        for cut, pooling, width in self.blocks:
            columns[cut, pooling] = slice(start, start + width)
            start += width
        return columns

    @property
    def widths(self) -> dict[Block, int]:
        """(cut, pooling) → how many columns it has."""
        return {(cut, pooling): width for cut, pooling, width in self.blocks}

    @property
    def width(self) -> int:
        """Columns of one view of one picture."""
        return sum(width for _, _, width in self.blocks)

    @property
    def row_bytes(self) -> int:
        """Bytes of one picture on disk, with its hash and checksum."""
        return len(self.views) * self.width * np.dtype(self.storage).itemsize + DIGEST_BYTES + 4


@dataclass
class FeatureBank:
    """An open bank: which pictures it holds, and their features.

    Attributes:
        spec: What determines its numbers.
        directory: Where it lies.
        segments: Its verified segments.
        num_damaged: Rows found damaged on opening; they count as missing and are made again. A segment whose
            number of rows is unknown counts as one.
    """

    spec: BankSpec
    directory: Path
    segments: tuple[Segment, ...]
    num_damaged: int = 0
    _places: dict[bytes, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, segment in enumerate(self.segments):
            for row in np.flatnonzero(segment.good).tolist():
                self._places.setdefault(segment.digests[row].tobytes(), (number, row))

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

    def __len__(self) -> int:
        return len(self._places)

    def missing(self, sha256s: Sequence[str]) -> list[int]:
        """Return the positions of pictures that are not in the bank, each distinct picture once, in order."""
        seen: set[str] = set()
        positions = []
        for position, sha256 in enumerate(sha256s):
            if sha256 not in seen and bytes.fromhex(sha256) not in self._places:
                positions.append(position)
            seen.add(sha256)
        return positions

    def read(self, sha256s: Sequence[str], blocks: Sequence[Block], *, view: int = 0) -> Floats:
        """Return the features of pictures: (N, D) float32, the blocks side by side in the order given.

        Args:
            sha256s: N picture hashes; all must be in the bank.
            blocks: (cut, pooling) pairs.
            view: Which of the V views.

        Raises:
            StoreError: A picture or a block is not in the bank, or the bank was removed since it was opened.
        """
        slices = self._slices(blocks)
        return self._read(self._located(sha256s), slices, view)

    def iter_rows(
        self, sha256s: Sequence[str], blocks: Sequence[Block], *, view: int = 0, rows_at_once: int = ROWS_AT_ONCE
    ) -> Iterator[tuple[Ints, Floats]]:
        """Yield (positions, rows) until each of N pictures was read once, in the order that they lie on the disk.

        `rows` are what `read` gives for `[sha256s[at] for at in positions]`. Only `rows_at_once` rows are held, however
        large N is, and each segment is opened about once.

        Args:
            sha256s: N picture hashes; all must be in the bank.
            blocks: (cut, pooling) pairs.
            view: Which of the V views.
            rows_at_once: The most rows of one step, at least 1.

        Yields:
            (n,) int64 positions in `sha256s` and (n, D) float32 features, n ≤ `rows_at_once`.

        Raises:
            StoreError: As `read`, the first time at the call of `next`.
        """
        slices, where = self._slices(blocks), self._located(sha256s)
        order = np.lexsort((where[:, 1], where[:, 0]))
        for start in range(0, len(order), rows_at_once):
            positions = order[start : start + rows_at_once]
            yield positions, self._read(where[positions], slices, view)

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

    def _read(self, where: Ints, slices: Sequence[slice], view: int) -> Floats:
        """Return the columns of (N, 2) segments and rows: (N, D) float32."""
        out = np.empty((len(where), sum(part.stop - part.start for part in slices)), dtype=np.float32)
        for number in np.unique(where[:, 0]).tolist():
            rows = np.flatnonzero(where[:, 0] == number)
            stored, source, start = self._stored(number), where[rows, 1], 0
            for part in slices:
                stop = start + part.stop - part.start
                out[rows, start:stop] = stored[source, view, part]
                start = stop
        return out

    def mapped(self, sha256s: Sequence[str]) -> MappedRows:
        """Return the whole rows of N pictures, at least one, mapped into memory and not yet read.

        Raises:
            StoreError: A picture is not in the bank, or the bank was removed since it was opened.
        """
        where = self._located(sha256s)
        used, where[:, 0] = np.unique(where[:, 0], return_inverse=True)
        return MappedRows(tuple(self._mapped(number) for number in used.tolist()), where)

    def _located(self, sha256s: Sequence[str]) -> Ints:
        """Return (N, 2) segment and row of each picture."""
        places = [self._places.get(bytes.fromhex(sha256)) for sha256 in sha256s]
        absent = sum(place is None for place in places)
        if absent:
            raise StoreError(
                f"read features: {absent} of {len(places)} pictures are not in the bank. Extract them first."
            )
        return np.array(places, dtype=np.int64).reshape(-1, 2)

    def _stored(self, number: int) -> Any:
        with self._reading():
            return np.load(self.segments[number].directory / "rows.npy", mmap_mode="r", allow_pickle=False)

    def _mapped(self, number: int) -> Floats:
        segment = self.segments[number]
        with self._reading():
            shape = (len(segment.digests), self.num_views, self.spec.width)
            return map_rows(segment.directory / "rows.npy", shape, storage=self.spec.storage)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise StoreError(
                f"read features: {self.directory} was removed or repaired by another run since it was opened. "
                "Run again."
            ) from None


def spec_key(facts: dict[str, Any]) -> str:
    """Return the name of the bank that `bank.json` describes; the backbone's name is no part of it."""
    return content_key({name: value for name, value in facts.items() if name != "backbone_name"})


def open_bank(root: Path, spec: BankSpec) -> FeatureBank:
    """Return the bank of `spec`, new or existing, every row verified against its checksum.

    A damaged segment is replaced by one of its sound rows, so that the rest counts as missing and is extracted again.
    Verification holds one segment at a time. A whole bank can be opened where nothing may be written.

    Raises:
        StoreError: The cache cannot be read, or a bank that is new or damaged cannot be written.
    """
    directory = root / "banks" / spec.key
    num_damaged = 0
    sound: list[Segment] = []
    seen: set[Path] = set()
    with disk_errors("open the bank", directory):
        _describe(root, directory, spec)
        with suppress(OSError):  # the time of last use is useful, not needed
            os.utime(directory)
        # until another look adds none
        while unseen := [path for path in paths_in(directory / "segments", SEGMENT_NAME) if path not in seen]:
            seen.update(unseen)
            for path in unseen:
                segment, rows = verify_segment(path, storage=spec.storage, shape=(len(spec.views), spec.width))
                if segment is not None and bool(segment.good.all()):
                    sound.append(segment)
                elif path.exists():  # else another run repaired it, and the next round finds its sound rows
                    num_damaged += 1 if segment is None else int((~segment.good).sum())
                    repair_segment(root, path, segment=segment, rows=rows)
    return FeatureBank(spec, directory, tuple(sound), num_damaged)


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
