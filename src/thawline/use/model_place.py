"""What a person names as a model -> where its forms lie; and the lightest of them, opened.

One idea: a run's folder is a model. In it lie `model/`, complete and verified, and perhaps `exports/`; an exported file
of the same model answers alike and needs no torch, so it is taken where it is there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from thawline.core.errors import BundleError
from thawline.use.answer import Answering

__all__ = [
    "EXPORTS",
    "INT8_FILE",
    "MODEL",
    "ONNX_FILE",
    "TENSOR_FILE",
    "ModelPlace",
    "exported_file",
    "find_model",
    "open_model",
]

MODEL, EXPORTS = "model", "exports"
ONNX_FILE, INT8_FILE, TENSOR_FILE = "model.onnx", "model-int8.onnx", "model-tensor.onnx"
LIGHT = frozenset({"auto", "cpu"})
"""Devices for which an exported file will do."""


@dataclass(frozen=True)
class ModelPlace:
    """Where the forms of one model lie.

    Attributes:
        named: What the person named.
        run: Folder of the run, or None where a model alone is named.
        folder: The model folder, or None where an exported file alone is named.
        onnx: An exported ONNX file of the same model that is there, or None.
    """

    named: Path
    run: Path | None
    folder: Path | None
    onnx: Path | None

    @property
    def exports(self) -> Path:
        """Folder that exports of the model belong in: of its run, else next to the model folder."""
        if self.run is not None:
            return self.run / EXPORTS
        return (self.folder or self.named).resolve().parent / EXPORTS


def find_model(named: Path | str) -> ModelPlace:
    """Return where the forms of a model lie; nothing is verified yet.

    Args:
        named: Folder of a run, a model folder, or an exported ONNX file.

    Raises:
        BundleError: Nothing of the kind stands there.
    """
    path = Path(named)
    if path.is_file() and path.name != "manifest.json":
        return ModelPlace(path, None, None, path)
    if path.name == "manifest.json" and path.is_file():
        path = path.parent
    if (path / MODEL / "manifest.json").is_file():
        return ModelPlace(path, path, path / MODEL, exported_file(path / EXPORTS, path / MODEL))
    if (path / "manifest.json").is_file():
        return ModelPlace(path, None, path, None)
    if not path.exists():
        reason = "no such file or folder"
    elif path.is_dir():
        reason = f"neither a run (it has no {MODEL}/manifest.json) nor a model folder (it has no manifest.json)"
    else:
        reason = "neither a file nor a folder"
    raise BundleError(
        f"load {path}: {reason}. Name the folder of a run that `thawline fit` wrote, its model folder, or an .onnx "
        "file that `thawline export` wrote."
    )


def exported_file(exports: Path, folder: Path) -> Path | None:
    """Return an ONNX file of a model that lies in a folder of exports, the quickest of them; None where none is there.

    Args:
        exports: The folder of exports.
        folder: The model folder.
    """
    seal = _seal(folder)
    return next((exports / name for name in (TENSOR_FILE, ONNX_FILE) if _is_of(exports / name, seal)), None)


def open_model(named: Path | str | ModelPlace, *, device: str = "auto", num_threads: int | None = 1) -> Answering:
    """Return a model that answers: from an exported file of it where that will do, without torch, else from its folder.

    Args:
        named: As in `find_model`, or what it returned.
        device: Where the network runs; anything but `auto` and `cpu` needs the folder.
        num_threads: As in `open_onnx`; one suits many pictures, which go through in a stream a processor.

    Raises:
        BundleError: As `find_model`; or the model is damaged or altered.
        UsageError: This machine does not have the device.
    """
    place = named if isinstance(named, ModelPlace) else find_model(named)
    if place.onnx is not None and (device in LIGHT or place.folder is None):
        from thawline.use.onnx_model import open_onnx

        return open_onnx(place.onnx, num_threads=num_threads)
    from thawline.use.bundle import load_bundle

    return load_bundle(place.folder or place.named, device=device).classifier


def _seal(folder: Path) -> str | None:
    """Return the seal of a model folder's manifest, or None where it cannot be read: opening it will say why."""
    try:
        return str(json.loads((folder / "manifest.json").read_bytes())["seal"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_of(file: Path, seal: str | None) -> bool:
    """Return whether an exported file is there and was made of the model with this seal."""
    return seal is not None and file.is_file() and seal.encode() in file.read_bytes()
