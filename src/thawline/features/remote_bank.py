"""A place that machines share, a bank -> segments put there and fetched from there: the remote of the local bank.

The one idea: nothing is renamed, because an object store cannot. A segment's rows are written first, under a name with
their hash in it; then an entry that says what they are. A reader takes what an entry names and whose hash holds, so
what was written halfway, or damaged since, counts as missing and is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from thawline.core.progress import Progress, SilentProgress
from thawline.core.remote_files import file_system, remote_errors
from thawline.core.store import content_key
from thawline.core.types import Floats
from thawline.data.load import map_ordered
from thawline.features.bank import BankSpec, FeatureBank, digests_of, open_bank
from thawline.features.segment import DIGEST_BYTES, Bytes, write_segment

__all__ = ["Entry", "RemoteBank", "fetch_rows", "send_rows"]

AT_ONCE = 16
MAX_ENTRY_BYTES = 1 << 22
SENT_ROWS = 256


@dataclass(frozen=True)
class Entry:
    """What a place says of a segment that it holds.

    Attributes:
        name: Hash of its pictures.
        sha256: Hash of its object.
        digests: (n, 32) uint8 picture hashes.
    """

    name: str
    sha256: str
    digests: Bytes


class RemoteBank:
    """The segments of one bank in a shared place: a folder, or an address that fsspec reads.

    Attributes:
        place: As the person named it.
        spec: What determines the numbers.
    """

    def __init__(self, place: str, spec: BankSpec) -> None:
        self.place = place
        self.spec = spec
        self._files, root = file_system(place, doing="store")
        self._root = f"{root}/banks/{spec.key}"

    def __repr__(self) -> str:
        return f"<RemoteBank {self.spec.key} at {self.place}>"

    @cached_property
    def _row_shape(self) -> tuple[int, int]:
        return len(self.spec.views), self.spec.width

    @property
    def _row_bytes(self) -> int:
        return DIGEST_BYTES + self._row_shape[0] * self._row_shape[1] * np.dtype(self.spec.storage).itemsize

    def put(self, digests: Bytes, rows: Floats) -> None:
        """Write a segment: its rows, then the entry that makes them part of the bank.

        Args:
            digests: (n, 32) uint8 picture hashes.
            rows: (n, V, width) in the storage format.

        Raises:
            StoreError: The place refuses it.
        """
        data = digests.tobytes() + np.ascontiguousarray(rows).tobytes()
        name, sha256 = content_key(digests.tobytes().hex()), hashlib.sha256(data).hexdigest()
        entry = {"sha256": sha256, "rows": len(digests), "digests": digests.tobytes().hex()}
        with remote_errors("store", self.place):
            self._write(self._object(name, sha256), data)
            self._write(f"{self._root}/index/{name}.json", json.dumps(entry).encode())

    def describe(self) -> None:
        """Write what the bank is, for people who look at the place; nothing reads it back."""
        with remote_errors("store", self.place):
            self._write(f"{self._root}/bank.json", json.dumps(self.spec.facts, indent=2).encode())

    def entries(self) -> list[Entry]:
        """Return the entries that can be read, by name; what is damaged is passed over.

        Raises:
            StoreError: The place cannot be reached.
        """
        with remote_errors("store", self.place):
            self._files.invalidate_cache()
            try:
                files = sorted(self._files.find(f"{self._root}/index"))
            except FileNotFoundError:
                return []
            found = map_ordered(self._entry, files, num_threads=AT_ONCE, ahead=4 * AT_ONCE)
            return [entry for entry in found if entry is not None]

    def get(self, entry: Entry) -> Floats | None:
        """Return a segment's rows, (n, V, width) in the storage format; None where they are gone or damaged.

        Its entry is then removed, so that whoever makes the rows again writes a new one.
        """
        num_bytes = len(entry.digests) * self._row_bytes
        with remote_errors("store", self.place):
            data = b""
            with suppress(FileNotFoundError):
                data = self._files.cat_file(self._object(entry.name, entry.sha256), start=0, end=num_bytes)
            if len(data) != num_bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
                with suppress(FileNotFoundError):
                    self._files.rm_file(f"{self._root}/index/{entry.name}.json")
                return None
        rows: Any = np.frombuffer(data, dtype=self.spec.storage, offset=entry.digests.nbytes)
        return rows.reshape(len(entry.digests), *self._row_shape)  # type: ignore[no-any-return]

    def _object(self, name: str, sha256: str) -> str:
        """Return where rows lie: two runs whose machines round differently never share a name."""
        return f"{self._root}/objects/{name}-{sha256[:16]}"

    def _write(self, path: str, data: bytes) -> None:
        try:
            self._files.pipe_file(path, data)
        except FileNotFoundError:  # a file system with folders
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, data)

    def _entry(self, path: str) -> Entry | None:
        """Return what an entry's file says, or None where it is none of ours or damaged."""
        name = path.rpartition("/")[2].removesuffix(".json")
        try:
            facts = json.loads(self._files.cat_file(path, start=0, end=MAX_ENTRY_BYTES))
            digests = np.frombuffer(bytes.fromhex(facts["digests"]), dtype=np.uint8).reshape(-1, DIGEST_BYTES)
            sha256 = bytes.fromhex(facts["sha256"]).hex()
        except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
            return None
        is_whole = len(digests) == facts.get("rows") and len(sha256) == 64
        return Entry(name, sha256, digests) if is_whole and name == content_key(digests.tobytes().hex()) else None


def fetch_rows(
    remote: RemoteBank, sha256s: Sequence[str], *, cache: Path, progress: Progress | None = None
) -> tuple[int, int]:
    """Bring the segments that hold rows which the local bank lacks, many at once.

    What was brought is kept, so a run that was cut off goes on where it was.

    Args:
        remote: The shared place.
        sha256s: The pictures.
        cache: Of the local bank.
        progress: Where to report to.

    Returns:
        How many rows were brought, and how many segments were found damaged.

    Raises:
        StoreError: The place cannot be reached, or the cache cannot be written.
    """
    bank = open_bank(cache, remote.spec)
    lacking = {bytes.fromhex(sha256s[position]) for position in bank.missing(sha256s)}
    wanted: list[Entry] = []
    num_rows = 0
    for entry in remote.entries() if lacking else ():
        held = {row.tobytes() for row in entry.digests} & lacking
        if held:
            wanted.append(entry)
            lacking -= held
            num_rows += len(entry.digests)
    if not wanted:
        return 0, 0
    num_brought = num_damaged = 0
    with (progress or SilentProgress()).stage("fetch", num_rows, unit="rows") as advance:
        fetched = map_ordered(remote.get, wanted, num_threads=AT_ONCE, ahead=AT_ONCE)
        for entry, rows in zip(wanted, fetched, strict=True):
            if rows is None:
                num_damaged += 1
            else:
                write_segment(cache, bank.directory, digests=entry.digests, rows=rows)
                num_brought += len(rows)
            advance(len(entry.digests))
    return num_brought, num_damaged


def send_rows(
    remote: RemoteBank, sha256s: Sequence[str], *, bank: FeatureBank, progress: Progress | None = None
) -> int:
    """Put the rows of pictures there that the place lacks, and return how many they were.

    Args:
        remote: The shared place.
        sha256s: The pictures.
        bank: The local one, which holds all of them.
        progress: Where to report to.

    Raises:
        StoreError: The place refuses them; what was put is kept.
    """
    there = {row.tobytes() for entry in remote.entries() for row in entry.digests}
    new = [sha256 for sha256 in dict.fromkeys(sha256s) if bytes.fromhex(sha256) not in there]
    if not new:
        return 0
    remote.describe()
    blocks = list(bank.spec.columns)
    parts = [new[start : start + SENT_ROWS] for start in range(0, len(new), SENT_ROWS)]

    def send(part: Sequence[str]) -> int:
        views = [bank.read(part, blocks, view=view).astype(bank.spec.storage) for view in range(bank.num_views)]
        remote.put(digests_of(part), np.stack(views, axis=1))
        return len(part)

    with (progress or SilentProgress()).stage("send", len(new), unit="rows") as advance:
        _each(send, parts, advance)
    return len(new)


def _each(work: Callable[[Sequence[str]], int], parts: Sequence[Sequence[str]], advance: Callable[[int], None]) -> None:
    for done in map_ordered(work, parts, num_threads=AT_ONCE, ahead=AT_ONCE):
        advance(done)
