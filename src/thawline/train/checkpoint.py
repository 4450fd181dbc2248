"""The state of a training run <-> a folder on disk: atomic, two generations, tensors and JSON, never pickle.

A checkpoint belongs to one training run: its identity (data, backbone, plan, options, version) is kept next to the
state, and one of another run is refused with what differs. The newest that is whole is taken; a damaged one is passed
over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from thawline.core.errors import StoreError, TrainingError, first_few
from thawline.core.store import commit_directory, disk_errors, staging_directory, sweep_staging

__all__ = ["Checkpoints", "State", "remove_checkpoints"]

GENERATIONS = 2
FINISHED = 999_999_999
TENSORS, FACTS = "state.safetensors", "state.json"
STEP = "step-" + "[0-9]" * 9


@dataclass(frozen=True)
class State:
    """Everything that a training run needs to go on as if it had never stopped.

    Attributes:
        tensors: Weights, optimiser moments, running means, by name.
        facts: Position, schedule and curve so far: JSON.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training run.

    Attributes:
        directory: Holds a folder for each of the last two.
        identity: What tells the run from others, as flat JSON; compared on reading.
    """

    directory: Path
    identity: Mapping[str, Any]

    def save(self, step: int, state: State) -> Path:
        """Write a checkpoint, whole or not at all, and remove all but the two newest; returns its folder.

        Raises:
            StoreError: The disk is full or cannot be written; older checkpoints are intact.
        """
        final = self.directory / _folder(step)
        with disk_errors("write a checkpoint", final), staging_directory(self.directory) as staged:
            data = save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()})
            (staged / TENSORS).write_bytes(data)
            facts = {"identity": dict(self.identity), "state": dict(state.facts)}
            (staged / FACTS).write_text(json.dumps({**facts, "sha256": _digest(data, facts)}), encoding="utf-8")
            if not commit_directory(staged, final):  # a damaged one of this very step, made again
                _remove(final)
                if not commit_directory(staged, final):
                    raise StoreError(
                        f"write a checkpoint: {final} holds something that Thawline did not write. Move it away, and "
                        "run the same command again."
                    )
        for old in self._found()[GENERATIONS:]:
            _remove(old)
        return final

    def latest(self) -> State | None:
        """Return the newest state that is whole, or None where there is none; sweeps up what a kill left half-written.

        Raises:
            TrainingError: It is of another training run; says what differs.
        """
        sweep_staging(self.directory)
        whole = (state for folder in self._found() if (state := self._read(folder)) is not None)
        return next(whole, None)

    def _read(self, folder: Path) -> State | None:
        """Return the state in a folder, or None where it is damaged."""
        with suppress(OSError, ValueError, KeyError, TypeError, SafetensorError):
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            data = (folder / TENSORS).read_bytes()
            if facts.pop("sha256") == _digest(data, facts):
                self._refuse_other(folder, facts["identity"])
                return State(load_tensors(data), facts["state"])
        return None

    def newest_path(self) -> Path | None:
        """Return the folder of the newest checkpoint, for messages."""
        return next(iter(self._found()), None)

    def finish(self, state: State) -> None:
        """Keep the result of the finished training run as one last checkpoint, which `result` gives back."""
        self.save(FINISHED, state)
        for old in self._found()[1:]:
            _remove(old)

    def result(self) -> State | None:
        """Return the result of the training run where it is finished and whole, else None.

        Raises:
            TrainingError: It is of another training run; says what differs.
        """
        return self._read(self.directory / _folder(FINISHED))

    def _found(self) -> list[Path]:
        return sorted(self.directory.glob(STEP), reverse=True)

    def _refuse_other(self, folder: Path, identity: Mapping[str, Any]) -> None:
        differing = [
            f"{name} was {identity.get(name)!r} and is {self.identity.get(name)!r}"
            for name in sorted({*identity, *self.identity})
            if identity.get(name) != self.identity.get(name)
        ]
        if differing:
            raise TrainingError(
                f"resume: the checkpoint {folder} is of another training run: {first_few(differing)}. Resume with what "
                "it was started with, or start again in another folder (-o)."
            )


def remove_checkpoints(folder: Path) -> None:
    """Remove every checkpoint below a folder, what a kill left half-written, and folders that are empty then.

    Whatever else lies there stays, with the folders that it is in.
    """
    if not folder.is_dir() or folder.is_symlink():
        return
    for step in folder.rglob(STEP):
        _remove(step)
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink())]
    for path in sorted(folders, key=lambda path: -len(path.parts)):
        sweep_staging(path)
        with suppress(OSError):  # something of somebody else's lies there
            path.rmdir()


def _remove(step: Path) -> None:
    """Remove the two files of a checkpoint, and its folder unless something else lies in it."""
    with suppress(OSError):
        for name in (FACTS, TENSORS):
            (step / name).unlink(missing_ok=True)
        step.rmdir()


def _digest(tensors: bytes, facts: Mapping[str, Any]) -> str:
    """Return the hex digest of everything that a checkpoint holds."""
    digest = hashlib.sha256(tensors)
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()


def _folder(step: int) -> str:
    return f"step-{step:09}"
