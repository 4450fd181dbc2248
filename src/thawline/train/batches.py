"""Rows of a training run -> what a step takes in: pictures in their order, as the network's input, blended or not.

Everything random is drawn from the seed and a count (epoch, step, picture), never from a running generator: so the
order of threads changes nothing, and a resumed training run draws what it would have drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import psutil
import torch
from torch import Tensor

from thawline.core.runtime import Runtime
from thawline.core.types import InputSpec, Ints, Pixels
from thawline.data.augment import augmented
from thawline.data.dataset import Dataset
from thawline.data.load import load_pixels
from thawline.features.reader import to_input
from thawline.train.hyperparameters import TrainOptions
from thawline.train.pooled import PooledFeatures
from thawline.train.prefix import PrefixCache

__all__ = ["Activations", "Batch", "Pictures", "Rows", "epoch_batches"]

MEMORY_SHARE = 0.4


class Rows(Protocol):
    """Where the input of a training run comes from."""

    def read(self, samples: Ints, epoch: int | None) -> Tensor:
        """Return the inputs of samples as an epoch sees them, or unaltered where `epoch` is None."""


class Pictures:
    """Pictures as the network's input, decoded once and kept in memory where they fit, augmented every epoch."""

    def __init__(
        self, dataset: Dataset, samples: Ints, spec: InputSpec, runtime: Runtime, *, augment: str, seed: int
    ) -> None:
        self.dataset, self.spec, self.runtime, self.augment, self.seed = dataset, spec, runtime, augment, seed
        self._place = {int(sample): place for place, sample in enumerate(samples)}
        needed = len(samples) * spec.size_px**2 * 3
        fits = needed <= MEMORY_SHARE * psutil.virtual_memory().available
        self._kept = np.empty((len(samples) if fits else 0, spec.size_px, spec.size_px, 3), dtype=np.uint8)
        self._have = np.zeros(len(self._kept), dtype=bool)

    def read(self, samples: Ints, epoch: int | None) -> Tensor:
        """Return (B, 3, H, W) normalised pictures in the runtime's number format."""
        return to_input(self.pixels(samples, epoch), self.spec, runtime=self.runtime)

    def pixels(self, samples: Ints, epoch: int | None) -> Pixels:
        """Return (B, H, W, 3) uint8 pictures as an epoch sees them, or unaltered where `epoch` is None."""
        return np.stack([self._one(int(sample), epoch) for sample in samples])

    def _one(self, sample: int, epoch: int | None) -> Pixels:
        pixels = self._decoded(sample)
        if epoch is None or self.augment == "none":
            return pixels
        seed = int(np.random.SeedSequence((self.seed, epoch, sample)).generate_state(1)[0])
        return augmented(pixels, self.augment, seed=seed)

    def _decoded(self, sample: int) -> Pixels:
        place = self._place[sample]
        if not len(self._kept):
            return load_pixels(self.dataset.samples[sample], self.spec)
        if not self._have[place]:
            self._kept[place] = load_pixels(self.dataset.samples[sample], self.spec)
            self._have[place] = True
        kept: Pixels = self._kept[place]
        return kept


@dataclass(frozen=True)
class Activations:
    """The cached output of frozen layers; the epochs take turns through the views of a picture.

    Attributes:
        cache: Activations or pooled features: V views of every sample.
        device: Where the network runs.
    """

    cache: PrefixCache | PooledFeatures
    device: str

    def read(self, samples: Ints, epoch: int | None) -> Tensor:
        """Return (B, …) activations in the runtime's number format, or (B, C) float32 features."""
        if epoch is None or self.cache.num_views == 1:
            return self.cache.read(0, samples).to(self.device)
        views = (samples + epoch) % self.cache.num_views
        parts = {view: np.flatnonzero(views == view) for view in np.unique(views).tolist()}
        order = np.argsort(np.concatenate(list(parts.values())))
        read = torch.cat([self.cache.read(view, samples[places]) for view, places in parts.items()])
        return read[torch.from_numpy(order)].to(self.device)


@dataclass(frozen=True)
class Batch:
    """The pictures of a step.

    Attributes:
        samples: (B,) indices of samples.
        partners: (B,) samples to blend them with; themselves where nothing is blended.
        share: Of the first of the two, in (0, 1]; 1 blends nothing.
        box: Top, bottom, left, right of the rectangle to paste, as shares of the sides; None blends everywhere.
    """

    samples: Ints
    partners: Ints
    share: float = 1.0
    box: tuple[float, float, float, float] | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def part(self, places: Ints) -> Batch:
        """Return the batch of some of the places only."""
        return Batch(self.samples[places], self.partners[places], self.share, self.box)

    def inputs(self, rows: Rows, epoch: int) -> tuple[Tensor, float]:
        """Return the blended inputs and the share of the first label that they deserve.

        Sources: Zhang et al., "mixup", ICLR 2018; Yun et al., "CutMix", ICCV 2019. On activations it is Verma et al.,
        "Manifold mixup", ICML 2019.
        """
        x = rows.read(self.samples, epoch)
        if self.share == 1:
            return x, 1.0
        other = rows.read(self.partners, epoch)
        if self.box is None or x.ndim != 4:
            return torch.lerp(other, x, self.share), self.share
        height, width = x.shape[2:]
        top, bottom = (round(end * height) for end in self.box[:2])
        left, right = (round(end * width) for end in self.box[2:])
        x[:, :, top:bottom, left:right] = other[:, :, top:bottom, left:right]
        return x, 1 - (bottom - top) * (right - left) / (height * width)


def epoch_batches(samples: Ints, labels: Ints, *, epoch: int, training: TrainOptions, seed: int) -> Iterator[Batch]:
    """Yield the batches of an epoch, the last one perhaps smaller; equal arguments give equal batches.

    Args:
        samples: (N,) training rows as indices of samples.
        labels: (N,) their classes.
        epoch: Its number over the whole training run.
        training: Batch size, sampling, mixup, cutmix.
        seed: Of the training run.
    """
    rng = np.random.default_rng((seed, epoch))
    if training.sampling == "balanced":
        counts = np.bincount(labels)
        chances = 1 / counts[labels]
        order = rng.choice(samples, len(samples), p=chances / chances.sum())
    else:
        order = rng.permutation(samples)
    for start in range(0, len(order), training.batch_size):
        taken = order[start : start + training.batch_size]
        yield _blended(taken, rng, training)


def _blended(samples: Ints, rng: np.random.Generator, training: TrainOptions) -> Batch:
    """Return the batch with a partner for every picture where mixup or cutmix is on; with both, a coin decides."""
    kinds: Sequence[str] = [kind for kind in ("mixup", "cutmix") if getattr(training, kind) > 0]
    if not kinds:
        return Batch(samples, samples)
    kind = kinds[int(rng.integers(len(kinds)))]
    strength = float(getattr(training, kind))
    share, partners = float(rng.beta(strength, strength)), rng.permutation(samples)
    if kind == "mixup":
        return Batch(samples, partners, min(share, 1 - 1e-6))
    half = np.sqrt(1 - share) / 2
    middle = rng.random(2)
    ends = np.clip([middle[0] - half, middle[0] + half, middle[1] - half, middle[1] + half], 0, 1)
    return Batch(samples, partners, min(share, 1 - 1e-6), (ends[0], ends[1], ends[2], ends[3]))
