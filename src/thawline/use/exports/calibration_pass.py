"""Pictures through a float graph -> the range of every value that is to be kept in 8 bits, and what each layer is fed.

One idea: one pass gives both. The range is the one that loses least, not the widest that was seen: a single outlier
would make every step between two levels coarser. Samples of each value are rounded as 8 bits would, and the range with
the smallest mean squared error is taken (Nagel et al., A White Paper on Neural Network Quantization, 2021, 3.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from thawline.core.progress import Progress
from thawline.core.runtime import num_workers
from thawline.core.types import Floats
from thawline.data.load import map_ordered
from thawline.use.answer import Prepared
from thawline.use.exports.graph_session import GraphSession
from thawline.use.exports.layer_inputs import Layer

if TYPE_CHECKING:
    import onnx

__all__ = ["Calibration", "Fed", "best_range", "calibrated"]

NUM_SAMPLED = 512
"""Numbers of a value that are kept of each picture, besides its least and its largest."""

MAX_SAMPLES = 1 << 16
NUM_LEVELS = 255
SHRINKING = np.geomspace(0.05, 1.0, 32)
"""Shares of the range seen that are tried."""

PLACES = (8, 40)
"""Places of a picture at which it is kept what a layer is fed: least and most; as many as the layer has columns need
for their covariance to be known."""

AT_ONCE = 16
"""Pictures whose patches are added up in one product."""


@dataclass
class Fed:
    """What a layer is fed, as far as rounding its weights needs it.

    Attributes:
        count: Patches that were added.
        total: (groups, columns) sum of them.
        products: (groups, columns, columns) sum of their products.
    """

    count: int
    total: Floats = field(repr=False)
    products: Floats = field(repr=False)

    @classmethod
    def nothing(cls, layer: Layer) -> Fed:
        """Return what is known before the first patch."""
        groups, _, columns = layer.matrices.shape
        return cls(0, np.zeros((groups, columns)), np.zeros((groups, columns, columns)))

    def add(self, patches: Floats) -> None:
        """Add (groups, N, columns) patches."""
        self.count += patches.shape[1]
        self.total += patches.sum(axis=1, dtype=np.float64)
        self.products += np.matmul(np.swapaxes(patches, 1, 2), patches)

    @property
    def mean(self) -> Floats:
        """(groups, columns)."""
        mean: Floats = self.total / max(self.count, 1)
        return mean

    @property
    def moments(self) -> Floats:
        """(groups, columns, columns) mean products."""
        moments: Floats = self.products / max(self.count, 1)
        return moments

    @property
    def covariance(self) -> Floats:
        """(groups, columns, columns)."""
        mean = self.mean
        covariance: Floats = self.moments - mean[:, :, None] * mean[:, None, :]
        return covariance


@dataclass(frozen=True)
class Calibration:
    """What pictures have shown of a graph.

    Attributes:
        ranges: Lower and upper end of the range, which holds 0, of each value by its name.
        fed: What each layer is fed, by the name of its weights: layers may share them.
    """

    ranges: dict[str, tuple[float, float]]
    fed: dict[str, Fed]


def calibrated(
    graph: onnx.ModelProto,
    layers: Sequence[Layer],
    *,
    values: Sequence[str],
    pictures: Sequence[Prepared],
    progress: Progress,
    seed: int = 0,
) -> Calibration:
    """Return what pictures show of a graph, which each goes through once.

    Args:
        graph: From prepared pictures to answers, in float32.
        layers: Those whose inputs are to be known.
        values: Names of the values whose ranges are to be known; each layer's input is among them.
        pictures: One or more, as the graph takes them.
        progress: Where to report to.
        seed: Of the numbers that are sampled.
    """
    from onnx import ModelProto, ValueInfoProto

    watched = ModelProto()
    watched.CopyFrom(graph)
    watched.graph.output.extend(ValueInfoProto(name=name) for name in values)
    session = GraphSession(watched)
    counts = [_places(layer, len(pictures)) for layer in layers]

    def sampled(numbered: tuple[int, Prepared]) -> tuple[list[Floats], list[Floats]]:
        number, picture = numbered
        draw = np.random.default_rng([seed, number])
        found = dict(zip(values, session.values(values, picture), strict=True))
        samples = [_sample(value.ravel(), draw) for value in found.values()]
        return samples, [
            layer.patches(found[layer.fed], count, draw=draw) for layer, count in zip(layers, counts, strict=True)
        ]

    fed = {layer.weight: Fed.nothing(layer) for layer in layers}
    rows = []
    with progress.stage("calibrate", len(pictures)) as advance:
        for batch in _batches(map_ordered(sampled, enumerate(pictures), ahead=2 * num_workers())):
            rows += [samples for samples, _ in batch]
            for layer, patches in zip(layers, zip(*(patches for _, patches in batch), strict=True), strict=True):
                fed[layer.weight].add(np.concatenate(patches, axis=1))
            advance(len(batch))
    best = map_ordered(best_range, [np.concatenate(each) for each in zip(*rows, strict=True)])
    return Calibration(dict(zip(values, best, strict=True)), fed)


def _batches(items: Iterator[tuple[list[Floats], list[Floats]]]) -> Iterator[list[tuple[list[Floats], list[Floats]]]]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _places(layer: Layer, num_pictures: int) -> int:
    """Return at how many places of each picture a layer is watched: four patches a column, within bounds."""
    least, most = PLACES
    return int(np.clip(-(-4 * layer.matrices.shape[2] // num_pictures), least, most))


def _sample(values: Floats, draw: np.random.Generator) -> Floats:
    """Return some of the numbers, the least and the largest at the end."""
    places = draw.integers(0, values.size, min(NUM_SAMPLED, values.size))
    return np.concatenate([values[places], [values.min(), values.max()]]).astype(np.float32)


def best_range(samples: Floats) -> tuple[float, float]:
    """Return the range in which samples lose least when they are rounded to 8 bits; it holds 0.

    Args:
        samples: (N,) float32, with the least and the largest in them.
    """
    low, high = min(float(samples.min()), 0.0), max(float(samples.max()), 0.0)
    if low == high:
        return low, high
    few = samples if samples.size <= MAX_SAMPLES else samples[:: samples.size // MAX_SAMPLES + 1]
    if high > 0:
        high *= _best_share([(low, share * high) for share in SHRINKING], few)
    if low < 0:
        low *= _best_share([(share * low, high) for share in SHRINKING], few)
    return low, high


def _best_share(ranges: Sequence[tuple[float, float]], samples: Floats) -> float:
    errors = [_error(samples, *each) for each in ranges]
    return float(SHRINKING[int(np.argmin(errors))])


def _error(samples: Floats, low: float, high: float) -> float:
    """Return the mean squared error of samples that are rounded to 8 bits in a range."""
    step = (high - low) / NUM_LEVELS
    zero = round(-low / step)
    kept = np.clip(np.rint(samples / np.float32(step)) + zero, 0, NUM_LEVELS)
    return float(np.square((kept - zero) * np.float32(step) - samples).mean())
