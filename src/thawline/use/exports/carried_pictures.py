"""A model and the pictures that it learnt from -> what lies next to an exported file: their places and thumbnails.

One idea: pictures go through the model again, as they will when it is asked; a place is made of the features that its
head reads.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from thawline.core.errors import DataError
from thawline.core.progress import Progress, SilentProgress
from thawline.core.types import Floats
from thawline.data.dataset import Sample
from thawline.data.images import decode
from thawline.data.load import read_checked
from thawline.use.bundle import Bundle
from thawline.use.exports.placed_graph import Projection, fit_projection
from thawline.use.neighbours import THUMBNAIL_PX, Neighbours

__all__ = ["carried_pictures", "thumbnail"]

QUALITY = 80


def carried_pictures(
    bundle: Bundle, samples: Sequence[Sample], *, progress: Progress | None = None
) -> tuple[Neighbours, Projection]:
    """Return training pictures with their places, and what gives a picture its place among them.

    Args:
        bundle: The model.
        samples: Pictures that it learnt from, two or more, with the numbers of their classes.
        progress: Where to report to, as stage `neighbours`.

    Raises:
        DataError: A picture vanished or changed since it was found.
    """
    classifier = bundle.classifier
    size = classifier.batch_size
    batches = [samples[at : at + size] for at in range(0, len(samples), size)]
    features: list[Floats] = []
    thumbnails: list[bytes] = []
    with (progress or SilentProgress()).stage("neighbours", len(samples)) as advance:
        for read, small in classifier.in_streams(lambda batch: _read(bundle, batch), batches):
            features.append(read)
            thumbnails += small
            advance(len(small))
    table = np.concatenate(features).astype(np.float32)
    projection = fit_projection(table)
    labels = np.array([sample.label for sample in samples], dtype=np.int64)
    return Neighbours(projection.places(table), labels, thumbnails), projection


def thumbnail(data: bytes) -> bytes:
    """Return an encoded picture as a small JPEG, upright, whole, with nothing but its pixels in it.

    Raises:
        DataError: It cannot be read.
    """
    picture = decode(data, THUMBNAIL_PX).image
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _read(bundle: Bundle, samples: Sequence[Sample]) -> tuple[Floats, list[bytes]]:
    classifier, prepared, small = bundle.classifier, [], []
    for sample in samples:
        data = read_checked(sample)
        try:
            prepared.append(classifier.prepare(data)[0])
            small.append(thumbnail(data))
        except DataError as error:
            raise DataError(f"export: {sample.path}: {error}. Run `thawline check` on the pictures.") from None
    return classifier.reader.read(*map(np.stack, zip(*prepared, strict=True))), small
