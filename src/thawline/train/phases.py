"""A plan laid over a network -> its phases: which layers thaw, when, and from which cut the frozen part is cached.

`candidate_plans` says which plans are worth trying on a network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from thawline.core.errors import BackboneError
from thawline.features.layers import weight_layers
from thawline.features.network import Network
from thawline.train.plan import FROM_NOTHING, HEAD_FIRST, Plan, parse_plan

__all__ = ["Phase", "candidate_plans", "phases"]


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one set of thawed layers.

    Attributes:
        layers: Thawed weight-bearing layers of the network, in forward order; the head always trains.
        cut: The deepest cut below all of them, from which frozen activations can be cached; None: from the picture.
        epochs: Passes over the training rows.
    """

    layers: tuple[str, ...]
    cut: int | None
    epochs: int


def phases(plan: Plan, network: Network, *, epochs: int) -> tuple[Phase, ...]:
    """Return the stretches of training that a plan means for a network; their epochs add up to at least `epochs`.

    A gradual plan has one phase a cut, from the end of the network down, the epochs dealt out evenly (each gets one).

    Raises:
        BackboneError: The network has no such cut, or cannot be continued from one.
    """
    if plan.kind == "frozen":
        return (Phase((), network.backbone.cut_removing(plan.blocks_cut).index, epochs),)
    layers = weight_layers(network)
    if plan.share is not None:
        first = len(layers) - math.ceil(round(plan.share * len(layers), 6))  # 55 % of 20 are 11, in floats a bit more
        return (Phase(layers[first:], _cut_below(network, layers, first), epochs),)
    blocks = plan.blocks or 0
    if not network.backbone.has_suffix:
        raise BackboneError(
            f"{network.backbone.name} · {plan.name}: this architecture can be read at its stages but not continued "
            "from one, so blocks cannot be counted. Write a share of its layers: last 20 %."
        )
    bottom = network.backbone.cut_removing(blocks).index
    if not plan.gradual:
        return (Phase(layers[_num_below(network, layers, bottom) :], bottom, epochs),)
    cuts = range(network.backbone.cut_removing(1).index, bottom - 1, -1)
    each, rest = divmod(epochs, len(cuts))
    return tuple(
        Phase(layers[_num_below(network, layers, cut) :], cut, max(1, each + (place < rest)))
        for place, cut in enumerate(cuts)
    )


def _num_below(network: Network, layers: tuple[str, ...], cut: int) -> int:
    """Return how many of the network's weight-bearing layers lie below a cut."""
    below = {id(module) for _, step in network.prefix_modules(cut) for module in step.modules()}
    return sum(id(network.model.get_submodule(name)) in below for name in layers)


def _cut_below(network: Network, layers: tuple[str, ...], first: int) -> int | None:
    """Return the deepest cut with no more than `first` layers below it; None where there is none."""
    if not network.backbone.has_suffix:
        return None
    fitting = [cut.index for cut in network.backbone.cuts if _num_below(network, layers, cut.index) <= first]
    return max(fitting, default=None)


def candidate_plans(network: Network, num_hidden: int = 0) -> tuple[Plan, ...]:
    """Return the plans worth trying on a pretrained network, from cheap to dear, with one network from nothing.

    Partly thawed are the last fifth of the layers and, where blocks can be counted, the upper two fifths of the cuts.
    These and the whole network start from a solved head, unless it is to have hidden units: no solver finds one.
    """
    lead = "" if num_hidden else HEAD_FIRST
    texts = [f"simple_cnn {FROM_NOTHING}", "last 20 %"]
    if network.backbone.has_suffix:
        cuts = network.backbone.cuts
        texts.append(f"{lead}last {cuts[-1 - max(1, 2 * len(cuts) // 5)].blocks_removed or 1} blocks")
    return tuple(parse_plan(text) for text in (*texts, f"{lead}all"))
