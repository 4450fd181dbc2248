"""Thumbnails and digests -> groups of exact, near and mirrored copies.

The one idea: a perceptual hash proposes, pixels decide, and each member of a group has been compared with the picture
that stands for it. Two pictures are alike when one thumbnail is the other's, but for brightness, sharpness and a shift
or crop of a pixel. Where many are alike, or pictures of several classes, a fixed camera is more likely than copies:
there, what is left of the comparison must not stand out anywhere either, as a defect or a bird in front of it does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from thawline.core.types import Floats, Ints, Pixels

Mask = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]

__all__ = ["THUMBNAIL_PX", "group_copies", "group_equal", "hash_thumbnails", "is_large", "numbered"]

THUMBNAIL_PX = 32

MAX_HASH_BITS = 8
"""Pairs whose 64-bit hashes differ in more bits are not looked at: true copies here differ in at most 4."""

MIN_CORRELATION = 0.995
"""How much of a thumbnail's contrast another must explain. Calibrated by looking at the pairs of four real sets: above
it all show the same photo, re-encoded, resized, cropped by a hundredth or with a watermark; between 0.98 and it too
(bold watermarks, other crops); from 0.97 down, products shot alike on a white background begin."""

MIN_UNALIGNED = 0.95
"""The correlation before brightness, sharpness, shift and crop are allowed for, which could explain too much below."""

MAX_COLOUR_SHIFT = 32.0
"""Largest difference of a channel's mean, in levels of 255: the same shape in another colour is another object."""

MIN_CONTRAST = 2.0
"""Thumbnails with less spread than this, in levels, are flat; their correlation is noise and confirms nothing."""

MAX_PEAK = 8.0
"""Largest unexplained difference of a pixel, over half a level and their root mean square. Re-encoding and resizing
leave their traces at every edge: 99 % of such copies stay below; 9 of 10 small scratches and all birds are above."""

LARGE_GROUP = 5
LARGE_SHARE = 0.2
"""So many alike pictures of a class, and more than this share of it, are more likely a fixed camera than copies, and
are told: a fold or the test is a fifth."""

MAX_TRIED = 64
"""Where so many seem alike to a picture, those that it takes are not tried in its place: a scene, not a few copies."""

_BLOCK = 2048
_TILE = (128, 4096)
_GREY = np.array([19595, 38470, 7471], dtype=np.int32)  # Pillow's own fixed-point weights: the hash is imagehash's


def hash_thumbnails(thumbnails: Pixels) -> tuple[Hashes, Hashes]:
    """Return the perceptual hash of every thumbnail and that of its mirror image: two of (N,) uint64.

    The bits say which of the 8×8 lowest frequencies of the grey picture lie above their median; after Krawetz,
    "Looks Like It" (2011), bit for bit as `imagehash.phash` on the same 32×32 grey picture. A mirror changes the sign
    of every other frequency.

    Args:
        thumbnails: (N, 32, 32, 3) uint8, RGB.
    """
    from scipy.fft import dctn

    hashes = np.empty((2, len(thumbnails)), dtype=np.uint64)
    turns = np.tile([1, -1], 32)
    for start in range(0, len(thumbnails), _BLOCK):
        grey = (thumbnails[start : start + _BLOCK].astype(np.int32) @ _GREY + 0x8000) >> 16
        low = dctn(grey.astype(np.float64), axes=(1, 2))[:, :8, :8].reshape(-1, 64)
        for own, waves in zip(hashes, (low, low * turns), strict=True):
            bits = np.packbits(waves > np.median(waves, axis=1, keepdims=True), axis=1)
            own[start : start + _BLOCK] = bits.view(">u8")[:, 0]
    return hashes[0], hashes[1]


def group_equal(keys: Sequence[str]) -> Ints:
    """Return the group of every picture, (N,) int64, where equal keys are copies; numbered by their first picture."""
    return numbered(np.array(keys, dtype=np.str_))


def group_copies(sha256: Sequence[str], thumbnails: Pixels, *, labels: Ints) -> tuple[Ints, Ints]:
    """Return the group of copies of every picture and the scene that it shows: two of (N,) int64.

    Equal digests share a group. Of the others, each is alike to the picture that stands for its scene, which is the one
    with the most neighbours; scenes do not chain. A scene is a group, but where `is_large` holds of it or it has
    pictures of several classes: there, pictures that differ anywhere are parted. Both are numbered in order of their
    first picture.

    Args:
        sha256: N digests of the encoded bytes; equal ones are exact copies.
        thumbnails: (N, 32, 32, 3) uint8, RGB. Memory grows with N, and time with N² where hashes are compared: 0.05 s
            at N = 1,400, seconds at 50,000.
        labels: (N,) classes in [0, K).
    """
    equal = group_equal(sha256)
    _, first = np.unique(equal, return_index=True)
    distinct = thumbnails if len(first) == len(equal) else thumbnails[first]
    leaders, mirrored = _find_alike(distinct)
    scenes = leaders.copy()
    class_sizes = np.bincount(labels)
    by_distinct = np.split(np.argsort(equal, kind="stable"), np.flatnonzero(np.diff(np.sort(equal))) + 1)
    order = np.argsort(leaders, kind="stable")
    for scene in np.split(order, np.flatnonzero(np.diff(leaders[order])) + 1):
        if len(scene) > 1:
            counts = np.bincount(labels[np.concatenate([by_distinct[at] for at in scene])], minlength=len(class_sizes))
            if np.count_nonzero(counts) > 1 or is_large(len(scene), counts / class_sizes):
                leader = int(leaders[scene[0]])
                leaders[scene] = _look_closely(distinct, scene, leader=leader, mirrored=mirrored[scene])
    return numbered(leaders[equal]), numbered(scenes[equal])


def is_large(num_pictures: int, shares: Floats) -> bool:
    """Return whether so many distinct pictures, with these shares of the classes, are more than a copy or two."""
    return num_pictures >= LARGE_GROUP and float(np.max(shares)) > LARGE_SHARE


def numbered(keys: Ints | npt.NDArray[np.str_]) -> Ints:
    """Return groups of equal keys, numbered in order of their first picture: (N,) int64."""
    _, first, numbers = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[numbers]


def _find_alike(thumbnails: Pixels) -> tuple[Ints, Mask]:
    """Return which picture stands for each, (N,) int64, and whether that one's mirror image does, (N,) bool.

    Pictures come in order of how many hashes are close to theirs; each takes what is alike and not yet taken, or lets
    one that it would take do so where that one takes more. So a thousand frames of one scene cost some thousand
    comparisons, not half a million.
    """
    hashes = hash_thumbnails(thumbnails)
    num_close = _count_close(*hashes)
    leaders, mirrored = np.arange(len(thumbnails)), np.zeros(len(thumbnails), dtype=bool)
    rows = np.flatnonzero(num_close)
    is_open = num_close > 0
    coarse = _coarse(thumbnails, rows)

    def takes(leader: int) -> tuple[Ints, Ints, int]:
        """Return the open rows alike to a picture, those alike to its mirror image, and how many only seemed so."""
        found, num_unlike = [], 0
        for flip, own in zip((1, -1), hashes, strict=True):
            close = rows[np.bitwise_count(hashes[0][rows] ^ own[leader]) <= MAX_HASH_BITS]
            close = close[is_open[close] & (close != leader)]
            rough = coarse[leader][:, ::flip]
            close = close[coarse[close].reshape(-1, rough.size) @ rough.ravel() >= MIN_UNALIGNED]
            alike = close[_are_alike(thumbnails[leader][:, ::flip], thumbnails, close)] if len(close) else close
            found.append(alike)
            num_unlike += len(close) - len(alike)
        return found[0], np.setdiff1d(found[1], found[0]), num_unlike

    for first in rows[np.argsort(-num_close[rows], kind="stable")].tolist():
        if not is_open[first]:
            continue
        if 2 * np.count_nonzero(is_open) < len(rows):
            rows = np.flatnonzero(is_open)
        leader, (plain, turned, num_unlike) = first, takes(first)
        for other in plain.tolist() if 0 < num_unlike <= MAX_TRIED - len(plain) else ():
            taken = takes(other)
            if first in taken[0] and len(taken[0]) + len(taken[1]) > len(plain) + len(turned):
                leader, (plain, turned, _) = other, taken
        leaders[plain], leaders[turned], mirrored[turned] = leader, leader, True
        is_open[plain] = is_open[turned] = is_open[leader] = False
    return leaders, mirrored


def _count_close(hashes: Hashes, flipped: Hashes) -> Ints:
    """Return of how many others the hash, or that of the mirror image, is close to each picture's: (N,) int64."""
    rows, columns = _TILE
    mixed = np.empty(_TILE, dtype=np.uint64)  # a tile stays in the processor's cache
    distance = np.empty(_TILE, dtype=np.uint8)
    num_close = np.zeros(len(hashes), dtype=np.int64)
    for top in range(0, len(hashes), rows):
        for left in range(top, len(hashes), columns):
            side = hashes[None, left : left + columns]
            for own in (hashes, flipped):
                upper = own[top : top + rows, None]
                tile = (slice(len(upper)), slice(side.shape[1]))
                np.bitwise_xor(upper, side, out=mixed[tile])
                np.bitwise_count(mixed[tile], out=distance[tile])
                first, second = np.divmod(np.flatnonzero(distance[tile] <= MAX_HASH_BITS), side.shape[1])
                is_pair = first + top < second + left
                for ends in (first[is_pair] + top, second[is_pair] + left):
                    num_close += np.bincount(ends, minlength=len(hashes)) if len(ends) else 0
    return num_close


def _coarse(thumbnails: Pixels, rows: Ints) -> Floats:
    """Return 8×8 pixels of some thumbnails, centred, of length one: (N, 8, 8, 3) float32, zero of the others.

    They tell most pairs apart that only a hash takes for alike, at a fraction of the work.
    """
    coarse = np.zeros((len(thumbnails), 8, 8, 3), dtype=np.float32)  # memory that is not written is not taken
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        levels, _ = _centred(thumbnails[block].reshape(len(block), 8, 4, 8, 4, 3).mean(axis=(2, 4), dtype=np.float32))
        length = np.linalg.norm(levels, axis=1, keepdims=True)
        coarse[block] = (levels / np.maximum(length, 1e-6)).reshape(-1, 8, 8, 3)
    return coarse


def _are_alike(model: Pixels, thumbnails: Pixels, rows: Ints) -> Mask:
    """Return whether a thumbnail, (32, 32, 3) uint8, explains each of some others as a copy: (n,) bool."""
    own, colour = _centred(model[None])
    length = np.linalg.norm(own)
    if length < MIN_CONTRAST * own.size**0.5:
        return np.zeros(len(rows), dtype=bool)
    are_alike = np.empty(len(rows), dtype=bool)
    for start in range(0, len(rows), _BLOCK):
        levels, means = _centred(thumbnails[rows[start : start + _BLOCK]])
        lengths = np.maximum(np.linalg.norm(levels, axis=1), MIN_CONTRAST)
        correlation = levels @ own[0] / (lengths * length)
        correlation[np.abs(means - colour).max(axis=1) > MAX_COLOUR_SHIFT] = 0
        correlation[lengths < MIN_CONTRAST * own.size**0.5] = 0
        unclear = np.flatnonzero((correlation >= MIN_UNALIGNED) & (correlation < MIN_CORRELATION))
        if len(unclear):
            correlation[unclear] = np.linalg.norm(levels[unclear] @ _basis(model), axis=1) / lengths[unclear]
        are_alike[start : start + _BLOCK] = correlation >= MIN_CORRELATION
    return are_alike


def _basis(model: Pixels) -> Floats:
    """Return orthonormal directions in which copies of a thumbnail lie: (3072, 6) float32, its own contrast first.

    The others are the derivatives of the picture by a shift and a stretch along either axis, and by blur: what a small
    crop and another way of resizing change, to first order.
    """
    levels = model.astype(np.float32)
    down, right = np.gradient(levels, axis=(0, 1))
    place = np.linspace(-1, 1, THUMBNAIL_PX, dtype=np.float32)
    blur = np.gradient(down, axis=0) + np.gradient(right, axis=1)
    columns = (levels, right, down, place[None, :, None] * right, place[:, None, None] * down, blur)
    return np.linalg.qr(_centred(np.stack(columns))[0].T)[0]


def _centred(thumbnails: Pixels | Floats) -> tuple[Floats, Floats]:
    """Return thumbnails, (n, 32, 32, 3), as vectors with every channel centred, (n, 3072), and the means, (n, 3)."""
    levels = thumbnails.reshape(len(thumbnails), -1, 3).astype(np.float32)
    means = levels.mean(axis=1)
    levels -= means[:, None]
    return levels.reshape(len(levels), -1), means


def _look_closely(thumbnails: Pixels, scene: Ints, *, leader: int, mirrored: Mask) -> Ints:
    """Return which picture stands for each of a scene once those are parted that differ in some place: (m,) int64.

    What differs from the leader stands out at some pixel; of these, pictures are compared that stand out at the same.

    Args:
        thumbnails: (N, 32, 32, 3) uint8.
        scene: (m,) rows that are alike to the leader, itself among them.
        leader: Row of the picture that stands for all of them.
        mirrored: (m,) whether the leader's mirror image is meant.
    """
    left = _unexplained(_basis(thumbnails[leader]), thumbnails, scene, mirrored)
    stands_for = np.full(len(scene), leader, dtype=np.int64)
    y, x = np.divmod(np.abs(left).argmax(axis=1), THUMBNAIL_PX)
    is_open = _stands_out(left)
    for own in np.flatnonzero(is_open).tolist():
        if is_open[own]:
            others = np.flatnonzero(is_open & (np.abs(y - y[own]) <= 1) & (np.abs(x - x[own]) <= 1))
            same = others[~_stands_out(left[others] - left[own])]
            stands_for[same], is_open[same] = scene[own], False
    return stands_for


def _unexplained(basis: Floats, thumbnails: Pixels, rows: Ints, mirrored: Mask) -> Floats:
    """Return what a thumbnail does not explain of others, in grey levels: (n, 1024) float32."""
    left = np.empty((len(rows), THUMBNAIL_PX**2), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        turned = thumbnails[rows[block]]
        turned[mirrored[block]] = turned[mirrored[block]][:, :, ::-1]
        levels, _ = _centred(turned)
        rest = levels - (levels @ basis) @ basis.T
        left[block] = rest.reshape(len(rest), -1, 3) @ (_GREY / _GREY.sum()).astype(np.float32)
    return left


def _stands_out(left: Floats) -> Mask:
    """Return whether some pixel of each difference stands out from the rest of it: (n,) bool."""
    spread = np.sqrt(np.square(left).mean(axis=1))
    stands_out: Mask = np.abs(left).max(axis=1, initial=0) > MAX_PEAK * (0.5 + spread)
    return stands_out
