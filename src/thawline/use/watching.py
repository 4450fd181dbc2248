"""A folder that pictures arrive in -> the pictures, each once, as soon as they are whole.

One idea: a file is looked at twice. Only when size and time of change are those of the look before is it handed on, so
a picture that is still being copied is waited for; one that changes later is handed on again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from thawline.core.errors import DataError
from thawline.data.sources.listing import FileSource, display_path
from thawline.data.sources.system_files import is_picture_name
from thawline.data.sources.unlabelled import Answerable, files_in

__all__ = ["EVERY_S", "arrivals"]

EVERY_S = 1.0
"""Between two looks: the least that a picture waits, and at most twice that."""


def arrivals(folder: Path, *, wait: Callable[[float], None] = time.sleep) -> Iterator[list[Answerable]]:
    """Yield lists of pictures that are new in a folder, and in the folders in it; never ends by itself.

    Pictures that are there at the beginning come first. Files whose names are no pictures', hidden ones and those of
    systems are passed over. Memory grows by what lies in the folder.

    Args:
        folder: To watch; it may be empty, and may be filled by any program, also over a network.
        wait: Called with the seconds between two looks.

    Raises:
        DataError: The folder is not there, or is there no more.
    """
    seen: dict[Path, tuple[int, int]] = {}
    answered: dict[Path, tuple[int, int]] = {}
    while True:
        if not folder.is_dir():
            raise DataError(
                f"watch {display_path(folder)}: no such folder. Make it first, or name one that is there with --watch."
            )
        now: dict[Path, tuple[int, int]] = {}
        ready: list[Answerable] = []
        for source in files_in(folder)[0]:
            facts = _facts(source)
            if facts is None:
                continue
            now[source.path] = facts
            if seen.get(source.path) == facts != answered.get(source.path):
                ready.append((display_path(source.path), source))
                answered[source.path] = facts
        seen = now
        answered = {path: facts for path, facts in answered.items() if path in now}
        if ready:
            yield ready
        wait(EVERY_S)


def _facts(source: FileSource) -> tuple[int, int] | None:
    """Return size and time of change of a file that may be a picture, or None where it is none or is gone."""
    if not is_picture_name(source.path.name):
        return None
    try:
        facts = source.path.stat()
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns
