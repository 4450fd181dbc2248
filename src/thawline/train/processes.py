"""One process, or several that `accelerate launch` started -> who this one is, and sums over all of them.

Every process reads its share of each batch and all of them take the same steps: gradients are summed, not averaged over
unequal shares, so several processes follow the loss curve of one to rounding.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from thawline.core.types import Floats, Ints

if TYPE_CHECKING:
    from accelerate import PartialState

__all__ = ["Processes", "join_processes"]


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: Its number, from 0; the first one writes files and reports.
        count: How many there are.
        state: accelerate's view of them, or None where there is one.
    """

    rank: int = 0
    count: int = 1
    state: PartialState | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

    def share(self, rows: Ints, *, together: int = 1) -> Ints:
        """Return the rows that this process works on.

        Args:
            rows: (n,) all of them.
            together: Rows in a row that go to one process, whatever their number: what is rounded together stays
                together, so a share of any size adds up to the same.
        """
        own: Ints = rows[np.arange(len(rows)) // together % self.count == self.rank]
        return own

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Replace every tensor by its sum over the processes; one message for all of them."""
        if self.count == 1:
            return
        parts = list(tensors)
        flat = torch.cat([tensor.reshape(-1) for tensor in parts])
        torch.distributed.all_reduce(flat)
        for tensor, part in zip(parts, torch.split(flat, [tensor.numel() for tensor in parts]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def gather(self, rows: Floats, num_rows: int) -> Floats:
        """Return (num_rows, …) rows in order, of which every process holds those of `share`."""
        if self.count == 1:
            return rows
        whole = np.zeros((num_rows, *rows.shape[1:]), dtype=rows.dtype)
        whole[self.rank :: self.count] = rows
        tensor = torch.from_numpy(whole)
        moved = tensor.to(self.state.device) if self.state is not None else tensor
        torch.distributed.all_reduce(moved)
        gathered: Floats = moved.cpu().numpy()
        return gathered

    def agree(self, value: float) -> float:
        """Return the first process's value to all: what a clock decides must be decided the same everywhere."""
        if self.state is None:
            return value
        shared = torch.tensor([value if self.is_first else 0.0], dtype=torch.float64, device=self.state.device)
        torch.distributed.all_reduce(shared)
        return float(shared[0])

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Let the first process through before the others, which then find its work in the cache."""
        if self.state is None:
            yield
            return
        with self.state.main_process_first():
            yield


def join_processes(device: str) -> Processes:
    """Return this process among those that `accelerate launch` (or torchrun) started; alone where nothing did.

    Args:
        device: Where the network runs; `cpu` joins by gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Processes()
    from accelerate import PartialState

    state = PartialState(cpu=device == "cpu")
    return Processes(state.process_index, state.num_processes, state)
