"""A segment's file -> its rows in memory, page by page as they are touched; chosen rows of many segments -> batches.

torch does the mapping: NumPy's keeps a file open for each, and a large bank has more segments than a process may open
files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thawline.core.types import Floats, Ints

__all__ = ["MappedRows", "map_rows"]


@dataclass(frozen=True)
class MappedRows:
    """Rows of chosen pictures as they lie on the disk: taking a batch copies it once and opens no file.

    The segments stay mapped for as long as this lives, even if another run removes the bank meanwhile. Threads may
    share it.

    Attributes:
        segments: Read-only (n, V, width) arrays in the storage format.
        places: (N, 2) int64: segment and row of each picture.
    """

    segments: tuple[Floats, ...]
    places: Ints

    def __repr__(self) -> str:
        return f"<MappedRows: {len(self.places):,} pictures>"

    def take(self, pictures: Ints, *, view: int = 0) -> Floats:
        """Return the rows of some pictures: (B, width) in the storage format, in an array of their own.

        Args:
            pictures: (B,) positions in [0, N); one may occur twice.
            view: Which of the V views.
        """
        first = self.segments[0]
        rows = np.empty((len(pictures), first.shape[2]), dtype=first.dtype)
        for out, (number, row) in zip(rows, self.places[pictures].tolist(), strict=True):
            out[:] = self.segments[number][row, view]
        return rows


def map_rows(file: Path, shape: tuple[int, int, int], *, storage: str) -> Floats:
    """Return the rows in a file that `np.save` wrote: a read-only (n, V, width) array, mapped and not yet read.

    Args:
        file: `rows.npy` of a verified segment.
        shape: (n, V, width).
        storage: `float16` or `float32`, its number format.

    Raises:
        FileNotFoundError: The segment was removed.
    """
    import torch  # a bank is described and compared without it

    count = file.stat().st_size // np.dtype(storage).itemsize  # NumPy pads the header to a multiple of 64 bytes
    dtype = torch.float16 if storage == "float16" else torch.float32
    flat: Floats = torch.from_file(str(file), shared=False, size=count, dtype=dtype).numpy()
    flat.flags.writeable = False
    return flat[count - math.prod(shape) :].reshape(shape)
