"""Nothing -> the library OpenVINO, loaded so that it reports to nobody."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from thawline.core.errors import UsageError

__all__ = ["load_openvino"]

TELEMETRY = "openvino_telemetry"


def load_openvino(doing: str) -> Any:
    """Return the library, loaded so that it reports to nobody: it sends an event when it is first imported.

    Its own module for that is kept away while it is imported; without it OpenVINO uses a stand-in that does nothing.

    Args:
        doing: Names the operation in errors.

    Raises:
        UsageError: It is not installed.
    """
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    kept = sys.modules.get(TELEMETRY)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]
    try:
        return import_module("openvino")
    except ImportError as error:
        raise UsageError(
            f"{doing}: openvino is needed and cannot be loaded ({error}). Run `pip install 'thawline[openvino]'`."
        ) from None
    finally:
        if kept is None:
            del sys.modules[TELEMETRY]
