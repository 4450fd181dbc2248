"""An exported file or folder -> a model that answers, and the golden pictures that it carries.

One idea: whatever form it has, it is opened after it was proven whole, and answers as every other form does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from thawline.core.errors import BundleError
from thawline.use.answer import Answering
from thawline.use.exports.golden import GoldenSet, golden_from_text, read_golden
from thawline.use.exports.in_browser import BrowserModel, why_no_browser
from thawline.use.exports.sealed_folder import FolderFacts, read_folder
from thawline.use.exports.web_golden import read_bare_golden
from thawline.use.model_place import MODEL, ONNX_FILE
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
        note: What cannot be checked here, as a sentence; else empty.
        runs_here: Whether this process computes the answers, so that its memory is theirs.
    """

    kind: str
    model: Answering
    facts: OnnxFacts
    golden: GoldenSet
    note: str = ""
    runs_here: bool = True

    def close(self) -> None:
        """Let go of what the model holds open, such as a browser."""
        if isinstance(self.model, BrowserModel):
            self.model.close()


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


def opened(path: Path | str, *, num_threads: int | None = None, pictures: Path | None = None) -> Opened:
    """Return an export of any kind with all that it carries; as `open_export` otherwise.

    A folder for the browser is opened in one where there is one here; whoever is done with it calls `close`.

    Args:
        path: The file or folder.
        num_threads: As in `open_export`.
        pictures: Model folder whose golden pictures a folder for the browser is proved by, since it carries none; None:
            that of the run that it lies in.

    Raises:
        BundleError: As `open_export`, or it was written before exports carried golden pictures.
        UsageError: As `open_export`.
    """
    place = Path(path)
    if place.is_dir():
        own = read_folder(place)
        if own.kind == "web":
            return _opened_web(place, own, pictures=pictures)
        golden = read_golden(place)
        return Opened(own.kind, _open_folder(place, own, num_threads=num_threads), own.facts, golden)
    model = open_onnx(place, num_threads=num_threads)
    if GOLDEN_KEY not in model.metadata:
        raise BundleError(
            f"verify {place}: it was written by an older version and carries no golden pictures. Export it again."
        )
    golden = golden_from_text(model.metadata[GOLDEN_KEY], name=str(place))
    return Opened(golden.kind, model, model.facts, golden)


def _opened_web(folder: Path, own: FolderFacts, *, pictures: Path | None) -> Opened:
    golden = read_bare_golden(folder, own.facts, model=pictures or folder.resolve().parent.parent / MODEL)
    if reason := why_no_browser():
        model = _open_folder(folder, own, num_threads=None)
        note = f"its files are whole and its model answers outside a browser; its page was not tried: {reason}"
        return Opened(own.kind, model, own.facts, golden, note)
    return Opened(own.kind, BrowserModel(folder, own.facts), own.facts, golden, runs_here=False)


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
    if own.kind == "web":
        file = next(name for name in own.files if name.endswith(f"/{ONNX_FILE}"))
        return open_onnx(folder / file, num_threads=num_threads)
    raise BundleError(f"load {folder}: this version knows no export of the kind {own.kind!r}. Update Thawline.")
