"""A plan in words -> a `Plan`: how much of a network thaws, in which order, from which start.

One small language serves the command line, TOML and Python, and is parsed once; `phases.py` lays a plan over a network.

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
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from thawline.core.errors import UsageError
from thawline.features.scratch import SCRATCH
from thawline.train.hyperparameters import TrainOptions

if TYPE_CHECKING:
    from thawline.data.dataset import Dataset

__all__ = [
    "FROM_NOTHING",
    "HEAD_FIRST",
    "Plan",
    "check_plan",
    "default_epochs",
    "default_learning_rate",
    "parse_plan",
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
    tidy = " ".join(re.sub(r"\s*,", ", ", text.replace("·", " ")).split())
    words = tidy.lower()
    named = tidy[: -len(FROM_NOTHING)].strip() if words.endswith(FROM_NOTHING) else tidy
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
    if match := re.fullmatch(r"head,?(?: on)? (\d+(?:\.\d+)?) blocks? cut", amount):
        count = _num_blocks(text, float(match[1]))
        return None, 0, count, f"head, {_blocks(count)} cut"
    match = re.fullmatch(r"last (\d+(?:\.\d+)?) ?(%|blocks?)", amount)
    if not match:
        near = difflib.get_close_matches(text.lower(), EXAMPLES, n=1, cutoff=0.4)
        raise UsageError(
            f"plan {text!r} is not known. {f'Did you mean {near[0]!r}? ' if near else ''}A plan is one of "
            f"{'; '.join(EXAMPLES)}; or a network {FROM_NOTHING}: {', '.join(SCRATCH)}."
        )
    number, unit = float(f"{float(match[1]):g}"), match[2]  # as its name will have it
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


def check_plan(plan: Plan, training: TrainOptions) -> None:
    """Refuse a plan and training options that contradict each other.

    Raises:
        UsageError: They do; says how, and the way out.
    """
    if plan.head_first and training.hidden:
        raise UsageError(
            f"plan {plan.name!r} starts from a solved linear head, --hidden {training.hidden} asks for one with "
            f"a hidden layer. Drop --hidden, or write: {plan.name.removeprefix(HEAD_FIRST).removeprefix(GRADUAL)}."
        )


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
