"""A folder of pictures, with labels or without -> one HTML page: counts, the map, the strangest pictures, copies.

One idea: a look costs one pass of a frozen network, which stays in the cache: a later `fit` reads nothing twice.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from thawline.core.errors import DataError, StoreError
from thawline.core.options import CheckOptions, Options
from thawline.core.progress import Progress, SilentProgress
from thawline.core.runtime import choose_runtime
from thawline.core.store import cache_root, write_bytes
from thawline.data.check import check
from thawline.data.dataset import Dataset
from thawline.data.findings import CheckReport
from thawline.data.images import decode, encode_jpeg
from thawline.data.load import map_ordered, read_checked
from thawline.data.sources.places import Place
from thawline.features.extract import extract
from thawline.features.network import rendering_as
from thawline.vet.picture_map import picture_map
from thawline.vet.space import Space, space_of
from thawline.vet.strange import strangest, unscaled_space
from thawline.view.data_page import DataPage, OddPicture, pictures_needed, render_data_page
from thawline.work.networks import load_networks

__all__ = ["check_page"]

THUMBNAIL_PX = 136
_SEAL = b"<!-- thawline check "
_SEALED = re.compile(rb"<!-- thawline check ([0-9a-f]{64}) -->\n\Z")


def check_page(
    photos: str | Path | Place,
    page: Path,
    *,
    options: CheckOptions | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Write one HTML page about a folder of pictures, and return what the check found.

    A folder without class folders is one set without labels; nothing is refused for being too little to learn from.

    Args:
        photos: As in `check`.
        page: The file. One that this wrote before and nobody changed is replaced.
        options: As in `check`.
        progress: Where to report to.

    Raises:
        StoreError: Something else stands at `page`, or it cannot be written.
        DataError: There is no picture that can be read.
    """
    _refuse_foreign(page)
    options, progress = options or CheckOptions(), progress or SilentProgress()
    dataset, report = check(photos, options, for_training=False, needs_labels=False, progress=progress)
    found = {name: value for name, value in asdict(options).items() if value is not None}
    settings = Options(**found)
    network, *_ = load_networks(settings)
    data = DataPage(
        title=dataset.root.title,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        check=report.to_json(),
        class_names=dataset.class_names,
        network=network.backbone.name,
    )
    bank = extract(
        dataset,
        rendering_as(network, dataset.rendering),
        runtime=choose_runtime(settings.device, settings.dtype, engine=settings.engine),
        cache=cache_root(settings.cache_dir),
        poolings=settings.pooling,
        storage=settings.storage,
        progress=progress,
    ).bank
    with progress.stage("page"):
        blocks = [(network.backbone.cuts[-1].index, settings.pooling[0])]
        hashes = [sample.sha256 for sample in dataset.samples]
        drawn = picture_map(space_of(bank, hashes, blocks=blocks), dataset)
        data = replace(data, drawn=drawn, odd=_odd(unscaled_space(bank.read(hashes, blocks)), dataset))
        data = replace(data, thumbnails=_thumbnails(dataset, pictures_needed(data)))
        write_bytes(page, _sealed(render_data_page(data).encode()))
    return report


def _odd(space: Space, dataset: Dataset) -> tuple[OddPicture, ...]:
    """Return the strangest pictures by name."""
    copies = np.array([sample.copies for sample in dataset.samples], dtype=np.int64)
    samples = dataset.samples
    return tuple(
        OddPicture(samples[one.row].path, samples[one.nearest].path, one.likeness, one.stands_out)
        for one in strangest(space, copies)
    )


def _thumbnails(dataset: Dataset, paths: tuple[str, ...]) -> dict[str, bytes]:
    """Return path → small JPEG; what has gone meanwhile is left out."""

    def small(path: str) -> bytes | None:
        try:
            picture = decode(
                read_checked(dataset.samples[dataset.row_of[path]]), THUMBNAIL_PX, rendering=dataset.rendering
            )
        except (DataError, KeyError):
            return None
        return encode_jpeg(picture.image, THUMBNAIL_PX)

    made = zip(paths, map_ordered(small, paths), strict=True)
    return {path: jpeg for path, jpeg in made if jpeg is not None}


def _sealed(html: bytes) -> bytes:
    """Return a page that proves itself unchanged: its last line has the digest of all before it."""
    body = html if html.endswith(b"\n") else html + b"\n"
    return body + _SEAL + hashlib.sha256(body).hexdigest().encode() + b" -->\n"


def _refuse_foreign(page: Path) -> None:
    """Refuse to write where something stands that is not a page of ours as it was written."""
    if not os.path.lexists(page):
        return
    if page.is_file() and not page.is_symlink():
        content = page.read_bytes()
        seal = _SEALED.search(content)
        if seal and hashlib.sha256(content[: seal.start()]).hexdigest().encode() == seal.group(1):
            return
    raise StoreError(
        f"check: {page} stands there, and it is no page that `thawline check` wrote and nobody changed. Name another "
        "file for --page, or move it away."
    )
