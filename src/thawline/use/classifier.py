"""Prepared pixels -> class probabilities: networks, what is read from them, head and temperature, in memory.

One idea: a model is one reader and one head, whether one network is read or several; a picture is prepared once for
each preparation that differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from thawline.core.runtime import Runtime
from thawline.core.types import Floats, InputSpec, Pixels
from thawline.data.load import prepare_each
from thawline.features.network import Network
from thawline.features.reader import JoinedReader
from thawline.heads.calibrate import probabilities
from thawline.heads.head import Head

__all__ = ["Classifier"]


class Classifier:
    """The model of a bundle, in memory.

    Attributes:
        networks: One or several.
        class_names: K names.
        head: Turns features into logits.
        temperature: Divides the logits.
        reader: Turns pixels into features.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        runtime: Runtime,
        *,
        blocks: Sequence[tuple[int, str]],
        storage: Literal["float16", "float32"],
        head: Head,
        temperature: float,
        class_names: Sequence[str],
    ) -> None:
        self.networks = tuple(networks)
        self.reader = JoinedReader(networks, runtime, blocks, storage)
        self.head = head
        self.temperature = temperature
        self.class_names = tuple(class_names)

    def __repr__(self) -> str:
        return f"<Classifier {self.name}: {len(self.class_names):,} classes>"

    @property
    def name(self) -> str:
        """Names of its networks."""
        return " + ".join(network.backbone.name for network in self.networks)

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """How pictures are prepared: the preparations that differ."""
        return self.reader.inputs

    def probabilities(self, *pixels: Pixels) -> Floats:
        """Return (B, K) float32 probabilities of B pictures, one (B, H, W, 3) uint8 array for each of `inputs`."""
        return probabilities(self.head.logits(self.reader.read(*pixels)), self.temperature)

    def answer(self, data: bytes) -> Floats:
        """Return (K,) float32 probabilities of one encoded picture.

        Raises:
            DataError: As `prepare`.
        """
        prepared, _ = prepare_each(data, self.inputs)
        answer: Floats = self.probabilities(*(pixels[np.newaxis] for pixels in prepared))[0]
        return answer
