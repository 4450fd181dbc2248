"""Prepared pixels + Network -> features in the storage format, in one forward pass that stops after the deepest cut.

The same reader fills banks and serves predictions, so a model sees in use what it saw in training. A joined one has a
reader a network, and puts their columns side by side.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from threading import Lock
from typing import Literal, NoReturn

import numpy as np
import torch

from thawline.core.errors import BackboneError, StoreError
from thawline.core.runtime import Runtime
from thawline.core.types import Floats, InputSpec, Pixels
from thawline.features.bank import Block
from thawline.features.joined import distinct_inputs, own_blocks
from thawline.features.lanes import Lanes, settle
from thawline.features.network import Network, frozen_for_inference
from thawline.features.pooling import pooled, pooling_columns

__all__ = ["FeatureReader", "JoinedReader", "StorageRangeError", "measure_pass_ms", "normalised", "to_input"]


class StorageRangeError(StoreError):
    """A feature exceeds the range of the storage format; a wider format would hold it."""


def to_input(pixels: Pixels, spec: InputSpec, *, runtime: Runtime) -> torch.Tensor:
    """Return the network's input: (B, 3, H, W) in the runtime's format and device, channels last in memory.

    Args:
        pixels: (B, H, W, 3) uint8 RGB.
        spec: Its `mean` and `std` are applied after scaling to [0, 1].
        runtime: Where the network runs.
    """
    writable = pixels if pixels.flags.writeable else pixels.copy()  # torch shares memory and has no read-only tensors
    return normalised(torch.from_numpy(writable).to(runtime.device), spec, runtime=runtime)


def normalised(pixels: torch.Tensor, spec: InputSpec, *, runtime: Runtime) -> torch.Tensor:
    """Return the network's input as `to_input` does, from (B, H, W, 3) uint8 pixels on the runtime's device."""
    mean, scale = _normalisation(spec.mean, spec.std, str(pixels.device))
    return pixels.permute(0, 3, 1, 2).float().sub_(mean).mul_(scale).to(runtime.torch_dtype)


@cache
def _normalisation(mean: tuple[float, ...], std: tuple[float, ...], device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what pixels are shifted and scaled by, (1, 3, 1, 1) each, on a device; copied there once."""
    with torch.inference_mode(False):  # whoever trains may use it too
        shift = torch.tensor(mean).mul_(255).view(1, 3, 1, 1)
        scale = torch.tensor(std).mul_(255).reciprocal_().view(1, 3, 1, 1)
        placed = shift.to(device), scale.to(device)
    settle(device)
    return placed


_FOLDING = Lock()
"""Held while a network is folded: threads that ask for it at once get the same."""


class FeatureReader:
    """Prepared pixels in, features out, exactly as a bank stores them.

    Attributes:
        runtime: Where the network runs.
        blocks: (cut, pooling) pairs in the order of the columns.
        lanes: The ways to the device, which threads take in turn.
    """

    def __init__(
        self, network: Network, runtime: Runtime, blocks: Sequence[Block], storage: Literal["float16", "float32"]
    ) -> None:
        self._given = network
        self._folded: Network | None = None
        self.runtime = runtime
        self.blocks = tuple(blocks)
        self.storage = np.dtype(storage)
        self.lanes = Lanes(runtime.device)
        self._poolings: dict[int, list[str]] = {}
        for cut, pooling in self.blocks:
            self._poolings.setdefault(cut, []).append(pooling)

    @property
    def widths(self) -> dict[Block, int]:
        """(cut, pooling) → how many columns it has, in their order."""
        cuts = self._given.backbone.cuts
        return {(cut, pooling): pooling_columns(pooling, cuts[cut].channels) for cut, pooling in self.blocks}

    @property
    def network(self) -> Network:
        """The network, folded, cast and placed for inference when it is first asked for."""
        with _FOLDING:
            if self._folded is None:
                self._folded = frozen_for_inference(self._given, self.runtime)
                settle(self.runtime.device)
            return self._folded

    def read(self, pixels: Pixels) -> Floats:
        """Return (B, D) features of (B, H, W, 3) uint8 pixels in the storage format.

        One forward pass serves all cuts and stops after the deepest.

        Raises:
            BackboneError: A feature is infinite or not a number.
            StorageRangeError: A feature exceeds the range of the storage format.
        """
        return self.stored(self.features(pixels))

    def features(self, pixels: Pixels) -> Floats:
        """Return (B, D) float32 features of (B, H, W, 3) uint8 pixels."""
        network = self.network
        by_block: dict[Block, torch.Tensor] = {}
        with self.lanes.turn() as lane, torch.inference_mode():
            x = normalised(lane.put(pixels), network.backbone.input, runtime=self.runtime)
            for cut, activation in network.features(x, sorted(self._poolings)):
                columns = pooled(activation, self._poolings[cut], num_prefix_tokens=network.num_prefix_tokens)
                by_block.update({(cut, pooling): values for pooling, values in columns.items()})
            features: Floats = lane.take(torch.cat([by_block[block] for block in self.blocks], dim=1))
        return features

    def stored(self, features: Floats) -> Floats:
        """Return (B, D) features in the storage format.

        Raises:
            BackboneError: A feature is infinite or not a number.
            StorageRangeError: A feature exceeds the range of the storage format.
        """
        with np.errstate(over="ignore"):
            rows: Floats = features.astype(self.storage)
        if not np.isfinite(rows).all():
            self._refuse(features)
        return rows

    def _refuse(self, features: Floats) -> NoReturn:
        name = self.network.backbone.name
        if not np.isfinite(features).all():
            raise BackboneError(
                f"extract: features of {name} are not finite in {self.runtime.dtype}. Pass --dtype float32, or choose "
                f"another backbone."
            )
        raise StorageRangeError(
            f"extract: features of {name} exceed what {self.storage} can hold (65,504 for float16). "
            f"Pass --storage float32."
        )


class JoinedReader:
    """Prepared pixels in, the features of one or several networks out, side by side.

    Attributes:
        readers: One a network.
        blocks: (cut, pooling) pairs of the joined networks in the order of the columns.
        inputs: How a picture is prepared: the preparations that differ.
        input_of: For each network, which of `inputs` it takes.
        runtime: Where the networks run.
        storage: Number format of the features.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        runtime: Runtime,
        blocks: Sequence[Block],
        storage: Literal["float16", "float32"],
    ) -> None:
        """Make a reader for every network.

        Raises:
            ValueError: `blocks` are not in the order of the networks, or leave one out.
        """
        backbones = [network.backbone for network in networks]
        parts = own_blocks(blocks, [len(backbone.cuts) for backbone in backbones])
        if unread := [backbone.name for backbone, part in zip(backbones, parts, strict=True) if not part]:
            raise ValueError(f"{', '.join(unread)}: no cut of it is read. Leave the network out.")
        self.readers = tuple(
            FeatureReader(network, runtime, part, storage) for network, part in zip(networks, parts, strict=True)
        )
        self.blocks = tuple(blocks)
        self.inputs, self.input_of = distinct_inputs([backbone.input for backbone in backbones])
        self.runtime = runtime
        self.storage = np.dtype(storage)

    def read(self, *pixels: Pixels) -> Floats:
        """Return (B, D) features of the same B pictures, one (B, H, W, 3) uint8 array for each of `inputs`.

        Raises:
            StoreError: As `FeatureReader.read`.
        """
        parts = [reader.read(pixels[place]) for reader, place in zip(self.readers, self.input_of, strict=True)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def measure_pass_ms(network: Network, runtime: Runtime) -> float:
    """Return the milliseconds that a picture takes through the whole network here: one stream, median of five."""
    frozen = frozen_for_inference(network, runtime)
    spec = network.backbone.input
    pixels = np.zeros((1, spec.size_px, spec.size_px, 3), dtype=np.uint8)
    last = network.backbone.cuts[-1].index
    seconds = []
    with torch.inference_mode():
        for _ in range(6):
            start = time.perf_counter()
            frozen.prefix(to_input(pixels, spec, runtime=runtime), last).sum().item()
            seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds[1:]))
