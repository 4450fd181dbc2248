"""The pictures that a report shows, each once, with what the model said of them <-> plain data.

One idea: whatever names a picture (a mistake, a sample, a doubtful label, a neighbour) names its path, and the album
holds its thumbnail and its answer once, so that a page shows it in ten places for the bytes of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from thawline.core.types import Ints
from thawline.view.report_json import array_from, with_jpeg

__all__ = [
    "SHOWN_SUSPECTS",
    "SUSPECTS_WITH_NEIGHBOURS",
    "TEST_PART",
    "TRAINING_PART",
    "Album",
    "Shown",
    "TileSheet",
    "album_from",
]

SHOWN_SUSPECTS, SUSPECTS_WITH_NEIGHBOURS = 60, 12
"""Doubtful labels that a page shows, and those of them that it shows next to pictures of both classes."""


TEST_PART, TRAINING_PART = -1, -2
"""`Shown.fold` of a picture of the test, and of one that no model was asked about."""


@dataclass(frozen=True)
class Shown:
    """A picture of the album.

    Attributes:
        path: Its name as shown to people.
        jpeg: Encoded thumbnail.
        width_px: Of the thumbnail.
        height_px: Of the thumbnail.
        label: Its class, an index into the class names.
        fold: Which fold held it out, `TEST_PART` or `TRAINING_PART`.
        top: The most probable classes and their probabilities, most probable first; empty where no model was asked.
        near: Paths of the pictures that the network sees as most alike, most alike first; of mistakes and the like.
    """

    path: str
    jpeg: bytes
    width_px: int
    height_px: int
    label: int
    fold: int = TRAINING_PART
    top: tuple[tuple[int, float], ...] = ()
    near: tuple[str, ...] = ()

    @property
    def is_mistake(self) -> bool:
        """Whether a model that never saw it called it something else."""
        return bool(self.top) and self.top[0][0] != self.label

    @property
    def confidence(self) -> float:
        """Probability of the most probable class; 0 where no model was asked."""
        return self.top[0][1] if self.top else 0.0


@dataclass(frozen=True)
class TileSheet:
    """Tiny pictures of one size on one sheet, row by row.

    Attributes:
        jpeg: The encoded sheet.
        tile_px: Side of a tile.
        num_columns: Tiles in a row.
        paths: Of the tiles in their order.
    """

    jpeg: bytes
    tile_px: int
    num_columns: int
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Album:
    """Pictures, and the counts of all answers, of which they are a part.

    Attributes:
        pictures: Those that are shown.
        confusion: (K, K) int64; rows are labels, columns what the model said, over all held-out pictures.
        num_answered: Held-out pictures: of the folds and of the test.
        num_test: Those of the test.
        num_mistakes: All of them, shown or not.
        sheets: Tiny pictures of more of them, for a map.
    """

    pictures: tuple[Shown, ...] = ()
    confusion: Ints | None = None
    num_answered: int = 0
    num_test: int = 0
    num_mistakes: int = 0
    sheets: tuple[TileSheet, ...] = field(default=())

    @cached_property
    def place_of(self) -> Mapping[str, int]:
        """Path → place in `pictures`."""
        return {shown.path: place for place, shown in enumerate(self.pictures)}

    @cached_property
    def mistakes(self) -> tuple[Shown, ...]:
        """The mistakes that are shown, surest first."""
        wrong = [shown for shown in self.pictures if shown.is_mistake]
        return tuple(sorted(wrong, key=lambda shown: (-shown.confidence, shown.path)))


def album_from(raw: dict[str, Any]) -> Album:
    """Return the album whose fields, as JSON gives them back, are `raw`."""
    pictures = tuple(_shown_from(with_jpeg(one)) for one in raw["pictures"])
    sheets = tuple(TileSheet(**with_jpeg(one) | {"paths": tuple(one["paths"])}) for one in raw["sheets"])
    confusion = raw["confusion"] and array_from(raw["confusion"])
    return Album(**raw | {"pictures": pictures, "sheets": sheets, "confusion": confusion})


def _shown_from(raw: dict[str, Any]) -> Shown:
    top = tuple((int(label), float(share)) for label, share in raw["top"])
    return Shown(**raw | {"top": top, "near": tuple(raw["near"])})
