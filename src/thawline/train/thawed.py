"""A network, a cut and a head -> what is trained, and the trained weights back into the network.

Pretrained networks are trained with their batch norms folded into the convolutions: their statistics cannot move, a
step is cheaper, and a picture's gradient does not depend on what it shares a batch with. `write_back` writes the result
into the network's own layers: a folded convolution keeps its weights, and its norm adds the bias and scales by one.
What was not thawed is not touched, to the last bit. Networks from nothing keep their norms, which learn.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from thawline.features.folding import fold_batch_norms, unfold_batch_norms
from thawline.features.layers import trained_parameters
from thawline.features.network import Network, lay_out_channels_last
from thawline.features.pooling import pooled
from thawline.features.weights import digest
from thawline.train.new_head import HEAD_NAMES, NewHead

__all__ = ["Thawed", "working_copy", "write_back"]


def working_copy(network: Network, *, keeps_norms: bool) -> Network:
    """Return a copy to be trained: float32, channels last, batch norms folded unless they are to learn."""
    model = (
        copy.deepcopy(network.model) if keeps_norms else fold_batch_norms(network.model, network.backbone.input.size_px)
    )
    lay_out_channels_last(model)
    _replace_kept_biases(model, _Unkept)
    return Network(network.backbone, model.requires_grad_(False))


class _Unkept(dict[str, Tensor]):
    """Stands where LeViT and its relatives keep their attention biases between calls: they are computed every time."""

    def __contains__(self, key: object) -> bool:
        return False

    def __getitem__(self, key: str) -> Tensor:
        return self.pop(key)


def _replace_kept_biases(model: nn.Module, kept: Callable[[], dict[str, Tensor]]) -> None:
    """Drop what modules computed from their weights in `eval()` and would use though the weights have changed."""
    for module in model.modules():
        if hasattr(module, "attention_bias_cache"):
            module.attention_bias_cache = kept()  # type: ignore[assignment]


class Thawed(nn.Module):
    """A picture, or what is frozen of it, -> logits; the weights that train require gradients, no others do.

    Attributes:
        network: The working copy; its modules are trained in place.
        head: On the pooled features of its cut, in float32.
        cut: Where the input comes from: activations there, or pooled features if the head reads it; None: pictures.
        reads_features: Whether the input is pooled features, so that nothing of the network runs.
    """

    def __init__(self, network: Network, cut: int | None, layers: Sequence[str] | None, head: NewHead) -> None:
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
        self._last, self._pooling = head.block
        self.reads_features = cut == self._last
        self._steps: tuple[nn.Module, ...] = ()
        if cut is not None and not self.reads_features:
            below = len(network.prefix_modules(cut))
            self._steps = tuple(module for _, module in network.prefix_modules(self._last)[below:])
        if layers is not None:
            wanted = set(trained_parameters(network, layers))
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(name in wanted)
        self._trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self._trained |= {f"head.{name}": parameter for name, parameter in self.head.named_parameters()}

    def forward(self, h: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return (B, K) float32 logits of normalised pictures, (B, …) activations at the cut, or (B, C) features.

        Args:
            h: In the number format of the network's weights; features in float32.
            keep: (B, `head.num_factors`) factors of dropout, or None.
        """
        logits: Tensor = self.head(h if self.reads_features else self._features(h), keep)
        return logits

    def _features(self, h: Tensor) -> Tensor:
        """Return (B, C) float32 features of pictures or activations."""
        if self.cut is None:
            h = self.network.prefix(h, self._last)
        for step in self._steps:
            h = step(h)
        return pooled(h, [self._pooling], num_prefix_tokens=self.network.num_prefix_tokens)[self._pooling]

    def trained(self) -> dict[str, nn.Parameter]:
        """Return the parameters that train, by name: the network's, then the head's, some of `HEAD_NAMES`."""
        return self._trained

    def replica(self, dtype: torch.dtype) -> Thawed:
        """Return a copy with a network of another number format and a head that stays in float32."""
        network = Network(self.network.backbone, copy.deepcopy(self.model).to(dtype))
        return Thawed(network, self.cut, None, copy.deepcopy(self.head))


def write_back(network: Network, trained: Mapping[str, Tensor], *, plan: str, keeps_norms: bool) -> Network:
    """Return `network` with trained weights in it, under a digest of its own; the original is left as it is.

    Args:
        network: As loaded.
        trained: Tensors of the working copy's parameters and buffers, by their names there; the head's are passed over.
        plan: For the record.
        keeps_norms: As it was trained.
    """
    tensors = {name: tensor.cpu() for name, tensor in trained.items() if name not in HEAD_NAMES}
    if keeps_norms:
        model = copy.deepcopy(network.model)
        model.load_state_dict(tensors, strict=False)
    else:
        model = unfold_batch_norms(network.model, tensors, size_px=network.backbone.input.size_px)
    _replace_kept_biases(model, dict)
    backbone = replace(
        network.backbone,
        weights_sha256=digest(model),
        weights_origin=f"{network.backbone.weights_origin}, then trained: {plan}",
    )
    return Network(backbone, model.eval().requires_grad_(False))
