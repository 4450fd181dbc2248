"""Thumbnails and digests -> groups of exact and near copies.

The one idea: a perceptual hash proposes, pixels decide. Hashes find the few pairs worth a look among a billion, but
also pair unlike pictures on a white background; two pictures are near copies only when their thumbnails, each colour
channel centred, also correlate almost perfectly. The hash is imagehash's pHash, computed for all thumbnails at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from thawline.core.types import Floats, Ints, Pixels

__all__ = ["MIN_CORRELATION", "THUMBNAIL_PX", "find_near_copies", "group_copies", "hash_thumbnails"]

THUMBNAIL_PX = 32

MAX_HASH_BITS = 8
"""Pairs whose 64-bit hashes differ in more bits are not looked at: true copies here differ in at most 4."""

MIN_CORRELATION = 0.995
"""Calibrated by looking at the pairs of four real sets. Above it all show the same photo, re-encoded, resized or with a
faint watermark; between 0.975 and it too (bold watermarks, other crops); from 0.97 down, products shot alike on a
white background begin."""

MAX_COLOUR_SHIFT = 32.0
"""Largest difference of a channel's mean, in levels of 255: the same shape in another colour is another object."""

MIN_CONTRAST = 2.0
"""Thumbnails with less spread than this, in levels, are flat; their correlation is noise and confirms nothing."""

_BLOCK = 2048
_TILE = (128, 4096)


def hash_thumbnails(thumbnails: Pixels) -> npt.NDArray[np.uint64]:
    """Return the perceptual hash of every thumbnail: (N,) uint64.

    The bits say which of the 8×8 lowest frequencies of the grey picture lie above their median; after Krawetz,
    "Looks Like It" (2011), bit for bit as `imagehash.phash` on the same 32×32 grey picture.

    Args:
        thumbnails: (N, 32, 32, 3) uint8, RGB.
    """
    from scipy.fft import dctn

    hashes = np.empty(len(thumbnails), dtype=np.uint64)
    for start in range(0, len(thumbnails), _BLOCK):
        levels = thumbnails[start : start + _BLOCK].astype(np.int32)
        # Pillow's own fixed-point weights, so that the hash is the one that imagehash gives
        grey = (levels @ np.array([19595, 38470, 7471], dtype=np.int32) + 0x8000) >> 16
        low = dctn(grey.astype(np.float64), axes=(1, 2))[:, :8, :8].reshape(-1, 64)
        bits = np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)
        hashes[start : start + _BLOCK] = bits.view(">u8")[:, 0]
    return hashes


def find_near_copies(thumbnails: Pixels) -> Ints:
    """Return the pairs of thumbnails that show the same photo: (P, 2) int64, each row ascending, rows sorted.

    Time grows with N²: 0.03 s at N = 1,400 and a few seconds at 50,000; memory beyond the thumbnails does not.

    Args:
        thumbnails: (N, 32, 32, 3) uint8, RGB, of pictures with distinct bytes.
    """
    means, spreads = _statistics(thumbnails)
    confirmed = [np.empty((0, 2), dtype=np.int64)]
    for pairs in _close_hashes(hash_thumbnails(thumbnails)):
        shift = np.abs(means[pairs[:, 0]] - means[pairs[:, 1]]).max(axis=1)
        contrast = spreads[pairs].min(axis=1)
        likely = pairs[(shift <= MAX_COLOUR_SHIFT) & (contrast >= MIN_CONTRAST)]
        confirmed.append(likely[_correlate(thumbnails, likely) >= MIN_CORRELATION])
    pairs = np.concatenate(confirmed)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _close_hashes(hashes: npt.NDArray[np.uint64]) -> Iterator[Ints]:
    """Yield (P, 2) pairs, first below second, whose hashes differ in at most `MAX_HASH_BITS` bits."""
    rows, columns = _TILE
    mixed = np.empty(_TILE, dtype=np.uint64)  # a tile stays in the processor's cache
    distance = np.empty(_TILE, dtype=np.uint8)
    for top in range(0, len(hashes), rows):
        upper = hashes[top : top + rows, None]
        for left in range(top, len(hashes), columns):
            side = hashes[None, left : left + columns]
            tile = (slice(len(upper)), slice(side.shape[1]))
            np.bitwise_xor(upper, side, out=mixed[tile])
            np.bitwise_count(mixed[tile], out=distance[tile])
            flat = np.flatnonzero(distance[tile] <= MAX_HASH_BITS)
            if len(flat):
                first, second = np.divmod(flat, side.shape[1])
                pairs = np.stack([first + top, second + left], axis=1)
                yield pairs[pairs[:, 0] < pairs[:, 1]]


def group_copies(sha256: Sequence[str], thumbnails: Pixels) -> tuple[Ints, Ints]:
    """Return the group of every picture, (N,) int64, and the near-copy pairs among distinct pictures, (P, 2) int64.

    Groups are the connected parts of the graph of copies, numbered in order of their first picture. Of exact copies the
    first stands for all in the pairs.

    Args:
        sha256: N digests of the encoded bytes; equal ones are exact copies.
        thumbnails: (N, 32, 32, 3) uint8.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    num = len(sha256)
    _, first, inverse = np.unique(np.array(sha256, dtype="U64"), return_index=True, return_inverse=True)
    representatives = np.sort(first)
    distinct = thumbnails if len(representatives) == num else thumbnails[representatives]
    pairs = representatives[find_near_copies(distinct)]
    start = np.concatenate([np.arange(num), pairs[:, 0]])
    end = np.concatenate([first[inverse], pairs[:, 1]])
    graph = coo_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(num, num))
    _, parts = connected_components(graph, directed=False)
    _, at, numbers = np.unique(parts, return_index=True, return_inverse=True)
    rank = np.empty(len(at), dtype=np.int64)
    rank[np.argsort(at)] = np.arange(len(at))
    return rank[numbers], pairs.astype(np.int64)


def _statistics(thumbnails: Pixels) -> tuple[Floats, Floats]:
    """Return mean of every channel, (N, 3), and the spread of levels about those means, (N,); float32."""
    means = np.empty((len(thumbnails), 3), dtype=np.float32)
    spreads = np.empty(len(thumbnails), dtype=np.float32)
    for start in range(0, len(thumbnails), _BLOCK):
        levels = thumbnails[start : start + _BLOCK].reshape(-1, THUMBNAIL_PX**2, 3).astype(np.float32)
        means[start : start + _BLOCK] = levels.mean(axis=1)
        spreads[start : start + _BLOCK] = np.sqrt(levels.var(axis=1).mean(axis=1))
    return means, spreads


def _correlate(thumbnails: Pixels, pairs: Ints) -> Floats:
    """Return the correlation of each pair's pixels, every channel centred on its own mean: (P,) float32."""
    correlation = np.empty(len(pairs), dtype=np.float32)
    for start in range(0, len(pairs), _BLOCK):
        left, right = (_centred(thumbnails[column]) for column in pairs[start : start + _BLOCK].T)
        correlation[start : start + _BLOCK] = np.vecdot(left, right)
    return correlation


def _centred(thumbnails: Pixels) -> Floats:
    """Return thumbnails with centred channels as vectors of length one: (P, D) float32."""
    levels = thumbnails.reshape(len(thumbnails), -1, 3).astype(np.float32)
    flat = (levels - levels.mean(axis=1, keepdims=True)).reshape(len(thumbnails), -1)
    unit: Floats = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return unit
