"""`thawline check`, `extract` and `export-data`: words on the command line -> a verb -> console."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

import thawline
from thawline.cli.arguments import (
    CHECK_DEFAULTS,
    DEFAULTS,
    Config,
    Flat,
    FlatCheck,
    Json,
    Photos,
    PhotosOrFile,
    Replace,
    Words,
)
from thawline.cli.console import say, say_json
from thawline.core.progress import progress_for_stderr

__all__ = ["check", "export_data", "extract"]


def check(
    photos: Photos,
    *,
    page: Annotated[
        Path | None,
        Parameter(
            help="Also write one HTML page: a map of the pictures, the strangest ones, copies side by side. Pictures "
            "without labels will do."
        ),
    ] = None,
    options: FlatCheck = CHECK_DEFAULTS,
    json: Json = False,
) -> None:
    """Report what is odd about the pictures: unreadable ones, copies, leaks, conflicts, small classes."""
    from thawline.view.dataset_text import check_text

    if page is not None:
        report = thawline.check_page(photos, page, options=options, progress=progress_for_stderr())
    else:
        _, report = thawline.check(photos, options, progress=progress_for_stderr())
    say_json(report.to_json()) if json else say(check_text(report.to_json()))
    if page is not None and not json:
        say(f"\n  {page}")


def extract(
    photos: PhotosOrFile = None, *, config: Config = None, options: Flat = DEFAULTS, json: Json = False, typed: Words
) -> None:
    """Run the pictures through the backbone once and keep the features of every depth in the cache."""
    done = thawline.extract(typed.photos(photos), options, progress=progress_for_stderr())
    facts = {
        "bank": done.bank.key,
        "directory": str(done.bank.directory),
        "pictures_in_bank": len(done.bank),
        "extracted": done.num_extracted,
        "damaged_rows": done.num_damaged,
        "columns": done.bank.spec.width,
        "seconds": round(done.seconds, 3),
    }
    say_json(facts) if json else say("\n".join(f"{name:>16}  {value}" for name, value in facts.items()))


def export_data(
    photos: Photos,
    *,
    out: Annotated[
        Path, Parameter(name=["--out", "-o"], help="Folder to write: new, empty, or an older export of them.")
    ],
    replace: Replace = False,
    form: Annotated[
        Literal["folder", "parquet"],
        Parameter(name="--format", help="Class folders, or Parquet tables that hold the pictures."),
    ] = "folder",
    held_out: Annotated[
        Literal["fifth", "none"],
        Parameter(help="Without a test part of your own, hold the fifth out that `fit` would, or nothing."),
    ] = "fifth",
    licence: Annotated[
        str | None,
        Parameter(
            name="--license", help="Licence of the pictures: an SPDX identifier, or an address. Default: unknown."
        ),
    ] = None,
    options: FlatCheck = CHECK_DEFAULTS,
    json: Json = False,
) -> None:
    """Write the checked set back out: split, each picture once, unreadable files left out.

    With it come a README, `dataset.json`, and `croissant.json`, by which other tools read it.
    """
    from thawline.view.dataset_text import export_text

    exported = thawline.export_data(
        photos,
        out,
        options=options,
        form=form,
        held_out=held_out,
        licence=licence,
        replace=replace,
        progress=progress_for_stderr(),
    )
    if json:
        say_json({"out": str(exported.out), **exported.card})
    else:
        say(f"{export_text(exported.card)}\n\n  {exported.out}")
