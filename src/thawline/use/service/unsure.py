"""Pictures on which the model abstained -> a folder of them with a table, ready to be labelled and learned.

One idea: nothing is kept unless whoever runs the service asks for it. A picture is named by its content, so that it is
kept once; there is a most of pictures and bytes; and nothing that stands there is changed, but for a line that is added
to the table.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from thawline.core.errors import DataError, StoreError, UsageError
from thawline.core.spreadsheet import csv_line
from thawline.core.store import disk_errors, expand_user, write_bytes
from thawline.core.types import Prediction
from thawline.data.formats import format_of

__all__ = ["MAX_BYTES", "MAX_PICTURES", "TABLE", "UnsureFolder"]

MAX_PICTURES, MAX_BYTES = 1000, 1 << 30
"""Pictures and their bytes that are kept in a folder, those of earlier days included."""

MAX_QUEUED = 64
"""Pictures that wait for the disk; where it is slower than they come, some are left out."""

TABLE = "unsure.csv"
COLUMNS = ("path", "label", "probability", "doubt")
NAME = re.compile(r"[0-9a-f]{32}\.[a-z0-9]{1,5}")


class UnsureFolder:
    """A folder of pictures for labelling.

    Attributes:
        folder: Where it lies.
        num_kept: Pictures in it.
        num_bytes: Their bytes.
        problem: Why nothing more is kept, in a sentence; None while all is well.
    """

    def __init__(self, folder: Path | str, *, note: Callable[[str], None]) -> None:
        """Make the folder where it is missing, closed to other users, or go on with one that is as this class left it.

        Args:
            folder: Where to keep.
            note: Told once why nothing more is kept.

        Raises:
            UsageError: It is no folder, or holds another file by the name of the table.
            StoreError: It cannot be made or written to.
        """
        self.folder, self._note = expand_user(folder), note
        self._make()
        kept = [entry for entry in os.scandir(self.folder) if NAME.fullmatch(entry.name) and entry.is_file()]
        self.num_kept, self.num_bytes = len(kept), sum(entry.stat().st_size for entry in kept)
        self.problem: str | None = None
        self._num_queued = 0
        self._lock = threading.Lock()
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="unsure")

    def add(self, row: Prediction, data: bytes, *, kept: Callable[[], None]) -> None:
        """Keep a picture on which the model abstained, in the background; others are passed over.

        Args:
            row: What the model said.
            data: The picture as it arrived.
            kept: Called once it is kept.
        """
        if not row.abstained or not data or self.problem is not None:
            return
        with self._lock:
            if self._num_queued >= MAX_QUEUED:
                return
            self._num_queued += 1
        self._disk.submit(self._keep, row, data, kept)

    def close(self) -> None:
        """Finish what waits for the disk."""
        self._disk.shutdown(wait=True)

    def _make(self) -> None:
        table = self.folder / TABLE
        header = csv_line(COLUMNS)
        with disk_errors("serve --keep-unsure", self.folder):
            if self.folder.exists() and not self.folder.is_dir():
                raise UsageError(
                    f"serve: --keep-unsure {self.folder} is a file; a folder is required. Name another one."
                )
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.path.lexists(table):
                write_bytes(table, header.encode() + b"\r\n")
            elif table.is_symlink() or _first_line(table) != header:
                raise UsageError(
                    f"serve: --keep-unsure {self.folder} holds a {TABLE} that `serve` did not write: its first line is "
                    f"not `{header}`. Name another folder."
                )
            if not os.access(self.folder, os.W_OK) or not os.access(table, os.W_OK):
                raise UsageError(
                    f"serve: --keep-unsure {self.folder} cannot be written to. Allow writing, or name another folder."
                )

    def _keep(self, row: Prediction, data: bytes, kept: Callable[[], None]) -> None:
        """Write a picture and its line, in the thread of the disk; a disk that refuses ends the keeping."""
        try:
            if self.problem is None and self._write(row, data):
                kept()
        except (StoreError, OSError) as error:
            self._end(f"no more pictures are kept: {error}")
        except DataError:
            pass  # not a picture
        finally:
            with self._lock:
                self._num_queued -= 1

    def _write(self, row: Prediction, data: bytes) -> bool:
        """Return whether a picture was kept; one that is there already is not kept again."""
        place = self.folder / f"{hashlib.sha256(data).hexdigest()[:32]}{format_of(data).endings[0]}"
        if os.path.lexists(place):
            return False
        if self.num_kept >= MAX_PICTURES or self.num_bytes + len(data) > MAX_BYTES:
            self._end(
                f"no more pictures are kept: {self.folder} holds {self.num_kept:,} with {self.num_bytes / 2**20:,.0f} "
                f"MiB, and {MAX_PICTURES:,} or {MAX_BYTES / 2**20:,.0f} MiB are the most. Label them, and name a new "
                "folder."
            )
            return False
        write_bytes(place, data)
        self.num_kept, self.num_bytes = self.num_kept + 1, self.num_bytes + len(data)
        line = csv_line((place.name, row.label, f"{row.probability:.4f}", row.doubt))
        with (self.folder / TABLE).open("ab") as table:
            table.write(line.encode() + b"\r\n")
        return True

    def _end(self, problem: str) -> None:
        self.problem = problem
        self._note(problem)


def _first_line(file: Path) -> str:
    with file.open("rb") as lines:
        return lines.readline(200).decode("utf-8", "replace").rstrip("\r\n")
