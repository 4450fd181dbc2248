"""The process that decodes what may cost much: messages on standard input -> messages on standard output.

The one idea: it sets its own limits before it looks at the bytes, and whatever happens to it happens to nobody else.
It is started by `confined.py`, and knows Pillow and numpy only.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

import psutil
from PIL import AvifImagePlugin, Image
from PIL.ImageFile import ImageFile

from thawline.core.errors import DataError
from thawline.core.rendering import Rendering
from thawline.data.bounds import MAX_BYTES, MAX_HONEST_BYTES
from thawline.data.confined import Facts, Message, receive, send
from thawline.data.images import decode_here

__all__ = ["main"]


def main() -> None:
    """Answer until standard input ends: for each picture the facts of a `Decoded` and its RGB pixels, or an error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the first one decides
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the threads that ask are enough
    Image.MAX_IMAGE_PIXELS = None  # our own limits hold
    questions = sys.stdin.buffer
    while True:
        try:
            facts, data = receive(questions)
            send(answers, _answer(facts, data, questions, answers))
        except (EOFError, BrokenPipeError):
            return


def _answer(facts: Facts, data: bytes, questions: IO[bytes], answers: IO[bytes]) -> Message:
    """Return the answer to one picture."""

    @contextmanager
    def asking(image: ImageFile | None, num_bytes: int) -> Iterator[None]:
        _limit_memory(MAX_HONEST_BYTES if num_bytes > MAX_BYTES else MAX_BYTES)
        send(answers, ({"needs_bytes": num_bytes}, b""))
        receive(questions)
        yield

    _limit_memory(MAX_BYTES)
    _limit_time(facts.pop("max_seconds"))
    try:
        known = facts.pop("rendering", None)
        rendering = None if known is None else Rendering.of(known)
        picture = decode_here(data, admit=asking, rendering=rendering, **facts)
        image = picture.image
        answer = {**picture.facts(), "mode": image.mode, "size": image.size}
        return {**answer, "resident_bytes": psutil.Process().memory_info().rss}, image.tobytes()
    except DataError as error:
        return {"error": str(error), "resident_bytes": psutil.Process().memory_info().rss}, b""
    finally:
        _limit_time(0)


def _limit_time(seconds: float) -> None:
    """End this process once it has used so many seconds of processor time; 0 takes the limit away."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _limit_memory(num_bytes: int) -> None:
    """Let this process take so many bytes more than it has, where the system has such a limit."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + num_bytes, most))
