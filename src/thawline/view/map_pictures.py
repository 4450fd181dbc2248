"""A map of pictures -> SVG text in which small pictures stand where they lie: what kinds there are, at a glance.

One idea: the paper is cut into squares, and of those that hold pictures each shows the one nearest to its middle.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from thawline.vet.picture_map import PictureMap
from thawline.view.svg import PALETTE_CSS
from thawline.view.words import printable

__all__ = ["map_pictures_svg", "pictures_on_map"]

SIDE_PX, SMALL_SIDE_PX, GAP_PX = 56, 44, 4
WIDE_PX = 600


def _grid(width_px: int) -> tuple[int, int, float]:
    """Return columns, rows, and the pixels from one to the next."""
    side_px = SIDE_PX if width_px >= WIDE_PX else SMALL_SIDE_PX
    columns = max(1, width_px // (side_px + GAP_PX))
    step_px = width_px / columns
    return columns, max(1, round((0.6 if width_px >= WIDE_PX else 1.1) * columns)), step_px


def pictures_on_map(drawn: PictureMap, *, width_px: int = 920) -> dict[tuple[int, int], int]:
    """Return which picture, by its place in `drawn.points`, is shown at each (column, row) that holds any.

    Args:
        drawn: The map.
        width_px: Width of the figure that they are for.
    """
    columns, rows, _ = _grid(width_px)
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for number, point in enumerate(drawn.points):
        across, down = point.x * columns, (1 - point.y) * rows
        at = min(int(across), columns - 1), min(int(down), rows - 1)
        from_middle = (across - at[0] - 0.5) ** 2 + (down - at[1] - 0.5) ** 2
        best[at] = min(best.get(at, (9.0, 0)), (from_middle, number))
    return {at: number for at, (_, number) in sorted(best.items())}


def map_pictures_svg(drawn: PictureMap, thumbnails: Mapping[str, bytes], *, width_px: int = 920) -> str:
    """Return the map with pictures on it; one without a thumbnail leaves its square empty.

    Args:
        drawn: The map.
        thumbnails: Path → JPEG, of those that `pictures_on_map` names.
        width_px: Width that the figure is laid out for, 320 or more; the element itself scales.

    Returns:
        A self-contained `<svg>` element; equal bytes for equal arguments. Each picture has a `<title>` and `data-path`.
    """
    _, rows, step_px = _grid(width_px)
    height = f"{rows * step_px:g}"
    label = printable(f"A map of {len(drawn.points):,} pictures, near where alike, with some of them on it")
    attributes = {"xmlns": "http://www.w3.org/2000/svg", "width": str(width_px), "height": height, "role": "img"}
    root = ET.Element("svg", attributes | {"viewBox": f"0 0 {width_px} {height}", "aria-label": label})
    ET.SubElement(root, "style").text = PALETTE_CSS
    side_px = step_px - GAP_PX
    for (column, row), number in pictures_on_map(drawn, width_px=width_px).items():
        path = drawn.points[number].path
        if path not in thumbnails:
            continue
        place = {"x": f"{column * step_px + GAP_PX / 2:.1f}", "y": f"{row * step_px + GAP_PX / 2:.1f}"}
        size = {"width": f"{side_px:.1f}", "height": f"{side_px:.1f}", "preserveAspectRatio": "xMidYMid slice"}
        jpeg = base64.b64encode(thumbnails[path]).decode("ascii")
        link = {"href": f"data:image/jpeg;base64,{jpeg}", "data-path": printable(path)}
        ET.SubElement(ET.SubElement(root, "image", place | size | link), "title").text = printable(path)
    return ET.tostring(root, encoding="unicode")
