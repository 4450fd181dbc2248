"""A network and one dense layer on its last cut -> the same as a model that `timm.create_model` makes again.

One idea: which of timm's poolings reads what our head reads is not guessed from the family: each is tried, and the one
whose logits are those of the network and the layer is taken. Where none is, the model is no model of timm's.
"""

from __future__ import annotations

from thawline.features import light_import  # noqa: F401  # before timm

# isort: split

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from thawline.core.errors import BackboneError
from thawline.core.types import Floats, InputSpec
from thawline.features.bank import Block
from thawline.features.network import Network
from thawline.features.packaged import PACKAGED
from thawline.features.pooling import pooled
from thawline.features.scratch import SCRATCH

__all__ = ["TimmForm", "load_timm_folder", "timm_form"]

ALIKE = 1e-4
"""How far a logit may be from ours, as a share of the largest: the same sums in another order."""

CROP_MODES = {"crop": "center", "letterbox": "border", "stretch": "squash"}
"""timm's word for how a picture that is not square meets the square."""


@dataclass(frozen=True)
class TimmForm:
    """A classifier as timm keeps it.

    Attributes:
        tensors: Its state, by timm's names, float32.
        config: What belongs into `config.json`, as plain data: architecture, arguments, and how pictures are prepared.
    """

    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any]


def timm_form(
    network: Network, block: Block, *, weight: Floats, bias: Floats, class_names: tuple[str, ...], spec: InputSpec
) -> TimmForm:
    """Return a network with a dense layer on one of its cuts as a model of timm's.

    Args:
        network: As loaded, batch norms not folded.
        block: The cut and pooling that the layer reads.
        weight: (C, K) float32.
        bias: (K,) float32.
        class_names: K names.
        spec: How pictures are prepared.

    Raises:
        BackboneError: timm has no such network, or its classifier cannot read what the layer reads; the message says
            why, without what to do instead.
    """
    backbone = network.backbone
    if backbone.architecture in SCRATCH:
        raise BackboneError(f"{backbone.name} is a network of Thawline's own, which timm does not know")
    packaged = PACKAGED.get(backbone.architecture)
    architecture = packaged.architecture if packaged else backbone.architecture
    pixels = torch.randn(2, 3, spec.size_px, spec.size_px, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = _logits(network, block, pixels, weight=weight, bias=bias)
        for arguments in _candidates(network.model, block[1], spec.size_px):
            model = _created(network.model, architecture, arguments, weight=weight, bias=bias)
            if model is None:
                continue
            found = model(pixels)
            if float((found - expected).abs().max()) <= ALIKE * max(1.0, float(expected.abs().max())):
                config = _config(model, architecture, arguments, class_names=class_names, spec=spec)
                tensors = {name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()}
                return TimmForm(tensors, config)
    raise BackboneError(
        f"no classifier of timm's {architecture} reads what the head reads: the {block[1]} of cut "
        f"{backbone.cuts[block[0]].label}"
    )


def load_timm_folder(folder: Path) -> nn.Module:
    """Return the model of a folder as timm itself makes it, in `eval()`, frozen.

    Raises:
        BackboneError: timm cannot read it.
    """
    try:
        model: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True)
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BackboneError(f"load {folder}: timm cannot make its model: {reason}. Export it again.") from None
    return model.eval().requires_grad_(False)


def _logits(network: Network, block: Block, pixels: Tensor, *, weight: Floats, bias: Floats) -> Tensor:
    """Return what the dense layer says of pictures, without rounding anything on the way."""
    cut, pooling = block
    activation = network.prefix(pixels, cut)
    columns = pooled(activation, [pooling], num_prefix_tokens=network.num_prefix_tokens)[pooling]
    return columns @ torch.from_numpy(weight) + torch.from_numpy(bias)


def _candidates(model: Any, pooling: str, size_px: int) -> Iterator[dict[str, Any]]:
    """Yield arguments to try, the plainest first: the network's own, then each way to say which pooling it reads."""
    is_fixed = bool(getattr(model, "pretrained_cfg", {}).get("fixed_input_size"))
    sized = {"img_size": size_px} if is_fixed else {}
    yield sized
    pool = {"mean": "avg", "token": "token", "max": "max"}.get(pooling)
    if pool is not None:
        for further in ({}, {"fc_norm": False}, {"use_fc_norm": False}):
            yield {**sized, "global_pool": pool, **further}


def _created(
    model: Any, architecture: str, arguments: Mapping[str, Any], *, weight: Floats, bias: Floats
) -> nn.Module | None:
    """Return timm's model with the network's tensors and the layer as its classifier; None where they do not fit."""
    try:
        with torch.random.fork_rng(devices=[]):
            made: Any = timm.create_model(architecture, pretrained=False, num_classes=weight.shape[1], **arguments)
    except (TypeError, ValueError, AssertionError, RuntimeError, AttributeError):
        return None
    layer = made.get_classifier()
    name = next((name for name, module in made.named_modules() if module is layer), None)
    if not isinstance(layer, nn.Linear) or name is None or tuple(layer.weight.shape) != weight.T.shape:
        return None
    body = {key: value for key, value in model.state_dict().items() if not key.startswith(f"{name}.")}
    own = {f"{name}.weight": torch.from_numpy(weight.T.copy()), f"{name}.bias": torch.from_numpy(bias.copy())}
    try:
        made.load_state_dict({**body, **own}, strict=True)
    except RuntimeError:  # other tensors, or of other shapes
        return None
    frozen: nn.Module = made.eval().requires_grad_(False)
    return frozen


def _config(
    model: Any,
    architecture: str,
    arguments: Mapping[str, Any],
    *,
    class_names: tuple[str, ...],
    spec: InputSpec,
) -> dict[str, Any]:
    """Return the content of `config.json` in the form of timm's hub."""
    side = spec.size_px
    known = model.pretrained_cfg
    return {
        "architecture": architecture,
        "num_classes": len(class_names),
        "num_features": int(model.num_features),
        "label_names": list(class_names),
        **{name: value for name, value in arguments.items() if name == "global_pool"},
        **({"model_args": dict(arguments)} if arguments else {}),
        "pretrained_cfg": {
            "tag": "thawline",
            "custom_load": False,
            "input_size": [3, side, side],
            "fixed_input_size": bool(known.get("fixed_input_size", False)),
            "interpolation": spec.interpolation,
            "crop_pct": spec.crop_share if spec.fit == "crop" else 1.0,
            "crop_mode": CROP_MODES[spec.fit],
            "mean": list(spec.mean),
            "std": list(spec.std),
            "num_classes": len(class_names),
            "first_conv": known.get("first_conv"),
            "classifier": known.get("classifier"),
        },
    }
