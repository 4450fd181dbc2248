"""A matplotlib figure -> SVG text that follows the reader's light or dark setting.

One idea: every figure is drawn in the light palette, and a second pass over the tree that matplotlib wrote turns
every colour into a CSS variable, gives every mark its tooltip and makes its ids unique. Text stays text, and the
same figure is the same bytes.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # matplotlib is imported where something is drawn
    from matplotlib.figure import Figure

__all__ = ["LIGHT", "PALETTE_CSS", "drawing", "figure_svg", "strip_axes", "taking_png"]

LIGHT = {
    "paper": "#fdfefe",
    "ink": "#16222d",
    "muted": "#5a6977",
    "rule": "#dfe6ec",
    "ice": "#14789f",
    "frost": "#cfe7f2",
    "slush": "#7450b8",
    "melt": "#b0307a",
    "warm": "#c8500f",
    "glow": "#fdebdf",
}
"""What figures are drawn in; `figure_svg` puts a CSS variable of the same name in the place of each colour."""
_DARK = {
    "paper": "#0e161e",
    "ink": "#e6edf3",
    "muted": "#98a7b5",
    "rule": "#26333f",
    "ice": "#67c3e8",
    "frost": "#1b3d50",
    "slush": "#b79df2",
    "melt": "#f38cc2",
    "warm": "#ff9c5b",
    "glow": "#33231a",
}


def _declare(palette: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in palette.items())


PALETTE_CSS = f":root{{{_declare(LIGHT)}}}@media screen and (prefers-color-scheme:dark){{:root{{{_declare(_DARK)}}}}}"
"""The colours of page and figures as CSS variables, light and dark; paper is always light when printed."""

_FONT_CSS = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}"
_ONE_AT_A_TIME = threading.Lock()  # matplotlib takes its SVG options from one dictionary for the whole process

_TAKEN: ContextVar[list[bytes] | None] = ContextVar("taken", default=None)
PNG_SCALE = 2


@contextmanager
def taking_png() -> Iterator[list[bytes]]:
    """Give a list that gets every figure drawn in this context as PNG too: on white, two pixels for one of the SVG."""
    taken: list[bytes] = []
    token = _TAKEN.set(taken)
    try:
        yield taken
    finally:
        _TAKEN.reset(token)


@contextmanager
def drawing(width_px: float, height_px: float) -> Iterator[Figure]:
    """Give an empty figure with one unit a pixel, and matplotlib's options for text as text, alone in the process."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    options: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "thawline",
        "text.parse_math": False,
        "font.size": 12.0,
        "text.color": LIGHT["ink"],
        "axes.edgecolor": LIGHT["rule"],
        "xtick.color": LIGHT["muted"],
        "ytick.color": LIGHT["muted"],
    }
    with _ONE_AT_A_TIME, mpl.rc_context(options), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)  # the browser has it
        yield Figure(figsize=(width_px / 72, height_px / 72), dpi=72, facecolor="none")


def figure_svg(figure: Figure, *, prefix: str, label: str, tooltips: Mapping[str, str]) -> str:
    """Return the figure as one `<svg>` element: colours as variables, ids under `prefix`, a tooltip for each gid."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(buffer, metadata=nothing)
    if (taken := _TAKEN.get()) is not None:
        taken.append(_png(figure))
    root = ET.fromstring(buffer.getvalue())  # noqa: S314  (matplotlib wrote it a line ago)
    for child in [child for child in root if child.tag in {f"{_SVG}metadata", f"{_SVG}defs"}]:
        root.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        for name, value in list(element.attrib.items()):
            del element.attrib[name]
            element.set(name.removeprefix(_XLINK), _themed(element.tag, name, value, prefix))
        gid = element.get("id", "").removeprefix(f"{prefix}-")
        if gid in tooltips:
            title = ET.Element("title")
            title.text = tooltips[gid]
            element.insert(0, title)
    width, height = (f"{72 * inches:g}" for inches in figure.get_size_inches())
    root.attrib.clear()
    attributes = {"xmlns": "http://www.w3.org/2000/svg", "width": width, "height": height, "role": "img"}
    style = f"{_FONT_CSS};font-variant-numeric:tabular-nums;stroke-linejoin:round"
    root.attrib.update(attributes | {"viewBox": f"0 0 {width} {height}", "aria-label": label, "style": style})
    palette = ET.Element("style")
    palette.text = PALETTE_CSS
    root.insert(0, palette)
    return ET.tostring(root, encoding="unicode")


def _png(figure: Figure) -> bytes:
    """Return the figure as it is, on the paper of the light palette; equal figures give equal bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    canvas: Any = FigureCanvasAgg(figure)
    dpi = figure.dpi
    try:
        figure.set_dpi(PNG_SCALE * dpi)
        figure.set_facecolor(LIGHT["paper"])
        canvas.print_png(buffer, metadata={"Software": None})
    finally:
        figure.set_dpi(dpi)
        figure.set_facecolor("none")
    return buffer.getvalue()


def _themed(tag: str, name: str, value: str, prefix: str) -> str:
    """Return an attribute's value with palette colours as CSS variables, the page's font, and ids under `prefix`."""
    if name == "id":
        return f"{prefix}-{value}"
    if name == f"{_XLINK}href" and value.startswith("#"):
        return f"#{prefix}-{value[1:]}"
    if name == "clip-path":
        return value.replace("url(#", f"url(#{prefix}-")
    if name != "style":
        return value
    if tag == "text":
        value = re.sub(r"font-family:[^;]*;?", "", value).replace("font-weight: 700", "font-weight: 600")
        if "fill:" not in value:
            value += "; fill: #000000"
    for variable, colour in LIGHT.items():
        value = value.replace(colour, f"var(--{variable})")
    return value.replace("#000000", "var(--ink)")


def strip_axes(axes: Any) -> None:
    """Leave of an axes only faint horizontal rules and labels."""
    axes.set_facecolor("none")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, pad=6)
    axes.grid(axis="y", color=LIGHT["rule"], linewidth=1)
    axes.set_axisbelow(True)
