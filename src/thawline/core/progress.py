"""Progress of long work: bars with rate and time left on a terminal, plain lines in a log, nothing in a library call.

One idea: the code that does the work opens a `stage` and advances it; how that looks is decided once, by the caller
at the top. Everything goes to standard error, so results on standard output can be piped.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from thawline.core.counting import counted

__all__ = ["Advance", "LineProgress", "Progress", "SilentProgress", "TerminalProgress", "progress_for_stderr"]

Advance = Callable[[int], None]


class Progress(Protocol):
    """Where long work reports to."""

    def stage(self, name: str, total: int | None = None, *, unit: str = "pictures") -> AbstractContextManager[Advance]:
        """Return a context whose value is called with the number of units just done."""

    def note(self, text: str) -> None:
        """Write one line between the bars."""


class SilentProgress:
    """Says nothing: the default for calls from Python."""

    @contextmanager
    def stage(self, name: str, total: int | None = None, *, unit: str = "pictures") -> Iterator[Advance]:
        """Return a context that ignores every step."""
        yield lambda done: None

    def note(self, text: str) -> None:
        """Ignore the line."""


class LineProgress:
    """One plain line when a stage ends, and one every `every_s` seconds while it runs: for logs and CI."""

    def __init__(self, every_s: float = 10.0) -> None:
        self.every_s = every_s

    @contextmanager
    def stage(self, name: str, total: int | None = None, *, unit: str = "pictures") -> Iterator[Advance]:
        """Return a context that prints `name: done of total unit, rate, time left`."""
        start = last = time.monotonic()
        done = 0

        def advance(count: int) -> None:
            nonlocal done, last
            done += count
            now = time.monotonic()
            if now - last >= self.every_s:
                last = now
                rate = done / (now - start)
                left = f", {(total - done) / rate:.0f} s left" if total and rate else ""
                self.note(f"{name}: {done:,}{f' of {total:,}' if total else ''} {unit}, {rate:.0f}/s{left}")

        yield advance
        seconds = time.monotonic() - start
        rate = f", {done / seconds:,.0f}/s" if done and seconds > 0 else ""
        self.note(f"{name}: {counted(done, unit)} in {seconds:.1f} s{rate}" if done else f"{name}: {seconds:.1f} s")

    def note(self, text: str) -> None:
        """Print the line."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


class TerminalProgress:
    """Bars with count, rate and time left, drawn by rich; a finished stage keeps its line."""

    @contextmanager
    def stage(self, name: str, total: int | None = None, *, unit: str = "pictures") -> Iterator[Advance]:
        """Return a context that draws a bar while it is open."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars

        bars = Bars(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn(unit),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        with bars:
            task = bars.add_task(name, total=total, rate="")

            def advance(count: int) -> None:
                bars.advance(task, count)
                elapsed = bars.tasks[0].elapsed
                if elapsed:
                    bars.update(task, rate=f"{bars.tasks[0].completed / elapsed:,.0f}/s")

            yield advance

    def note(self, text: str) -> None:
        """Print the line."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def progress_for_stderr() -> Progress:
    """Return bars when standard error is a terminal, plain lines otherwise."""
    return TerminalProgress() if sys.stderr.isatty() else LineProgress()
