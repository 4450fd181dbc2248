"""A model and what it learnt from -> the training pictures that prove it hardest wherever it goes.

One idea: a picture near the border between two classes moves first where numbers differ, an odd shape where the resize
does, an odd file where the decoder does. The most certain ordinary picture proves least.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from thawline.core.errors import DataError
from thawline.core.types import Floats, Ints
from thawline.data.dataset import Dataset
from thawline.data.formats import format_of
from thawline.data.headers import exif_orientation
from thawline.data.load import read_checked
from thawline.features.joined import own_blocks
from thawline.features.joined_bank import banks_in
from thawline.heads.calibrate import probabilities
from thawline.use.classifier import Classifier
from thawline.use.classify import classify_samples
from thawline.work.session import Compared

__all__ = ["GOLDEN_PICTURES", "file_kind", "hard_rows"]

GOLDEN_PICTURES = 32
ODD_FILES, PER_KIND, ODD_SHAPES, CLASSES = 10, 2, 4, 10
"""At most so many of odd files, of each kind of file, of each extreme of shape together, and of classes."""

MAX_LOOKED, MAX_READ, MAX_DRAWN = 1000, 96, 8192
"""Files whose headers are looked at, pictures that a trained network reads to find its border, and rows whose features
are looked at where memory does not hold all, at most."""


def hard_rows(compared: Compared, classifier: Classifier | None, *, rows: Ints) -> Ints:
    """Return up to `GOLDEN_PICTURES` of the samples that a model learnt from: (g,) indices, the hardest border first.

    Of each odd kind of file up to `PER_KIND`, the flattest and the tallest pictures, one of every class as long as
    there are few, and then those between whose two most probable classes the model sees the least difference. Equal
    arguments give equal rows.

    Args:
        compared: The comparison.
        classifier: The model; None: nothing is known of its border.
        rows: (n,) indices of the samples that it learnt from, ascending.
    """
    dataset = compared.dataset
    if compared.sample is not None and len(rows) > MAX_DRAWN:
        rows = np.sort(np.random.default_rng(0).choice(rows, MAX_DRAWN, replace=False))
    margins = _margins(compared, classifier, rows=rows)
    by_margin = rows[np.argsort(margins, kind="stable")]
    _, first = np.unique(dataset.labels[by_margin], return_index=True)
    chosen = [
        *by_margin[:1].tolist(),
        *_odd_files(dataset, by_margin),
        *_odd_shapes(dataset, by_margin),
        *by_margin[np.sort(first)][:CLASSES].tolist(),
        *by_margin.tolist(),
    ]
    kept = list(dict.fromkeys(chosen))[:GOLDEN_PICTURES]
    return np.array(sorted(kept, key=by_margin.tolist().index), dtype=np.int64)


def _margins(compared: Compared, classifier: Classifier | None, *, rows: Ints) -> Floats:
    """Return (n,) differences between the two most probable classes; infinite where that is not known."""
    if classifier is None:
        return np.arange(len(rows), dtype=np.float64)
    samples = [compared.dataset.samples[row] for row in rows.tolist()]
    own = compared.session.context.networks
    places = [next((at for at, each in enumerate(own) if each is network), None) for network in classifier.networks]
    if None not in places:
        parts = own_blocks(classifier.reader.blocks, [len(network.backbone.cuts) for network in classifier.networks])
        banks, hashes = banks_in(compared.bank), [sample.sha256 for sample in samples]
        read = [banks[at].read(hashes, part) for at, part in zip(places, parts, strict=True) if at is not None]
        return _gaps(probabilities(classifier.head.logits(np.concatenate(read, axis=1)), classifier.temperature))
    margins = np.full(len(rows), np.inf)
    looked = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MAX_READ)).astype(np.int64))
    margins[looked] = _gaps(classify_samples(classifier, [samples[at] for at in looked.tolist()]))
    return margins


def _gaps(shares: Floats) -> Floats:
    ranked = np.sort(shares, axis=1)
    gaps: Floats = ranked[:, -1] - ranked[:, -2]
    return gaps


def _odd_files(dataset: Dataset, rows: Ints) -> list[int]:
    """Return samples whose files are unlike most: of each kind up to `PER_KIND`, rare kinds first."""
    by_kind: dict[tuple[str, ...], list[int]] = {}
    for row in rows[:MAX_LOOKED].tolist():
        by_kind.setdefault(file_kind(read_checked(dataset.samples[row])), []).append(row)
    rare_first = sorted(by_kind.items(), key=lambda item: (len(item[1]), item[0]))
    return [row for _, same in rare_first[:-1] for row in same[:PER_KIND]][:ODD_FILES]


def file_kind(data: bytes) -> tuple[str, ...]:
    """Return what tells a picture file from others by its header: format, mode, whether it is turned or moves.

    Args:
        data: The encoded picture.
    """
    try:
        kind = format_of(data)
        if kind.is_ordinary is None or not kind.is_ordinary(data):
            return (kind.name,)
        with kind.open(io.BytesIO(kind.tidied(data)[0])) as image:
            marks = [kind.name, image.mode]
            exif = image.info.get("exif", b"")
            marks += ["turned"] if exif and exif_orientation(exif)[0] != 1 else []
            marks += ["clear"] if "transparency" in image.info else []
            marks += ["moving"] if getattr(image, "is_animated", False) else []
            return tuple(marks)
    except DataError:
        return ("unknown",)
    except Exception:  # Pillow's readers raise a dozen kinds on hostile bytes; it is odd in any case
        return ("unknown",)


def _odd_shapes(dataset: Dataset, rows: Ints) -> list[int]:
    """Return the flattest and the tallest of some samples, where the check has noted their sizes."""
    sizes = {row.path: row.width_px / row.height_px for row in dataset.ledger if row.width_px and row.height_px}
    known: Sequence[int] = [row for row in rows.tolist() if dataset.samples[row].path in sizes]
    by_shape = sorted(known, key=lambda row: sizes[dataset.samples[row].path])
    half = ODD_SHAPES // 2
    return [*by_shape[:half], *by_shape[-half:]]
