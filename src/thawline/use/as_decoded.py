"""For models that prepare pictures themselves: an encoded picture -> as it was decoded; a batch -> answers.

One idea: decoding is that of training, a reduced one of big JPEGs included, so that what such a model resizes is what
the folder resizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from thawline.core.types import Floats, InputSpec, Pixels
from thawline.data.images import decode
from thawline.data.square import side_px
from thawline.use.answer import Answer, Prepared

__all__ = ["answers_by_size", "decoded_for"]


def decoded_for(data: bytes, specs: Sequence[InputSpec], *, max_megapixels: int) -> tuple[Prepared, tuple[str, ...]]:
    """Return an encoded picture as (H, W, 3) uint8 RGB, upright, and what is odd about it, in words.

    Of several preparations the one that needs most pixels says how far a big JPEG may be reduced; they share their
    rendering.

    Args:
        data: The encoded picture.
        specs: How the model prepares it, in one way or several.
        max_megapixels: As in `thawline.data.images.decode`.

    Raises:
        DataError: As `thawline.data.images.decode`.
    """
    size_px = max(map(side_px, specs))
    picture = decode(data, size_px=size_px, max_megapixels=max_megapixels, rendering=specs[0].rendering)
    return (np.asarray(picture.image),), picture.remarks


def answers_by_size(batch: Sequence[Prepared], ask: Callable[[Pixels], Answer]) -> Answer:
    """Return what a model says of decoded pictures, in order; those of equal size are asked for together.

    Args:
        batch: Of `decoded_for`, one or more.
        ask: Answers B pictures of one size, (B, H, W, 3) uint8.
    """
    places: dict[tuple[int, ...], list[int]] = {}
    for place, (picture,) in enumerate(batch):
        places.setdefault(picture.shape, []).append(place)
    answers = [ask(np.stack([batch[place][0] for place in same])) for same in places.values()]
    order = np.argsort(np.concatenate([np.array(same) for same in places.values()]))
    shares: Floats = np.concatenate([answer.probabilities for answer in answers])[order]
    outside = [answer.outside for answer in answers if answer.outside is not None]
    near = [answer.places for answer in answers if answer.places is not None]
    return Answer(
        shares,
        np.concatenate(outside)[order] if outside else None,
        np.concatenate(near)[order] if near else None,
    )
