"""Content keys and atomic commits: how anything reaches the disk.

One idea: a thing is written next to its final place, flushed, and renamed. Readers see the old state or the new one,
never half of it; a kill leaves only a staging folder, which the next run removes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from thawline.core import locks
from thawline.core.errors import StoreError

__all__ = [
    "NoRoomError",
    "cache_root",
    "commit_directory",
    "content_key",
    "disk_errors",
    "expand_user",
    "file_sha256",
    "paths_in",
    "replace_directory",
    "require_space",
    "restore_directory",
    "staging_directory",
    "sweep_staging",
    "write_bytes",
    "write_json",
]

STAGING, LOCK, CONTENT = ".thawline-staging", "lock", "content"
STALE_STAGING_S = 24 * 3600.0  # where the file system has no locks
_FLUSHED_AT_ONCE = 8


class NoRoomError(StoreError):
    """What is to be stored needs more space than there is or than is allowed; nothing has been written."""


def cache_root(directory: Path | str | None = None) -> Path:
    """Return the cache directory, created if missing: the argument, `THAWLINE_CACHE`, or the user's own cache folder.

    Raises:
        StoreError: It cannot be created or is not a directory.
    """
    from platformdirs import user_cache_path  # here, because a service has neither a cache nor this package

    named = directory or os.environ.get("THAWLINE_CACHE")
    root = expand_user(named) if named else user_cache_path("thawline", appauthor=False)
    try:
        with disk_errors("open the cache", root):
            root.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:  # a place such as /proc, in which nothing can be created
        raise StoreError(f"open the cache: {root} cannot be created. Choose another place with --cache-dir.") from None
    return root


def expand_user(path: Path | str) -> Path:
    """Return a path with `~` or `~user` at its beginning replaced; a user who does not exist stays as written."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  # Path.expanduser raises


def content_key(value: object) -> str:
    """Return 32 hex digits that identify a JSON-like value; the same on every machine and in every run."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's contents, 64 hexadecimal digits; the file is read, never held."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def disk_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn what a disk can refuse (no space, no permission, read-only) into a `StoreError` that says what to do."""
    remedies = {
        errno.ENOSPC: "the disk is full. Free some space (`thawline cache prune`) or choose another place",
        errno.EDQUOT: "the disk quota is used up. Free some space or choose another place",
        errno.EACCES: "permission denied. Choose a place that you may write to",
        errno.EPERM: "permission denied. Choose a place that you may write to",
        errno.EROFS: "the file system is read-only. Choose a place that you may write to",
        errno.EBUSY: "it is in use, as a mounted disk is. Choose a folder inside it",
        errno.ENOTDIR: "a file stands where a folder is needed. Choose another place",
        errno.EEXIST: "a file stands where a folder is needed. Choose another place",
    }
    try:
        yield
    except OSError as error:
        remedy = remedies.get(error.errno or 0)
        if remedy is None:
            raise
        culprit = error.filename or path
        raise StoreError(
            f"{doing}: {culprit}: {remedy} (--cache-dir for the cache, -o for results). What was written is kept."
        ) from None


def require_space(
    doing: str, path: Path, *, needed_bytes: int, remedy: str = "pass --cache-dir on a larger disk"
) -> None:
    """Refuse work whose result would not fit, before it starts; `remedy` says what helps, besides freeing some space.

    Raises:
        NoRoomError: Fewer than `needed_bytes` are free where `path` lies.
    """
    free = shutil.disk_usage(path).free
    if needed_bytes > free:
        raise NoRoomError(
            f"{doing}: {path} has {free / 2**20:,.0f} MiB free, {needed_bytes / 2**20:,.0f} MiB are needed. "
            f"Free some space (`thawline cache prune`) or {remedy}."
        )


@contextmanager
def staging_directory(root: Path) -> Iterator[Path]:
    """Return a new private folder on the file system of `root`; removed on leaving, unless it was renamed away.

    It lies in `.thawline-staging` next to a lock that this process holds meanwhile, so that `sweep_staging` knows
    whether anybody still works in it.
    """
    place, lock = _staging_place(root / STAGING)
    directory = place / CONTENT
    try:
        directory.mkdir()
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        with suppress(OSError):
            locks.release(place / LOCK, lock)
        _remove_if_empty(place)
        _remove_if_empty(place.parent)


def _staging_place(parent: Path) -> tuple[Path, int | None]:
    """Return a new folder in `parent` and the descriptor of its lock, or None where the file system has no locks."""
    while True:
        place = parent / uuid.uuid4().hex
        parent.mkdir(parents=True, exist_ok=True)
        # whoever sweeps may just have removed the empty parent, or this place before its lock was taken
        with suppress(FileNotFoundError, BlockingIOError):
            place.mkdir()
            try:
                return place, locks.take(place / LOCK, create=True)
            except locks.NoLocksError:
                return place, None


def _remove_if_empty(directory: Path) -> None:
    with suppress(OSError):  # others are at work in there
        directory.rmdir()


def paths_in(directory: Path, pattern: str = "*") -> list[Path]:
    """Return what a folder holds, sorted; nothing where the folder does not exist or is removed meanwhile."""
    with suppress(FileNotFoundError):
        return sorted(directory.glob(pattern))
    return []


def sweep_staging(root: Path) -> int:
    """Return how many staging folders of dead processes were removed; those of live ones stay.

    Where the file system has no locks, nobody knows who lives, and what is a day old is removed.
    """
    removed = sum(_sweep(place) for place in paths_in(root / STAGING) if re.fullmatch("[0-9a-f]{32}", place.name))
    _remove_if_empty(root / STAGING)
    return removed


def _sweep(place: Path) -> bool:
    """Return whether a staging folder was removed, since whoever made it is gone; what else lies in it stays."""
    try:
        lock = locks.take(place / LOCK)
    except locks.NoLocksError:
        with suppress(OSError):  # its owner removed it just now
            if time.time() - place.stat().st_mtime > STALE_STAGING_S:
                shutil.rmtree(place / CONTENT, ignore_errors=True)
                (place / LOCK).unlink(missing_ok=True)
    except OSError:  # its owner lives, or was killed before it had a lock, or nothing may be removed here
        pass
    else:
        shutil.rmtree(place / CONTENT, ignore_errors=True)
        with suppress(OSError):
            locks.release(place / LOCK, lock)
    _remove_if_empty(place)
    return not place.exists()


def commit_directory(staged: Path, final: Path) -> bool:
    """Rename a finished folder to its final, immutable place; every file is flushed first.

    Returns:
        True when this call put it there; False when another run had committed the same content before.
    """
    _flush_tree(staged)
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        staged.rename(final)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return False
        raise
    _flush(final.parent)
    return True


def replace_directory(staged: Path, final: Path, *, require: Callable[[Path], None]) -> None:
    """Put a finished folder in the place of an older one, which is removed only after the new one stands.

    A kill between the two renames leaves the older one as `.NAME.thawline-old`; `restore_directory` puts it back.

    Args:
        staged: The finished folder, on the same file system.
        final: Where it belongs.
        require: Raises where a folder holds anything that is not ours; called with whatever is to be removed.

    Raises:
        StoreError: From `require`; everything is as it was.
    """
    _flush_tree(staged)
    final.parent.mkdir(parents=True, exist_ok=True)
    restore_directory(final)
    old = _older(final)
    for place in (final, old):
        if os.path.lexists(place):
            require(place)
    _discard(old)  # a kill had left it
    try:
        if final.exists():
            final.rename(old)
        staged.rename(final)
    except BaseException:
        restore_directory(final)
        raise
    _flush(final.parent)
    _discard(old)


def restore_directory(final: Path) -> None:
    """Put a folder back that a kill in `replace_directory` has left without its name; else do nothing."""
    old = _older(final)
    if old.exists() and not os.path.lexists(final):
        old.rename(final)


def _older(final: Path) -> Path:
    """Return where a folder lies while another takes its place: a name that nobody else gives."""
    return final.with_name(f".{final.name}.thawline-old")


def _discard(directory: Path) -> None:
    """Remove a folder of ours, if it is there: it disappears at once by a rename, and a kill leaves what is swept."""
    with suppress(FileNotFoundError):
        if directory.exists():
            with staging_directory(directory.parent) as staged:
                directory.rename(staged / "old")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that `path` holds either its old content or all of `data`, whatever happens.

    Raises:
        StoreError: No space or no permission; the old content is intact.
    """
    with disk_errors("write", path):
        sweep_staging(path.parent)
        with staging_directory(path.parent) as staged:
            temporary = staged / "file"
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON, atomically; NaN and infinity are refused."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def _flush_tree(directory: Path) -> None:
    with ThreadPoolExecutor(_FLUSHED_AT_ONCE) as pool:  # the disk takes many at once: twelve times as fast as in turn
        for _ in pool.map(_flush, directory.rglob("*")):
            pass
    _flush(directory)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
