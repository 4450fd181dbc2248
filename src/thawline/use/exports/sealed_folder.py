"""An exported folder -> its facts, after every file was compared with what was written.

One idea: `export.json` names every file with its hash and is sealed with its own, so that a folder can be proven ours,
and whole, wherever it was copied.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from thawline.core.errors import BundleError, first_few
from thawline.core.store import file_sha256, write_json
from thawline.use.manifest import left_behind
from thawline.use.network_facts import Sha256, Strict
from thawline.use.onnx_facts import OnnxFacts

__all__ = ["FOLDER_FILE", "FolderFacts", "folder_kind", "is_sealed_folder", "read_folder", "seal_folder", "size_of"]

FOLDER_FILE = "export.json"


class FolderFacts(Strict):
    """Content of `export.json`.

    Attributes:
        kind: Of the export, by its name in `KINDS`.
        facts: What it says of the model.
        files: Path below the folder, with slashes → SHA-256 of every other file.
        seal: SHA-256 of all of the above.
    """

    kind: str
    facts: OnnxFacts
    files: dict[str, Sha256] = Field(min_length=1, repr=False)
    seal: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    def sealed(self) -> FolderFacts:
        """Return the same with the seal that belongs to it."""
        content = self.model_dump_json(exclude={"seal"})
        return self.model_copy(update={"seal": hashlib.sha256(content.encode()).hexdigest()})


def seal_folder(folder: Path, *, kind: str, facts: OnnxFacts) -> None:
    """Write `export.json` into a finished folder: the last file of it.

    Args:
        folder: With all its other files.
        kind: Of the export, by its name in `KINDS`.
        facts: What it says of the model.
    """
    files = {name: file_sha256(folder / name) for name in sorted(_names(folder)) if name != FOLDER_FILE}
    facts_of_folder = FolderFacts(kind=kind, facts=facts, files=files, seal="0" * 64).sealed()
    write_json(folder / FOLDER_FILE, facts_of_folder.model_dump())


def read_folder(folder: Path) -> FolderFacts:
    """Return what an exported folder says of itself.

    Raises:
        BundleError: It is none, or a file is missing, altered or unknown.
    """
    again = "Export it again."
    try:
        facts = FolderFacts.model_validate_json((folder / FOLDER_FILE).read_bytes())
    except FileNotFoundError:
        raise BundleError(
            f"load {folder}: it has no {FOLDER_FILE}. Name a file or a folder that `thawline export` wrote."
        ) from None
    except (OSError, ValidationError) as error:
        reason = " ".join(str(error).split())[:120]
        raise BundleError(f"load {folder / FOLDER_FILE}: not what `thawline export` wrote: {reason}. {again}") from None
    if facts != facts.sealed():
        raise BundleError(f"load {folder / FOLDER_FILE}: not what `thawline export` wrote: it was altered. {again}")
    names = _names(folder) - {FOLDER_FILE}
    problems = [f"unknown file {name}" for name in sorted(names - set(facts.files))]
    problems += [f"missing file {name}" for name in sorted(set(facts.files) - names)]
    try:
        altered = [name for name in sorted(names & set(facts.files)) if file_sha256(folder / name) != facts.files[name]]
    except OSError as error:
        raise BundleError(f"load {folder}: cannot be read: {error.strerror}. Allow reading.") from None
    problems += [f"altered file {name}" for name in altered]
    if problems:
        raise BundleError(f"load {folder}: {first_few(problems, 5)}. {again}")
    return facts


def is_sealed_folder(folder: Path) -> bool:
    """Return whether a folder is as `thawline export` wrote it, and holds nothing else."""
    try:
        read_folder(folder)
    except BundleError:
        return False
    return True


def folder_kind(folder: Path) -> str | None:
    """Return the kind of export that a folder says it is, by its name in `KINDS`; nothing is verified."""
    try:
        return FolderFacts.model_validate_json((folder / FOLDER_FILE).read_bytes()).kind
    except (OSError, ValidationError):
        return None


def size_of(path: Path) -> int:
    """Return the bytes of an export: of its file, or of all the files of its folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(file.stat().st_size for file in files)


def _names(folder: Path) -> set[str]:
    """Return the names of all in a folder that is no folder, but for what a system leaves."""
    kept = set(left_behind(folder))
    paths = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    return {path.relative_to(folder).as_posix() for path in paths if path not in kept}
