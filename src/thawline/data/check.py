"""What a person names -> a checked Dataset, and a CheckReport of everything odd about its pictures.

The one idea: every file is opened once, by `examine.py`, and leaves a ledger row, a digest and a thumbnail of 3 KB; the
report is worked out from those alone, in `findings.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import astuple, fields, replace
from pathlib import Path

import numpy as np

from thawline.core.errors import DataError, by_reason, first_few
from thawline.core.options import CheckOptions
from thawline.core.progress import Progress, SilentProgress
from thawline.core.spreadsheet import csv_text
from thawline.core.types import Ints, Pixels
from thawline.data.copies import group_copies, group_equal
from thawline.data.corrections import Corrections, apply_corrections
from thawline.data.dataset import Dataset, LedgerRow, Sample
from thawline.data.examine import examine_all, pixel_digests, skipped_row
from thawline.data.findings import CheckReport, find_all, untaught_text
from thawline.data.formats import FORMATS
from thawline.data.groups import join_groups, settle_groups
from thawline.data.naming import apply_options
from thawline.data.sources.group_columns import NO_GROUPS
from thawline.data.sources.headings import Wanted
from thawline.data.sources.listing import Listing, Skipped, display_path, only_answered
from thawline.data.sources.pictures import list_pictures
from thawline.data.sources.places import Place
from thawline.data.sources.unlabelled import list_unlabelled
from thawline.data.split import too_small

__all__ = ["CheckOptions", "CheckReport", "check", "ledger_csv"]


def check(
    photos: str | Path | Place | Listing,
    options: CheckOptions | None = None,
    *,
    for_training: bool = True,
    needs_labels: bool = True,
    progress: Progress | None = None,
) -> tuple[Dataset, CheckReport]:
    """Return the pictures that take part, with the ledger of every file, and what is odd about them.

    Reads every file once. Memory: 3 KB a picture beyond the ledger. The result depends on the files alone, not on
    threads or time.

    Args:
        photos: Class folders, a zip or tar of them, a manifest (CSV or Parquet), Parquet with pictures, or
            `webdataset:SHARDS`, `hf:OWNER/NAME`, `torchvision:NAME`; or what was listed already.
        options: What to do with bad files, what the classes are called, how many pictures of each take part.
        for_training: Whether a model is to learn from them. False: they are only to be answered, so one class, one
            picture of a class and a test alone will do, and no class is too small.
        needs_labels: False: pictures of a folder without class folders will do, as one class, `unlabelled`.
        progress: Where to report; silent by default.

    Raises:
        DataError: No files, or no picture decodes; bad files where `on_bad` is `stop`; class names that do not fit. Or
            there is nothing to train on: fewer than two classes, a class of one picture or without training pictures.
    """
    options = options or CheckOptions()
    listed = _listed(photos, options, for_training=for_training, needs_labels=needs_labels, progress=progress)
    listing = apply_options(listed, options, for_training=for_training)
    found = examine_all(listing, progress or SilentProgress())
    listing = replace(listing, notes=(*listing.notes, *found.notes))
    examined, thumbnails = found.rows, found.thumbnails
    used = [index for index, item in enumerate(examined) if item.status != "skipped"]
    _refuse_bad_files(listing, examined, options)
    corrections = None
    if options.corrections:
        examined, corrections = _corrected(examined, listed, listing, options=options)
        thumbnails, used = _still_used(examined, thumbnails, used)
        listing = replace(listing, notes=(*listing.notes, corrections.note))
    untaught: dict[str, int] = {}
    if for_training:
        listing, untaught = _leave_out_classes(listing, examined, used, options)
        thumbnails, used = _still_used(examined, thumbnails, used)
        _refuse_classes(listed, examined, used)
    copies, groups, scenes = _grouped(listing, examined, used, thumbnails, kind=options.copies)
    class_names = tuple(sorted({examined[index].label for index in used}))
    numbers = {name: number for number, name in enumerate(class_names)}
    samples = []
    for index, group, copy_group in zip(used, groups.tolist(), copies.tolist(), strict=True):
        item = listing.candidates[index]
        row = examined[index] = replace(examined[index], group=group)
        label = numbers[row.label]
        samples.append(Sample(row.path, label, row.sha256, item.split, group, item.source, item.group, copy_group))
    skipped = [skipped_row(item.path, item.reason) for item in listing.skipped]
    ledger = tuple(sorted([*examined, *skipped], key=lambda row: row.path)) if skipped else tuple(examined)
    dataset = Dataset(listing.root, class_names, tuple(samples), ledger, found.rendering, found.facts)
    return dataset, find_all(
        dataset, listing, scenes=scenes, blank=found.blank, corrections=corrections, untaught=untaught
    )


def ledger_csv(rows: Sequence[LedgerRow]) -> str:
    """Return the ledger as CSV text: one line of names, then a line a file; no cell is one that a spreadsheet runs."""
    return csv_text([[field.name for field in fields(LedgerRow)], *(astuple(row) for row in rows)])


def _listed(
    photos: str | Path | Place | Listing,
    options: CheckOptions,
    *,
    for_training: bool,
    needs_labels: bool,
    progress: Progress | None,
) -> Listing:
    """Return what may be a picture, with the groups that count, and a note where copies do not."""
    if isinstance(photos, Listing):
        return settle_groups(photos, options)
    group_column = options.group_column if options.group_from is None else NO_GROUPS
    wanted = Wanted(options.path_column, options.label_column, options.picture_folder, group_column, needs_labels)
    with nullcontext() if for_training else only_answered():
        try:
            listed = list_pictures(photos, cache_dir=options.cache_dir, wanted=wanted, progress=progress)
        except DataError:
            folder = Path(str(photos))
            if needs_labels or not folder.is_dir():
                raise
            listed = list_unlabelled(folder)
    if options.copies == "ignore":
        note = "--copies ignore: copies were not looked for; where some lie across folds or parts, scores flatter."
        listed = replace(listed, notes=(*listed.notes, note))
    return settle_groups(listed, options)


def _corrected(
    rows: Sequence[LedgerRow], listed: Listing, listing: Listing, *, options: CheckOptions
) -> tuple[list[LedgerRow], Corrections]:
    """Return the ledger rows with the person's corrections; a class may be called as its folder is, too."""
    now = {item.path: item.label for item in listing.candidates}
    names = {item.label: now[item.path] for item in listed.candidates if item.path in now}
    names |= {name: name for name in listing.class_names}
    return apply_corrections(rows, options.corrections, class_names=names, is_part=options.limit is not None)


def _still_used(rows: Sequence[LedgerRow], thumbnails: Pixels, used: Sequence[int]) -> tuple[Pixels, list[int]]:
    """Return the thumbnails and places of the pictures that were used and still are."""
    kept = [place for place, index in enumerate(used) if rows[index].status != "skipped"]
    return thumbnails[kept], [used[place] for place in kept]


def _grouped(
    listing: Listing, rows: Sequence[LedgerRow], used: Sequence[int], thumbnails: Pixels, *, kind: str
) -> tuple[Ints, Ints, Ints]:
    """Return the groups of copies of the usable pictures, those joined with the person's own, and the scenes shown."""
    digests = [rows[index].sha256 for index in used]
    if kind == "ignore":
        copies = scenes = np.arange(len(used), dtype=np.int64)
    else:
        labels = np.unique([rows[index].label for index in used], return_inverse=True)[1]
        copies, scenes = group_copies(digests, thumbnails, labels=labels)
    if kind == "exact":
        sources = [listing.candidates[index].source for index in used]
        copies = group_equal(pixel_digests(sources, digests, copies=copies))
    return copies, join_groups(copies, [listing.candidates[index].group for index in used]), scenes


def _drop_small_classes(listing: Listing, rows: list[LedgerRow], used: Sequence[int], kind: str) -> dict[str, str]:
    """Skip the pictures of classes too small to fold and test; return these classes, each with what it has.

    Near copies do not make a class too small: where it must be, they are parted.
    """
    equal = np.arange(len(used)) if kind == "ignore" else group_equal([rows[index].sha256 for index in used])
    groups = join_groups(equal, [listing.candidates[index].group for index in used])
    found = too_small([rows[index].label for index in used], groups, parts=[rows[index].split for index in used])
    unit = "group" if listing.grouped_by else "distinct picture"
    small = {name: f"{count:,} {unit}{'' if count == 1 else 's'}" for name, count in sorted(found.items())}
    for index in used:
        if (words := small.get(rows[index].label)) is not None:
            reason = f"its class has {words}, too few to fold and test"
            rows[index] = replace(rows[index], status="skipped", reason=reason)
    return small


def _leave_out_classes(
    listing: Listing, rows: list[LedgerRow], used: Sequence[int], options: CheckOptions
) -> tuple[Listing, dict[str, int]]:
    """Skip the pictures of small classes, where that is asked for, and of untaught ones; return what is told of them.

    That is the listing with a note, and how many pictures each untaught class has.
    """
    if options.drop_small_classes and (small := _drop_small_classes(listing, rows, used, options.copies)):
        words = first_few([f"{name} ({what})" for name, what in small.items()])
        left = tuple(name for name in listing.class_names if name not in small)
        notes = (*listing.notes, f"--drop-small-classes: left out {words}")
        listing = replace(listing, class_names=left, notes=notes)
    untaught = _leave_out_untaught(rows, used, listing.skipped)
    if untaught:
        listing = replace(listing, notes=(*listing.notes, untaught_text(untaught)))
    return listing, untaught


def _leave_out_untaught(rows: list[LedgerRow], used: Sequence[int], skipped: Sequence[Skipped]) -> dict[str, int]:
    """Skip the test pictures of classes that were never among the training pictures; return how many each has.

    A class whose training pictures were found and cannot be used is none of these: that is to be mended.
    """
    counts = Counter(rows[index].label for index in used if rows[index].status != "skipped")
    taught = {row.label for row in rows if row.split in {"train", ""}}
    hidden = {part for one in skipped for part in Path(one.path).parts}
    untaught = {name: count for name, count in sorted(counts.items()) if name not in taught | hidden}
    for index in used:
        if rows[index].label in untaught:
            reason = "no training picture has its class, so that no model can know it"
            rows[index] = replace(rows[index], status="skipped", reason=reason)
    return untaught


def _refuse_bad_files(listing: Listing, rows: Sequence[LedgerRow], options: CheckOptions) -> None:
    """Stop where no file decodes, or where bad files are to stop the check."""
    bad = [row for row in rows if row.status == "skipped"]
    reasons = {row.path: row.reason for row in bad}
    alike = [names for _, names in by_reason(reasons.items())]
    rest = [f" and {len(names) - 1:,} more like it" if len(names) > 1 else "" for names in alike]
    shown = first_few([f"{names[0]} ({reasons[names[0]]}){more}" for names, more in zip(alike, rest, strict=True)])
    if len(bad) == len(rows):
        noted = "".join(f". {note[:1].upper()}{note[1:]}" for note in listing.notes[:3])
        raise DataError(
            f"check: none of the {len(rows):,} files in {display_path(listing.root)} is a picture that can be "
            f"read: {shown}. Name a folder with pictures of these formats: "
            f"{', '.join(item.title for item in FORMATS)}{noted}."
        )
    if bad and options.on_bad == "stop":
        raise DataError(
            f"check: {len(bad):,} of {len(rows):,} pictures cannot be used: {shown}. "
            "Remove them, or pass --on-bad skip."
        )


def _refuse_classes(listing: Listing, rows: Sequence[LedgerRow], used: Sequence[int]) -> None:
    """Stop where fewer than two classes are left, or one of them cannot be both trained and tested."""
    where = display_path(listing.root)
    counts = Counter(rows[index].label for index in used)
    if len(counts) < 2:
        hint = f" ({first_few(listing.notes, 2)})" if listing.notes else ""
        raise DataError(
            f"check: {where} has one class with pictures, {next(iter(counts))!r}; a classifier needs two or "
            f"more{hint}. Put the pictures of each class into a folder named after the class; where the classes are "
            "inside that folder, name it itself."
        )
    single = sorted(name for name, count in counts.items() if count == 1)
    if single:
        raise DataError(
            f"check: {where}: {first_few(single)} has one usable picture each; a class needs one to train on and "
            "one to test on. Add pictures of it (five or more), remove the class, or pass --drop-small-classes."
        )
    trained = {rows[index].label for index in used if rows[index].split in {"train", ""}}
    untrained = sorted(set(counts) - trained)
    if untrained:
        raise DataError(
            f"check: {where}: {first_few(untrained)} has pictures to test on but none to train on. "
            "Add training pictures under the same class name, or remove the class."
        )
