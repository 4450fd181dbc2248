"""Scores and names -> pieces of HTML that stand alone: interval bars on a common scale, tables for a notebook.

One idea: what is not `Markup` is escaped when it is put in, so a name from a stranger cannot become markup. Styles are
written into the elements, since a notebook shows a piece without its page; colours suit light and dark backgrounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

__all__ = ["Scale", "file_link", "html_table", "interval_bar", "scale_of"]

_TONES = {"lead": "#d9622b", "tied": "#2b93bd", "behind": "#8795a1"}
_CELL = (
    "padding:.25em .7em;border:0;background:none;vertical-align:middle;"
    "white-space:nowrap;max-width:28em;overflow:hidden;text-overflow:ellipsis"
)


@dataclass(frozen=True)
class Scale:
    """A common scale for interval bars: shares between two round ends.

    Attributes:
        low: The lower end, in [0, 1].
        high: The upper end, above `low`.
    """

    low: float
    high: float

    def at(self, share: float) -> str:
        """Return the place of a share in percent of the scale's width."""
        return f"{100 * min(max((share - self.low) / (self.high - self.low), 0.0), 1.0):.2f}%"

    def width(self, low: float, high: float) -> str:
        """Return the width of an interval in percent of the scale's width."""
        return f"{100 * (min(high, self.high) - max(low, self.low)) / (self.high - self.low):.2f}%"


def scale_of(lows: Sequence[float], highs: Sequence[float]) -> Scale:
    """Return a scale with ends at whole five percents that holds all the intervals.

    >>> scale_of([0.83, 0.71], [0.96, 0.9])
    Scale(low=0.7, high=1.0)
    """
    low = min(max(math.floor(20 * min(lows, default=0.0)) / 20, 0.0), 0.95)
    high = math.ceil(20 * max(highs, default=1.0) - 1e-9) / 20
    return Scale(low, min(max(high, low + 0.05), 1.0))


def interval_bar(scale: Scale, value: float, *, low: float, high: float, tone: str = "tied") -> Markup:
    """Return an interval and its value as a bar with a dot, ten ems wide.

    Args:
        scale: The axis of the bar.
        value: The value.
        low: Lower end of the interval.
        high: Upper end.
        tone: `lead`, `tied` or `behind`.
    """
    return Markup(
        '<span title="{value:.3f} [{low:.3f}, {high:.3f}]" style="display:inline-block;position:relative;width:10em;'
        'height:1em;vertical-align:middle;color:{colour}">'
        '<span style="position:absolute;left:0;right:0;top:.47em;height:1px;background:currentColor;opacity:.25">'
        "</span>"
        '<span style="position:absolute;left:{start};width:{width};top:.3em;height:.4em;border-radius:.2em;'
        'background:currentColor;opacity:.4"></span>'
        '<span style="position:absolute;left:{place};top:.2em;width:.6em;height:.6em;margin-left:-.3em;'
        'border-radius:50%;background:currentColor"></span></span>'
    ).format(
        value=value, low=low, high=high, colour=_TONES[tone], start=scale.at(low), width=scale.width(low, high),
        place=scale.at(value),
    )  # fmt: skip


def html_table(
    caption: str, headings: Sequence[str], *, rows: Iterable[Sequence[str | Markup]], note: str = ""
) -> Markup:
    """Return a table that needs nothing around it.

    Args:
        caption: What it shows.
        headings: One for each column; one that begins with `>` is of numbers, which are aligned to the right.
        rows: Cells; whatever is not `Markup` is escaped.
        note: A line below the table.
    """
    sides = ["right" if heading.startswith(">") else "left" for heading in headings]
    row, cell = Markup("<tr>{}</tr>"), Markup('<{tag} style="' + _CELL + ';text-align:{side};{more}">{text}</{tag}>')  # noqa: S704

    def line(tag: str, texts: Sequence[str | Markup], more: str) -> Markup:
        cells = (
            cell.format(tag=tag, side=side, more=more, text=_clean(text))
            for side, text in zip(sides, texts, strict=True)
        )
        return row.format(Markup("").join(cells))

    head = line("th", [heading.lstrip(">") for heading in headings], "font-weight:normal;opacity:.7")
    body = Markup("").join(line("td", texts, "border-top:1px solid rgba(128,128,128,.25)") for texts in rows)
    below = Markup('<div style="opacity:.7;font-size:.9em;padding:.2em .7em">{}</div>').format(note) if note else ""
    return Markup(
        '<div style="overflow-x:auto"><div style="padding:.2em .7em"><b>{caption}</b></div>'
        '<table style="border-collapse:collapse;margin:.2em 0;color:inherit;font-size:inherit;'
        'font-variant-numeric:tabular-nums">'
        "<thead>{head}</thead><tbody>{body}</tbody></table>{below}</div>"
    ).format(caption=_clean(caption), head=head, body=body, below=below)


def file_link(path: Path) -> Markup:
    """Return a link to a file as a notebook follows it: relative to its folder where the file lies below that."""
    file, folder = path.resolve(), Path.cwd()
    address = quote(file.relative_to(folder).as_posix()) if file.is_relative_to(folder) else file.as_uri()
    return Markup('<a href="{}" target="_blank" style="color:inherit">{}</a>').format(address, _clean(str(path)))


def _clean(text: str | Markup) -> str | Markup:
    """Return text that can be written as UTF-8: what cannot, in names of files, becomes `?`."""
    return text if isinstance(text, Markup) else text.encode("utf-8", "replace").decode("utf-8")
