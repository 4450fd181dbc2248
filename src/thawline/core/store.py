"""Content keys and atomic commits: how anything reaches the disk.

One idea: a thing is written next to its final place, flushed, and renamed. Readers see the old state or the new one,
never half of it; a kill leaves only a staging folder, which the next run removes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from thawline.core.errors import StoreError

__all__ = [
    "Entry",
    "NoRoomError",
    "cache_entries",
    "cache_root",
    "commit_directory",
    "content_key",
    "disk_errors",
    "expand_user",
    "paths_in",
    "prune_cache",
    "remove_entry",
    "replace_directory",
    "require_space",
    "staging_directory",
    "sweep_staging",
    "write_bytes",
    "write_json",
]

STALE_STAGING_S = 24 * 3600.0
_FLUSHED_AT_ONCE = 8


class NoRoomError(StoreError):
    """What is to be stored needs more space than there is or than is allowed; nothing has been written."""


@dataclass(frozen=True)
class Entry:
    """One thing in the cache.

    Attributes:
        kind: Folder it lies in: `banks` of features, or `pictures` that were fetched.
        key: Its content key.
        directory: Where it lies.
        size_bytes: Bytes of all its files.
        last_used_s: When it was last opened, in seconds since the epoch.
    """

    kind: str
    key: str
    directory: Path
    size_bytes: int
    last_used_s: float


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
    """Return a new private folder on the file system of `root`; removed on leaving, unless it was renamed away."""
    parent = root / "staging"
    directory = parent / f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    while not directory.exists():
        parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process may just have removed the empty parent
            directory.mkdir()
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        _remove_if_empty(parent)


def _remove_if_empty(directory: Path) -> None:
    with suppress(OSError):  # others are at work in there
        directory.rmdir()


def paths_in(directory: Path, pattern: str = "*") -> list[Path]:
    """Return what a folder holds, sorted; nothing where the folder does not exist or is removed meanwhile."""
    with suppress(FileNotFoundError):
        return sorted(directory.glob(pattern))
    return []


def sweep_staging(root: Path) -> int:
    """Return how many staging folders of dead processes were removed; those of live ones stay."""
    from psutil import pid_exists  # here, because a service has neither a cache nor this package

    removed = 0
    for directory in paths_in(root / "staging"):
        host, _, pid = directory.name.rpartition("-")[0].rpartition("-")
        try:
            stale = time.time() - directory.stat().st_mtime > STALE_STAGING_S
        except OSError:  # its owner removed it just now
            continue
        if stale or (host == platform.node() and pid.isdecimal() and not pid_exists(int(pid))):
            shutil.rmtree(directory, ignore_errors=True)
            removed += 1
    _remove_if_empty(root / "staging")
    return removed


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


def replace_directory(staged: Path, final: Path) -> None:
    """Put a finished folder in the place of an older one; the old one is removed only after the new one stands."""
    _flush_tree(staged)
    final.parent.mkdir(parents=True, exist_ok=True)
    old = final.with_name(f".{final.name}.old-{uuid.uuid4().hex[:8]}")
    try:
        if final.exists():
            final.rename(old)
        staged.rename(final)
    except BaseException:
        if old.exists() and not final.exists():
            old.rename(final)
        raise
    _flush(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that `path` holds either its old content or all of `data`, whatever happens.

    Raises:
        StoreError: No space or no permission; the old content is intact.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    with disk_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON, atomically; NaN and infinity are refused."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def cache_entries(cache_dir: Path | None = None) -> tuple[Entry, ...]:
    """Return what the cache holds, most recently used first; what another run removes meanwhile is left out."""
    root, entries = cache_root(cache_dir), []
    for directory in (*paths_in(root / "banks", "*/"), *paths_in(root / "pictures", "*/")):
        with suppress(FileNotFoundError):
            size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
            entries.append(Entry(directory.parent.name, directory.name, directory, size, directory.stat().st_mtime))
    return tuple(sorted(entries, key=lambda entry: -entry.last_used_s))


def remove_entry(entry: Entry, root: Path) -> None:
    """Remove one thing from the cache: it disappears at once by a rename, then its files are deleted.

    Raises:
        StoreError: The cache cannot be written. It is no error when another run has removed it already.
    """
    with disk_errors("prune", entry.directory), staging_directory(root) as staged, suppress(FileNotFoundError):
        entry.directory.rename(staged / entry.key)


def prune_cache(
    cache_dir: Path | None = None, *, older_than_days: float | None = None, keep_bytes: int | None = None
) -> tuple[Entry, ...]:
    """Return what was removed from the cache; with neither limit, everything.

    Args:
        cache_dir: The cache, or None for the usual one.
        older_than_days: Remove what was not opened for this long.
        keep_bytes: Then remove the least recently used until at most this many bytes are left.

    Raises:
        StoreError: The cache cannot be written.
    """
    root, removed, kept_bytes = cache_root(cache_dir), [], 0
    everything = older_than_days is None and keep_bytes is None
    for entry in cache_entries(root):
        old = older_than_days is not None and time.time() - entry.last_used_s > older_than_days * 86400
        kept_bytes += 0 if old else entry.size_bytes
        if everything or old or (keep_bytes is not None and kept_bytes > keep_bytes):
            remove_entry(entry, root)
            removed.append(entry)
    return tuple(removed)


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
