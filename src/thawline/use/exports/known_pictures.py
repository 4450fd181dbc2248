"""A model and the run that it came from -> where its pictures are now: those that it learnt from, and held-out ones.

One idea: a picture is its bytes. The run says which bytes were held out (`ledger.csv`, `predictions.csv`), the model
which it learnt from; where they lie today, `run.json` says, or the person.
"""

from __future__ import annotations

import csv
import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thawline.core.errors import BundleError, DataError, UsageError
from thawline.core.progress import Progress, SilentProgress
from thawline.core.spreadsheet import true_cell
from thawline.core.types import Floats
from thawline.data.dataset import Sample, Source
from thawline.data.load import map_ordered
from thawline.data.sources.headings import Wanted
from thawline.data.sources.pictures import list_pictures
from thawline.data.sources.places import Place
from thawline.data.sources.unlabelled import pictures_in
from thawline.use.bundle import Bundle
from thawline.use.evaluate_model import check_for
from thawline.use.exports.yardstick import Yardstick, clearness, drawn, spread_over_classes

__all__ = ["learnt_pictures", "yardstick_of"]

MAX_TRAINING, MAX_HELD_OUT = 512, 2000
"""Pictures that are looked for, at most."""

TEST = "test"
PROBABILITIES = 7
"""Column of `predictions.csv` from which on there is one a class."""


@dataclass(frozen=True)
class _Run:
    """What the files of a run say of its pictures.

    Attributes:
        place: Where they were, or None where an older version did not say.
        wanted: What the person said of a table.
        pictures: All that took part; their sources are those of the ledger, and cannot be read.
        held_out: SHA-256 digests of those that were held out.
        clear: How clear answers were on pictures that a fold held out; None where there are none.
    """

    place: Place | None
    wanted: Wanted
    pictures: Sequence[Sample]
    held_out: frozenset[str]
    clear: Floats | None


class _Nowhere:
    """The source of a picture that is still to be found."""

    def read(self) -> bytes:
        """Raise `DataError`."""
        raise DataError("not found yet")


def yardstick_of(
    bundle: Bundle, run: Path | None, *, photos: Path | str | None = None, progress: Progress | None = None
) -> Yardstick:
    """Return pictures to choose by and to measure with, found by their bytes.

    Args:
        bundle: The model.
        run: The folder of its run, or None for a model folder alone.
        photos: Where the pictures of the run lie now, where they moved; or labelled pictures of the model's classes:
            those that it has not learnt from, nor from copies of them, are held out.
        progress: Where to report to.

    Raises:
        UsageError: No picture that the model learnt from was found, or none that was held out. Says what to pass.
        BundleError: A file of the run is damaged.
        DataError: `photos` is no source of pictures.
    """
    progress, named = progress or SilentProgress(), None if photos is None else Place.of(photos)
    read = None if run is None else _read_run(run, bundle.class_names)
    training: list[Sample] = []
    held_out: list[Sample] = []
    if read is not None:
        learnt = [
            each
            for each in read.pictures
            if each.sha256 in bundle.training_digests and each.sha256 not in read.held_out
        ]
        looked_for = spread_over_classes(learnt, MAX_TRAINING)
        looked_for += drawn([each for each in read.pictures if each.sha256 in read.held_out], MAX_HELD_OUT)
        found = _found(looked_for, read, named=named, progress=progress)
        training = [each for each in found if each.sha256 not in read.held_out]
        held_out = [each for each in found if each.sha256 in read.held_out]
    if named is not None and not (training and held_out):
        own, others = _labelled(bundle, named, progress=progress)
        training, held_out = training or own, held_out or others
    where = [str(place) for place in (named, read.place if read else None) if place is not None]
    if not training:
        raise UsageError(_missing("that the model learnt from, on which 8 bits are calibrated,", where))
    if not held_out:
        raise UsageError(_missing("that was held out, by which 8 bits are measured,", where))
    return Yardstick(training, held_out, read.clear if read else None, bundle.training_digests)


def learnt_pictures(
    bundle: Bundle,
    run: Path | None,
    *,
    count: int,
    photos: Path | str | None = None,
    progress: Progress | None = None,
) -> list[Sample]:
    """Return pictures that the model learnt from, found by their bytes, each once; of many, some of every class.

    Args:
        bundle: The model.
        run: As in `yardstick_of`.
        count: Most to return.
        photos: Where the pictures of the run lie now, where they moved; required where there is no run.
        progress: Where to report to.

    Raises:
        UsageError: Fewer than two were found. Says what to pass.
        BundleError: A file of the run is damaged.
        DataError: `photos` is no source of pictures.
    """
    progress, named = progress or SilentProgress(), None if photos is None else Place.of(photos)
    read = None if run is None else _read_run(run, bundle.class_names)
    found: list[Sample] = []
    if read is not None:
        learnt = _each_once(each for each in read.pictures if each.sha256 in bundle.training_digests)
        found = _found(spread_over_classes(learnt, count), read, named=named, progress=progress)
    elif named is not None:
        found = spread_over_classes(_each_once(_labelled(bundle, named, progress=progress)[0]), count)
    if len(found) < 2:
        places = (named, read.place if read else None)
        where = " and ".join(str(place) for place in places if place is not None) or "(nothing says where they are)"
        raise UsageError(
            f"export --with-neighbours: the pictures that the model learnt from were not found in {where}. Pass "
            "--photos PATH: where they lie now."
        )
    return found


def _each_once(samples: Iterable[Sample]) -> list[Sample]:
    """Return the first of all pictures with the same bytes."""
    by_digest: dict[str, Sample] = {}
    for sample in samples:
        by_digest.setdefault(sample.sha256, sample)
    return list(by_digest.values())


def _missing(what: str, where: Sequence[str]) -> str:
    searched = f"in {' and '.join(where)}" if where else "(nothing says where they are)"
    return (
        f"export --to onnx-int8: no picture {what} was found {searched}. Pass --photos PATH: where the pictures of the "
        "run lie now, or labelled pictures of the same classes that the model has not learnt from. Golden pictures "
        "alone are too few."
    )


def _read_run(run: Path, class_names: Sequence[str]) -> _Run:
    """Return what the files of a run say of its pictures."""
    numbers = {unicodedata.normalize("NFC", name): number for number, name in enumerate(class_names)}
    try:
        facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
        parts, clear = _parts(run / "predictions.csv")
        pictures = []
        for row in _rows(run / "ledger.csv"):
            label = numbers.get(unicodedata.normalize("NFC", row["label"]), -1)
            if row["status"] != "skipped" and label >= 0:
                pictures.append(Sample(row["path"], label, row["sha256"], None, int(row["group"]), _Nowhere()))
        place, options = facts.get("photos"), facts.get("options", {})
        return _Run(
            None if place is None else Place.of(place),
            _wanted(options),
            pictures,
            frozenset(each.sha256 for each in pictures if parts.get(each.path) == TEST),
            clear,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise BundleError(
            f"export: {run}: its run.json, ledger.csv or predictions.csv is missing or damaged ({error}). Export the "
            f"model folder instead, with the same --to, and name labelled pictures: thawline export {run / 'model'} "
            "--photos PATH."
        ) from None


def _rows(path: Path) -> Iterable[Mapping[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if missing := {"path", "status", "sha256", "label", "group"} - {*(reader.fieldnames or ())}:
            raise ValueError(f"{path.name} has no column {min(missing)}")
        for row in reader:
            yield {name: true_cell(cell) for name, cell in row.items()}


def _parts(path: Path) -> tuple[dict[str, str], Floats | None]:
    """Return the part that held each picture out, by its path, and how clear answers were where a fold did."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        if next(lines, [])[:2] != ["path", "part"]:
            raise ValueError(f"{path.name} has no columns path and part")
        rows = list(lines)
    parts = {true_cell(row[0]): row[1] for row in rows}
    shares = [row[PROBABILITIES:] for row in rows if row[1] != TEST]
    return parts, clearness(np.array(shares, dtype=np.float32)) if shares else None


def _wanted(options: Mapping[str, Any]) -> Wanted:
    folder = options.get("picture_folder")
    return Wanted(options.get("path_column"), options.get("label_column"), None if folder is None else Path(folder))


def _found(looked_for: Sequence[Sample], run: _Run, *, named: Place | None, progress: Progress) -> list[Sample]:
    """Return those of the pictures whose bytes lie at one of the places, with a source that gives them."""
    found: dict[str, Sample] = {}
    places = [named] if named is not None else []
    places += [run.place] if run.place is not None else []
    for place in places:
        missing = [each for each in looked_for if each.sha256 not in found]
        with progress.stage("find", len(missing)) as advance:
            by_name = _by_name(place, run.wanted)
            for sample in _verified([(each, by_name[each.path]) for each in missing if each.path in by_name]):
                found[sample.sha256] = sample
            advance(sum(each.sha256 in found for each in missing))
        missing = [each for each in missing if each.sha256 not in found]
        if len(missing) > len(looked_for) / 2:  # moved into other folders, or renamed
            found |= _by_content(place, missing)
    return [found[each.sha256] for each in looked_for if each.sha256 in found]


def _by_name(place: Place, wanted: Wanted) -> dict[str, Source]:
    """Return the sources at a place by the names that a ledger gives them; none where there is no such place."""
    try:
        return {each.path: each.source for each in list_pictures(place, wanted=wanted).candidates}
    except (DataError, UsageError):
        return {}


def _by_content(place: Place, missing: Sequence[Sample]) -> dict[str, Sample]:
    """Return pictures whose bytes lie anywhere at a place, by their digests."""
    samples = {each.sha256: each for each in missing}
    try:
        listed = [source for _, source in pictures_in([str(place)])]
    except (DataError, UsageError):
        return {}
    read = zip(map_ordered(_digest, listed), listed, strict=True)
    return {digest: _at(samples[digest], source) for digest, source in read if digest in samples}


def _verified(pairs: Sequence[tuple[Sample, Source]]) -> list[Sample]:
    """Return the pictures whose sources give their bytes."""
    digests = map_ordered(_digest, [source for _, source in pairs])
    return [
        _at(sample, source) for (sample, source), digest in zip(pairs, digests, strict=True) if digest == sample.sha256
    ]


def _digest(source: Source) -> str:
    try:
        return hashlib.sha256(source.read()).hexdigest()
    except (DataError, OSError):
        return ""


def _at(sample: Sample, source: Source) -> Sample:
    return Sample(sample.path, sample.label, sample.sha256, None, sample.group, source)


def _labelled(bundle: Bundle, photos: Place, *, progress: Progress) -> tuple[list[Sample], list[Sample]]:
    """Return labelled pictures that the model learnt from, and others that are no copies of them."""
    dataset = check_for(bundle, photos, progress=progress)
    numbers = {unicodedata.normalize("NFC", name): number for number, name in enumerate(bundle.class_names)}
    labels = [numbers.get(unicodedata.normalize("NFC", name), -1) for name in dataset.class_names]
    known = [
        Sample(each.path, labels[each.label], each.sha256, None, each.group, each.source)
        for each in dataset.samples
        if labels[each.label] >= 0
    ]
    learnt = {each.group for each in dataset.samples if each.sha256 in bundle.training_digests}
    own = [each for each in known if each.sha256 in bundle.training_digests]
    return own, [each for each in known if each.group not in learnt]
