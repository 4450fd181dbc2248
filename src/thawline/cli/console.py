"""Text -> standard output, at once; and what becomes of a command where a stream is closed, full or no longer read."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from thawline.core.errors import StoreError

__all__ = ["ReaderGoneError", "discard_output", "prepare_streams", "say", "say_json", "stream"]


class ReaderGoneError(Exception):
    """Whatever read standard output has stopped reading."""


def say(text: str) -> None:
    """Write a line to standard output, at once.

    Raises:
        StoreError: It leads to something that is full.
    """
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None
    except OSError as error:
        raise StoreError(
            f"print: standard output takes no more: {error.strerror}. The work itself is done and kept; send the "
            "output elsewhere and run the command again."
        ) from None


def say_json(value: Any) -> None:
    """Write a value to standard output as JSON."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def stream(lines: Iterable[str]) -> None:
    """Write lines to standard output as they come."""
    for line in lines:
        say(line)


def prepare_streams() -> None:
    """Make standard output and error take any text, also where they are closed."""
    for name in ("stdout", "stderr"):
        file = getattr(sys, name)
        if file is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8"))
        elif isinstance(file, io.TextIOWrapper) and file.errors == "strict":
            file.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show ends no run


def discard_output() -> None:
    """Drop what standard output no longer takes, so that nothing fails at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):  # what stands in for it has no descriptor
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
