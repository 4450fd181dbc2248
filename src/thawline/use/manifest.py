"""A model folder -> its manifest, after every file of the folder was compared with it.

One idea: nothing is read before it is checked. First the list of files, links refused; then `manifest.json` as strict
JSON, sealed with the hash of its content; then the hash of every other file.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from thawline.core.errors import BundleError, StoreError, first_few
from thawline.core.store import disk_errors, file_sha256
from thawline.use.doubt import Doubt
from thawline.use.network_facts import BackboneFacts, InputFacts, NetworkFacts, Sha256, Strict

__all__ = [
    "HEAD_FILE",
    "OUTSIDERS_FILE",
    "PICTURES_FILE",
    "Golden",
    "Manifest",
    "left_behind",
    "read_manifest",
    "require_own_bundle",
    "weight_files",
]

FORMATS = "1 (one network), 2 (several) or 3 (with what the model is not sure of)"
_LEFT_BEHIND = re.compile(
    r"(^|/)(\.DS_Store|\._[^/]*|\.localized|Icon\r|(ehthumbs(_vista)?|thumbs)\.db|desktop\.ini|\.directory|"
    r"(@eaDir|#recycle|\.AppleDouble|__MACOSX)/.*)$",
    re.IGNORECASE,
)
"""Files of macOS, Windows, KDE and network drives: nothing that is loaded has such a name, so they are passed over."""

HEAD_FILE, PICTURES_FILE, OUTSIDERS_FILE = "head.safetensors", "pictures.safetensors", "outsiders.safetensors"

FileName = Annotated[str, Field(pattern=r"^(golden/)?[a-z0-9][a-z0-9_.-]*$", max_length=80)]


class Golden(Strict):
    """A picture of the bundle and the answer that it must get.

    Attributes:
        file: Its name in the folder.
        probabilities: K of them, in the order of the classes.
        outside: How strange it looks; None where the model does not know, and in folders of earlier versions.
    """

    file: FileName
    probabilities: list[float]
    outside: float | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what an older folder does not have: its seal is that of what it holds."""
        facts: dict[str, Any] = dump(self)
        return {name: value for name, value in facts.items() if name != "outside" or value is not None}


class Manifest(Strict):
    """Everything about a bundle that is not a tensor.

    Attributes:
        format: Version of this layout: 1 with one network, 2 with several, 3 where it says when the model abstains.
        thawline: Version of the program that wrote it.
        class_names: K names in the order of the outputs.
        strategy: Name of the strategy.
        backbone: The network, or the first of several.
        input: Its input preparation.
        further: The other networks, in the order of their cuts; None where there is one.
        compute: Number format of the network, in training and here.
        storage: Number format that features are rounded to.
        blocks: (cut, pooling) pairs that the head reads, in order; cuts are numbered on from network to network.
        temperature: Divides the logits.
        doubt: When the model abstains; None in formats 1 and 2, which answer always.
        num_pictures: Pictures that the head was trained on.
        images_key: Hash of the data set's pictures.
        files: Name → SHA-256 of every other file.
        golden: Pictures with their answers.
        provenance: Versions, seed, options: for people.
        seal: SHA-256 of all of the above.
    """

    format: Literal[1, 2, 3]
    thawline: str
    class_names: list[str] = Field(min_length=2, repr=False)
    strategy: str
    backbone: BackboneFacts
    input: InputFacts
    further: Annotated[list[NetworkFacts], Field(min_length=1)] | None = None
    compute: Literal["float32", "bfloat16", "float16"]
    storage: Literal["float16", "float32"]
    blocks: list[tuple[int, str]] = Field(min_length=1, repr=False)
    temperature: Annotated[float, Field(gt=0)]
    doubt: Doubt | None = None
    num_pictures: Annotated[int, Field(ge=0)]
    images_key: Sha256
    files: dict[FileName, Sha256] = Field(repr=False)
    golden: list[Golden] = Field(min_length=1, repr=False)
    provenance: dict[str, Any] = Field(repr=False)
    seal: Sha256

    @property
    def networks(self) -> tuple[NetworkFacts, ...]:
        """All networks, in the order of their cuts."""
        return (NetworkFacts(backbone=self.backbone, input=self.input), *(self.further or ()))

    @model_validator(mode="after")
    def _of_its_format(self) -> Manifest:
        if (self.format == 3) != (self.doubt is not None):
            raise ValueError("format 3 alone says when the model abstains")
        if self.format < 3 and (self.format == 2) != (self.further is not None):
            raise ValueError("format 1 has one network and format 2 has several")
        return self

    @model_serializer(mode="wrap")
    def _without_none(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what there is none of: a model of one network that answers always is kept as it always was."""
        facts: dict[str, Any] = dump(self)
        return {name: value for name, value in facts.items() if name not in ("further", "doubt") or value is not None}

    def sealed(self) -> Manifest:
        """Return this manifest with the seal that belongs to it."""
        content = self.model_dump_json(exclude={"seal"})
        return self.model_copy(update={"seal": hashlib.sha256(content.encode()).hexdigest()})


def weight_files(networks: Sequence[NetworkFacts]) -> tuple[str, ...]:
    """Return the file with the weights of each network; those that have the same weights share one."""
    digests = list(dict.fromkeys(network.backbone.weights_sha256 for network in networks))
    names = ["backbone.safetensors", *(f"backbone-{number}.safetensors" for number in range(2, len(digests) + 1))]
    return tuple(names[digests.index(network.backbone.weights_sha256)] for network in networks)


def read_manifest(directory: Path) -> Manifest:
    """Return the manifest of a model folder after comparing every file with it; tensors and pictures stay unread.

    Raises:
        BundleError: A file is missing, altered, unknown, unreadable or a link; or the manifest is not what was written.
    """
    names = _list_files(directory)
    manifest = _read(directory)
    _verify_files(directory, manifest, names)
    return manifest


def require_own_bundle(directory: Path, *, doing: str = "write the model", older: bool = False) -> None:
    """Refuse to replace a model folder that holds anything but a model as Thawline wrote it.

    Args:
        directory: What stands where a model is to be written.
        doing: Names the operation in errors.
        older: Whether the manifest may be one of an older version, which cannot prove itself.

    Raises:
        StoreError: Says what was found.
    """
    if foreign := _foreign(directory, older=older):
        raise StoreError(
            f"{doing}: {directory} would be replaced, and holds {first_few(foreign, 5)}. Choose another place with -o, "
            "or move that away."
        )


def _foreign(directory: Path, *, older: bool) -> list[str]:
    """Return what is not ours in the place of a model, each with why."""
    if not stat.S_ISDIR(directory.lstat().st_mode):
        return [f"{directory.name} (no folder that Thawline made)"]
    with disk_errors("read the model", directory):
        try:
            files = dict(json.loads((directory / "manifest.json").read_bytes())["files"])
        except FileNotFoundError:
            files = {}
        except (ValueError, KeyError, TypeError, RecursionError):
            return ["manifest.json (damaged, or not written by Thawline)"]
        kept = [path.relative_to(directory).as_posix() for path in left_behind(directory)]
        folders = {str(parent) for name in (*files, *kept) for parent in PurePosixPath(name).parents}
        found = []
        for path in sorted(set(directory.rglob("*")) - {directory / name for name in kept}):
            name, mode = path.relative_to(directory).as_posix(), path.lstat().st_mode
            if name == "manifest.json" and files:
                try:
                    _read(directory)
                except BundleError:
                    found += [] if older else [f"{name} (changed since it was written, or of another version)"]
            elif name in files and stat.S_ISREG(mode):
                found += [] if file_sha256(path) == files[name] else [f"{name} (changed since it was written)"]
            elif name not in folders or not stat.S_ISDIR(mode):
                found.append(f"{name} (not written by Thawline)")
    return found


def left_behind(directory: Path) -> list[Path]:
    """Return the files that a system has left in a model folder; whoever replaces the folder takes them along."""
    files = [path for path in directory.rglob("*") if stat.S_ISREG(path.lstat().st_mode)]
    return [path for path in files if _LEFT_BEHIND.search(path.relative_to(directory).as_posix())]


def _list_files(directory: Path) -> set[str]:
    """Return the names of all files in the folder but those that a system leaves wherever it has been.

    What is neither a file nor a folder is refused, links included.
    """
    with _readable(directory):
        modes = {path.relative_to(directory).as_posix(): path.lstat().st_mode for path in directory.rglob("*")}
    others = sorted(name for name, mode in modes.items() if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode))
    if others:
        raise BundleError(
            f"load {directory}: {first_few(others)}: a link or device where a file is required. Copy the bundle "
            "with its contents: cp -rL."
        )
    names = {name for name, mode in modes.items() if stat.S_ISREG(mode) and not _LEFT_BEHIND.search(name)}
    if "manifest.json" not in names:
        raise BundleError(
            f"load {directory}: there is no manifest.json. Name the `model` folder that `thawline fit` wrote."
        )
    return names


def _read(directory: Path) -> Manifest:
    """Return the content of `manifest.json`; refuses wrong types, unknown keys and a wrong seal."""
    with _readable(directory):
        content = (directory / "manifest.json").read_bytes()
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, item['loc'])) or 'all of it'}: {item['msg']}" for item in error.errors()]
        raise BundleError(
            f"load {directory}: manifest.json does not describe a bundle of format {FORMATS}: {first_few(wrong, 3)}. "
            "It was altered, or written by another version. Copy the bundle again."
        ) from None
    if manifest != manifest.sealed():
        raise BundleError(f"load {directory}: manifest.json is not what was written. Copy the bundle again.")
    return manifest


def _verify_files(directory: Path, manifest: Manifest, names: set[str]) -> None:
    """Refuse files that are missing, altered or not named by the manifest."""
    required = {
        *weight_files(manifest.networks),
        HEAD_FILE,
        PICTURES_FILE,
        *([OUTSIDERS_FILE] if manifest.doubt and manifest.doubt.read_from else []),
        *(picture.file for picture in manifest.golden),
    }
    unknown = sorted((names | set(manifest.files)) - required - {"manifest.json"})
    missing = sorted(name for name in required if name not in names or name not in manifest.files)
    if unknown or missing:
        problems = [f"unknown file {name}" for name in unknown] + [f"missing file {name}" for name in missing]
        raise BundleError(f"load {directory}: {first_few(problems)}. Copy the bundle again, whole and nothing else.")
    with _readable(directory):
        altered = sorted(name for name, digest in manifest.files.items() if file_sha256(directory / name) != digest)
    if altered:
        raise BundleError(
            f"load {directory}: {first_few(altered)}: the contents are not what the manifest says. Copy the bundle "
            "again."
        )


@contextmanager
def _readable(directory: Path) -> Iterator[None]:
    """Turn an error of the disk into a `BundleError`."""
    try:
        yield
    except OSError as error:
        raise BundleError(
            f"load {error.filename or directory}: cannot be read: {error.strerror}. Allow reading, or copy the bundle "
            "again."
        ) from None
