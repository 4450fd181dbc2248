"""A name becomes a frozen network that can be read, cut and continued at every one of its cut points.

A network is a row of steps. `prefix` runs those below a cut, `suffix` those above it, and one after the other is the
network's own forward pass, to the last bit. `features` runs the row once and hands out every depth on its way up.
`features.backbone` holds the description alone; `Network` adds the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from thawline.core.errors import BackboneError
from thawline.core.remembered import recalled
from thawline.core.rendering import Fit, Rendering
from thawline.core.runtime import Runtime
from thawline.core.types import InputSpec, Interpolation
from thawline.features.backbone import Backbone, CutPoint
from thawline.features.cuts import cut_points
from thawline.features.folding import fold_and_fuse, fold_batch_norms
from thawline.features.fused import can_fuse
from thawline.features.hub import BUNDLED
from thawline.features.trunk import Trunk, num_prefix_tokens, readings_of, reads_class_token, trunk_of
from thawline.features.weights import digest, load_model

__all__ = ["Network", "frozen_for_inference", "lay_out_channels_last", "load_backbone", "rendering_as"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Network:
    """A backbone with its weights: read it at its cuts, or continue it from one.

    Nothing here changes it and no state is kept between calls, so threads may share it. Inputs are (B, 3, H, W) in
    the number format and on the device of its weights, already normalised.

    Attributes:
        backbone: Its description.
        model: timm's model, or a scratch network. Replacing its modules (not their weights) calls for a new `Network`.
    """

    def __init__(self, backbone: Backbone, model: nn.Module) -> None:
        self.backbone = backbone
        self.model = model
        self._trunk = trunk_of(model, backbone.input.size_px)
        self._ends = _cut_ends(self._trunk, backbone.cuts)

    def __repr__(self) -> str:
        return f"<Network {self.backbone!r}>"

    @property
    def num_prefix_tokens(self) -> int:
        """Tokens before the patches in an activation; 0 for maps."""
        return self.backbone.num_prefix_tokens

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, classes) logits of the original network; features where it has no classifier."""
        logits: Tensor = self.model(x)
        return logits

    def features(self, x: Tensor, cuts: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Yield (cut, activation) for each of `cuts`, shallowest first, from one pass that stops at the deepest.

        An activation is a (B, C, H, W) map or (B, tokens, C), as the network itself passes it on. Copy what must
        outlive the next one.

        Raises:
            BackboneError: There is no such cut.
        """
        wanted = sorted({self._checked(cut) for cut in cuts})
        if self._trunk is None:
            yield from zip(wanted, readings_of(self.model, x, indices=wanted), strict=True) if wanted else ()
            return
        start = 0
        for cut in wanted:
            for step in self._trunk[start : self._ends[cut]]:
                x = step.module(x)
            start = self._ends[cut]
            yield cut, x

    def prefix(self, x: Tensor, cut: int) -> Tensor:
        """Return the activation at `cut`, as the network itself passes it on."""
        return next(activation for _, activation in self.features(x, [cut]))

    def suffix(self, h: Tensor, cut: int) -> Tensor:
        """Return the original network's (B, classes) logits for the activation `h` at `cut`.

        Raises:
            BackboneError: The architecture can only be read at its cuts.
        """
        for _, module in self.suffix_modules(cut):
            h = module(h)
        return h

    def prefix_modules(self, cut: int) -> tuple[tuple[str, nn.Module], ...]:
        """Return (name, module) of the steps up to `cut` in forward order; they are the model's own, not copies."""
        return tuple((step.name, step.module) for step in self._steps()[: self._ends[self._checked(cut)]])

    def suffix_modules(self, cut: int) -> tuple[tuple[str, nn.Module], ...]:
        """Return (name, module) of the steps above `cut` in forward order, the original classifier last.

        Each holds exactly the parameters and buffers that it uses; they are the model's own, not copies.
        """
        return tuple((step.name, step.module) for step in self._steps()[self._ends[self._checked(cut)] :])

    def _steps(self) -> Trunk:
        """Return the trunk, or say why there is none."""
        if self._trunk is None:
            raise BackboneError(
                f"{self.backbone.name}: {type(self.model).__name__} can be read at its stages but not continued from "
                f"one. Train a head on its frozen features, tune it whole, or choose one of the ResNet, EfficientNet, "
                f"MobileNet, ConvNeXt, Swin, ViT, DINOv3 or EVA-02 families, among others."
            )
        return self._trunk

    def _checked(self, cut: int) -> int:
        """Return `cut` if there is such a cut."""
        if not 0 <= cut < len(self.backbone.cuts):
            raise BackboneError(
                f"{self.backbone.name}: there is no cut {cut}. Choose from 0 to {len(self.backbone.cuts) - 1}."
            )
        return cut


def load_backbone(
    name: str = BUNDLED,
    *,
    weights: Path | None = None,
    fit: Fit = "crop",
    crop_share: float | None = None,
    size_px: int | None = None,
    pretrained: bool = True,
    seed: int = 0,
) -> Network:
    """Return the network called `name`, frozen, in float32 on the CPU.

    `efficientnet_lite0` comes with the installation and needs no network. The scratch networks start from random
    weights, or those that `weights` brings. Anything else is fetched once into the cache of the Hugging Face hub, or
    read from `weights`.

    Args:
        name: `efficientnet_lite0`, a scratch network (`tutorial_cnn`, `simple_cnn`, `deep_cnn`), one of timm's names
            (`resnet34`, `resnet34.a1_in1k`), `hf-hub:owner/name`, or `local-dir:folder` with timm's `config.json` and
            `model.safetensors`.
        weights: A safetensors file or plain state dict to take the weights from; every tensor must fit.
        fit: How a picture that is not square meets the square.
        crop_share: Share of the shorter side that `crop` shows; None takes what the network was trained with, at
            any size.
        size_px: Side of the input in pixels; None takes what the network was trained with. A ViT's position
            embedding is resampled to it, which makes it another network with another digest.
        pretrained: False gives random weights.
        seed: Of random weights.

    Raises:
        BackboneError: Unknown name, no weights, weights that do not fit, or a size the architecture cannot take.

    >>> network = load_backbone(pretrained=False)
    >>> len(network.backbone.cuts), network.backbone.cuts[-1].label, network.backbone.cuts[-1].channels
    (17, 'head', 1280)
    """
    loaded = load_model(name, weights=weights, size_px=size_px, pretrained=pretrained, seed=seed)
    model, source = loaded.model, loaded.source
    spec = replace(_input_spec(source.name, source.config, size_px), fit=fit)
    if fit == "crop":
        spec = replace(spec, crop_share=crop_share or _crop_share(source.config))
    shapes = [(name, tuple(tensor.shape)) for name, tensor in model.state_dict().items()]
    facts = [source.name, source.architecture, repr(source.config), repr(model), shapes, spec.size_px]
    cuts, num_macs = recalled("cut points", facts, make=lambda: _cuts(source.name, model, spec.size_px))
    trunk = trunk_of(model, spec.size_px)
    backbone = Backbone(
        name=source.name,
        architecture=source.name if source.packaged else source.architecture,
        weights_sha256=digest(model),
        input=spec,
        cuts=cuts,
        num_macs=num_macs,
        num_params=sum(p.numel() for p in model.parameters()),
        num_prefix_tokens=0 if trunk is None else num_prefix_tokens(model),
        has_class_token=trunk is not None and reads_class_token(model),
        has_suffix=trunk is not None,
        license=loaded.license,
        weights_origin=loaded.origin,
    )
    return Network(backbone, model)


def frozen_for_inference(network: Network, runtime: Runtime) -> Network:
    """Return a copy for reading pictures fast: batch norms folded, channels last, in the runtime's format and place.

    On a processor convolutions run with their activations in one call. Its outputs agree with the original's to
    rounding of the number format. `network` is left as it is.
    """
    prepared = fold_and_fuse if can_fuse(runtime.device, runtime.torch_dtype) else fold_batch_norms
    model = prepared(network.model, network.backbone.input.size_px)
    model = model.to(device=runtime.device, dtype=runtime.torch_dtype)
    lay_out_channels_last(model)
    return Network(network.backbone, model)


def rendering_as(network: Network, rendering: Rendering) -> Network:
    """Return the same network for pictures whose stored values become RGB as `rendering` says: a data set's."""
    spec = replace(network.backbone.input, rendering=rendering)
    return Network(replace(network.backbone, input=spec), network.model)


def lay_out_channels_last(model: nn.Module) -> None:
    """Reorder the weights of convolutions in memory."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)


def _cuts(name: str, model: nn.Module, size_px: int) -> tuple[tuple[CutPoint, ...], int]:
    """Return the cut points of a model and the multiply-accumulates of a pass; refuses a size that it cannot take."""
    try:
        return cut_points(model, size_px)
    except (RuntimeError, AssertionError, ValueError, ZeroDivisionError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BackboneError(
            f"{name} cannot take pictures of {size_px} px: {reason}. Choose another --size, or none."
        ) from error


def _cut_ends(trunk: Trunk | None, cuts: Sequence[CutPoint]) -> tuple[int, ...]:
    """Return for each cut the number of steps below it."""
    position = {step.name: number for number, step in enumerate(trunk or (), 1)}
    return tuple(position.get(cut.module, 0) for cut in cuts)


def _crop_share(config: Mapping[str, Any]) -> float:
    """Return the share of the shorter side that timm's settings show; all of it where they say nothing."""
    share = config.get("crop_pct")
    return min(1.0, max(0.1, float(share))) if share else 1.0


def _input_spec(name: str, config: Mapping[str, Any], size_px: int | None) -> InputSpec:
    """Return the input preparation that timm's settings ask for; ImageNet's where they say nothing."""
    channels, height, width = config.get("input_size") or (3, 224, 224)
    mean, std = config.get("mean") or IMAGENET_MEAN, config.get("std") or IMAGENET_STD
    if channels != 3 or len(mean) != 3 or len(std) != 3:
        raise BackboneError(f"{name} takes {channels} channels where 3 (RGB) are required. Choose another backbone.")
    if size_px is None and height != width:
        raise BackboneError(f"{name} takes {height}×{width} px where a square is required. Pass --size.")
    if size_px is not None and size_px < 32:
        raise BackboneError(f"{name}: an input of {size_px} px is too small; at least 32 px are required.")
    interpolation: Interpolation = "bilinear" if config.get("interpolation") == "bilinear" else "bicubic"
    return InputSpec(
        size_px=size_px or int(height),
        mean=(float(mean[0]), float(mean[1]), float(mean[2])),
        std=(float(std[0]), float(std[1]), float(std[2])),
        interpolation=interpolation,
    )
