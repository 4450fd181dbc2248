"""Training pictures that lie next to an exported file <-> bytes; a place -> those of them that are most alike.

One idea: they are pictures of the person's, so they are a file of their own that is written only when asked for, and
that nothing publishes. It ends with its SHA-256, which proves it ours; the exported file names that of the only one
that belongs to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from thawline.core.errors import BundleError
from thawline.core.types import Floats, Ints
from thawline.use.onnx_facts import OnnxFacts

__all__ = [
    "MOST_PICTURES",
    "THUMBNAIL_PX",
    "Neighbour",
    "Neighbours",
    "is_neighbours_file",
    "neighbours_beside",
    "neighbours_path",
]

MOST_PICTURES = 5000
THUMBNAIL_PX = 96
MAGIC = b"thawline neighbours 1\n"
DIGEST_BYTES = 32
MAX_BYTES = 1 << 28
"""More than `MOST_PICTURES` thumbnails ever take."""


@dataclass(frozen=True)
class Neighbour:
    """A training picture that is like another one.

    Attributes:
        label: Number of its class.
        similarity: How alike they are, in [-1, 1].
        thumbnail: A JPEG with sides of `THUMBNAIL_PX` at most.
    """

    label: int
    similarity: float
    thumbnail: bytes = field(repr=False)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """N training pictures, `MOST_PICTURES` at most.

    Attributes:
        places: (N, D) float32 of unit length.
        labels: (N,) int64 numbers of their classes.
        thumbnails: N JPEGs.
    """

    places: Floats
    labels: Ints
    thumbnails: Sequence[bytes] = field(repr=False)

    def __repr__(self) -> str:
        return f"<Neighbours: {len(self.labels):,} pictures in {self.places.shape[1]:,} directions>"

    def nearest(self, place: Floats, *, k: int = 5) -> tuple[Neighbour, ...]:
        """Return the k pictures most like one, or as many as there are, most alike first.

        Args:
            place: (D,) float32 of unit length.
            k: How many at most.
        """
        alike = self.places @ place
        order = np.argsort(-alike, kind="stable")[:k]
        return tuple(
            Neighbour(int(self.labels[row]), float(np.clip(alike[row], -1, 1)), self.thumbnails[row]) for row in order
        )

    def fits(self, facts: OnnxFacts) -> bool:
        """Return whether there is a class, a thumbnail and a place of the right size for every picture."""
        size = 0 if facts.place is None else facts.place.size
        shapes = self.places.shape == (len(self.thumbnails), size) and self.labels.shape == (len(self.thumbnails),)
        return shapes and bool(((self.labels >= 0) & (self.labels < len(facts.class_names))).all())

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes of the file."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def content(self) -> bytes:
        """The bytes of the file; equal neighbours have equal bytes."""
        from safetensors.numpy import save

        tensors: dict[str, np.ndarray[Any, Any]] = {
            "ends": np.cumsum([len(each) for each in self.thumbnails], dtype=np.int64),
            "labels": self.labels.astype(np.int64),
            "places": np.ascontiguousarray(self.places, dtype=np.float32),
            "thumbnails": np.frombuffer(b"".join(self.thumbnails), dtype=np.uint8),
        }
        content = MAGIC + save(tensors)
        return content + hashlib.sha256(content).digest()


def neighbours_path(export: Path) -> Path:
    """Return where the training pictures of an exported file lie: next to it.

    >>> neighbours_path(Path("exports/model-tensor.onnx")).name
    'model-tensor.neighbours'
    """
    return export.with_suffix(".neighbours")


def is_neighbours_file(path: Path) -> bool:
    """Return whether a file holds training pictures as `thawline export` wrote it, to the last bit."""
    try:
        return _is_sealed(_read(path))
    except (OSError, ValueError):
        return False


def neighbours_beside(export: Path, facts: OnnxFacts) -> Neighbours | None:
    """Return the training pictures that lie next to an exported file, or None where it carries none.

    Args:
        export: The exported file.
        facts: What it says of itself.

    Raises:
        BundleError: It carries some, and they are not there, damaged, or those of another file.
    """
    if facts.place is None:
        return None
    path, again = neighbours_path(export), "Export again with --with-neighbours."
    try:
        content = _read(path)
    except FileNotFoundError:
        raise BundleError(
            f"load {path}: it is not there, and {export.name} was written with the training pictures in it. Copy it "
            "next to that, or export again."
        ) from None
    except (OSError, ValueError) as error:
        raise BundleError(
            f"load {path}: cannot be read: {getattr(error, 'strerror', None) or error}. {again}"
        ) from None
    if not _is_sealed(content):
        raise BundleError(f"load {path}: its content is not what `thawline export` wrote: it was damaged. {again}")
    if hashlib.sha256(content).hexdigest() != facts.place.neighbours_sha256:
        raise BundleError(f"load {path}: it belongs to another export than {export.name}. {again}")
    neighbours = _parsed(content)
    if neighbours is None or not neighbours.fits(facts):
        raise BundleError(f"load {path}: what it holds does not fit {export.name}. {again}")
    return neighbours


def _read(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        if not path.exists():
            raise FileNotFoundError
        raise ValueError("no file")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.stat().st_size:,} bytes are more than the {MAX_BYTES:,} that it can have")
    return path.read_bytes()


def _is_sealed(content: bytes) -> bool:
    end = len(content) - DIGEST_BYTES
    return content.startswith(MAGIC) and end > 0 and hashlib.sha256(memoryview(content)[:end]).digest() == content[end:]


def _parsed(content: bytes) -> Neighbours | None:
    """Return what sealed content holds, or None where that is something else."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content[len(MAGIC) : -DIGEST_BYTES])
        ends, data = tensors["ends"].tolist(), tensors["thumbnails"].tobytes()
        thumbnails = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        return Neighbours(tensors["places"], tensors["labels"], thumbnails)
    except (SafetensorError, KeyError, TypeError):
        return None
