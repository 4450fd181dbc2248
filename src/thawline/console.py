"""Text -> standard output, at once; what a reader who has gone, or a full disk, means for a command."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from thawline.core.errors import StoreError

__all__ = ["ReaderGoneError", "say", "say_json", "stream"]


class ReaderGoneError(Exception):
    """Whoever read standard output has seen enough."""


def say(text: str) -> None:
    """Write a line to standard output, at once.

    Raises:
        StoreError: What it leads to is full.
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
