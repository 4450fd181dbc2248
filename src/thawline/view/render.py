"""The folder of a finished run -> its report.html, drawn again from its report.json."""

from __future__ import annotations

from pathlib import Path

from thawline.core.errors import StoreError
from thawline.core.store import write_bytes
from thawline.view.report import render_report
from thawline.view.report_data import ReportData

__all__ = ["render"]


def render(run: Path | str) -> Path:
    """Write `report.html` of a finished run again, and return its path.

    Raises:
        StoreError: The folder is not one that `fit` or a recipe wrote, or cannot be written.
    """
    source, target = Path(run) / "report.json", Path(run) / "report.html"
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"report: {source} cannot be read ({type(error).__name__}). Name a folder that `thawline fit` wrote."
        ) from None
    write_bytes(target, render_report(ReportData.from_json(text)).encode())
    return target
