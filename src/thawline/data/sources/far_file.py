"""A file at an address -> its bytes, any stretch of them, read in blocks that are kept for whoever reads next to it.

The one idea: pictures of a shard lie next to each other, and so do the pictures that a worker is given. A request
brings a block of many, so reading them one by one costs few requests, and no machine needs a copy of the whole shard.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

from thawline.core.errors import DataError
from thawline.core.remote_files import file_system, remote_errors

__all__ = ["FarFile", "FarStream"]

BLOCK_BYTES = 4 << 20
BLOCKS_KEPT = 16


@dataclass(frozen=True)
class FarFile:
    """A file at an address, as it was when it was listed.

    Attributes:
        place: What the person named, which says by what it is reached.
        path: In that file system.
        address: What people call it: `s3://bucket/train-000.tar`.
        size_bytes: Its length.
        stamp: What becomes another when the file is written again.
    """

    place: str
    path: str
    address: str
    size_bytes: int
    stamp: str

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    def fetch(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end`, which lie within the file, by one request.

        Raises:
            DataError: It cannot be reached, is gone, or is shorter than it was.
        """
        if start >= end:
            return b""
        with remote_errors("read", self.address, kind=DataError):
            system, _ = file_system(self.place, doing="read", kind=DataError)
            data = bytes(system.cat_file(self.path, start=start, end=end))
        if len(data) != end - start:
            raise DataError(
                f"read: {self.address} ends after {start + len(data):,} of {self.size_bytes:,} bytes: it was written "
                "again since it was listed. Run again."
            )
        return data

    def open(self) -> FarStream:
        """Return a stream of its bytes; nothing is requested before it is read."""
        return FarStream(self)


class FarStream(io.RawIOBase):
    """A file at an address, to be read from any place in it. A thread has its own; all share the blocks.

    Args:
        far: The file.
    """

    def __init__(self, far: FarFile) -> None:
        super().__init__()
        self._far = far
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place, as for any file, and return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._far.size_bytes}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill a buffer as far as the file goes, and return how many bytes that were.

        Raises:
            DataError: As `FarFile.fetch`.
        """
        end = min(self._at + len(buffer), self._far.size_bytes)
        filled = 0
        while self._at < end:
            number, offset = divmod(self._at, BLOCK_BYTES)
            part = _block(self._far, number)[offset : offset + end - self._at]
            buffer[filled : filled + len(part)] = part
            filled += len(part)
            self._at += len(part)
        return filled


class _Blocks:
    """The blocks that were read last; threads that want the same one wait for one request."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[tuple[FarFile, int], Future[bytes]] = OrderedDict()

    def get(self, key: tuple[FarFile, int], fetch: Callable[[], bytes]) -> bytes:
        with self._lock:
            block = self._kept.get(key)
            is_mine = block is None
            if block is None:
                block = self._kept[key] = Future()
            self._kept.move_to_end(key)
            if len(self._kept) > BLOCKS_KEPT:
                self._kept.popitem(last=False)
        if is_mine:
            try:
                block.set_result(fetch())
            except BaseException as error:
                with self._lock:  # it may be tried again
                    self._kept.pop(key, None)
                block.set_exception(error)
        return block.result()


@lru_cache(maxsize=1)
def _blocks() -> _Blocks:
    """Return the blocks of this process."""
    return _Blocks()


def _block(far: FarFile, number: int) -> bytes:
    start = number * BLOCK_BYTES
    end = min(start + BLOCK_BYTES, far.size_bytes)
    return _blocks().get((far, number), lambda: far.fetch(start, end))
