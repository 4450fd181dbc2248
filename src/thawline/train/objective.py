"""Logits and labels -> the loss that a training step minimises; and the dropout of features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from thawline.core.types import Floats, Ints
from thawline.train.batches import Batch

__all__ = ["Objective"]


@dataclass(frozen=True)
class Objective:
    """What a step minimises: the mean weighted cross-entropy of its pictures.

    Attributes:
        labels: (number of samples,) classes.
        class_weights: (K,) float32 weights with mean 1 over the training rows.
        label_smoothing: Share of a label spread over all classes.
        dropout: Share of the features, and of a head's hidden units, dropped.
        seed: Of dropout.
    """

    labels: Ints
    class_weights: Floats
    label_smoothing: float = 0.0
    dropout: float = 0.0
    seed: int = 0

    def loss(self, logits: Tensor, batch: Batch, *, share: float) -> Tensor:
        """Return the summed loss of a batch's (B, K) logits; a blended picture has two labels."""
        total = self._sum(logits, batch.samples)
        return total if share == 1 else share * total + (1 - share) * self._sum(logits, batch.partners)

    def _sum(self, logits: Tensor, samples: Ints) -> Tensor:
        labels = torch.from_numpy(self.labels[samples]).to(logits.device)
        weights = torch.from_numpy(self.class_weights[self.labels[samples]]).to(logits.device)
        losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)
        return (losses * weights).sum()

    def keep(self, samples: Ints, num_factors: int, *, place: tuple[int, int], device: torch.device) -> Tensor | None:
        """Return (B, `num_factors`) dropout factors, or None without dropout.

        They are drawn from the seed, the epoch and step, and the picture, so they do not depend on the parts, or the
        processes, that a step is split into.
        """
        if not self.dropout:
            return None
        drawn = [np.random.default_rng((self.seed, *place, sample)).random(num_factors) for sample in samples.tolist()]
        return ((torch.from_numpy(np.stack(drawn)) >= self.dropout).float() / (1 - self.dropout)).to(device)
