"""Epochs of a training run -> event files that TensorBoard shows while it runs.

One idea: a training run is a sub-folder. Whoever trains calls the log with the run's name, the epoch and a few numbers,
and knows nothing of TensorBoard, which is loaded only when a log is opened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thawline.core.errors import StoreError, UsageError

__all__ = ["TensorBoardLog"]

_MOST_CHARS = 80


class TensorBoardLog:
    """Numbers of every epoch, in one sub-folder a run; every epoch is on disk when the call returns.

    `TensorBoardLog(folder)("efficientnet_lite0 · last 20 % · fold 1", 1, {"loss/train": 0.9})` writes to
    `folder/efficientnet_lite0-last-20-percent-fold-1`; `tensorboard --logdir folder` shows it.

    Writing to a folder that holds an earlier log adds to it: TensorBoard then shows both, the later over the earlier.
    """

    def __init__(self, directory: Path) -> None:
        """Open a log.

        Args:
            directory: Where it is written; created where it is missing.

        Raises:
            UsageError: TensorBoard is not installed.
            StoreError: The directory cannot be created.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError(
                f"track: TensorBoard is needed to write {directory} and cannot be loaded ({error}). "
                "Run `pip install thawline[track]`, or leave the log out."
            ) from error
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"track: {directory} cannot be created ({error.strerror}); a log needs a folder that can be written. "
                "Name another one."
            ) from error
        self.directory = directory
        self._open_writer = SummaryWriter
        self._writers: dict[str, Any] = {}

    def __call__(self, run: str, epoch: int, values: Mapping[str, float]) -> None:
        """Write the numbers of one epoch.

        Args:
            run: Name of the training run, e.g. its strategy and its fold; becomes the name of its sub-folder.
            epoch: The epoch that has ended, from 1.
            values: Tag, e.g. `loss/validation`, → number.
        """
        if run not in self._writers:
            self._writers[run] = self._open_writer(str(self.directory / self._folder_for(run)))
        writer = self._writers[run]
        for tag, value in values.items():
            writer.add_scalar(tag, value, epoch)
        writer.flush()

    def close(self) -> None:
        """Finish the log: close the files of all its runs."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _folder_for(self, run: str) -> str:
        """Return a folder name that people recognise the run by and that no other run of this log has."""
        slug = re.sub(r"[^\w.-]+", "-", run.replace("%", "percent")).strip("-.")[:_MOST_CHARS] or "run"
        taken = {Path(writer.log_dir).name.casefold() for writer in self._writers.values()}
        names = (slug if number == 1 else f"{slug}-{number}" for number in range(1, len(taken) + 2))
        return next(name for name in names if name.casefold() not in taken)
