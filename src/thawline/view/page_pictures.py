"""The album of a report -> a style sheet that holds each picture once, and the facts that page and script read.

One idea: a picture is a CSS class (`p12`), so that it stands wherever a page names it, with a script and without, for
the bytes of one. The script's facts are JSON in which no text can end the element that it lies in.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jinja2.utils
import numpy as np
from markupsafe import Markup

from thawline.core.types import Ints
from thawline.view.page_advice import map_places, remarks_on
from thawline.view.report_data import ALIKE, ReportData

__all__ = ["picture_facts", "script_facts"]

MOST_FACES, MOST_CONFUSED, MOST_PAIRS = 16, 24, 12


def picture_facts(data: ReportData) -> dict[str, Any]:
    """Return what a template asks about pictures: styles, numbers by path, classes and what they are taken for."""
    confusion = data.album.confusion
    if confusion is None and data.evaluation is not None:
        confusion = data.evaluation.confusion
    faces = {picture.class_name: picture.path for picture in reversed(data.pictures) if picture.role != ALIKE}
    place_of = data.album.place_of
    shown_faces = [(name, faces[name]) for name in data.class_names if faces.get(name) in place_of]
    weakest = [] if confusion is None else _weakest_classes(confusion)
    return {
        "names": data.class_names,
        "picture_style": Markup("\n".join(_rules(data))),  # noqa: S704  (our names and base64)
        "place_of": place_of,
        "alike_in": partial(_alike_in, place_of=place_of),
        "face_of": faces,
        "faces": shown_faces[:MOST_FACES],
        "face_columns": _columns(min(len(shown_faces), MOST_FACES)),
        "confusion": confusion,
        "weak_classes": weakest,
        "worst_share": max((wrong / total for _, wrong, total in weakest if wrong), default=1.0),
        "confused": [] if confusion is None else _most_confused(confusion),
    }


def _alike_in(found: object, *, place_of: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return the first pairs of pictures in a finding of the check, as far as the album has both: copies, conflicts."""
    pairs = []
    for one in found if isinstance(found, list | tuple) else ():
        if isinstance(one, Mapping):
            first, other = one.get("path"), one.get("other_path", one.get("of"))
        else:
            first, other = (one[0], one[1]) if isinstance(one, list | tuple) and len(one) > 1 else (None, None)
        if first in place_of and other in place_of:
            pairs.append((str(first), str(other)))
    return pairs[:MOST_PAIRS]


def _rules(data: ReportData) -> Iterator[str]:
    """Yield a rule for each picture: of the album, from outside, and sheets of tiny ones."""
    outside = data.comparison.outside if data.comparison else ()
    for letter, jpegs in (
        ("p", [shown.jpeg for shown in data.album.pictures]),
        ("o", [picture.jpeg for picture in outside]),
        ("s", [sheet.jpeg for sheet in data.album.sheets]),
    ):
        for place, jpeg in enumerate(jpegs):
            url = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
            yield f".{letter}{place}{{background-image:url({url})}}"


def script_facts(data: ReportData, heat_of: Mapping[int, int]) -> Markup:
    """Return what the script reads, as JSON: class names, every picture with its answer, what is alike, the map.

    Args:
        data: Of the page.
        heat_of: Number of a picture → number of the heat that lies over it.
    """
    pictures = [
        {"path": shown.path, "label": shown.label, "fold": shown.fold, "top": shown.top}
        for shown in data.album.pictures
    ]
    facts: dict[str, Any] = {"classes": data.class_names, "pictures": pictures}
    place_of = data.album.place_of
    near = {
        place: [place_of[path] for path in shown.near if path in place_of]
        for place, shown in enumerate(data.album.pictures)
        if shown.near
    }
    sheets = [
        {"columns": sheet.num_columns, "lines": -(-len(sheet.paths) // sheet.num_columns)}
        for sheet in data.album.sheets
    ]
    facts |= {"near": near, "heat": heat_of, "remarks": remarks_on(data), "map": map_places(data), "sheets": sheets}
    return jinja2.utils.htmlsafe_json_dumps(facts, separators=(",", ":"))


def _columns(num: int) -> int:
    """Return the number of columns, three to five, that leaves the fewest holes below so many pictures; then more."""
    return num if num <= 3 else min((5, 4, 3), key=lambda columns: -num % columns)


def _weakest_classes(confusion: Ints) -> list[tuple[int, int, int]]:
    """Return class, wrong and all pictures, by the share of wrong ones; classes without pictures last."""
    totals = confusion.sum(axis=1)
    wrong = totals - np.diag(confusion)
    shares = np.where(totals > 0, wrong / np.maximum(totals, 1), -1)
    order = np.argsort(-shares, kind="stable").tolist()
    return [(k, int(wrong[k]), int(totals[k])) for k in order]


def _most_confused(confusion: Ints) -> list[tuple[int, int, int, int]]:
    """Return the pairs confused most often: label, answer, pictures, pictures of the label."""
    wrong, totals = confusion.copy(), confusion.sum(axis=1)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSED].tolist()
    pairs = [divmod(flat, len(wrong)) for flat in order]
    return [(i, j, int(wrong[i, j]), int(totals[i])) for i, j in pairs if wrong[i, j]]
