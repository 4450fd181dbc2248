"""A plan in words -> which layers of a network thaw, when, and from which cut the frozen part can be cached.

One small language serves the command line, TOML and Python. It is parsed once into a `Plan`; `phases` lays a plan over
a network.

    all                         everything, at once
    last 20 %                   the last fifth of the weight-bearing layers in forward order
    last 7 blocks               what lies above the cut that removes seven blocks
    head                        nothing but a new head, by epochs
    head, 2 blocks cut          the same on what is left when the last two blocks are removed
    head, then last 7 blocks    a solved head on frozen features first, then both with a small step
    gradual last 7 blocks       block by block from the end
    simple_cnn from nothing     another network, from random weights

Sources: Kumar et al., "Fine-tuning can distort pretrained features and underperform out-of-distribution", ICLR 2022
(head first); Howard & Ruder, "Universal language model fine-tuning for text classification", ACL 2018 (gradual).
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import Literal

from thawline.core.errors import BackboneError, UsageError
from thawline.data.dataset import Dataset
from thawline.features.layers import weight_layers
from thawline.features.network import Network
from thawline.features.scratch import SCRATCH

__all__ = [
    "GRADUAL",
    "HEAD_FIRST",
    "Phase",
    "Plan",
    "candidate_plans",
    "default_epochs",
    "default_learning_rate",
    "parse_plan",
    "phases",
    "scratch_size_px",
]

HEAD_FIRST = "head, then "
GRADUAL = "gradual "
FROM_NOTHING = "from nothing"
SMALL_PICTURE_PX = 48
MOST_CHARS = 200
EXAMPLES = (
    "all",
    "last 20 %",
    "last 7 blocks",
    "head",
    "head, 2 blocks cut",
    "head, then all",
    "gradual last 7 blocks",
)


@dataclass(frozen=True)
class Plan:
    """What is trained, parsed from its name.

    Attributes:
        name: As it stands on the leaderboard behind the network's name, in one spelling: `head, then last 7 blocks`.
        network: Another network than the options' backbone, or None.
        from_nothing: Whether the network starts from random weights; everything is trained then.
        head_first: Whether a head solved on frozen features is where the training starts; else the head starts at 0.
        gradual: Whether blocks thaw one after the other.
        share: Share of the weight-bearing layers to thaw, in (0, 1], or None.
        blocks: Number of blocks to thaw, 0 for the head alone, or None.
        blocks_cut: Blocks removed from the end of the network; only where the head alone trains.
    """

    name: str
    network: str | None = None
    from_nothing: bool = False
    head_first: bool = False
    gradual: bool = False
    share: float | None = None
    blocks: int | None = None
    blocks_cut: int = 0

    @property
    def kind(self) -> Literal["scratch", "frozen", "partial", "full"]:
        """How much is trained."""
        if self.from_nothing:
            return "scratch"
        if self.blocks == 0:
            return "frozen"
        return "full" if self.share == 1 else "partial"

    def strategy_name(self, backbone: str, num_hidden: int = 0) -> str:
        """Return the name on the leaderboard: `efficientnet_lite0 · last 20 %`, `… · head, 512 hidden`.

        Args:
            backbone: Name of the network, where the plan has none of its own.
            num_hidden: Units of the head's hidden layer, 0 for none.
        """
        return f"{self.network or backbone} · {self.name}{f', {num_hidden} hidden' if num_hidden else ''}"


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


def parse_plan(text: str) -> Plan:
    """Return the plan that `text` names; case, and spaces around signs, do not matter.

    Raises:
        UsageError: It is no plan, with the nearest one that is; or it contradicts itself (a share of 0 or above 100 %).

    >>> parse_plan("Last 20%").name
    'last 20 %'
    >>> parse_plan("simple cnn").network
    'simple_cnn'
    """
    if len(text) > MOST_CHARS:
        raise UsageError(
            f"plan {text[:40]!r} and so on: {len(text):,} characters where up to {MOST_CHARS} are possible. Write one "
            f"of {'; '.join(EXAMPLES)}."
        )
    said = " ".join(re.sub(r"\s*,", ", ", text.replace("·", " ")).split())
    words = said.lower()
    named = said[: -len(FROM_NOTHING)].strip() if words.endswith(FROM_NOTHING) else said
    network = named.lower().replace(" ", "_")
    if words.endswith(FROM_NOTHING) or network in SCRATCH:
        if not network:
            raise UsageError(
                f"plan {text!r}: which network is to start from nothing? Name one of {', '.join(SCRATCH)}, or a timm "
                f"architecture: resnet18 {FROM_NOTHING}."
            )
        return Plan(FROM_NOTHING, network=network if network in SCRATCH else named, from_nothing=True, share=1.0)
    head_first, gradual = words.startswith(HEAD_FIRST.strip()), words.startswith(GRADUAL)
    amount = words.removeprefix(HEAD_FIRST.strip() if head_first else GRADUAL if gradual else "").strip()
    share, blocks, blocks_cut, name = _amount(text, amount)
    if blocks == 0 and (head_first or gradual):
        raise UsageError(f"plan {text!r} contradicts itself: the head is all it trains. Write just: {name}.")
    if gradual and blocks is None:
        raise UsageError(f"plan {text!r}: thawing goes block by block. Name a number: gradual last 7 blocks.")
    lead = HEAD_FIRST if head_first else GRADUAL if gradual else ""
    return Plan(
        lead + name,
        head_first=head_first or gradual,
        gradual=gradual,
        share=share,
        blocks=blocks,
        blocks_cut=blocks_cut,
    )


def _amount(text: str, amount: str) -> tuple[float | None, int | None, int, str]:
    """Return share, blocks, blocks cut and spelling of how much thaws."""
    if amount == "all":
        return 1.0, None, 0, "all"
    if amount == "head":
        return None, 0, 0, "head"
    if found := re.fullmatch(r"head,?(?: on)? (\d+(?:\.\d+)?) blocks? cut", amount):
        count = _num_blocks(text, float(found[1]))
        return None, 0, count, f"head, {_blocks(count)} cut"
    found = re.fullmatch(r"last (\d+(?:\.\d+)?) ?(%|blocks?)", amount)
    if not found:
        near = difflib.get_close_matches(text.lower(), EXAMPLES, n=1, cutoff=0.4)
        raise UsageError(
            f"plan {text!r} is not known. {f'Did you mean {near[0]!r}? ' if near else ''}A plan is one of "
            f"{'; '.join(EXAMPLES)}; or a network {FROM_NOTHING}: {', '.join(SCRATCH)}."
        )
    number, unit = float(f"{float(found[1]):g}"), found[2]  # as its name will say it
    if unit == "%":
        if not 0 < number <= 100:
            raise UsageError(
                f"plan {text!r}: a share above 0 and up to 100 % is required. To train nothing but a head, write: head."
            )
        return (1.0, None, 0, "all") if number == 100 else (number / 100, None, 0, f"last {number:g} %")
    count = _num_blocks(text, number)
    return None, count, 0, f"last {_blocks(count)}"


def _num_blocks(text: str, number: float) -> int:
    if number != int(number) or number < 1:
        raise UsageError(f"plan {text!r}: a whole number of blocks, 1 or more, is required.")
    return int(number)


def _blocks(count: int) -> str:
    return f"{count} block{'s' if count > 1 else ''}"


def phases(plan: Plan, network: Network, epochs: int) -> tuple[Phase, ...]:
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
    cuts = range(len(network.backbone.cuts) - 2, bottom - 1, -1)
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


def default_epochs(plan: Plan, num_pictures: int) -> int:
    """Return how many epochs suit a plan and a number of training pictures: more where there are few pictures.

    In the manner of Kolesnikov et al., "Big Transfer", ECCV 2020, whose schedule is a function of the data's size.
    """
    if plan.from_nothing:
        return min(60, max(12, round(50_000 / num_pictures)))
    return min(16, max(4, round(9_000 / num_pictures)))


def default_learning_rate(plan: Plan, optimizer: str) -> float:
    """Return the peak step size that suits a plan: large from nothing, small where pretrained weights move."""
    adaptive = 3e-3 if plan.from_nothing else 1e-3 if plan.blocks == 0 else 5e-5 if plan.head_first else 2e-4
    return adaptive if optimizer != "sgd" else 20 * adaptive


def scratch_size_px(name: str, dataset: Dataset) -> int | None:
    """Return the input size that suits a network from nothing: 32 px for small pictures, 96 px for photos.

    None leaves the choice to the architecture: the tutorial's CNN has one size only, and timm's have their own.
    """
    if name not in ("simple_cnn", "deep_cnn"):
        return None
    short = sorted(min(row.width_px, row.height_px) for row in dataset.ledger if row.status != "skipped")
    return 32 if short and short[len(short) // 2] < SMALL_PICTURE_PX else 96


def candidate_plans(network: Network, num_hidden: int = 0) -> tuple[Plan, ...]:
    """Return the plans worth trying on a pretrained network, from cheap to dear, with one network from nothing.

    Partly thawed are the last fifth of the layers and, where blocks can be counted, the upper two fifths of the cuts.
    These and the whole network start from a solved head, unless it is to have hidden units: no solver finds one.
    """
    lead = "" if num_hidden else HEAD_FIRST
    texts = [f"simple_cnn {FROM_NOTHING}", "last 20 %"]
    if network.backbone.has_suffix:
        cuts = network.backbone.cuts
        texts.append(f"{lead}last {cuts[-1 - max(1, 2 * len(cuts) // 5)].blocks_removed} blocks")
    return tuple(parse_plan(text) for text in (*texts, f"{lead}all"))
