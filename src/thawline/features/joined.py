"""Several networks read as one: whose cut a number means, and which pictures each of them needs.

One idea: the cuts of joined networks are numbered on, network after network (A: 0 … a−1, B: a … a+b−1), so a block is
a (cut, pooling) pair whether there is one network or five. A network is a backbone with its input preparation: the same
weights at another size are another network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thawline.core.types import InputSpec
from thawline.features.backbone import Backbone
from thawline.features.bank import Block

__all__ = ["distinct_inputs", "joined_blocks", "own_blocks"]


def own_blocks(blocks: Sequence[Block], backbones: Sequence[Backbone]) -> tuple[tuple[Block, ...], ...]:
    """Return what each network is read at, by its own cuts; nothing for one that is not read.

    Args:
        blocks: (cut, pooling) pairs of the joined networks, network after network.
        backbones: The networks, in the order of their cuts.

    Raises:
        ValueError: There is no such cut, or a network is returned to after the next one.
    """
    parts: list[list[Block]] = [[] for _ in backbones]
    latest = 0
    for cut, pooling in blocks:
        own, network = cut, 0
        while network < len(backbones) - 1 and own >= len(backbones[network].cuts):
            own -= len(backbones[network].cuts)
            network += 1
        if not 0 <= own < len(backbones[network].cuts):
            count = sum(len(backbone.cuts) for backbone in backbones)
            raise ValueError(f"there is no cut {cut}; there are 0 to {count - 1}")
        if network < latest:
            raise ValueError(f"cut {cut} of {backbones[network].name} is read after those of another network")
        latest = network
        parts[network].append((own, pooling))
    return tuple(map(tuple, parts))


def joined_blocks(parts: Sequence[Sequence[Block]], backbones: Sequence[Backbone]) -> tuple[Block, ...]:
    """Return the blocks of joined networks, given what each is read at by its own cuts: the inverse of `own_blocks`."""
    joined: list[Block] = []
    start = 0
    for part, backbone in zip(parts, backbones, strict=True):
        joined += [(start + cut, pooling) for cut, pooling in part]
        start += len(backbone.cuts)
    return tuple(joined)


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
