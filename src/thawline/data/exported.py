"""A checked Dataset -> a new folder of it: every picture once, in its part, under its class, with a card.

The one idea: what is written is decided first, from the ledger alone; then the pictures stream into a folder next to
the final place, which is renamed when it is whole. An older export there is replaced only if it is unchanged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from functools import partial
from pathlib import Path
from typing import Any, Literal

from thawline.core.errors import DataError, StoreError, first_few
from thawline.core.options import CheckOptions
from thawline.core.progress import Progress, SilentProgress
from thawline.core.store import (
    disk_errors,
    replace_directory,
    require_space,
    restore_directory,
    staging_directory,
    sweep_staging,
    write_json,
)
from thawline.core.version import __version__
from thawline.data.card import card_markdown
from thawline.data.check import check
from thawline.data.croissant import CROISSANT, croissant
from thawline.data.dataset import Dataset, Role, Sample
from thawline.data.export_folder import CARD, CARD_VERSION, folder_size, mark_export, refuse_place, require_own_export
from thawline.data.findings import CheckReport
from thawline.data.sources.listing import FileSource, display_path
from thawline.data.sources.places import Place
from thawline.data.split import make_split
from thawline.data.writers import PARTS, Form, Kept, write_folders, write_tables

__all__ = ["Export", "HeldOut", "export", "export_data"]

HeldOut = Literal["fifth", "none"]
_WRITERS = {"folder": write_folders, "parquet": write_tables}


@dataclass(frozen=True, repr=False)
class Export:
    """What was written.

    Attributes:
        out: The folder.
        card: What its `dataset.json` holds: classes, counts, where it came from and what was left out.
    """

    out: Path
    card: dict[str, Any]

    def __repr__(self) -> str:
        num_classes = len(self.card["class_names"])
        return f"<Export {str(self.out)!r}: {self.card['pictures']:,} pictures in {num_classes:,} classes>"


@dataclass(frozen=True)
class _Plan:
    """Which pictures are written and which are not; all in the order of the data set."""

    kept: tuple[Kept, ...]
    copies: tuple[tuple[Sample, Sample], ...]
    conflicts: tuple[Sample, ...]


def export_data(
    photos: str | Path | Place,
    out: Path | str,
    *,
    options: CheckOptions | None = None,
    form: Form = "folder",
    held_out: HeldOut = "fifth",
    licence: str | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> Export:
    """Check pictures and write them back out, each picture once, in its part: see `export`.

    Args:
        photos: As in `check`.
        out: As in `export`.
        options: Which pictures take part and what their classes are called; `seed` draws the held-out fifth too.
        form: As in `export`.
        held_out: As in `export`.
        licence: As in `export`.
        replace: As in `export`.
        progress: Where to report to.

    Raises:
        DataError: As in `check` and `export`.
        StoreError: As in `export`.
    """
    options, place = options or CheckOptions(), Place.of(photos)
    refuse_place(place, Path(out).resolve(), replace=replace)
    dataset, report = check(place, options, progress=progress)
    return export(
        dataset,
        report,
        out=Path(out),
        form=form,
        held_out=held_out,
        seed=options.seed,
        licence=licence,
        replace=replace,
        progress=progress,
    )


def export(
    dataset: Dataset,
    report: CheckReport,
    *,
    out: Path,
    form: Form = "folder",
    held_out: HeldOut = "fifth",
    seed: int = 0,
    licence: str | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> Export:
    """Write a checked data set to `out`, whole or not at all, and return its card.

    Pictures keep their bytes. Of exact copies one is kept, the held-out one where they lie in several parts; near
    copies are all kept and share a group number. Pictures with the same bytes under several labels are left out, since
    it is unknown which is right. The person's own parts are kept; without any, `fit`'s fifth is held out.

    `folder` writes `train/class/picture` and its like with a manifest `pictures.csv`, `parquet` tables that embed the
    pictures; both with `dataset.json`, `README.md` and `croissant.json`. Streams: memory does not grow with the number
    of pictures.

    Args:
        dataset: Checked pictures.
        report: What the check found.
        out: Folder to write: new, empty, or an unchanged older export of these pictures.
        form: `folder` or `parquet`.
        held_out: Where the pictures came without parts: `fifth` draws a test, `none` puts all into `train`.
        seed: Of that draw.
        licence: Of the pictures, as their owner names it: an SPDX identifier, or an address; None where it is unknown.
        replace: Whether an unchanged export of other pictures, or by an older version, may be replaced too.
        progress: Where to report; silent by default.

    Raises:
        DataError: `out` and the pictures are inside one another; a class is left without pictures to train on; a
            picture has changed since the check.
        StoreError: `out` holds something else, is too small or cannot be written; what was there is intact.
    """
    out = out.resolve()
    refuse_place(dataset.root, out, replace=replace)
    _refuse_own_pictures(dataset, out)
    parts, rule = _parts(dataset, held_out, seed)
    plan = _plan(dataset, parts)
    _refuse_classes(dataset, plan)
    try:
        with disk_errors("export", out):
            sweep_staging(out.parent)
            restore_directory(out)
            with staging_directory(out.parent) as staged:
                needed = sum(item.size_bytes for item in plan.kept)
                require_space("export", staged, needed_bytes=needed, remedy="choose another with -o")
                with (progress or SilentProgress()).stage("export", total=len(plan.kept)) as advance:
                    folders = _WRITERS[form](plan.kept, staged, class_names=dataset.class_names, advance=advance)
                card = _card(dataset, report, plan, folders) | {"form": form, "split": rule, "licence": licence}
                card = _describe(staged, card)
                mark_export(staged, dataset.root)
                replace_directory(staged, out, require=partial(require_own_export, older=replace))
    except FileNotFoundError:  # a place such as /proc, in which nothing can be created
        raise StoreError(f"export: {display_path(out)} cannot be created. Choose another place with -o.") from None
    return Export(out, card)


def _parts(dataset: Dataset, held_out: HeldOut, seed: int) -> tuple[list[Role], str]:
    """Return the part of every sample, and how the parts were made, in words."""
    own_parts = [sample.split for sample in dataset.samples if sample.split is not None]
    if own_parts:
        return own_parts, "the parts that the pictures came in"
    if held_out == "none":
        return ["train"] * len(dataset), "all pictures in one part"
    test = set(make_split(dataset, num_folds=2, num_repeats=1, seed=seed).test.tolist())
    parts: list[Role] = ["test" if index in test else "train" for index in range(len(dataset))]
    return parts, f"a fifth held out for the test, stratified, {dataset.never_parted} together, seed {seed}"


def _plan(dataset: Dataset, parts: Sequence[Role]) -> _Plan:
    """Return what is written: one of each set of exact copies, none where these have several labels."""
    samples = dataset.samples
    sizes = {row.sha256: row.size_bytes for row in dataset.ledger}
    same: dict[str, list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        same[sample.sha256].append(index)
    kept, copies, conflicts = [], [], []
    for digest, rows in same.items():
        if len({samples[row].label for row in rows}) > 1:
            conflicts += rows
            continue
        chosen = max(rows, key=lambda row: (PARTS.index(parts[row]), -row))
        label = dataset.class_names[samples[chosen].label]
        kept.append((chosen, Kept(samples[chosen], label, parts[chosen], sizes[digest])))
        copies += [(row, chosen) for row in rows if row != chosen]
    return _Plan(
        tuple(item for _, item in sorted(kept, key=lambda pair: pair[0])),
        tuple((samples[row], samples[chosen]) for row, chosen in sorted(copies)),
        tuple(samples[row] for row in sorted(conflicts)),
    )


def _describe(folder: Path, card: Mapping[str, Any]) -> dict[str, Any]:
    """Write what describes an export next to it, and return its card with the numbers of files and bytes."""
    write_json(folder / CROISSANT, croissant(card, folder))
    (folder / "README.md").write_bytes(card_markdown(card).encode())
    num_files, size_bytes = folder_size(folder)
    sized = {**card, "num_files": num_files, "size_bytes": size_bytes}
    write_json(folder / CARD, sized)
    return sized


def _refuse_classes(dataset: Dataset, plan: _Plan) -> None:
    """Refuse an export that could not be trained on: a class needs a training picture, and two in all."""
    trained = {item.label for item in plan.kept if item.part == "train"}
    counts = Counter(item.label for item in plan.kept)
    lost = [name for name in dataset.class_names if name not in trained or counts[name] < 2]
    if lost:
        raise DataError(
            f"export: without exact copies and pictures under two labels, {first_few(lost)} has no picture to train "
            "on, or only one. Run `thawline check` and settle the conflicts that it lists, or remove the class."
        )


def _refuse_own_pictures(dataset: Dataset, out: Path) -> None:
    """Refuse a place that holds pictures which are to be exported, as a manifest may name them."""
    sources = [sample.source for sample in dataset.samples]
    if any(isinstance(source, FileSource) and source.path.resolve().is_relative_to(out) for source in sources):
        raise DataError(
            f"export: {display_path(dataset.root)} names pictures inside {display_path(out)}, which would be replaced. "
            "Choose another place with -o."
        )


def _card(dataset: Dataset, report: CheckReport, plan: _Plan, folders: Mapping[str, str]) -> dict[str, Any]:
    """Return what `dataset.json` holds: a summary first, then every file that was left out."""
    root, names = dataset.root, dataset.class_names
    counts = Counter((item.part, item.label) for item in plan.kept)
    groups = Counter(item.sample.copies for item in plan.kept)
    first: dict[int, int] = defaultdict(lambda: len(PARTS))
    for item in plan.kept:
        first[item.sample.copies] = min(first[item.sample.copies], PARTS.index(item.part))
    leaked = [item for item in plan.kept if PARTS.index(item.part) > first[item.sample.copies]]
    return {
        "thawline_data": CARD_VERSION,
        "thawline": __version__,
        "made_from": root.title,
        "images_key": changed(dataset, samples=tuple(item.sample for item in plan.kept)).images_key,
        "pictures": len(plan.kept),
        "class_names": list(names),
        "counts": {
            part: {name: counts[part, name] for name in names}
            for part in PARTS
            if any(item.part == part for item in plan.kept)
        },
        "renamed_folders": {folder: name for name, folder in folders.items() if folder != name},
        "groups_of_near_copies": sum(count > 1 for count in groups.values()),
        "held_out_near_copies": len(leaked),
        "notes": list(report.notes),
        "left_out": {
            "skipped": [{"path": path, "reason": reason} for path, reason in report.skipped],
            "exact_copies": [{"path": copy.path, "of": of.path} for copy, of in plan.copies],
            "conflicts": [
                {"path": sample.path, "label": names[sample.label], "sha256": sample.sha256}
                for sample in plan.conflicts
            ],
        },
    }
