"""A strategy: what is read from the backbone, at which depths, which head is trained; and those worth trying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from thawline.features.backbone import POOL, Backbone
from thawline.features.bank import BankSpec

__all__ = [
    "HEADS",
    "Features",
    "HeadName",
    "Kind",
    "Strategy",
    "candidate_features",
    "default_pooling",
    "strategies_for",
    "together",
    "together_features",
    "with_views",
]

Kind = Literal["scratch", "frozen", "partial", "full"]
HeadName = Literal["linear", "class mean", "k-NN", "dense", "together"]

HEADS: tuple[HeadName, ...] = ("linear", "class mean", "k-NN")
"""Those that are solved on frozen features; a dense one, with a hidden layer, is trained by epochs."""


@dataclass(frozen=True)
class Strategy:
    """One way to turn a backbone into a classifier.

    Attributes:
        backbone: Name of the backbone, e.g. `efficientnet_lite0`; of several, joined by ` + `.
        depths: Indices into `Backbone.cuts`, ascending; several mean that the head reads them all, fused. Of joined
            networks they are numbered on.
        pooling: What is read at each depth: some of `mean`, `std`, `max`, `grid`, `token`.
        head: Trained on the features.
        name: Short readable name, unique on a leaderboard, e.g. `efficientnet_lite0 · 2 blocks cut · linear`.
        cost: Cost of a prediction relative to the whole (first) backbone at one reading; decides among ties.
        kind: How much of the backbone is trained: nothing (`frozen`), its last layers (`partial`), all of it (`full`),
            or all of it from random weights (`scratch`).
        augment: Name of the augmentation policy that it learns from; `none` reads each picture once.
        blocks_removed: Blocks above the deepest depth read; 0 means the whole backbone runs.
        tune: The thaw plan by which the backbone is trained, e.g. `head, then last 7 blocks`; empty where it is frozen.
        reads: (cut, pooling) pairs where the depths are not all read alike; empty: every depth by every pooling.
        passes: Of several networks, the share of each one's pass that must run, 0 for one that is not read; empty
            where there is one network.
        members: The strategies whose probabilities a head of several averages; empty for all others.
    """

    backbone: str
    depths: tuple[int, ...]
    pooling: tuple[str, ...]
    head: HeadName
    name: str
    cost: float
    kind: Kind = "frozen"
    augment: str = "none"
    blocks_removed: int = 0
    tune: str = ""
    reads: tuple[tuple[int, str], ...] = ()
    passes: tuple[float, ...] = ()

    members: tuple[Strategy, ...] = ()

    @property
    def blocks(self) -> tuple[tuple[int, str], ...]:
        """(cut, pooling) pairs that the head reads, as a bank names them."""
        return self.reads or tuple((depth, pooling) for depth in self.depths for pooling in self.pooling)

    @property
    def num_networks(self) -> int:
        """How many networks run for a prediction."""
        return max(1, sum(share > 0 for share in self.passes))

    @property
    def is_plain(self) -> bool:
        """Whether one solved head reads the frozen backbone's plain view: what the thaw line is drawn of."""
        return self.kind == "frozen" and self.augment == "none" and not self.tune and not self.members

    @property
    def is_fused(self) -> bool:
        """Whether the head reads more than one depth."""
        return len(self.depths) > 1


@dataclass(frozen=True)
class Features:
    """Columns that heads are trained on: which depths of the backbone, and what is read at each.

    Attributes:
        depths: Indices into `Backbone.cuts`, ascending.
        pooling: What is read at each.
        num_columns: D.
    """

    depths: tuple[int, ...]
    pooling: tuple[str, ...]
    num_columns: int

    @property
    def blocks(self) -> tuple[tuple[int, str], ...]:
        """(cut, pooling) pairs as a bank names them."""
        return tuple((depth, pooling) for depth in self.depths for pooling in self.pooling)


def default_pooling(spec: BankSpec) -> str:
    """Return what a single cut is read by: the class token where there is one, else the first pooling kept."""
    return "token" if "token" in spec.poolings else spec.poolings[0]


def candidate_features(spec: BankSpec) -> tuple[Features, ...]:
    """Return the features worth trying: every cut alone by its first pooling, and runs of depths fused.

    A fused head reads all cuts from a quarter, half, five eighths or three quarters of the way up to the end, by all
    poolings kept; from half way up by the first pooling alone; or the middle of the network without its end, by all.
    The last block's class token and mean of patches together are what DINOv2's authors probe (Oquab et al., "DINOv2",
    TMLR 2024). The set is small on purpose: each further candidate makes a lucky winner likelier. Decision 0025 says
    what each of them is worth.

    Args:
        spec: What the bank holds at every cut.
    """
    n, first = len(spec.cuts), (default_pooling(spec),)
    starts = (n // 4, n // 2, 5 * n // 8, 3 * n // 4)
    runs = [*((start, n, spec.poolings) for start in starts), (n // 2, n, first)]
    runs += [(start, stop, spec.poolings) for start, stop in (_middle(n), (n // 4, 3 * n // 4))]
    spans = dict.fromkeys(run for run in runs if run[1] - run[0] > 1)
    alone = [_features(spec, (depth,), first) for depth in range(n)]
    if first == ("token",) and "mean" in spec.poolings:
        alone.append(_features(spec, (n - 1 - (spec.cuts[-1][0] == POOL),), ("token", "mean")))
    return (*alone, *(_features(spec, range(start, stop), pooling) for start, stop, pooling in spans))


def together_features(spec: BankSpec) -> dict[str, tuple[Features, ...]]:
    """Return which candidates' linear heads answer together: on the whole network, and on its upper middle and its end.

    Fixed beforehand, so that nothing is chosen: heads on the whole network, of which one reads its end alone, are as
    safe as a head can be; the upper middle of the network errs on other pictures than its upper part does. Decision
    0025 says what other sets were worth.

    Args:
        spec: What the bank holds at every cut.

    Returns:
        Under `whole` and `middle`; a set of which one head only is left is left out.
    """
    n, wanted = len(spec.cuts), set(candidate_features(spec))
    runs = [(start, n) for start in (n // 4, 5 * n // 8, 3 * n // 4)]
    to_the_end = [_features(spec, range(*run), spec.poolings) for run in runs]
    end = _features(spec, (n - 1,), (default_pooling(spec),))
    upper_middle = _features(spec, range(*_middle(n)), spec.poolings)
    sets = {"whole": [end, *to_the_end], "middle": [upper_middle, to_the_end[1]]}
    kept = {name: tuple(part for part in dict.fromkeys(members) if part in wanted) for name, members in sets.items()}
    return {name: members for name, members in kept.items() if len(members) > 1}


def _middle(num_cuts: int) -> tuple[int, int]:
    """Return the first cut of the upper middle of a network, and the one after its last."""
    return 5 * num_cuts // 8, 7 * num_cuts // 8


def _features(spec: BankSpec, depths: Sequence[int], pooling: tuple[str, ...]) -> Features:
    return Features(tuple(depths), pooling, sum(spec.widths[depth, name] for depth in depths for name in pooling))


def strategies_for(
    features: Features, backbone: Backbone, *, num_classes: int, num_rows: int, plain_pooling: str
) -> tuple[Strategy, ...]:
    """Return one strategy for each head on the same features, named and costed.

    A pooling other than `plain_pooling` is part of the name, and any pooling of a last block whose network pools it in
    a way of its own. The cost is the share of the backbone that must run, plus
    a head's multiply-adds over the backbone's: D·K for linear and class-mean heads, D·N for k-NN.
    """
    deepest = backbone.cuts[features.depths[-1]]
    if len(features.depths) > 1:
        where = f"fused {backbone.cuts[features.depths[0]].label}–{deepest.label}"
    elif deepest.blocks_removed:
        where = f"{deepest.blocks_removed} block{'s' if deepest.blocks_removed > 1 else ''} cut"
    else:
        where = "whole"
    is_before_own_pooling = deepest.index < len(backbone.cuts) - 1 and not deepest.blocks_removed
    if features.pooling != (plain_pooling,) or (is_before_own_pooling and len(features.depths) == 1):
        where += f" ({'+'.join(features.pooling)})"
    rows = {"linear": num_classes, "class mean": num_classes, "k-NN": num_rows}
    return tuple(
        Strategy(
            backbone=backbone.name,
            depths=features.depths,
            pooling=features.pooling,
            head=head,
            name=f"{backbone.name} · {where} · {head}",
            cost=deepest.cost_fraction + features.num_columns * rows[head] / backbone.num_macs,
            blocks_removed=deepest.blocks_removed,
        )
        for head in HEADS
    )


def together(words: str, members: Sequence[Strategy], *, backbone: Backbone) -> Strategy:
    """Return the strategy that averages the probabilities of others, which read the same passes.

    It costs what the deepest of them reads of each network, and the heads of all.

    Args:
        words: Its name, e.g. `4 heads together`.
        members: Two or more.
        backbone: Its cut points and costs; of several networks, joined.
    """
    shares = [member.passes or (backbone.cuts[member.depths[-1]].cost_fraction,) for member in members]
    costs = backbone.relative_costs
    heads = [
        member.cost - sum(share * cost for share, cost in zip(own, costs, strict=True))
        for member, own in zip(members, shares, strict=True)
    ]
    passes = tuple(max(column) for column in zip(*shares, strict=True))
    poolings = tuple(dict.fromkeys(pooling for member in members for pooling in member.pooling))
    blocks = {block for member in members for block in member.blocks}
    name = " + ".join(dict.fromkeys(member.backbone for member in members))
    return Strategy(
        backbone=name,
        depths=tuple(sorted({depth for depth, _ in blocks})),
        pooling=poolings,
        head="together",
        name=f"{name} · {words}",
        cost=sum(share * cost for share, cost in zip(passes, costs, strict=True)) + sum(heads),
        blocks_removed=min(member.blocks_removed for member in members),
        reads=tuple(sorted(blocks, key=lambda block: (block[0], poolings.index(block[1])))),
        passes=passes if len(costs) > 1 else (),
        members=tuple(members),
    )


def with_views(strategy: Strategy, policy: str, *, num_views: int) -> Strategy:
    """Return the strategy that learns from several views of every training picture: named so, at the same cost.

    Args:
        strategy: One that reads each picture once.
        policy: Name of the augmentation policy, e.g. `flip`.
        num_views: V, the plain view included.
    """
    return replace(strategy, augment=policy, name=f"{strategy.name} · {policy} ×{num_views}")
