"""The folder of a finished run -> its report.html, drawn again from its report.json."""

from __future__ import annotations

from pathlib import Path

from thawline.core.errors import StoreError
from thawline.core.owned import replace_file
from thawline.view.report_data import ReportData

__all__ = ["read_report", "render"]


PAGE_TITLE = "· thawline</title>"
"""In the report of any version."""


def render(run: Path | str, *, replace: bool = False) -> Path:
    """Write `report.html` of a finished run again, and return its path.

    Args:
        run: Its folder.
        replace: Whether to replace a report of an older version, which no marker proves to be unchanged.

    Raises:
        StoreError: The folder is not one that `fit` or a recipe wrote, the report in it was changed by somebody, or it
            cannot be written.
    """
    from thawline.view.report import render_report  # matplotlib

    target = Path(run) / "report.html"
    page = render_report(read_report(run)).encode()
    replace_file(target.parent, target.name, data=page, doing="report", older=PAGE_TITLE.encode() if replace else None)
    return target


def read_report(run: Path | str) -> ReportData:
    """Return what the report of a finished run shows.

    Args:
        run: Its folder.

    Raises:
        StoreError: The folder is not one that `fit` or a recipe wrote, or its `report.json` is damaged.
    """
    source = Path(run) / "report.json"
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"report: {source} cannot be read ({type(error).__name__}). Name a folder that `thawline fit` wrote."
        ) from None
    return ReportData.from_json(text)
