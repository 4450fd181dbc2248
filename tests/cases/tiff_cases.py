"""TIFFs of any number of bands and of any depth, written by hand: for the tests of more than one module."""

from __future__ import annotations

import struct

import numpy as np

__all__ = ["write_tiff"]


def write_tiff(bands, *, photometric, sample_format=1, planar=1, extra=(), more=(), rows=None, order="<", tile=None):
    """Return the bytes of an uncompressed TIFF of (H, W, C) values, in strips or in square tiles."""
    bands = np.asarray(bands)
    height, width, depth = bands.shape
    bands = bands.astype(bands.dtype.newbyteorder(order))
    planes = [bands] if planar == 1 else [bands[..., [band]] for band in range(depth)]
    blocks = []
    for plane in planes:
        if tile:
            for top in range(0, height, tile):
                for left in range(0, width, tile):
                    block = np.zeros((tile, tile, plane.shape[2]), plane.dtype)
                    part = plane[top : top + tile, left : left + tile]
                    block[: part.shape[0], : part.shape[1]] = part
                    blocks.append(block.tobytes())
        else:
            rows = rows or height
            blocks += [plane[top : top + rows].tobytes() for top in range(0, height, rows)]
    offsets = (8 + np.cumsum([0, *map(len, blocks)])[:-1]).tolist()
    counts = [len(block) for block in blocks]
    tags = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [8 * bands.dtype.itemsize] * depth), (259, 3, [1]),
        (262, 3, [photometric]), (277, 3, [depth]), (284, 3, [planar]), (339, 3, [sample_format] * depth), *more,
    ]  # fmt: skip
    if tile:
        tags += [(322, 4, [tile]), (323, 4, [tile]), (324, 4, offsets), (325, 4, counts)]
    else:
        tags += [(273, 4, offsets), (278, 4, [rows]), (279, 4, counts)]
    if extra:
        tags.append((338, 3, list(extra)))
    start = 8 + sum(counts)
    table, data = b"", b""
    for tag, kind, values in sorted(tags):
        raw = values if kind == 2 else struct.pack(order + {3: "H", 4: "I"}[kind] * len(values), *values)
        if len(raw) > 4:
            place = start + 2 + 12 * len(tags) + 4 + len(data)
            data += raw + b"\0" * (len(raw) % 2)
            raw = struct.pack(order + "I", place)
        table += struct.pack(order + "HHI", tag, kind, len(values)) + raw.ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    end = struct.pack(order + "H", len(tags)) + table + struct.pack(order + "I", 0) + data
    return mark + struct.pack(order + "I", start) + b"".join(blocks) + end
