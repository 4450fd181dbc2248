"""Prepared pixels -> class probabilities: networks, what is read from them, head, temperature and doubt.

One idea: a model is one reader and one head, whether one network is read or several; a picture is prepared once for
each preparation that differs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, TypeVar

import numpy as np

from thawline.core.runtime import Runtime
from thawline.core.types import Floats, InputSpec, Pixels
from thawline.data.images import MAX_MEGAPIXELS
from thawline.data.load import prepare_each
from thawline.features.extract import in_streams
from thawline.features.network import Network
from thawline.features.reader import JoinedReader
from thawline.heads.calibrate import probabilities
from thawline.heads.head import Head
from thawline.heads.outsiders import Outsiders
from thawline.use.answer import Answer, Prepared
from thawline.use.doubt import Doubt

__all__ = ["Classifier"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Classifier:
    """The model of a bundle, in memory.

    Attributes:
        networks: One or several.
        class_names: K names.
        head: Turns features into logits.
        temperature: Divides the logits.
        reader: Turns pixels into features.
        doubt: When the model abstains; None in folders of earlier versions, which answer always.
        outsiders: How strange a picture looks; None where that is not known.
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
        doubt: Doubt | None = None,
        outsiders: Outsiders | None = None,
    ) -> None:
        self.networks = tuple(networks)
        self.reader = JoinedReader(networks, runtime, blocks, storage)
        self.head = head
        self.temperature = temperature
        self.class_names = tuple(class_names)
        self.doubt = doubt
        self.outsiders = outsiders

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

    @property
    def determined_by(self) -> list[object]:
        """Everything that determines its probabilities of a picture, for the keys of remembered answers."""
        reader, backbones = self.reader, [network.backbone for network in self.networks]
        return [backbones, reader.blocks, reader.runtime, reader.storage.name, self.head, self.temperature]

    def probabilities(self, *pixels: Pixels) -> Floats:
        """Return (B, K) float32 probabilities of B pictures, one (B, H, W, 3) uint8 array for each of `inputs`."""
        return probabilities(self.head.logits(self.reader.read(*pixels)), self.temperature)

    def answers(self, *pixels: Pixels) -> Answer:
        """Return probabilities, as `probabilities` does, and how strange the pictures look."""
        features = self.reader.read(*pixels)
        logits = self.head.logits(features)
        shares = probabilities(logits, self.temperature)
        known = self.outsiders
        return Answer(shares, None if known is None else known.outside(features, logits / self.temperature))

    @property
    def batch_size(self) -> int:
        """Pictures that it answers at once."""
        return self.reader.runtime.batch_size

    def prepare(self, data: bytes, *, max_megapixels: int = MAX_MEGAPIXELS) -> tuple[Prepared, tuple[str, ...]]:
        """Return an encoded picture in every way that the networks take it, and what is odd about it, in words.

        Raises:
            DataError: As `thawline.data.images.prepare`.
        """
        return prepare_each(data, self.inputs, max_megapixels=max_megapixels)

    def answers_to(self, batch: Sequence[Prepared]) -> Answer:
        """Return `answers` of pictures that were prepared one by one."""
        return self.answers(*map(np.stack, zip(*batch, strict=True)))

    def in_streams(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield work(item) in order, computed by one thread a processor; in each torch uses a single thread."""
        return in_streams(work, items)

    def doubting(self, doubt: Doubt | None, outsiders: Outsiders | None) -> Classifier:
        """Return the same model with thresholds of its own, networks and head shared."""
        other = copy.copy(self)
        other.doubt, other.outsiders = doubt, outsiders
        return other

    def answer(self, data: bytes) -> Floats:
        """Return (K,) float32 probabilities of one encoded picture.

        Raises:
            DataError: As `prepare`.
        """
        prepared, _ = prepare_each(data, self.inputs)
        answer: Floats = self.probabilities(*(pixels[np.newaxis] for pixels in prepared))[0]
        return answer
