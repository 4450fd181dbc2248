"""What a person names as a model -> an exported file of it that a service opens, made where there is none.

One idea: the service itself never loads torch. Where a model is not exported yet, another process does that, and ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from thawline.core.errors import BundleError, UsageError
from thawline.use.model_place import TENSOR_FILE, ModelPlace, exported_file, find_model

__all__ = ["servable"]

KIND = "onnx-tensor"
"""The form that is quickest here: pictures are prepared as in training, by Pillow."""

NEEDED = ("torch", "onnx", "onnxscript")
"""What exporting imports and serving does not."""


@contextmanager
def servable(named: Path | str, *, note: Callable[[str], None]) -> Iterator[ModelPlace]:
    """Yield where a model lies, with an exported file of it; one that was made in a folder of its own goes at the end.

    It is made in the folder of the model's exports, where the next service finds it, or where that cannot be written
    to, in a temporary one.

    Args:
        named: A run, a model folder, or an exported file.
        note: Told that it is exported, before that is done.

    Raises:
        BundleError: Nothing of the kind stands there, or it cannot be exported.
        UsageError: It must be exported, and what that needs is not installed.
    """
    place = find_model(named)
    if place.onnx is None and place.folder is not None:
        place = replace(place, onnx=exported_file(place.exports, place.folder))
    if place.onnx is not None:
        yield place
        return
    _require_exporter(place)
    if _is_writable(place.exports):
        yield _exported(place, place.exports / TENSOR_FILE, note)
    else:
        with tempfile.TemporaryDirectory(prefix="thawline-serve-") as folder:
            yield _exported(place, Path(folder) / TENSOR_FILE, note)


def _require_exporter(place: ModelPlace) -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"serve: {place.named} holds no exported file yet, and making one needs {', '.join(missing)}. Run "
            f"`thawline export {place.named}` where Thawline was installed with `[export]`, and serve what that writes."
        )


def _is_writable(folder: Path) -> bool:
    """Whether a folder can be written to, or made."""
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def _exported(place: ModelPlace, file: Path, note: Callable[[str], None]) -> ModelPlace:
    """Export a model in a process of its own, and return where it lies now."""
    note(f"{place.named} is not exported yet: writing {file}, once")
    file.parent.mkdir(parents=True, exist_ok=True)
    call = [sys.executable, "-P", "-m", "thawline", "export", str(place.folder), "--to", KIND, "-o", str(file)]
    done = subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode or not file.is_file():
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["it ended without a word"]
        raise BundleError(f"serve {place.named}: {said[-1].removeprefix('thawline: ')}")
    return replace(place, onnx=file)
