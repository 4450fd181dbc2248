"""A run's folder: refused before any work if something in it would be lost, and its results put there together.

One idea: results are made in a folder of our own and renamed into place at the end, so that a full disk or a refusal
leaves the older run whole. A marker says what Thawline wrote there; everything else in the folder stays as it is.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from pydantic import TypeAdapter

from thawline.core import locks
from thawline.core.errors import DataError, StoreError, UsageError, first_few
from thawline.core.owned import Marker, Written, contains, foreign_names, measure, read_marker, write_marker
from thawline.core.store import disk_errors, restore_directory, staging_directory, sweep_staging, write_bytes
from thawline.train.checkpoint import remove_checkpoints
from thawline.use.bundle import replace_bundle
from thawline.use.manifest import require_own_bundle
from thawline.use.model_place import EXPORTS
from thawline.view.render import PAGE_TITLE
from thawline.work.fed_back import TABLES, fed_back, refuse_lost_corrections
from thawline.work.order import Order

__all__ = [
    "FIGURES",
    "MODEL",
    "WORK",
    "at_work",
    "commit_results",
    "forget_work",
    "read_order",
    "require_place",
    "write_order",
]

WORK, REQUEST, LOCK, MODEL = ".thawline-work", "request.json", "lock", "model"
KIND = "run"
ORDER = TypeAdapter(Order)

OLDER_RESULTS = {
    "report.html": PAGE_TITLE,
    "report.json": '"class_names"',
    "leaderboard.json": '"trials"',
    "leaderboard.csv": "rank,strategy,kind,",
    "history.csv": "strategy,kind,epoch,",
    "comparison.csv": "row,does,origin,",
    "ledger.csv": "path,",
    "suspects.csv": "path,label,suggested,",
    "learning_curve.json": '"points"',
    "metrics.json": '"accuracy"',
    "predictions.csv": "path,part,label,predicted,",
    "model_card.md": "library_name: thawline",
    "corrections.csv": "path,label,suggested,",
    "run.json": '"thawline"',
}
"""Every file of a run that is not of its model, and text by which that of an older version is recognised."""
FIGURES = "figures"
"""Folder of figures, whose files depend on what there was to draw."""


def require_place(out: Path, order: Order, *, replace: bool = False) -> None:
    """Refuse a folder of results in which something would be lost, that cannot be written, or inside the pictures.

    What Thawline wrote there for the same pictures and the same kind of run is replaced without a question. What it
    wrote for others, and what an older version wrote, needs `replace`. What somebody else wrote is never replaced; it
    stays where it is, unless a result would have its name.

    Raises:
        DataError: It lies inside the pictures, where the next run would take it for one of their folders.
        StoreError: It cannot be written, or holds what would be lost.
    """
    folder = order.photos.folder
    if folder is not None and out.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            f"fit: the run's folder {out} lies inside the pictures {order.photos}, where the next run would take it "
            "for one of their folders. Choose another place with -o."
        )
    with disk_errors("write results", out):
        _require_own(out, order, replace=replace)
    missing = [place for place in (out, *out.parents) if not place.exists()]
    try:
        with disk_errors("write results", out), staging_directory(out):
            pass
        for place in missing:  # a run that is refused later leaves nothing behind
            place.rmdir()
    except FileNotFoundError:  # a place such as /proc, in which nothing can be made
        raise StoreError(f"write results: {out} cannot be made. Choose another place with -o.") from None


def _require_own(out: Path, order: Order, *, replace: bool) -> None:
    """Refuse what would be lost in a folder of results."""
    marker, present = read_marker(out), [name for name in OLDER_RESULTS if os.path.lexists(out / name)]
    if os.path.lexists(out / MODEL):
        require_own_bundle(out / MODEL, doing="write results", older=replace)
        present.append(f"{MODEL}/")
    if marker is None:
        _require_older_run(out, present, replace=replace)
        return
    ours = marker.with_files(fed_back(out, order)).files
    if foreign := foreign_names(out, ours, below=(*OLDER_RESULTS, FIGURES)):
        raise StoreError(
            f"write results: {out} holds {first_few(foreign, 5)}, and results of those names would replace it. Choose "
            f"another place with -o, or move that away.{_feed_back_hint(out, foreign)}"
        )
    if marker.kind != KIND or (dict(marker.of) != _made_of(order) and not replace):
        raise StoreError(
            f"write results: {out} holds a run of {marker.of.get('command', 'another kind')} on "
            f"{marker.of.get('pictures', 'other pictures')}, and this is {_command(order)} on {order.photos.title}. "
            "Choose another place with -o, or pass --replace to have that run replaced."
        )
    if not replace:
        refuse_lost_corrections(out, order)


def _feed_back_hint(out: Path, foreign: Sequence[str]) -> str:
    """Return how a table of corrections that was edited is used, where there is one."""
    edited = [name for name in TABLES if any(item.startswith(name) for item in foreign)]
    return f" To use {edited[0]} as it is now, pass --corrections {out / edited[0]}." if edited else ""


def _require_older_run(out: Path, present: Sequence[str], *, replace: bool) -> None:
    """Refuse results that no marker proves, unless they may be replaced and are like those of an older version."""
    strange = [
        name for name in present if name in OLDER_RESULTS and not contains(out / name, OLDER_RESULTS[name].encode())
    ]
    strange += [FIGURES] * os.path.lexists(out / FIGURES)  # no version without a marker wrote any
    if strange:
        raise StoreError(
            f"write results: {out} holds {first_few(strange)} (not written by Thawline), and results of those names "
            "would replace it. Choose another place with -o, or move that away."
        )
    if present and not replace:
        raise StoreError(
            f"write results: {out} holds {first_few(present)}, and no marker proves that Thawline wrote it. Choose "
            "another place with -o; or pass --replace if it is a run of an older version that may be replaced."
        )


def _command(order: Order) -> str:
    """Return what kind of run an order is, as a person would call it."""
    if order.expectations.name:
        return f"recipe {order.expectations.name}"
    return "tune" if order.rows and order.budget_s is None else "fit"


def _made_of(order: Order) -> dict[str, str]:
    """Return what tells a run from another one of the same folder: the place of its pictures, and the kind of run."""
    return {"command": _command(order), "pictures": order.photos.title, "place": order.photos.key}


@contextmanager
def at_work(out: Path, order: Order, *, key: str) -> Iterator[None]:
    """Write down what a run was asked for, and keep other runs out of its folder until it ends.

    Raises:
        StoreError: Another run is at work there, or the folder cannot be written.
    """
    lock = out / WORK / LOCK
    with disk_errors("write results", out):
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor: int | None = locks.take(lock, create=True)
        except (BlockingIOError, FileNotFoundError):
            raise StoreError(
                f"write results: another run is at work in {out}. Wait for its end, or choose another place with -o."
            ) from None
        except locks.NoLocksError:
            descriptor = None
    try:
        with disk_errors("write results", out):
            restore_directory(out / MODEL)
        sweep_staging(out)
        _mark(out, order)
        write_order(out, order, key=key)
        yield
    finally:
        with suppress(OSError):
            locks.release(lock, descriptor)
            lock.parent.rmdir()  # unless the run can go on from there


def _mark(out: Path, order: Order) -> None:
    """Write the folder's marker: whose run this is now, and what of an older one lies there."""
    marker, of = read_marker(out), _made_of(order)
    if marker is None:
        files = measure(out, [name for name in OLDER_RESULTS if (out / name).is_file()])
        write_marker(out, Marker(KIND, of).with_files(files))
    elif dict(marker.of) != of:
        write_marker(out, Marker(KIND, of, marker.files))


def write_order(out: Path, order: Order, *, key: str) -> None:
    """Write down what a run was asked for, so that it can be resumed; training runs of other orders are removed.

    Args:
        out: Folder of the run.
        order: What is asked for.
        key: Name of the folder of its training runs.

    Raises:
        StoreError: The folder cannot be written.
    """
    for folder in (out / WORK).glob("*"):
        if folder.name != key and re.fullmatch(r"[0-9a-f]{12}", folder.name):
            remove_checkpoints(folder)
    request = {"work": key, "order": ORDER.dump_python(order.from_anywhere(), mode="json")}
    write_bytes(out / WORK / REQUEST, json.dumps(request, indent=2).encode())  # names may be no text at all: ASCII


def read_order(out: Path) -> tuple[Order, str]:
    """Return what a run that was cut off was asked for, and the name of the folder of its training runs.

    Raises:
        StoreError: There is no such run, or it is done.
    """
    path = out / WORK / REQUEST
    try:
        request = json.loads(path.read_text(encoding="utf-8"))
        return ORDER.validate_python(request["order"]), str(request["work"])
    except (FileNotFoundError, NotADirectoryError):
        is_done = (out / "run.json").exists()
        reason = "that run is done" if is_done else "no run was started there"
        raise StoreError(
            f"resume: {path} does not exist: {reason}. Start one: thawline tune PHOTOS -o {out} --plan all."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
        raise StoreError(
            f"resume: {path} cannot be read ({type(error).__name__}). Start the run again from its command."
        ) from None


def commit_results(
    out: Path, staged: Path, *, replace: bool = False, read: Mapping[str, Written] = MappingProxyType({})
) -> None:
    """Rename finished results to their places, `run.json` last, and remove what an older run had and this one has not.

    Exports of the older model are removed too.

    Args:
        out: Folder of the run.
        staged: Holds `model/` and the other results, on the same file system.
        replace: As in `require_place`.
        read: Tables of corrections in the folder as the run read them, edited by a person: they may be replaced.

    Raises:
        StoreError: Somebody has put or changed something there during the run; nothing was replaced.
    """
    marker = read_marker(out)
    if marker is None:
        raise StoreError(f"write results: {out} lost its marker while the run was at work. Run the same command again.")
    drawn = sorted(path.relative_to(staged).as_posix() for path in (staged / FIGURES).glob("*"))
    names = [*drawn, *(name for name in OLDER_RESULTS if (staged / name).is_file())]  # `run.json` last
    marker = marker.with_files(read)
    new = measure(staged, names)
    with disk_errors("write results", out):
        if foreign := foreign_names(out, marker.files, below=(*OLDER_RESULTS, FIGURES)):
            raise StoreError(
                f"write results: while the run was at work, {first_few(foreign, 5)} came into {out}. Move that away, "
                "and run the same command again: what was trained is kept."
            )
        write_marker(out, marker.with_files(new))
        replace_bundle(staged / MODEL, out / MODEL, doing="write results", older=replace)
        if drawn:
            (out / FIGURES).mkdir(exist_ok=True)
        for name in names:
            (staged / name).replace(out / name)
        exports = {name: forms for name, forms in marker.files.items() if name.startswith(f"{EXPORTS}/")}
        for name in set(marker.files) - set(new) - set(exports):
            (out / name).unlink(missing_ok=True)
        _remove_exports(out, exports)
        if not drawn:
            with suppress(OSError):  # there is none, or somebody put something into it
                (out / FIGURES).rmdir()
    write_marker(out, Marker(marker.kind, marker.of).with_files(new))


def _remove_exports(out: Path, exports: Mapping[str, tuple[Written, ...]]) -> None:
    """Remove what was exported of the model that another has just replaced; what a person changed or added stays.

    Args:
        out: Folder of the run.
        exports: Files of exports below it, as they were written.
    """
    for name, forms in exports.items():
        is_linked = any((out / parent).is_symlink() for parent in PurePosixPath(name).parents)
        if not is_linked and not foreign_names(out, {name: forms}, below=[name]):
            (out / name).unlink(missing_ok=True)
    folders = {str(parent) for name in exports for parent in PurePosixPath(name).parents} - {"."}
    for folder in sorted(folders, key=len, reverse=True):
        with suppress(OSError):  # there is none, or somebody put something into it
            (out / folder).rmdir()


def forget_work(out: Path, key: str) -> None:
    """Remove what was kept for going on with a run."""
    remove_checkpoints(out / WORK / key)
    (out / WORK / REQUEST).unlink(missing_ok=True)
