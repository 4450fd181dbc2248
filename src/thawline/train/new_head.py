"""A network and a cut -> the dense layers that train on its pooled features; trained tensors -> the head that predicts.

A linear head starts at zero, where it prefers no class. One with hidden units cannot: its units would all stay the
same. Its weights are drawn from the seed (He et al., "Delving deep into rectifiers", ICCV 2015).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thawline.core.types import Floats
from thawline.features.bank import Block
from thawline.features.network import Network
from thawline.heads.columns import Columns
from thawline.heads.dense import DenseHead
from thawline.heads.linear import LinearHead

__all__ = ["HEAD_BIAS", "HEAD_NAMES", "HEAD_WEIGHT", "NewHead", "head_block", "new_head", "trained_head"]

HEAD_WEIGHT, HEAD_BIAS = "head.weight", "head.bias"
HIDDEN_WEIGHT, HIDDEN_BIAS = "head.hidden.weight", "head.hidden.bias"
HEAD_NAMES = (HEAD_WEIGHT, HEAD_BIAS, HIDDEN_WEIGHT, HIDDEN_BIAS)
"""Names of a head's parameters among all that train; a network of timm may have a `head.weight` of its own."""


def head_block(network: Network, blocks_cut: int = 0) -> Block:
    """Return what a trained head reads: a cut, by its class token where there is one, else by its mean.

    Args:
        network: Any network.
        blocks_cut: Blocks at the end of the network that it does without.

    Raises:
        BackboneError: The network has no such cut.
    """
    cut = network.backbone.cut_removing(blocks_cut)
    return cut.index, "token" if network.backbone.has_class_token else "mean"


class NewHead(nn.Linear):
    """Features -> dropout -> classes; with hidden units features -> dropout -> dense -> ReLU -> dropout -> classes.

    Its own weight and bias are those of the last layer.

    Attributes:
        block: The cut and pooling that it reads.
        hidden: The first of two layers, or None.
        num_factors: Numbers that dropout looks at: C features, and H hidden units behind them.
    """

    def __init__(self, block: Block, num_columns: int, num_classes: int, num_hidden: int = 0) -> None:
        """Make a head with weights as torch draws them, or of zeros, which `new_head` replaces."""
        super().__init__(num_hidden or num_columns, num_classes)
        self.block = block
        self.hidden = nn.Linear(num_columns, num_hidden) if num_hidden else None
        self.num_factors = num_columns + num_hidden

    def forward(self, features: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return (B, K) logits of (B, C) float32 features.

        Args:
            features: Pooled.
            keep: (B, `num_factors`) factors: 0 where dropout drops, 1 / (1 - p) elsewhere; None keeps everything.
        """
        if self.hidden is None:
            return super().forward(features if keep is None else features * keep)
        width = self.hidden.in_features
        units = F.relu(self.hidden(features if keep is None else features * keep[:, :width]))
        return super().forward(units if keep is None else units * keep[:, width:])


def new_head(
    network: Network,
    num_classes: int,
    *,
    start: tuple[Floats, Floats] | None = None,
    blocks_cut: int = 0,
    num_hidden: int = 0,
    seed: int = 0,
) -> NewHead:
    """Return a head to be trained: of zeros, as it was solved, or with hidden units whose weights are drawn.

    Args:
        network: Whose features it reads.
        num_classes: K.
        start: The solved linear head to start from, (C, K) and (K,), or None.
        blocks_cut: As in `head_block`.
        num_hidden: H, units of a layer between features and classes; 0 for none.
        seed: Of the weights that are drawn.
    """
    block = head_block(network, blocks_cut)
    head = NewHead(block, network.backbone.cuts[block[0]].channels, num_classes, num_hidden)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        if head.hidden is not None:
            nn.init.kaiming_normal_(head.hidden.weight, nonlinearity="relu", generator=generator)
            nn.init.kaiming_normal_(head.weight, nonlinearity="linear", generator=generator)
        elif start is not None:
            head.weight.copy_(torch.from_numpy(start[0].T.copy()))
            head.bias.copy_(torch.from_numpy(start[1]))
    return head


def trained_head(tensors: Mapping[str, Tensor]) -> LinearHead | DenseHead:
    """Return the trained head, for features as they are.

    Args:
        tensors: By the names of `HEAD_NAMES`, on the CPU; others are passed over.
    """
    present = {name: tensors[name].float().numpy() for name in HEAD_NAMES if name in tensors}
    arrays = {name: np.ascontiguousarray(array.T) for name, array in present.items()}
    weight, bias = arrays[HEAD_WEIGHT], arrays[HEAD_BIAS]
    first = arrays.get(HIDDEN_WEIGHT, weight)
    width = len(first)
    plain = Columns(np.zeros(width, bool), np.zeros(width, np.float32), np.ones(width, np.float32))
    if HIDDEN_WEIGHT in arrays:
        return DenseHead(plain, first, arrays[HIDDEN_BIAS], weight, bias)
    return LinearHead(plain, weight, bias)
