"""An exported file or folder -> a model that answers, and the golden pictures that it carries.

One idea: whatever form it has, it is opened after it was proven whole, and answers as every other form does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from thawline.core.errors import BundleError
from thawline.use.answer import Answering
from thawline.use.exports.golden import GoldenSet, golden_from_text, read_golden
from thawline.use.exports.sealed_folder import FolderFacts, read_folder
from thawline.use.onnx_facts import GOLDEN_KEY, OnnxFacts
from thawline.use.onnx_model import open_onnx

__all__ = ["Opened", "open_export", "opened"]


@dataclass(frozen=True)
class Opened:
    """An export, verified and loaded.

    Attributes:
        kind: By its name in `KINDS`.
        model: That answers.
        facts: What it says of the model.
        golden: What it proves itself by.
    """

    kind: str
    model: Answering
    facts: OnnxFacts
    golden: GoldenSet


def open_export(path: Path | str, *, num_threads: int | None = None) -> Answering:
    """Return the model of an export of any kind.

    Args:
        path: The file or folder.
        num_threads: Of one pass; None takes one a processor.

    Raises:
        BundleError: It is damaged, altered, or none that `thawline export` wrote.
        UsageError: What runs it is not installed, or it cannot run on this machine.
    """
    place = Path(path)
    if place.is_dir():
        return _open_folder(place, read_folder(place), num_threads=num_threads)
    return open_onnx(place, num_threads=num_threads)


def opened(path: Path | str, *, num_threads: int | None = None) -> Opened:
    """Return an export of any kind with all that it carries; as `open_export` otherwise.

    Raises:
        BundleError: As `open_export`, or it was written before exports carried golden pictures.
        UsageError: As `open_export`.
    """
    place = Path(path)
    if place.is_dir():
        own = read_folder(place)
        golden = read_golden(place)
        return Opened(own.kind, _open_folder(place, own, num_threads=num_threads), own.facts, golden)
    model = open_onnx(place, num_threads=num_threads)
    if GOLDEN_KEY not in model.metadata:
        raise BundleError(
            f"verify {place}: it was written by an older version and carries no golden pictures. Export it again."
        )
    golden = golden_from_text(model.metadata[GOLDEN_KEY], name=str(place))
    return Opened(golden.kind, model, model.facts, golden)


def _open_folder(folder: Path, own: FolderFacts, *, num_threads: int | None) -> Answering:
    if own.kind == "openvino":
        from thawline.use.exports.openvino_folder import open_openvino

        return open_openvino(folder, own.facts, num_threads=num_threads)
    if own.kind == "coreml":
        from thawline.use.exports.coreml_package import open_coreml

        return open_coreml(folder, own.facts)
    if own.kind == "timm":
        from thawline.use.exports.timm_folder import open_timm

        return open_timm(folder, own.facts)
    raise BundleError(f"load {folder}: this version knows no export of the kind {own.kind!r}. Update Thawline.")
