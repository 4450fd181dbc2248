"""A map of pictures -> SVG text: every picture a dot, near where alike, mistakes marked.

One idea: a dot carries the path of its picture in its tooltip and as `data-path`, so that a page's script can show the
picture next to it; without a script the figure says the same in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from thawline.vet.picture_map import MapPoint, PictureMap
from thawline.view.svg import LIGHT, drawing, figure_svg
from thawline.view.words import printable

__all__ = ["map_svg"]

_COLOURS = ("ice", "slush", "warm", "muted", "melt")
_SHAPES: dict[str, tuple[str, str]] = {
    "circle": ("o", "m{0} 0a{0} {0} 0 1 0 -{1} 0a{0} {0} 0 1 0 {1} 0z"),
    "up": ("^", "m0 -{0}l{0} {1}h-{1}z"),
    "square": ("s", "m-{0} -{0}h{1}v{1}h-{1}z"),
    "diamond": ("D", "m0 -{0}l{0} {0}l-{0} {0}l-{0} -{0}z"),
    "down": ("v", "m0 {0}l{0} -{1}h-{1}z"),
}
"""Name → matplotlib's mark, for the legend, and a path around a point, given its radius and twice that."""
_MOST_NAMED = 10
_CHAR_PX, _ROW_PX, _MOST_CHARS, _BESIDE_PX = 6.9, 20, 28, 12
_RADIUS_PX, _SMALL_PX, _MANY = 4, 3, 600
_EDGE_PX = 14


def map_svg(
    drawn: PictureMap,
    class_names: Sequence[str],
    *,
    suspects: Collection[str] = (),
    width_px: int = 920,
) -> str:
    """Return the map as a figure: up to ten classes by colour and shape, of more only mistakes stand out.

    Args:
        drawn: The map.
        class_names: K names.
        suspects: Paths of pictures whose label is doubted: a square stands around each.
        width_px: Width that the figure is laid out for, 320 or more; the element itself scales.

    Returns:
        A self-contained `<svg>` element, readable on a light and on a dark ground; equal bytes for equal arguments.
        Each dot has a `<title>` of path, class and answer; `data-point`, its place in `drawn.points`; and `data-path`.
    """
    has_answers = any(point.predicted is not None for point in drawn.points)
    is_named = 1 < len(class_names) <= _MOST_NAMED
    rows = _rows(_legend(class_names, is_named, has_answers=has_answers, has_suspects=bool(suspects)), width_px)
    height_px = round(0.62 * width_px if width_px >= 600 else 1.05 * width_px)
    top_px = _ROW_PX * len(rows) + (6 if rows else 0)
    with drawing(width_px, height_px + top_px) as figure:
        sheet = figure.add_axes((0, 0, 1, 1), xlim=(0, width_px), ylim=(0, height_px + top_px))  # one unit a pixel
        sheet.set_axis_off()
        _draw_legend(sheet, rows, top_px=height_px + top_px - 12)
        svg = figure_svg(figure, prefix=f"map{width_px}", label=_in_words(drawn, class_names), tooltips={})
    root = ET.fromstring(svg)  # noqa: S314  (ours, made a line ago)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    root.set("xmlns", "http://www.w3.org/2000/svg")
    radius_px = _SMALL_PX if len(drawn.points) > _MANY or width_px < 600 else _RADIUS_PX
    for group, numbers in _groups(drawn.points, is_named=is_named):
        holder = ET.SubElement(root, "g", group.attributes)
        for number in numbers:
            point = drawn.points[number]
            x = _EDGE_PX + point.x * (width_px - 2 * _EDGE_PX)
            y = top_px + _EDGE_PX + (1 - point.y) * (height_px - 2 * _EDGE_PX)
            dot = _shape(holder, group.shape, x=x, y=y, radius_px=radius_px + group.is_wrong)
            dot.set("data-point", str(number))
            dot.set("data-path", printable(point.path))
            ET.SubElement(dot, "title").text = _tooltip(point, class_names)
            if point.path in suspects:
                ring = _shape(root, "square", x=x, y=y, radius_px=radius_px + 4)
                ring.attrib.update({"fill": "none", "stroke": "var(--ink)", "stroke-width": "1.3"})
    return ET.tostring(root, encoding="unicode")


@dataclass(frozen=True)
class _Group:
    """Dots that look alike."""

    colour: str
    shape: str
    is_wrong: bool
    opacity: float

    @property
    def attributes(self) -> dict[str, str]:
        """What its element says."""
        edge = {"stroke": "var(--ink)", "stroke-width": "1.6"} if self.is_wrong else {}
        return {"fill": f"var(--{self.colour})", "fill-opacity": f"{self.opacity:g}", **edge}


def _groups(points: Sequence[MapPoint], *, is_named: bool) -> list[tuple[_Group, list[int]]]:
    """Return the points' numbers by how they look, mistakes last, so that they lie on top."""
    found: dict[_Group, list[int]] = {}
    for number, point in enumerate(points):
        wrong = _is_wrong(point)
        colour, shape = _look(point.label) if is_named else ("warm" if wrong else "ice", "circle")
        opacity = 1.0 if wrong else 0.75 if is_named else 0.4
        found.setdefault(_Group(colour, shape, wrong, opacity), []).append(number)
    return sorted(found.items(), key=lambda item: item[0].is_wrong)


def _shape(holder: ET.Element, shape: str, *, x: float, y: float, radius_px: float) -> ET.Element:
    """Return a new element of a shape around a point."""
    path = _SHAPES[shape][1].format(f"{radius_px:g}", f"{2 * radius_px:g}")
    return ET.SubElement(holder, "path", {"d": f"M{x:.1f} {y:.1f}{path}"})


def _is_wrong(point: MapPoint) -> bool:
    return point.predicted is not None and point.predicted != point.label


def _look(label: int) -> tuple[str, str]:
    """Return colour and shape of a class: ten that differ in both from their neighbours."""
    shapes = list(_SHAPES)
    return _COLOURS[label % len(_COLOURS)], shapes[(label + label // len(_COLOURS)) % len(shapes)]


Entry = tuple[str, str, str, str]
"""Words, colour, shape, and whether it is filled, ringed or hollow."""


def _legend(class_names: Sequence[str], is_named: bool, *, has_answers: bool, has_suspects: bool) -> list[Entry]:
    """Return what the legend names."""
    entries: list[Entry] = []
    if is_named:
        entries += [(_short(name), *_look(label), "filled") for label, name in enumerate(class_names)]
    if has_answers:
        entries.append(("answered wrongly", "paper" if is_named else "warm", "circle", "ringed"))
    if has_suspects:
        entries.append(("label in doubt", "ink", "square", "hollow"))
    return entries


def _short(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= _MOST_CHARS else shown[: _MOST_CHARS - 1] + "…"


def _rows(entries: Sequence[Entry], width_px: int) -> list[list[tuple[float, Entry]]]:
    """Return the legend in rows: the pixel at which each entry begins."""
    rows: list[list[tuple[float, Entry]]] = []
    at_px = float(width_px)
    for entry in entries:
        needed_px = 30 + _CHAR_PX * len(entry[0])
        if at_px + needed_px > width_px:
            rows.append([])
            at_px = 12.0
        rows[-1].append((at_px, entry))
        at_px += needed_px
    return rows


def _draw_legend(sheet: Any, rows: Sequence[Sequence[tuple[float, Entry]]], *, top_px: float) -> None:
    """Draw the rows, the first at the top."""
    edge: dict[str, dict[str, Any]] = {
        "filled": {"markeredgewidth": 0},
        "ringed": {"markeredgecolor": LIGHT["ink"], "markeredgewidth": 1.6},
        "hollow": {"markeredgecolor": LIGHT["ink"], "markeredgewidth": 1.3, "markerfacecolor": "none"},
    }
    for place, row in enumerate(rows):
        y = top_px - _ROW_PX * place
        for x, (words, colour, shape, how) in row:
            sheet.plot(x, y, _SHAPES[shape][0], color=LIGHT[colour], markersize=8, **edge[how])
            sheet.text(x + _BESIDE_PX, y, words, color=LIGHT["ink"], va="center", size=11.5)


def _tooltip(point: MapPoint, class_names: Sequence[str]) -> str:
    said = f", taken for {class_names[point.predicted or 0]}" if _is_wrong(point) else ""
    named = f": {class_names[point.label]}" if len(class_names) > 1 else ""
    return printable(f"{point.path}{named}{said}")


def _in_words(drawn: PictureMap, class_names: Sequence[str]) -> str:
    """Return what the figure says to those who do not see it."""
    counts = Counter(point.label for point in drawn.points)
    wrong = sum(map(_is_wrong, drawn.points))
    largest = ", ".join(f"{class_names[label]} {num:,}" for label, num in counts.most_common(_MOST_NAMED))
    mistakes = f"; {wrong:,} answered wrongly" if any(point.predicted is not None for point in drawn.points) else ""
    left = f"; {drawn.num_left_out:,} more are not drawn" if drawn.num_left_out else ""
    return printable(f"A map of {len(drawn.points):,} pictures, near where alike: {largest}{mistakes}{left}")
