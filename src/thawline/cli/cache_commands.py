"""`thawline cache …`: words on the command line -> the cache -> console."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

import thawline
from thawline.cli.arguments import Json
from thawline.cli.console import say, say_json
from thawline.core.errors import UsageError

if TYPE_CHECKING:
    from thawline.core.store import Entry

__all__ = ["cache"]

cache = App(name="cache", help="List or empty the store of extracted features.")

CacheDir = Annotated[Path | None, Parameter(help="Folder of the cache. Default: THAWLINE_CACHE, else the user's.")]


@cache.command(name="list")
def cache_list(*, cache_dir: CacheDir = None, json: Json = False) -> None:
    """List the banks of features and the pictures that were fetched, most recently used first."""
    entries = thawline.cache_entries(cache_dir)
    if json:
        say_json([_entry_json(entry) for entry in entries])
        return
    for entry in entries:
        facts = _entry_json(entry)
        name = facts.get("backbone") or facts["source"]
        say(f"{entry.key}  {entry.size_bytes / 2**20:10,.1f} MiB  {facts['last_used']}  {name}")
    say(_total(entries))


@cache.command(name="prune")
def cache_prune(
    *,
    older_than_days: Annotated[float | None, Parameter(help="Remove what was not opened for this many days.")] = None,
    keep_mib: Annotated[
        float | None, Parameter(help="Then remove the least recently used until this many MiB are left.")
    ] = None,
    cache_dir: CacheDir = None,
    json: Json = False,
) -> None:
    """Remove extracted features and fetched pictures; without a limit, all of them.

    They can always be made again.
    """
    for flag, limit in (("--older-than-days", older_than_days), ("--keep-mib", keep_mib)):
        if limit is not None and not 0 <= limit < float("inf"):
            raise UsageError(f"cache prune: {flag} {limit:g}: at least 0 is required. Give such a number, or none.")
    keep_bytes = None if keep_mib is None else int(keep_mib * 2**20)
    removed = thawline.prune_cache(cache_dir, older_than_days=older_than_days, keep_bytes=keep_bytes)
    if json:
        say_json([_entry_json(entry) for entry in removed])
    else:
        say(f"removed {_total(removed)}")


def _total(entries: Sequence[Entry]) -> str:
    noun = "entry" if len(entries) == 1 else "entries"
    return f"{len(entries)} {noun}, {sum(entry.size_bytes for entry in entries) / 2**20:,.1f} MiB"


def _entry_json(entry: Entry) -> dict[str, Any]:
    is_bank = entry.kind == "banks"
    try:
        file = entry.directory / ("bank.json" if is_bank else "source.json")
        name = loads(file.read_bytes())["backbone_name" if is_bank else "name"]
    except (OSError, ValueError, KeyError, TypeError):
        name = "unknown"
    return {
        "key": entry.key,
        "kind": entry.kind,
        "backbone" if is_bank else "source": name,
        "size_bytes": entry.size_bytes,
        "last_used": datetime.fromtimestamp(entry.last_used_s, UTC).isoformat(timespec="seconds"),
        "directory": str(entry.directory),
    }
