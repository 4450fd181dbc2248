"""Features of training pictures -> where a picture lies among them: as arrays, and as one more output of a graph.

One idea: likeness is what `thawline.vet.space` says it is, the cosine of standardised features in the directions in
which the pictures differ most; a few dozen of these are enough to find what is near, and fit next to a file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from thawline.core.types import Floats
from thawline.heads.columns import Columns
from thawline.heads.rotation import rotate
from thawline.use.exports.graph import Graph, PreparedColumns

__all__ = ["DIRECTIONS", "PlacedGraph", "Projection", "fit_projection"]

DIRECTIONS = 64
"""Directions that are kept at most."""
SHORTEST = 1e-12


@dataclass(frozen=True, eq=False)
class Projection:
    """What turns features into places.

    Attributes:
        columns: The preparation of C raw features.
        directions: (C, D) float32 of prepared ones.
    """

    columns: Columns
    directions: Floats

    def places(self, features: Floats) -> Floats:
        """Return (N, D) float32 of unit length for (N, C) raw features; two rows' dot product is how alike they are."""
        z: Floats = self.columns.apply(features) @ self.directions
        unit: Floats = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), SHORTEST)
        return unit


def fit_projection(features: Floats) -> Projection:
    """Return the projection on the directions in which pictures differ most, `DIRECTIONS` of them at most.

    Args:
        features: (N, C) raw features of two or more pictures.
    """
    rotated = rotate(features)
    kept = torch.eye(rotated.z.shape[1])[:, -DIRECTIONS:]
    return Projection(rotated.columns, rotated.back(kept).numpy().astype(np.float32))


class PlacedGraph(nn.Module):
    """A graph that also says where a picture lies: what `Graph` says, then (B, D) places."""

    def __init__(self, graph: Graph, projection: Projection) -> None:
        super().__init__()
        self.answering = graph  # `graph` is a name that torch's exporter keeps to itself
        self.columns = PreparedColumns(projection.columns)
        self.register_buffer("directions", torch.from_numpy(projection.directions.copy()))

    def forward(self, *pixels: Tensor) -> tuple[Tensor, ...]:
        """Return (B, K) probabilities, where the model knows (B,) how strange each looks, and (B, D) places.

        Args:
            *pixels: As `Graph` takes them.
        """
        stored = self.answering.stored(*pixels)
        said = self.answering.said_of(stored)
        z = self.columns(stored) @ self.get_buffer("directions")
        place = z / z.square().sum(1, keepdim=True).sqrt().clamp_min(SHORTEST)
        return (*said, place) if isinstance(said, tuple) else (said, place)
