"""Banks of one or several networks -> the frozen strategies worth trying: of each network alone, and of several fused.

One idea: a network's strategies are the same whether it stands alone or next to others; only their cuts are numbered
on and their costs are in passes of the first network. What reads several networks at once is a few sets on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from thawline.features.backbone import Backbone
from thawline.features.bank import BankSpec
from thawline.features.joined import joined_blocks
from thawline.search.strategy import (
    Features,
    Strategy,
    candidate_features,
    default_pooling,
    strategies_for,
)

__all__ = ["strategies_of"]

MOST_IN_PAIRS = 4
"""Networks of which every pair is fused; of more, only all together."""

FUSED_FROM = (0.25, 0.5)
"""Where fused depths of several networks begin, as a share of each one's cuts; they go up to the end."""


def strategies_of(
    specs: Sequence[BankSpec], backbone: Backbone, *, num_classes: int, num_rows: int
) -> list[tuple[Strategy, ...]]:
    """Return the strategies to compare; those that read the same features stand together.

    Args:
        specs: What the bank of each network holds.
        backbone: The network, or the joined networks.
        num_classes: K.
        num_rows: N, rows of choosing.
    """
    networks = backbone.networks
    groups: list[tuple[Strategy, ...]] = []
    for place, (spec, network) in enumerate(zip(specs, networks, strict=True)):
        plain = default_pooling(spec)
        for features in candidate_features(spec):
            heads = strategies_for(features, network, num_classes=num_classes, num_rows=num_rows, plain_pooling=plain)
            groups.append(heads if len(networks) == 1 else tuple(_placed(head, backbone, place) for head in heads))
    for places in _together(len(networks)):
        groups += [(strategy,) for strategy in _fused(specs, backbone, places, num_classes)]
    return groups


def _together(count: int) -> list[tuple[int, ...]]:
    """Return which networks are fused."""
    if count < 2:
        return []
    pairs = list(combinations(range(count), 2)) if count <= MOST_IN_PAIRS else []
    return list(dict.fromkeys([*pairs, tuple(range(count))]))


def _placed(strategy: Strategy, backbone: Backbone, place: int) -> Strategy:
    """Return a network's own strategy as one of the joined networks."""
    networks = backbone.networks
    start = sum(len(network.cuts) for network in networks[:place])
    share = networks[place].cuts[strategy.depths[-1]].cost_fraction
    return replace(
        strategy,
        depths=tuple(start + depth for depth in strategy.depths),
        reads=tuple((start + depth, pooling) for depth, pooling in strategy.reads),
        cost=strategy.cost * backbone.relative_costs[place],
        passes=tuple(share if other == place else 0.0 for other in range(len(networks))),
    )


def _fused(specs: Sequence[BankSpec], backbone: Backbone, places: Sequence[int], num_classes: int) -> list[Strategy]:
    """Return linear heads on several networks at once: the whole of each, and runs of their depths up to the end."""
    wholes: list[Features | None] = [None] * len(specs)
    runs: list[list[Features | None]] = [[None] * len(specs) for _ in FUSED_FROM]
    for place in places:
        spec = specs[place]
        last = len(spec.cuts)
        wholes[place] = _features(spec, range(last - 1, last), (default_pooling(spec),))
        for run, share in zip(runs, FUSED_FROM, strict=True):
            run[place] = _features(spec, range(int(share * last), last), spec.poolings)
    found = [_side_by_side(parts, backbone, num_classes) for parts in (wholes, *runs)]
    return list({strategy.blocks: strategy for strategy in found}.values())


def _features(spec: BankSpec, depths: range, pooling: tuple[str, ...]) -> Features:
    widths = {(cut, name): width for cut, name, width in spec.blocks}
    return Features(tuple(depths), pooling, sum(widths[depth, name] for depth in depths for name in pooling))


def _side_by_side(parts: Sequence[Features | None], backbone: Backbone, num_classes: int) -> Strategy:
    """Return the linear head that reads each network at its own features, None for one that it does not read."""
    networks = backbone.networks
    num_cuts = [len(network.cuts) for network in networks]
    blocks = joined_blocks([part.blocks if part else () for part in parts], num_cuts)
    depths = tuple(dict.fromkeys(cut for cut, _ in blocks))
    read = [(network, part) for network, part in zip(networks, parts, strict=True) if part]
    passes = [
        network.cuts[part.depths[-1]].cost_fraction if part else 0.0
        for network, part in zip(networks, parts, strict=True)
    ]
    poolings = tuple(dict.fromkeys(pooling for _, part in read for pooling in part.pooling))
    is_even = len({part.pooling for _, part in read}) == 1
    where = " + ".join(dict.fromkeys(_where(network, part) for network, part in read))
    name = " + ".join(network.name for network, _ in read)
    num_columns = sum(part.num_columns for _, part in read)
    cost = sum(share * whole for share, whole in zip(passes, backbone.relative_costs, strict=True))
    return Strategy(
        backbone=name,
        depths=depths,
        pooling=poolings,
        head="linear",
        name=f"{name} · {where} · linear",
        cost=cost + num_columns * num_classes / networks[0].num_macs,
        blocks_removed=0,
        reads=() if is_even else blocks,
        passes=tuple(passes),
    )


def _where(network: Backbone, part: Features) -> str:
    """Return where a network is read, in words."""
    if len(part.depths) == 1:
        return "whole"
    first, last = network.cuts[part.depths[0]].label, network.cuts[part.depths[-1]].label
    return f"fused {first}–{last} ({'+'.join(part.pooling)})"
