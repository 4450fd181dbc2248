"""A loaded model, a form -> the file or folder of that form, proved before it is put in its place.

One idea: it is made in a folder of our own, opened as anyone would open it, and shown every golden picture. Only then
is it renamed into place; what does not pass leaves nothing but the difference, in words.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thawline.core.errors import BundleError, StoreError, UsageError
from thawline.core.owned import Marker, measure, read_marker, write_marker
from thawline.core.store import disk_errors, replace_directory, staging_directory, sweep_staging
from thawline.use.exports.coreml_package import write_coreml
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.int8 import INT8_KEY, Int8Facts
from thawline.use.exports.int8_file import write_onnx_int8
from thawline.use.exports.kinds import WITH_NEIGHBOURS, ExportKind, kind_named
from thawline.use.exports.onnx_file import write_onnx, write_onnx_tensor
from thawline.use.exports.open_export import Opened, opened
from thawline.use.exports.openvino_folder import write_openvino
from thawline.use.exports.proof import Proof, prove
from thawline.use.exports.sealed_folder import is_sealed_folder, size_of
from thawline.use.exports.timm_folder import write_timm
from thawline.use.exports.web import write_web
from thawline.use.model_place import EXPORTS
from thawline.use.neighbours import is_neighbours_file, neighbours_path
from thawline.use.onnx_facts import MAX_FILE_BYTES, is_sealed

__all__ = ["Exported", "write_export"]

Writer = Callable[[ExportSource, Path], None]

WRITERS: dict[str, Writer] = {
    "onnx": write_onnx,
    "onnx-int8": write_onnx_int8,
    "onnx-tensor": write_onnx_tensor,
    "openvino": write_openvino,
    "coreml": write_coreml,
    "timm": write_timm,
    "web": write_web,
}
"""What writes each kind into a place of our own that is empty; folders end with `seal_folder`."""


@dataclass(frozen=True)
class Exported:
    """What was written, and how exact it is.

    Attributes:
        kind: By its name in `KINDS`.
        path: The file or folder.
        size_bytes: Of all its files.
        max_difference: Largest difference from the model folder's answers to golden pictures.
        agreement: Share of the golden pictures that get the same class.
        num_golden: Golden pictures.
        note: What could not be checked here, as a sentence; else empty.
        words: What else is to be said of it, for people; empty where nothing is.
        details: The same as plain data.
        num_neighbours: Training pictures that lie next to it, for everybody to see who gets them.
    """

    kind: str
    path: Path
    size_bytes: int
    max_difference: float
    agreement: float
    num_golden: int
    note: str = ""
    words: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    num_neighbours: int = 0


def write_export(source: ExportSource, kind: ExportKind | str, *, place: Path) -> Exported:
    """Write a model in one form and return how exact it is.

    Args:
        source: The model.
        kind: The form, or its name.
        place: The file or folder; an older export there is replaced. In the folder of exports of a run it is noted in
            the run's marker as ours.

    Raises:
        BundleError: The model has no such form, or the form answers otherwise; nothing is written.
        UsageError: What it needs is not installed, or a folder stands where a file belongs.
        StoreError: The disk is full or cannot be written, or what stands at `place` is not ours; it stays.
    """
    kind = kind_named(kind) if isinstance(kind, str) else kind
    kind.require_installed()
    _require_own(place, kind)
    with disk_errors("export", place):
        place.parent.mkdir(parents=True, exist_ok=True)
        sweep_staging(place.parent)
        with staging_directory(place.parent) as staged:
            made = staged / kind.place
            WRITERS[kind.name](source, made)
            with source.progress.stage("prove"):
                export = opened(made, pictures=source.bundle.directory)
                try:
                    proof = _proved(export, kind)
                finally:
                    export.close()
            size = size_of(made)
            num_neighbours = _put_neighbours(source, kind, staged=staged, place=place)
            _put(made, place, kind)
    own = _int8_facts(export)
    return Exported(
        kind.name,
        place,
        size,
        proof.max_difference,
        proof.agreement,
        proof.num_pictures,
        export.note,
        "" if own is None else own.words(),
        {} if own is None else own.model_dump(),
        num_neighbours,
    )


def _int8_facts(export: Opened) -> Int8Facts | None:
    """Return what a file in 8 bits says of itself; None of any other form."""
    text = getattr(export.model, "metadata", {}).get(INT8_KEY)
    return None if text is None else Int8Facts.model_validate_json(text)


def _require_own(place: Path, kind: ExportKind) -> None:
    """Refuse to replace anything but an export as it was written."""
    beside = neighbours_path(place)
    with disk_errors("export", place):
        if kind.name in WITH_NEIGHBOURS and os.path.lexists(beside) and not is_neighbours_file(beside):
            raise StoreError(
                f"export: {beside} stands there and is not a file as `thawline export` writes it. Choose another place "
                "with -o, or move it away."
            )
        if not os.path.lexists(place):
            return
        facts = place.lstat()
        if not kind.is_folder and stat.S_ISDIR(facts.st_mode):
            raise UsageError(f"export: {place} is a folder; a file is required. Name it, such as {place / kind.place}.")
        if stat.S_ISDIR(facts.st_mode):
            is_ours = is_sealed_folder(place)
        else:
            is_small = stat.S_ISREG(facts.st_mode) and facts.st_size <= MAX_FILE_BYTES
            is_ours = is_small and not kind.is_folder and is_sealed(place.read_bytes())
    if not is_ours:
        what = "folder" if kind.is_folder else "file"
        raise StoreError(
            f"export: {place} stands there and is not a {what} as `thawline export` writes it. Choose another place "
            "with -o, or move it away."
        )


def _proved(export: Opened, kind: ExportKind) -> Proof:
    """Return how far an export is from the model folder; refuses one that is too far off."""
    golden = export.golden
    proof = prove(export.model, golden.pictures, allowed=golden.allowed, least_agreement=golden.least_agreement)
    if not proof.passed:
        raise BundleError(
            f"export --to {kind.name}: it does not answer as the model folder does: {proof.words()}. Nothing was "
            "written: predict with the folder, or choose another form."
        )
    return proof


def _put_neighbours(source: ExportSource, kind: ExportKind, *, staged: Path, place: Path) -> int:
    """Put training pictures next to where an export belongs, or take away older ones; returns how many lie there."""
    if kind.name not in WITH_NEIGHBOURS:
        return 0
    beside, known = neighbours_path(place), source.neighbours
    if known is not None:
        made = staged / beside.name
        made.write_bytes(known.content)
        with _noted(made, beside):
            made.replace(beside)
        return len(known.labels)
    if beside.is_file():  # it is ours, and belongs to what is replaced now
        beside.unlink()
        _forget(beside)
    return 0


def _put(made: Path, place: Path, kind: ExportKind) -> None:
    """Rename a finished export into its place; a marker of the run that it lies in says that it is ours."""
    with _noted(made, place):
        if kind.is_folder:
            replace_directory(made, place, require=lambda older: _require_own(older, kind))
            return
        with made.open("rb") as file:
            os.fsync(file.fileno())
        made.replace(place)


def _forget(gone: Path) -> None:
    """Take a file that is gone off the marker of its run."""
    run = gone.parent.parent
    marker = read_marker(run) if gone.parent.name == EXPORTS else None
    if marker is not None:
        kept = {name: forms for name, forms in marker.files.items() if name != f"{EXPORTS}/{gone.name}"}
        write_marker(run, Marker(marker.kind, marker.of, kept))


@contextmanager
def _noted(made: Path, place: Path) -> Iterator[None]:
    """Note an export in the marker of its run: before it is there and, without what it replaced, afterwards."""
    run = place.parent.parent
    marker = read_marker(run) if place.parent.name == EXPORTS else None
    if marker is None:
        yield
        return
    below = f"{EXPORTS}/{place.name}"
    files = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
    new = {f"{below}/{name}": written for name, written in measure(made, files).items()}
    if made.is_file():
        new = {below: measure(made.parent, [made.name])[made.name]}
    write_marker(run, marker.with_files(new))
    yield
    kept = {name: forms for name, forms in marker.files.items() if name != below and not name.startswith(f"{below}/")}
    write_marker(run, Marker(marker.kind, marker.of, kept).with_files(new))
