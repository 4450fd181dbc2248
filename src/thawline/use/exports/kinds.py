"""The forms that a model can be exported in, in one table: what each is, where it lies, what it needs.

One idea: the table is written out, and needs nothing but the standard library, so that listing it is quick.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec

from thawline.core.errors import UsageError
from thawline.use.model_place import INT8_FILE, ONNX_FILE, TENSOR_FILE

__all__ = ["KINDS", "MACOS_ONLY", "WITH_NEIGHBOURS", "ExportKind", "kind_named"]

WITH_NEIGHBOURS = ("onnx", "onnx-tensor")
"""Names of the forms that training pictures may lie next to."""

MACOS_ONLY = "Core ML runs on macOS only, so parity can be checked there only"


@dataclass(frozen=True)
class ExportKind:
    """A form of a model.

    Attributes:
        name: As people name it.
        place: Name of its file or folder in the folder of exports.
        needs: Modules that writing it imports, besides what Thawline needs itself.
        extra: The extra of Thawline that brings them.
        line: What it is, in one line.
        elsewhere: Of a form that runs on macOS only, what is said elsewhere; else empty.
    """

    name: str
    place: str
    needs: tuple[str, ...]
    extra: str
    line: str
    elsewhere: str = ""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder; else it is a file."""
        return "." not in self.place

    @property
    def unproven(self) -> str:
        """Why this machine cannot say whether it passes, or nothing where it can."""
        return self.elsewhere if sys.platform != "darwin" else ""

    @property
    def missing(self) -> tuple[str, ...]:
        """What it needs and is not installed."""
        return tuple(name for name in self.needs if find_spec(name) is None)

    def require_installed(self) -> None:
        """Raise where what it needs is not installed.

        Raises:
            UsageError: Says what is missing and how to install it.
        """
        if missing := self.missing:
            raise UsageError(
                f"export --to {self.name}: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} needed and "
                f"not installed. Run `pip install 'thawline[{self.extra}]'`."
            )


KINDS = (
    ExportKind(
        "onnx",
        ONNX_FILE,
        ("onnx", "onnxruntime", "onnxscript"),
        "export",
        "one file, whole: pictures of any size in, probabilities and abstention out; for `serve` and other programs",
    ),
    ExportKind(
        "onnx-int8",
        INT8_FILE,
        ("onnx", "onnxruntime", "onnxscript"),
        "export",
        "as onnx, in 8 bits where that does no harm: less than half as large, quicker; measured on held-out pictures",
    ),
    ExportKind(
        "onnx-tensor",
        TENSOR_FILE,
        ("onnx", "onnxruntime", "onnxscript"),
        "export",
        "one file without crop and resize: prepared pixels in; the quickest here, `predict` takes it",
    ),
    ExportKind(
        "openvino",
        "openvino",
        ("onnx", "onnxscript", "openvino"),
        "openvino",
        "a folder for Intel's OpenVINO, whole as onnx is: pictures of any size in",
    ),
    ExportKind(
        "coreml",
        "coreml",
        ("coremltools",),
        "coreml",
        "a folder with a package for Apple's Core ML, prepared pictures in; its answers can be checked on macOS only",
        MACOS_ONLY,
    ),
    ExportKind(
        "timm",
        "timm",
        (),
        "",
        "a folder that timm and transformers load; for a dense head on the last cut or a tuned network",
    ),
    ExportKind(
        "web",
        "web",
        ("onnx", "onnxruntime", "onnxscript"),
        "export",
        "a folder for any static host: a page that answers in the browser, offline too; fetches onnxruntime-web once",
    ),
)


def kind_named(name: str) -> ExportKind:
    """Return the form of a name.

    Raises:
        UsageError: There is none of that name.
    """
    for kind in KINDS:
        if kind.name == name:
            return kind
    known = ", ".join(kind.name for kind in KINDS)
    raise UsageError(f"export: --to {name} is not known. Choose from {known}; `thawline export --list` explains them.")
