"""Checked pictures of a data set -> a model's probabilities for each, in order: for evaluation and for gates.

One idea: pictures are read again, compared with what was checked, and go through the decoder of prediction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thawline.core.errors import DataError
from thawline.core.progress import Progress, SilentProgress
from thawline.core.types import Floats
from thawline.data.dataset import Sample
from thawline.data.load import read_checked
from thawline.use.answer import Answering, Prepared

__all__ = ["classify_samples"]


def classify_samples(model: Answering, samples: Sequence[Sample], *, progress: Progress | None = None) -> Floats:
    """Return (N, K) float32 probabilities of the pictures of a data set, in order.

    Args:
        model: In any form.
        samples: N pictures.
        progress: Where progress is reported, as stage `evaluate`.

    Raises:
        DataError: A picture vanished or changed since it was checked.
    """
    size = model.batch_size
    batches = [samples[at : at + size] for at in range(0, len(samples), size)]
    parts = []
    with (progress or SilentProgress()).stage("evaluate", len(samples)) as advance:
        for shares in model.in_streams(lambda batch: _shares(model, batch), batches):
            parts.append(shares)
            advance(len(shares))
    return np.concatenate(parts)


def _shares(model: Answering, samples: Sequence[Sample]) -> Floats:
    return model.answers_to([_prepared(model, sample) for sample in samples]).probabilities


def _prepared(model: Answering, sample: Sample) -> Prepared:
    data = read_checked(sample)
    try:
        return model.prepare(data)[0]
    except DataError as error:
        raise DataError(f"decode: {sample.path}: {error}. Run again: `thawline check` says what to do.") from None
