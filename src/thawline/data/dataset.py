"""The checked data set: what every later floor reads.

`check.py` makes a `Dataset`; a row of its ledger exists for every file that was found, used or not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from thawline.core.rendering import Rendering
from thawline.core.store import content_key

if TYPE_CHECKING:
    from thawline.core.types import Ints
    from thawline.data.facts import Facts
    from thawline.data.sources.places import Place

__all__ = ["Dataset", "LedgerRow", "Role", "Sample", "Source", "Status"]

Role = Literal["train", "validation", "test"]
Status = Literal["used", "repaired", "skipped"]


class Source(Protocol):
    """Where the bytes of one picture come from: a file, a cell of a table, a member of an archive."""

    def read(self) -> bytes:
        """Return the encoded picture; raises `DataError` when it can no longer be read."""


@dataclass(frozen=True)
class Sample:
    """One picture that takes part.

    Attributes:
        path: The name shown to people: relative to the root, or `table.parquet#row`.
        label: Index into `Dataset.class_names`.
        sha256: Hex digest of the encoded bytes: the picture's identity everywhere.
        split: The part that the person's own folders or manifest put it in, or None when they gave none.
        group: Pictures with equal groups are copies, or belong together by the person's word (a patient, a camera), and
            are never separated by a split.
        source: Where its bytes come from.
        named_group: What the person calls the group that the picture belongs to; empty where they named none.
        copy_group: Pictures with equal ones are exact or near copies; None where that is what `group` says.
    """

    path: str
    label: int
    sha256: str
    split: Role | None
    group: int
    source: Source
    named_group: str = ""
    copy_group: int | None = None

    @property
    def copies(self) -> int:
        """The number of its group of copies, whatever the person says of it."""
        return self.group if self.copy_group is None else self.copy_group


@dataclass(frozen=True)
class LedgerRow:
    """The outcome for one file.

    Attributes:
        path: As in `Sample.path`.
        status: `used` as it is, `repaired` (used, with a note), or `skipped`.
        reason: What was repaired or why it was skipped; empty when used as it is.
        sha256: Hex digest of the bytes, or empty when they could not be read.
        size_bytes: Encoded size, or 0 when it could not be read.
        width_px: Width after EXIF rotation, or 0 when it could not be decoded.
        height_px: Height after EXIF rotation, or 0 when it could not be decoded.
        format: `JPEG`, `PNG`, …, by content; empty when unknown.
        label: Class name, or empty.
        split: `train`, `validation`, `test`, or empty when the person gave none.
        group: Number of the group that is never parted: its copies, and those of the person's own groups; -1 when
            skipped.
        remark: What is odd about a file whose pixels are used as they are; empty for most.
        corrected_from: What its folder or table calls it, where a correction gave it the label above; empty for most.
    """

    path: str
    status: Status
    reason: str
    sha256: str
    size_bytes: int
    width_px: int
    height_px: int
    format: str
    label: str
    split: str
    group: int
    remark: str = ""
    corrected_from: str = ""


@dataclass(frozen=True, repr=False)
class Dataset:
    """Pictures that take part, in the order in which they were found, and the ledger of every file.

    Attributes:
        root: What the person named.
        class_names: K names, sorted; `Sample.label` indexes them.
        samples: N samples.
        ledger: A row for every file.
        rendering: How the stored values of its deep and transparent pictures become RGB.
        facts: Light, sharpness, size and file of every picture by its path, where `check` made the set.
    """

    root: Place
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    ledger: tuple[LedgerRow, ...]
    rendering: Rendering = field(default_factory=Rendering)
    facts: Facts | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.samples)

    def __repr__(self) -> str:
        return f"<Dataset {str(self.root)!r}: {len(self):,} pictures in {len(self.class_names):,} classes>"

    @cached_property
    def labels(self) -> Ints:
        """Class index of every sample: (N,) int64."""
        return np.array([sample.label for sample in self.samples], dtype=np.int64)

    @cached_property
    def groups(self) -> Ints:
        """Group of every sample, of copies and of the person's own: (N,) int64."""
        return np.array([sample.group for sample in self.samples], dtype=np.int64)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Path of a sample, as shown to people → its place in `samples`."""
        return {sample.path: row for row, sample in enumerate(self.samples)}

    @property
    def has_named_groups(self) -> bool:
        """Whether the person said which pictures belong together."""
        return any(sample.named_group for sample in self.samples)

    @property
    def never_parted(self) -> str:
        """What no split that is drawn parts, in words."""
        return "copies and groups" if self.has_named_groups else "copies"

    @cached_property
    def images_key(self) -> str:
        """Hex digest of the set of pictures, independent of labels, paths, order and repetition."""
        unique = sorted({sample.sha256 for sample in self.samples})
        return hashlib.sha256("\n".join(unique).encode()).hexdigest()

    @cached_property
    def labelled_key(self) -> str:
        """Hex digest of the pictures with the names of their classes, independent of paths and order."""
        return content_key(sorted((sample.sha256, self.class_names[sample.label]) for sample in self.samples))
