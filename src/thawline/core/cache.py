"""The cache folder -> what Thawline keeps in it, and nothing else of what lies there.

One idea: an entry counts as ours only if its name is a content key, its description says what it is, and everything in
it has a name that we give. Whatever else is in the folder is neither listed nor removed.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from thawline.core.store import cache_root, disk_errors, paths_in, staging_directory, sweep_staging

__all__ = ["Entry", "cache_entries", "foreign_paths", "prunable_entries", "prune_cache", "remove_entry"]

_KEY = "[0-9a-f]{32}"
_DESCRIPTIONS = {
    "banks": ("bank.json", {"weights_sha256", "views", "blocks"}),
    "pictures": ("source.json", {"source", "pictures"}),
    "packages": ("source.json", {"source", "integrity"}),
    "engines": ("engine.json", {"machine", "paces"}),
    "answers": ("entry.json", {"what", "thawline", "sha256"}),
    "shards": ("source.json", {"source", "stamp", "bytes"}),
}
_NAMES = {
    "banks": rf"bank\.json|compaction\.lock|segments|segments/{_KEY}|segments/{_KEY}/(rows|digests|checksums)\.npy|"
    rf"index|index/{_KEY}|index/{_KEY}/places\.bin",
    "pictures": r"source\.json|(train|validation|test|all)-\d{5}\.parquet",
    "packages": r"source\.json|package\.tgz",
    "engines": r"engine\.json|graph\.onnx",
    "answers": r"entry\.json|answer\.safetensors",
    "shards": r"source\.json|copy\.(tar|parquet)",
}


@dataclass(frozen=True)
class Entry:
    """One thing in the cache.

    Attributes:
        kind: Folder it lies in: `banks` of features, `pictures` that were fetched, `packages` for an export,
            what `engines` take here and the graphs that they compile, `answers` that were computed, or copies of
            `shards` at addresses.
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


def cache_entries(cache_dir: Path | None = None) -> tuple[Entry, ...]:
    """Return what the cache holds, most recently used first; what another run removes meanwhile is left out."""
    root, entries = cache_root(cache_dir), []
    for directory in _candidates(root):
        with suppress(FileNotFoundError):
            if _is_ours(directory):
                size = sum(file.lstat().st_size for file in directory.rglob("*") if file.is_file())
                entries.append(Entry(directory.parent.name, directory.name, directory, size, directory.stat().st_mtime))
    return tuple(sorted(entries, key=lambda entry: -entry.last_used_s))


def foreign_paths(cache_dir: Path | None = None) -> tuple[Path, ...]:
    """Return what lies among the entries of the cache and is none, sorted: it is never removed."""
    return tuple(path for path in _candidates(cache_root(cache_dir)) if not _is_ours(path))


def prunable_entries(
    cache_dir: Path | None = None, *, older_than_days: float | None = None, keep_bytes: int | None = None
) -> tuple[Entry, ...]:
    """Return what `prune_cache` would remove, with the same arguments; nothing is removed."""
    chosen, kept_bytes = [], 0
    everything = older_than_days is None and keep_bytes is None
    for entry in cache_entries(cache_dir):
        old = older_than_days is not None and time.time() - entry.last_used_s > older_than_days * 86400
        kept_bytes += 0 if old else entry.size_bytes
        if everything or old or (keep_bytes is not None and kept_bytes > keep_bytes):
            chosen.append(entry)
    return tuple(chosen)


def prune_cache(
    cache_dir: Path | None = None,
    *,
    older_than_days: float | None = None,
    keep_bytes: int | None = None,
    entries: Sequence[Entry] | None = None,
) -> tuple[Entry, ...]:
    """Return what was removed from the cache; with neither limit, everything that Thawline keeps there.

    Args:
        cache_dir: The cache, or None for the usual one.
        older_than_days: Remove what was not opened for this long.
        keep_bytes: Then remove the least recently used until at most this many bytes are left.
        entries: Remove these instead, such as `prunable_entries` has listed; what is no longer ours by then stays.

    Raises:
        StoreError: The cache cannot be written.
    """
    root = cache_root(cache_dir)
    if entries is None:
        entries = prunable_entries(root, older_than_days=older_than_days, keep_bytes=keep_bytes)
    sweep_staging(root)
    return tuple(entry for entry in entries if remove_entry(entry, root))


def remove_entry(entry: Entry, root: Path) -> bool:
    """Remove one thing from the cache: it disappears at once by a rename, then its files are deleted.

    Returns:
        Whether this call did; False where another run had removed it, or somebody put something of theirs into it.

    Raises:
        StoreError: The cache cannot be written.
    """
    if not _is_ours(entry.directory):
        return False
    with disk_errors("prune", entry.directory), staging_directory(root) as staged, suppress(FileNotFoundError):
        entry.directory.rename(staged / entry.key)
        return True
    return False


def _candidates(root: Path) -> list[Path]:
    return [path for kind in _DESCRIPTIONS for path in paths_in(root / kind)]


def _is_ours(directory: Path) -> bool:
    """Return whether Thawline made a folder and everything in it: links, other names and other files are not ours."""
    kind = directory.parent.name
    description, needed = _DESCRIPTIONS[kind]
    if directory.is_symlink() or not re.fullmatch(_KEY, directory.name):
        return False
    try:
        facts = json.loads((directory / description).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(facts, dict) and needed <= set(facts) and all(_names_ours(directory, _NAMES[kind]))


def _names_ours(directory: Path, pattern: str) -> Iterator[bool]:
    """Yield for everything below a folder whether it has a name and a form that we give."""
    for path in directory.rglob("*"):
        name = path.relative_to(directory).as_posix()
        is_folder = bool(re.fullmatch(f"(segments|index)(/{_KEY})?", name))
        is_form = path.is_dir() if is_folder else path.is_file()
        yield bool(re.fullmatch(pattern, name)) and is_form and not path.is_symlink()
