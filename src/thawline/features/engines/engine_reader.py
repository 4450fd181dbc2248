"""An eager reader and an engine -> a reader of the same blocks that the engine runs, once both have agreed.

One idea: an engine may be faster and nothing else. The first pictures are read by both, and an engine that says other
things of them is refused.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thawline.core.errors import BackboneError
from thawline.core.runtime import Runtime
from thawline.core.types import Floats, Pixels
from thawline.features.engines.compiled import Run, compiled
from thawline.features.engines.cuts_module import CutsModule
from thawline.features.network import Network
from thawline.features.reader import FeatureReader
from thawline.features.specification import Block

__all__ = ["ALLOWED", "EngineReader", "furthest"]

ALLOWED = {"float32": 1e-4, "bfloat16": 1e-2}
"""How far an engine's features of a block may be from the eager ones: length of the difference, relative."""


class EngineReader:
    """Prepared pixels in, features out, as `FeatureReader` gives them, to the rounding of the number format.

    Attributes:
        network: As the eager reader holds it.
        runtime: With the engine.
        blocks: (cut, pooling) pairs in the order of the columns.
    """

    def __init__(
        self, eager: FeatureReader, network: Network, runtime: Runtime, *, pixels: Pixels, graph: Callable[[], bytes]
    ) -> None:
        """Compile, and compare with the eager reader.

        Args:
            eager: Reads the same blocks.
            network: As loaded.
            runtime: Names the engine.
            pixels: (B, H, W, 3) uint8 of real pictures, B as the runtime says.
            graph: Makes the ONNX graph of the blocks, where the engine needs one.

        Raises:
            UsageError: The engine is not installed, or does not run here.
            BackboneError: It cannot run the network, or its features are not the eager ones.
        """
        self._eager, self.network, self.runtime, self.blocks = eager, eager.network, runtime, eager.blocks
        self._run: Run = compiled(
            runtime, graph=graph, module=lambda: CutsModule(network, eager.blocks, runtime.torch_dtype)
        )
        found, allowed = (
            furthest(self._run(pixels), eager.features(pixels), widths=eager.widths),
            ALLOWED[runtime.dtype],
        )
        (cut, pooling), distance = found
        if distance > allowed:
            raise BackboneError(
                f"extract: {runtime.engine} reads {network.backbone.name} otherwise than eager does: {pooling} at cut "
                f"{cut} differs by {distance:.1e} of its length in {runtime.dtype}, where {allowed:.0e} is allowed. "
                "Pass --engine eager."
            )

    def read(self, pixels: Pixels) -> Floats:
        """Return (B, D) features of (B, H, W, 3) uint8 pixels in the storage format.

        Raises:
            BackboneError: A feature is infinite or not a number.
            StorageRangeError: A feature exceeds the range of the storage format.
        """
        return self._eager.stored(self._run(pixels))


def furthest(found: Floats, wanted: Floats, *, widths: dict[Block, int]) -> tuple[Block, float]:
    """Return the block that differs most, and by how much: length of the difference ÷ length of what is wanted.

    Infinitely where a feature is no number.

    Args:
        found: (B, D) features.
        wanted: (B, D) features that they should be.
        widths: Columns of each block, in their order.
    """
    worst, start = (next(iter(widths)), 0.0), 0
    for block, width in widths.items():
        part = slice(start, start := start + width)
        mine, theirs = found[:, part].astype(np.float64), wanted[:, part].astype(np.float64)
        distance = float(np.linalg.norm(mine - theirs)) / max(float(np.linalg.norm(theirs)), 1e-12)
        distance = distance if np.isfinite(distance) else float("inf")
        if distance > worst[1]:
            worst = (block, distance)
    return worst
