"""Several networks read as one: whose cut a number means, and which pictures each of them needs.

One idea: the cuts of joined networks are numbered on, network after network (A: 0 … a−1, B: a … a+b−1), so a block is
a (cut, pooling) pair whether there is one network or five. A network is a backbone with its input preparation: the same
weights at another size are another network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thawline.core.types import InputSpec
from thawline.features.bank import Block

__all__ = ["distinct_inputs", "joined_blocks", "network_of", "own_blocks"]


def own_blocks(blocks: Sequence[Block], num_cuts: Sequence[int]) -> tuple[tuple[Block, ...], ...]:
    """Return what each network is read at, by its own cuts; nothing for one that is not read.

    Args:
        blocks: (cut, pooling) pairs of the joined networks, network after network.
        num_cuts: Cuts of each network, in order.

    Raises:
        ValueError: There is no such cut, or a network is returned to after the next one.

    >>> own_blocks([(3, "mean"), (16, "mean"), (17, "std")], [17, 17])
    (((3, 'mean'), (16, 'mean')), ((0, 'std'),))
    """
    parts: list[list[Block]] = [[] for _ in num_cuts]
    latest = 0
    for cut, pooling in blocks:
        if not 0 <= cut < sum(num_cuts):
            raise ValueError(f"there is no cut {cut}; there are 0 to {sum(num_cuts) - 1}")
        network = network_of(cut, num_cuts)
        if network < latest:
            raise ValueError(f"cut {cut} is read after those of another network")
        latest = network
        parts[network].append((cut - sum(num_cuts[:network]), pooling))
    return tuple(map(tuple, parts))


def network_of(cut: int, num_cuts: Sequence[int]) -> int:
    """Return which network a cut of joined networks belongs to."""
    return next(network for network in range(len(num_cuts)) if cut < sum(num_cuts[: network + 1]))


def joined_blocks(parts: Sequence[Sequence[Block]], num_cuts: Sequence[int]) -> tuple[Block, ...]:
    """Return the blocks of joined networks, given what each is read at by its own cuts: the inverse of `own_blocks`."""
    starts = [sum(num_cuts[:network]) for network in range(len(num_cuts))]
    pairs = zip(parts, starts, strict=True)
    return tuple((start + cut, pooling) for part, start in pairs for cut, pooling in part)


def distinct_inputs(specs: Sequence[InputSpec]) -> tuple[tuple[InputSpec, ...], tuple[int, ...]]:
    """Return the preparations that differ in their pixels, and for each spec which of them it takes.

    Mean and standard deviation are applied to prepared pixels, so they matter only where a picture is padded.
    """
    pixels_of = [
        replace(spec, mean=spec.mean if spec.fit == "letterbox" else (0.0,) * 3, std=(1.0,) * 3) for spec in specs
    ]
    distinct = list(dict.fromkeys(pixels_of))
    places = tuple(distinct.index(pixels) for pixels in pixels_of)
    return tuple(specs[places.index(place)] for place in range(len(distinct))), places
