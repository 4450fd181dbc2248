"""The candidates of a listing -> a ledger row and a thumbnail of each, and how the set is rendered.

The one idea: every file is opened once, by threads; what only the whole set can say (the range of deep values, the
background of transparent pictures) is found afterwards, from what was kept.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from thawline.core.errors import DataError
from thawline.core.progress import Progress
from thawline.core.remembered import note, noted
from thawline.core.rendering import Rendering
from thawline.core.types import Ints, Pixels
from thawline.data.copies import THUMBNAIL_PX
from thawline.data.dataset import LedgerRow, Source
from thawline.data.facts import Facts, count_levels, jpeg_table, measure
from thawline.data.images import decode
from thawline.data.load import map_ordered
from thawline.data.rendered import Stored, find_rendering, is_blank, rendered, stored
from thawline.data.sources.listing import Candidate, Listing

__all__ = ["Examination", "examine_all", "pixel_digests", "skipped_row"]


@dataclass(frozen=True)
class Examination:
    """What is known of all files once they have been read.

    Attributes:
        rows: The ledger row of every candidate, in order; groups are filled in later.
        thumbnails: (N, T, T, 3) uint8 RGB, of every usable one, in order.
        blank: Paths of the usable ones that show nothing.
        rendering: How stored values become RGB.
        notes: What was found for it, in sentences.
        facts: Of every usable one, in order: light, sharpness, size and file.
    """

    rows: list[LedgerRow]
    thumbnails: Pixels
    blank: frozenset[str]
    rendering: Rendering
    notes: tuple[str, ...]
    facts: Facts


@dataclass(frozen=True)
class _Examined:
    """What is known of one file once it has been read."""

    row: LedgerRow
    thumbnail: Pixels | None = None
    stored: Stored | None = None
    top: tuple[float, ...] | None = None
    jpeg_table: int = 0


class _Known:
    """What is known of ordinary pictures by the digests of their bytes, of an earlier run and of this one."""

    def __init__(self, earlier: Mapping[str, _Examined]) -> None:
        self._earlier, self._now = earlier, dict[str, _Examined]()
        self.has_new = False

    @classmethod
    def of(cls, packed: Any) -> _Known:
        """Return what `packed` was made of; nothing where it is None."""
        rows, tops, tables, thumbnails = packed or ((), (), (), ())
        items = zip(rows, thumbnails, tops, tables, strict=True)
        return cls({row.sha256: _Examined(row, small, None, top, int(table)) for row, small, top, table in items})

    def packed(self) -> tuple[Any, ...]:
        """Return what is known of the pictures of this run, as few objects."""
        items = list(self._now.values())
        thumbnails = np.stack([item.thumbnail for item in items if item.thumbnail is not None])
        tables = np.array([item.jpeg_table for item in items], dtype=np.int64)
        return tuple(item.row for item in items), tuple(item.top for item in items), tables, thumbnails

    def add(self, item: _Examined) -> None:
        """Note a picture, unless it is odd: how deep and transparent ones are shown is found for each set anew."""
        sha256 = item.row.sha256
        if item.thumbnail is not None and item.thumbnail.shape[2] == 3 and item.stored is None:
            self._now[sha256] = item
            self.has_new |= sha256 not in self._earlier

    def find(self, row: LedgerRow) -> _Examined | None:
        """Return what is known of the bytes of a row, which has a digest, under its own name."""
        found = self._earlier.get(row.sha256)
        if found is None:
            return None
        own = replace(found.row, path=row.path, label=row.label, split=row.split, size_bytes=row.size_bytes)
        return replace(found, row=own)


def examine_all(listing: Listing, progress: Progress) -> Examination:
    """Return what is known of every candidate after reading each once. Memory: 3 KB a picture beyond the ledger."""
    rows: list[LedgerRow] = []
    places: list[int] = []  # of the usable ones, in `rows`
    kept: dict[int, Stored] = {}  # by place in `thumbnails`
    seen: list[tuple[tuple[float, ...] | None, int]] = []  # brightest levels and table of the usable ones
    thumbnails = np.zeros((len(listing.candidates), THUMBNAIL_PX, THUMBNAIL_PX, 3), dtype=np.uint8)
    address = [str(listing.root), len(listing.candidates)]
    known = _Known.of(noted("pictures", address))
    with progress.stage("check", total=len(listing.candidates)) as advance:
        for item in map_ordered(partial(_examine, known=known), listing.candidates):
            known.add(item)
            if item.thumbnail is not None:
                thumbnails[len(places)] = item.thumbnail[..., :3]
                if item.stored is not None:
                    kept[len(places)] = item.stored
                places.append(len(rows))
                seen.append((item.top, item.jpeg_table))
            rows.append(item.row)
            advance(1)
    if known.has_new:
        note("pictures", address, value=known.packed())
    thumbnails = thumbnails[: len(places)]
    rendering, notes = find_rendering(list(kept.values()))
    for place, picture in kept.items():
        thumbnails[place], repairs, remarks = rendered(picture, rendering)
        row = rows[places[place]]
        rows[places[place]] = replace(row, reason="; ".join(repairs), remark="; ".join(remarks))
    blank = frozenset(rows[places[place]].path for place in np.flatnonzero(is_blank(thumbnails)).tolist())
    facts = _facts([rows[place] for place in places], thumbnails, seen)
    return Examination(rows, thumbnails, blank, rendering, notes, facts)


def _facts(
    rows: Sequence[LedgerRow], thumbnails: Pixels, seen: Sequence[tuple[tuple[float, ...] | None, int]]
) -> Facts:
    """Return the facts of the usable pictures."""
    files = [(row.width_px, row.height_px, row.size_bytes, own[1]) for row, own in zip(rows, seen, strict=True)]
    return measure(
        [row.path for row in rows],
        thumbnails,
        tops=[own[0] for own in seen],
        files=np.array(files, dtype=np.float32).reshape(-1, 4),
        formats=[row.format for row in rows],
    )


def pixel_digests(sources: Sequence[Source], digests: Sequence[str], *, copies: Ints) -> list[str]:
    """Return what pictures of the same pixels share; only those that look like copies are decoded for it, in full.

    Args:
        sources: N pictures.
        digests: N digests of their bytes: what is returned of those that look like no other.
        copies: (N,) groups of pictures that look like copies.
    """
    keys = list(digests)
    unlike = {(int(group), digest) for group, digest in zip(copies, digests, strict=True)}
    several = Counter(group for group, _ in unlike)
    alike = [place for place, group in enumerate(copies.tolist()) if several[group] > 1]

    def pixels(place: int) -> str:
        try:
            image = decode(sources[place].read()).image
        except DataError:  # too costly in full size, or gone since: its bytes must do
            return digests[place]
        return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()

    for place, key in zip(alike, map_ordered(pixels, alike), strict=True):
        keys[place] = key
    return keys


def skipped_row(path: str, reason: str, *, label: str = "", split: str = "") -> LedgerRow:
    """Return the ledger row of a file of which only the path is known."""
    return LedgerRow(path, "skipped", reason, "", 0, 0, 0, "", label, split, -1)


def _examine(candidate: Candidate, *, known: _Known) -> _Examined:
    """Open one file: digest, size, format, repairs, remarks, thumbnail, or why it is skipped."""
    row = skipped_row(candidate.path, "", label=candidate.label, split=candidate.split or "")
    try:
        data = candidate.source.read()
        row = replace(row, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
        if (found := known.find(row)) is not None:
            return found
        picture = decode(data, size_px=THUMBNAIL_PX)
    except DataError as error:
        return _Examined(replace(row, reason=str(error)))
    image = picture.layers or picture.image
    thumbnail = np.asarray(image.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS))
    row = replace(
        row,
        status="repaired" if picture.repairs else "used",
        reason="; ".join(picture.repairs),
        remark="; ".join(picture.remarks),
        width_px=picture.width_px,
        height_px=picture.height_px,
        format=picture.format,
    )
    return _Examined(row, thumbnail, stored(picture, thumbnail), count_levels(picture.image), jpeg_table(data))
