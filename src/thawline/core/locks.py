"""A file -> a lock on it that ends with the process that holds it, however that process ends.

One idea: the system knows who lives. A host's name and a process number mean nothing in the next container; a lock is
gone the moment its holder is, also after `kill -9`, and holds across containers that share a disk.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["NoLocksError", "release", "take"]


class NoLocksError(Exception):
    """This file system has no locks: whether a holder lives cannot be told."""


def take(file: Path, *, create: bool = False) -> int:
    """Return a descriptor that holds the lock of a file until `release`, or until this process ends.

    Args:
        file: Lies in a folder that exists.
        create: Whether to make the file where it is missing.

    Raises:
        BlockingIOError: Another descriptor, of this process or another, holds it.
        FileNotFoundError: The file is missing, or whoever held the lock has just removed it.
        NoLocksError: The file system has none.
        OSError: The file cannot be opened.
    """
    descriptor = os.open(file, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
    try:
        _lock(descriptor)
        if not os.path.samestat(os.fstat(descriptor), file.stat()):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def release(file: Path, descriptor: int | None) -> None:
    """Remove the file and give its lock back; None where the file system has no locks."""
    try:
        file.unlink(missing_ok=True)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    if fcntl is None:
        raise NoLocksError
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        raise NoLocksError from error
