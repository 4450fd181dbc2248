"""A comparison and the answers to held-out pictures -> the album of small pictures that a report shows.

One idea: bytes are few, and pictures are wanted in the order in which a person would miss them: mistakes, what the
advice names, samples of each class, and for the map tiny ones of all. Each is decoded once, several at a time.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from itertools import islice
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from thawline.core.runtime import num_workers
from thawline.core.types import Ints
from thawline.data.check import CheckReport
from thawline.data.dataset import Dataset
from thawline.data.images import decode, encode_jpeg
from thawline.data.load import read_checked
from thawline.vet.advice import Advice
from thawline.vet.answered import Answered
from thawline.vet.space import Space
from thawline.view.album import SHOWN_SUSPECTS, SUSPECTS_WITH_NEIGHBOURS, TRAINING_PART, Album, Shown, TileSheet
from thawline.view.report_data import ALIKE, Picture
from thawline.work.session import Compared

__all__ = [
    "OUTSIDE_PX",
    "alike_pictures",
    "further_paths",
    "make_album",
    "paths_named",
    "prominent_paths",
    "sample_grid",
]

PICTURES_A_CLASS, SHOWN_CLASSES = 8, 40
SHOWN_MISTAKES, SHOWN_NAMED, SHOWN_COPIES = 300, 300, 12
WITH_NEIGHBOURS, NEIGHBOURS = 60, 4
LARGE_PX, SMALL_PX, TILE_PX, OUTSIDE_PX = 240, 160, 56, 160
QUALITY, TILE_QUALITY = 75, 64
ALBUM_BYTES, SHEET_BYTES = 3_600_000, 1_500_000
"""Of all thumbnails and all tiles; in the page they take a third more."""
SHEET_COLUMNS, SHEET_TILES = 32, 1024
TOP = 3
AT_ONCE = 64

T = TypeVar("T")


def sample_grid(compared: Compared, roles: Mapping[str, Ints]) -> Iterator[Picture]:
    """Yield the first few pictures of each class: of the training part, and where rows are set side by side, of all."""
    dataset = compared.dataset
    for role, rows in roles.items():
        if role != "train" and compared.session.order.protocol == "choose":
            continue
        for label, name in enumerate(dataset.class_names[:SHOWN_CLASSES]):
            for row in rows[dataset.labels[rows] == label][:PICTURES_A_CLASS]:
                yield Picture(name, role, dataset.samples[row].path)


def alike_pictures(compared: Compared) -> Iterator[Picture]:
    """Yield the first few pictures of each scene that makes much of a class."""
    dataset, scenes = compared.dataset, compared.session.report.scenes[:SHOWN_CLASSES]
    row_of = dataset.row_of
    for scene in scenes:
        for path in scene.pictures[:PICTURES_A_CLASS]:
            yield Picture(dataset.class_names[dataset.labels[row_of[path]]], ALIKE, path)


def paths_named(value: object) -> Iterator[str]:
    """Yield every text in plain data: dataclasses, mappings and sequences of them, in their order."""
    if isinstance(value, str):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from paths_named(getattr(value, one.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from paths_named(item)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for item in value:
            yield from paths_named(item)


def prominent_paths(advice: Advice | None, report: CheckReport) -> Iterator[str]:
    """Yield the paths of pictures that a page shows large besides mistakes, most missed first."""
    for path, _, other, _ in report.conflicts:
        yield from (path, other)
    if advice is not None:
        suspects = advice.suspects
        yield from (one.path for one in (suspects.listed[:SHOWN_SUSPECTS] if suspects else ()))
        yield from paths_named(advice.looks)


def further_paths(advice: Advice | None, report: CheckReport) -> Iterator[str]:
    """Yield the paths of pictures that a page shows small: what is like others, and copies."""
    if advice is not None:
        yield from paths_named(advice.suspects.listed[:SUSPECTS_WITH_NEIGHBOURS] if advice.suspects else ())
        yield from paths_named(replace(advice, picture_map=None, suspects=None, looks=None))
    for pair in report.leaks[:SHOWN_COPIES]:
        yield from pair
    for group in (*report.exact_copies[:SHOWN_COPIES], *report.near_copies[:SHOWN_COPIES]):
        yield from group[:2]


def make_album(
    answered: Answered,
    space: Space,
    *,
    samples: Sequence[Picture],
    prominent: Iterable[str] = (),
    further: Iterable[str] = (),
    mapped: Sequence[str] = (),
) -> Album:
    """Return the pictures that a report shows and the counts of all answers, within a budget of bytes.

    A picture of each class comes first, then mistakes, the surest ones where there are more than a page can hold.

    Args:
        answered: What was said of held-out pictures.
        space: Where all pictures lie, for those that are most like a mistake.
        samples: Of the sample grid and of the scenes.
        prominent: Paths of pictures to be shown as large as mistakes; texts that are no path are passed over.
        further: The same of pictures to be shown small.
        mapped: Paths of the pictures of a map, which get tiny pictures.
    """
    dataset, row_of = answered.dataset, answered.dataset.row_of
    wrong = np.flatnonzero(~answered.is_right)
    surest = wrong[np.argsort(-answered.confidence[wrong], kind="stable")][:SHOWN_MISTAKES]
    large = dict.fromkeys(answered.rows[surest].tolist())
    large |= dict.fromkeys(islice((row_of[path] for path in prominent if path in row_of), SHOWN_NAMED))
    asked = np.array(list(large)[:WITH_NEIGHBOURS], dtype=np.int64)
    near = space.nearest(asked, np.arange(len(dataset)), k=NEIGHBOURS)[0] if len(asked) else np.empty((0, 0), int)
    near_of = {
        row: [place for place in places if place >= 0]
        for row, places in zip(asked.tolist(), near.tolist(), strict=True)
    }
    small = dict.fromkeys(row for places in near_of.values() for row in places)
    small |= dict.fromkeys(islice((row_of[path] for path in further if path in row_of), SHOWN_NAMED))
    small |= dict.fromkeys(row_of[picture.path] for picture in samples)
    sizes = {**dict.fromkeys(small, SMALL_PX), **dict.fromkeys(large, LARGE_PX)}
    faces: dict[str, int] = {}
    for picture in samples:
        faces.setdefault(picture.class_name, row_of[picture.path])
    order = [*dict.fromkeys([*faces.values(), *large, *small])]
    pictures = tuple(_shown(answered, order, sizes=sizes, near_of=near_of))
    confusion = np.zeros((len(dataset.class_names),) * 2, dtype=np.int64)
    np.add.at(confusion, (answered.labels, answered.predicted), 1)
    return Album(
        pictures=pictures,
        confusion=confusion,
        num_answered=len(answered),
        num_test=int(answered.is_test.sum()),
        num_mistakes=len(wrong),
        sheets=tuple(_sheets(dataset, [row_of[path] for path in mapped if path in row_of])),
    )


def _near(space: Space, rows: Sequence[int]) -> dict[int, list[int]]:
    """Return row → rows of the pictures that are most like it, most alike first."""
    if not rows:
        return {}
    near, _ = space.nearest(np.array(rows, dtype=np.int64), np.arange(len(space.x)), k=NEIGHBOURS)
    return {row: [other for other in found if other >= 0] for row, found in zip(rows, near.tolist(), strict=True)}


def _shown(
    answered: Answered, rows: Sequence[int], *, sizes: Mapping[int, int], near_of: Mapping[int, Sequence[int]]
) -> Iterator[Shown]:
    """Yield pictures of the album in their order, until the budget of bytes is spent."""
    dataset, place_of = answered.dataset, {row: place for place, row in enumerate(answered.rows.tolist())}
    left = ALBUM_BYTES

    def encoded(row: int) -> bytes:
        return encode_jpeg(_scaled(dataset, row, sizes[row]), sizes[row], quality=QUALITY)

    for row, jpeg in _by_threads(encoded, rows):
        left -= len(jpeg)
        if left < 0:
            return
        width_px, height_px = Image.open(io.BytesIO(jpeg)).size
        sample, place = dataset.samples[row], place_of.get(row)
        fold = TRAINING_PART if place is None else int(answered.fold[place])
        top = () if place is None else _top(answered, place)
        near = tuple(dataset.samples[other].path for other in near_of.get(row, ()))
        yield Shown(sample.path, jpeg, width_px, height_px, sample.label, fold, top, near)


def _top(answered: Answered, place: int) -> tuple[tuple[int, float], ...]:
    """Return the most probable classes of an answer, the label among them, most probable first."""
    shares, label = answered.probabilities[place], int(answered.labels[place])
    first = np.argsort(-shares, kind="stable")[:TOP].tolist()
    listed = first if label in first else [*first, label]
    return tuple((k, round(float(shares[k]), 4)) for k in listed)


def _sheets(dataset: Dataset, rows: Sequence[int]) -> Iterator[TileSheet]:
    """Yield sheets of tiny square pictures, until the budget of bytes is spent."""
    left = SHEET_BYTES

    def tile(row: int) -> Image.Image:
        return ImageOps.fit(_scaled(dataset, row, TILE_PX), (TILE_PX, TILE_PX))

    for start in range(0, len(rows), SHEET_TILES):
        part = rows[start : start + SHEET_TILES]
        num_lines = -(-len(part) // SHEET_COLUMNS)
        sheet = Image.new("RGB", (TILE_PX * SHEET_COLUMNS, TILE_PX * num_lines), "#888")
        for at, (_, image) in enumerate(_by_threads(tile, part)):
            line, column = divmod(at, SHEET_COLUMNS)
            sheet.paste(image, (column * TILE_PX, line * TILE_PX))
        jpeg = encode_jpeg(sheet, max(sheet.size), quality=TILE_QUALITY)
        left -= len(jpeg)
        if left < 0:
            return
        yield TileSheet(jpeg, TILE_PX, SHEET_COLUMNS, tuple(dataset.samples[row].path for row in part))


def _scaled(dataset: Dataset, row: int, size_px: int) -> Image.Image:
    """Return a picture whose shorter side has at most `size_px`."""
    return decode(read_checked(dataset.samples[row]), size_px, rendering=dataset.rendering).image


def _by_threads(work: Callable[[int], T], rows: Sequence[int]) -> Iterator[tuple[int, T]]:
    """Yield each row with what comes of it, in their order, several worked on at a time and few kept in memory."""
    with ThreadPoolExecutor(num_workers()) as threads:
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            yield from zip(part, threads.map(work, part), strict=True)
