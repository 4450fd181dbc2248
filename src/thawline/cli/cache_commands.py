"""`thawline cache …`: words on the command line -> the cache -> console."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

import thawline
from thawline.cli.arguments import Json
from thawline.cli.console import say, say_json
from thawline.cli.sections import House
from thawline.core.counting import counted
from thawline.core.errors import StoreError, UsageError, first_few
from thawline.core.progress import progress_for_stderr

if TYPE_CHECKING:
    from thawline.core.cache import Entry
    from thawline.features.verification import Verified

__all__ = ["cache"]

cache = House(name="cache", help="List, verify, compact or empty the store of extracted features.")

DESCRIPTIONS = {"banks": ("bank.json", "backbone_name", "backbone"), "answers": ("entry.json", "what", "answer")}
"""Kind of entry → the file that describes it, where its name stands there, and what that is called; else a source."""

CacheDir = Annotated[Path | None, Parameter(help="Folder of the cache. Default: THAWLINE_CACHE, else the user's.")]


@cache.command(name="list")
def cache_list(*, cache_dir: CacheDir = None, json: Json = False) -> None:
    """List banks of features, pictures that were fetched and answers that are remembered, most recently used first."""
    entries = thawline.cache_entries(cache_dir)
    if json:
        say_json([_entry_json(entry) for entry in entries])
    else:
        say("\n".join([*map(_line, entries), _total(entries)]))


@cache.command(name="prune")
def cache_prune(
    *,
    older_than_days: Annotated[float | None, Parameter(help="Remove what was not opened for this many days.")] = None,
    keep_mib: Annotated[
        float | None, Parameter(help="Then remove the least recently used until this many MiB are left.")
    ] = None,
    yes: Annotated[bool, Parameter(help="Remove them without a question.")] = False,
    cache_dir: CacheDir = None,
    json: Json = False,
) -> None:
    """Remove extracted features and fetched pictures; without a limit, all of them.

    They are listed first, and removed after a yes; where nobody can be asked, only with --yes. They can always be made
    again. What Thawline did not write is never removed.
    """
    from thawline.core.cache import foreign_paths, prunable_entries

    for flag, limit in (("--older-than-days", older_than_days), ("--keep-mib", keep_mib)):
        if limit is not None and not 0 <= limit < float("inf"):
            raise UsageError(f"cache prune: {flag} {limit:g}: at least 0 is required. Give such a number, or none.")
    keep_bytes = None if keep_mib is None else int(keep_mib * 2**20)
    entries = prunable_entries(cache_dir, older_than_days=older_than_days, keep_bytes=keep_bytes)
    if not json:
        for path in foreign_paths(cache_dir):
            say(f"left alone, not Thawline's: {path}")
        for entry in entries:
            say(_line(entry))
    if entries and not yes:
        _ask(entries, can_ask=not json)
    removed = thawline.prune_cache(cache_dir, entries=entries)
    say_json([_entry_json(entry) for entry in removed]) if json else say(f"removed {_total(removed)}")


@cache.command(name="verify")
def cache_verify(*, cache_dir: CacheDir = None, json: Json = False) -> None:
    """Read every row of every bank and remove what is damaged; the next run that needs it extracts it again.

    A run verifies a row when it first reads it, so nothing needs this command; it finds damage before a run does. The
    exit code is 1 where there was some.
    """
    found = thawline.verify_cache(cache_dir, progress=progress_for_stderr())
    say_json([one.to_json() for one in found]) if json else say("\n".join([*map(_verified, found), _total_rows(found)]))
    if any(not one.is_whole for one in found):
        num_rows, places = sum(one.num_damaged for one in found), [one.key for one in found if not one.is_whole]
        raise StoreError(
            f"cache verify: {first_few(places)}: damage was found and removed ({counted(num_rows, 'rows')}); the rest "
            "is whole. The next run that needs those pictures extracts them again. Check the disk if it happens often."
        )


@cache.command(name="compact")
def cache_compact(*, cache_dir: CacheDir = None, json: Json = False) -> None:
    """Merge the small segments of every bank into large ones, safely beside runs that read and write them.

    Runs do so by themselves after an extraction that leaves 32 small segments or more; rows stay what they are.
    """
    done = thawline.compact_cache(cache_dir, progress=progress_for_stderr())
    if json:
        say_json([{"key": key, **asdict(one)} for key, one in done.items()])
    else:
        lines = [f"{key}  {one.num_before:8,} → {counted(one.num_after, 'segments')}" for key, one in done.items()]
        say("\n".join(lines or ["no banks"]))


def _verified(one: Verified) -> str:
    words = [f"{one.key}  {one.num_rows:12,} rows sound"]
    if one.num_damaged:
        words.append(f"{counted(one.num_damaged, 'rows')} damaged and removed ({first_few(one.damaged)})")
    if one.is_index_damaged:
        words.append("index damaged and written again")
    return ", ".join(words)


def _total_rows(found: Sequence[Verified]) -> str:
    return f"{counted(len(found), 'banks')}, {counted(sum(one.num_rows for one in found), 'rows')} sound"


def _ask(entries: Sequence[Entry], *, can_ask: bool) -> None:
    """Return if the person wants these removed.

    Raises:
        StoreError: They do not, or nobody can be asked; nothing is removed.
    """
    if not (can_ask and sys.stdin is not None and sys.stdin.isatty()):
        raise StoreError(
            f"cache prune: nothing was removed: there is nobody to ask. Pass --yes to remove {_total(entries)}."
        )
    sys.stderr.write(f"Remove {_total(entries)}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise StoreError("cache prune: nothing was removed. Answer y to remove them, or pass --yes.")


def _line(entry: Entry) -> str:
    facts = _entry_json(entry)
    name = facts.get("backbone") or facts.get("answer") or facts["source"]
    return f"{entry.key}  {entry.size_bytes / 2**20:10,.1f} MiB  {facts['last_used']}  {name}"


def _total(entries: Sequence[Entry]) -> str:
    noun = "entry" if len(entries) == 1 else "entries"
    return f"{len(entries)} {noun}, {sum(entry.size_bytes for entry in entries) / 2**20:,.1f} MiB"


def _entry_json(entry: Entry) -> dict[str, Any]:
    description, key, called = DESCRIPTIONS.get(entry.kind, ("source.json", "name", "source"))
    try:
        name = loads((entry.directory / description).read_bytes())[key]
    except (OSError, ValueError, KeyError, TypeError):
        name = "unknown"
    return {
        "key": entry.key,
        "kind": entry.kind,
        called: name,
        "size_bytes": entry.size_bytes,
        "last_used": datetime.fromtimestamp(entry.last_used_s, UTC).isoformat(timespec="seconds"),
        "directory": str(entry.directory),
    }
