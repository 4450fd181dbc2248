"""What a network is, without its weights: its name and origin, how pictures are prepared for it, where it can be cut.

Plain records without torch, so that a leaderboard or a report is read without loading it. `features.network` holds the
weights; `features.cuts` works the cut points out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from thawline.core.errors import BackboneError, first_few
from thawline.core.types import InputSpec

__all__ = ["POOL", "Backbone", "CutPoint", "join_backbones"]

POOL = "pool"
"""Module of the cut behind a network's own pooling, which is a depth where it is more than a mean or a token."""


@dataclass(frozen=True)
class CutPoint:
    """A depth at which a network can be read, or cut.

    Attributes:
        index: Position among the network's cuts, shallowest first.
        module: Path of the module whose output is read: `blocks.4.0`, `layer4.1`, `conv_head`, `norm`.
        channels: Channels of the activation.
        stride: Input pixels for each position of the activation, along one side.
        blocks_removed: Blocks that a network cut here loses; 0 at the last cut. A block is a residual or MBConv block,
            or the convolution behind the last one where the architecture has it (EfficientNet, MobileNetV3), or the
            network's own attention pooling (SigLIP). A norm is no block: the last block of a ViT is read behind it, and
            where a network normalises what it pooled (ConvNeXt), that is one more cut of the same block.
        cost_fraction: Multiply-adds up to and including this cut as a share of those up to the last cut, in (0, 1].
    """

    index: int
    module: str
    channels: int
    stride: int
    blocks_removed: int
    cost_fraction: float

    @property
    def label(self) -> str:
        """Short name for a strategy: `4.0`, `layer4.1`, and `head` for what lies behind the last block."""
        if self.module in {"conv_head", "norm", "norm_pre"}:
            return "head"
        return self.module.removeprefix("blocks.").removeprefix("stages.").replace(".blocks.", ".")


@dataclass(frozen=True)
class Backbone:
    """A network as a description, without its weights.

    Attributes:
        name: Under which it was loaded.
        architecture: Loads the same network from a weights file alone: `load_backbone(architecture, weights=FILE)`.
        weights_sha256: Hex digest over the tensors, whatever file they came in.
        input: How pictures are prepared for it.
        cuts: Where it can be cut, shallowest first; the last one is the whole backbone.
        num_macs: Multiply-adds of one picture at that input size, up to the last cut.
        num_params: Parameters, the original classifier's included.
        num_prefix_tokens: Tokens before the patches in an activation of tokens; 0 for maps.
        has_class_token: Whether the first token is a class token.
        has_suffix: Whether the network can be continued from a cut; otherwise it can only be read.
        license: Licence of the weights, `unknown` for the user's own file.
        weights_origin: Where the weights come from, in words.
        parts: The networks that it joins, in the order of their cuts; empty for one network.
    """

    name: str
    architecture: str
    weights_sha256: str
    input: InputSpec
    cuts: tuple[CutPoint, ...]
    num_macs: int
    num_params: int
    num_prefix_tokens: int
    has_class_token: bool
    has_suffix: bool
    license: str
    weights_origin: str
    parts: tuple[Backbone, ...] = ()

    def __repr__(self) -> str:
        return f"<Backbone {self.name}: {len(self.cuts)} cuts, {self.input.size_px} px, {self.weights_origin}>"

    @property
    def networks(self) -> tuple[Backbone, ...]:
        """The networks that it joins, or itself."""
        return self.parts or (self,)

    @property
    def relative_costs(self) -> tuple[float, ...]:
        """What a whole pass of each network costs, as a share of the first one's."""
        return tuple(network.num_macs / max(1, self.networks[0].num_macs) for network in self.networks)

    @property
    def named_cuts(self) -> dict[str, tuple[CutPoint, ...]]:
        """Name → cuts of each network, numbered on, with costs as shares of its own whole pass."""
        named: dict[str, tuple[CutPoint, ...]] = {}
        start = 0
        for network in self.networks:
            named[network.name] = tuple(replace(cut, index=start + cut.index) for cut in network.cuts)
            start += len(network.cuts)
        return named

    def cut_removing(self, num_blocks: int) -> CutPoint:
        """Return the cut that leaves out the last `num_blocks` blocks.

        Raises:
            BackboneError: The network has no such cut.
        """
        for cut in reversed(self.cuts):
            if cut.blocks_removed == num_blocks:
                return cut
        removed = first_few(list(dict.fromkeys(cut.blocks_removed for cut in reversed(self.cuts))), 30)
        raise BackboneError(
            f"{self.name}: no cut removes {num_blocks} blocks; its cuts remove {removed}. Choose one of these."
        )


def join_backbones(backbones: Sequence[Backbone]) -> Backbone:
    """Return several networks as one whose cuts are numbered on; one network is returned as it is.

    The cost of a cut is a share of the FIRST network's whole pass, and above 1 where another network costs more. What
    is said of weights and input is the first one's; `parts` has each network's own.
    """
    first, *others = backbones
    if not others:
        return first
    whole = replace(first, name=" + ".join(backbone.name for backbone in backbones), parts=tuple(backbones))
    cuts: list[CutPoint] = []
    for backbone, cost in zip(backbones, whole.relative_costs, strict=True):
        start = len(cuts)
        cuts += [replace(cut, index=start + cut.index, cost_fraction=cut.cost_fraction * cost) for cut in backbone.cuts]
    return replace(whole, cuts=tuple(cuts), has_class_token=any(backbone.has_class_token for backbone in backbones))
