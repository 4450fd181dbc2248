"""A network, a cut and a head -> what is trained, and the trained weights back into the network.

Pretrained networks are trained with their batch norms folded into the convolutions: their statistics cannot move, a
step is cheaper, and a picture's gradient does not depend on what it shares a batch with. `write_back` says the result
in the network's own layers again: a folded convolution keeps its weights, and its norm adds the bias and scales by one.
What was not thawed is not touched, to the last bit. Networks from nothing keep their norms, which learn.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thawline.core.types import Floats
from thawline.features.backbones import Network, lay_out_channels_last
from thawline.features.bank import Block
from thawline.features.folding import fold_batch_norms, unfold_batch_norms
from thawline.features.layers import trained_parameters
from thawline.features.pooling import pooled
from thawline.features.weights import digest

__all__ = ["HEAD_BIAS", "HEAD_WEIGHT", "Thawed", "head_block", "new_head", "working_copy", "write_back"]

HEAD_WEIGHT, HEAD_BIAS = "head.weight", "head.bias"


def head_block(network: Network) -> Block:
    """Return what the head of a tuned network reads: the last cut, by its class token where there is one."""
    return network.backbone.cuts[-1].index, "token" if network.backbone.has_class_token else "mean"


def working_copy(network: Network, *, keeps_norms: bool) -> Network:
    """Return a copy to be trained: float32, channels last, batch norms folded unless they are to learn."""
    model = (
        copy.deepcopy(network.model) if keeps_norms else fold_batch_norms(network.model, network.backbone.input.size_px)
    )
    lay_out_channels_last(model)
    return Network(network.backbone, model.requires_grad_(False))


class Thawed(nn.Module):
    """A picture, or a frozen activation at a cut -> logits; the weights that train require gradients, no others do.

    Attributes:
        network: The working copy; its modules are trained in place.
        head: (K, C) linear on the pooled features of the last cut, in float32.
        cut: Where the input comes from; None: pictures.
    """

    def __init__(self, network: Network, cut: int | None, layers: Sequence[str] | None, head: nn.Linear) -> None:
        """Thaw a network.

        Args:
            network: Its modules are taken, not copied.
            cut: As above.
            layers: Weight-bearing layers that train; None: those whose weights require gradients already.
            head: Taken, not copied.
        """
        super().__init__()
        self.network, self.cut = network, cut
        self.model, self.head = network.model, head
        self._last, self._pooling = head_block(network)
        self._steps: tuple[nn.Module, ...] = ()
        if cut is not None:
            below = len(network.prefix_modules(cut))
            self._steps = tuple(module for _, module in network.prefix_modules(self._last)[below:])
        if layers is not None:
            wanted = set(trained_parameters(network, layers))
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(name in wanted)
        self._trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self._trained |= {f"head.{name}": parameter for name, parameter in self.head.named_parameters()}

    def forward(self, h: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return (B, K) float32 logits of (B, …) activations at the cut, or normalised pictures.

        Args:
            h: In the number format of the network's weights.
            keep: (B, C) factors on the features: 0 where dropout drops, 1 / (1 - p) elsewhere.
        """
        if self.cut is None:
            h = self.network.prefix(h, self._last)
        for step in self._steps:
            h = step(h)
        features = pooled(h, [self._pooling], self.network.num_prefix_tokens)[self._pooling]
        return F.linear(features if keep is None else features * keep, self.head.weight, self.head.bias)

    def trained(self) -> dict[str, nn.Parameter]:
        """Return the parameters that train, by name: the network's, then `head.weight` and `head.bias`."""
        return self._trained

    def replica(self, dtype: torch.dtype) -> Thawed:
        """Return a copy with a network of another number format and a head that stays in float32."""
        network = Network(self.network.backbone, copy.deepcopy(self.model).to(dtype))
        return Thawed(network, self.cut, None, copy.deepcopy(self.head))


def new_head(network: Network, num_classes: int, start: tuple[Floats, Floats] | None = None) -> nn.Linear:
    """Return a head that gives every class the same, or the solved one that `start` holds as (C, K) and (K,)."""
    head = nn.Linear(network.backbone.cuts[-1].channels, num_classes)
    with torch.no_grad():
        if start is None:
            head.weight.zero_()
            head.bias.zero_()
        else:
            head.weight.copy_(torch.from_numpy(start[0].T.copy()))
            head.bias.copy_(torch.from_numpy(start[1]))
    return head


def write_back(network: Network, trained: Mapping[str, Tensor], plan: str, *, keeps_norms: bool) -> Network:
    """Return `network` with trained weights in it, under a digest of its own; the original is left as it is.

    Args:
        network: As loaded.
        trained: Tensors of the working copy's parameters and buffers, by their names there; the head's are passed over.
        plan: For the record.
        keeps_norms: As it was trained.
    """
    found = {name: tensor.cpu() for name, tensor in trained.items() if name not in (HEAD_WEIGHT, HEAD_BIAS)}
    if keeps_norms:
        model = copy.deepcopy(network.model)
        model.load_state_dict(found, strict=False)
    else:
        model = unfold_batch_norms(network.model, found, network.backbone.input.size_px)
    backbone = replace(
        network.backbone,
        weights_sha256=digest(model),
        weights_origin=f"{network.backbone.weights_origin}, then trained: {plan}",
    )
    return Network(backbone, model.eval().requires_grad_(False))
