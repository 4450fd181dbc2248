"""What a run found for a person to act on -> what the template shows of it: figures, galleries, remarks on pictures.

One idea: advice names pictures by their paths; here they get the numbers of the album, and what is not in it is left
out.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from markupsafe import Markup

from thawline.core.remembered import recalled
from thawline.vet.advice import Advice
from thawline.vet.looks import Look
from thawline.view.album import SHOWN_SUSPECTS, SUSPECTS_WITH_NEIGHBOURS
from thawline.view.coverage_curve import coverage_curve_svg
from thawline.view.learning_plot import growth_text, learning_svg
from thawline.view.map_plot import map_svg
from thawline.view.overlay import overlay_jpeg
from thawline.view.page import both_widths
from thawline.view.reliability import reliability_svg
from thawline.view.report_data import ReportData

__all__ = ["advice_facts", "map_places", "remarks_on"]

SHOWN_STRANGE = 10
LOOK_WORDS = {
    "surest right": "Surest and right",
    "surest wrong": "Surest and wrong",
    "least sure": "Least sure",
}


def advice_facts(data: ReportData) -> dict[str, Any]:
    """Return what a template shows of the advice; parts that a run has not are None or empty."""
    advice, place_of = data.advice or Advice(0), data.album.place_of
    suspects, strangest, more = advice.suspects, advice.strangest, advice.more_pictures
    unsure = advice.abstaining
    is_drawn = advice.picture_map is not None and len(advice.picture_map.points) > 1
    reliable = data.evaluation is not None and data.evaluation.reliability
    return {
        "advice": advice,
        "cheats": data.check.get("cheats", ()),
        "suspects": suspects.listed[:SHOWN_SUSPECTS] if suspects else (),
        "num_compared": SUSPECTS_WITH_NEIGHBOURS,
        "looks": list(_looks_by_kind(advice, place_of)),
        "heat_of": {place: number for number, (place, _) in enumerate(_heats(advice, place_of))},
        "heat_style": Markup("\n".join(_heat_rules(data, advice))),  # noqa: S704  (our names and base64)
        "strange": [one for one in strangest.strangest if one.path in place_of][:SHOWN_STRANGE] if strangest else [],
        "confused_pairs": _with_pairs(advice, place_of),
        "learning": both_widths(learning_svg, more) if more and more.points and more.forecast else None,
        "growth": growth_text(more) if more else "",
        "coverage": both_widths(coverage_curve_svg, unsure) if unsure and unsure.curve else None,
        "map_figures": _map(data, advice) if is_drawn else None,
        "reliability": both_widths(reliability_svg, data.evaluation) if reliable else None,
    }


def _heats(advice: Advice, place_of: Mapping[str, int]) -> Iterator[tuple[int, Look]]:
    """Yield the pictures of the album on which it is known where the model looks."""
    looks = advice.looks.pictures if advice.looks else ()
    yield from ((place_of[look.path], look) for look in looks if look.path in place_of)


def _heat_rules(data: ReportData, advice: Advice) -> Iterator[str]:
    asked = [(data.album.pictures[place].jpeg, look) for place, look in _heats(advice, data.album.place_of)]

    def drawn() -> list[bytes]:
        return [overlay_jpeg(jpeg, look.rows, box=look.box) for jpeg, look in asked]

    for number, jpeg in enumerate(recalled("heat", asked, make=drawn)):
        url = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
        yield f".h{number}{{background-image:url({url})}}"


def _looks_by_kind(advice: Advice, place_of: Mapping[str, int]) -> Iterator[tuple[str, list[tuple[int, Look]]]]:
    """Yield words for a kind, and its pictures with the numbers of their heat."""
    numbered = [(number, look) for number, (_, look) in enumerate(_heats(advice, place_of))]
    for kind, words in LOOK_WORDS.items():
        if shown := [(number, look) for number, look in numbered if look.kind == kind]:
            yield words, shown


def _with_pairs(advice: Advice, place_of: Mapping[str, int]) -> list[tuple[Any, list[Any]]]:
    """Return confused classes with those of their pairs of which both pictures are in the album."""
    found = [
        (classes, [pair for pair in classes.pairs if pair.first in place_of and pair.second in place_of])
        for classes in advice.confused
    ]
    return [(classes, pairs) for classes, pairs in found if pairs]


def _map(data: ReportData, advice: Advice) -> tuple[Markup, Markup]:
    """Return the map for a page and for a phone, doubtful labels marked."""
    suspects = {one.path for one in advice.suspects.listed} if advice.suspects else set()
    return both_widths(partial(map_svg, suspects=suspects), advice.picture_map, data.class_names)


def map_places(data: ReportData) -> list[tuple[int, int, int]]:
    """Return for each point of the map its picture, and the sheet and the tile that show it; -1 where there is none."""
    points = data.advice.picture_map.points if data.advice and data.advice.picture_map else ()
    tile_of = {
        path: (number, tile) for number, sheet in enumerate(data.album.sheets) for tile, path in enumerate(sheet.paths)
    }
    return [(data.album.place_of.get(point.path, -1), *tile_of.get(point.path, (-1, -1))) for point in points]


def remarks_on(data: ReportData) -> dict[int, str]:
    """Return number of a picture → what was found about it, in a sentence."""
    advice, place_of = data.advice or Advice(0), data.album.place_of
    remarks: dict[int, list[str]] = {}
    for one in advice.suspects.listed if advice.suspects else ():
        if one.path in place_of:
            text = f"Its label is in doubt: {one.reason}."
            remarks.setdefault(place_of[one.path], []).append(text)
    for strange in advice.strangest.strangest if advice.strangest else ():
        if strange.path in place_of and strange.is_outside:
            remarks.setdefault(place_of[strange.path], []).append("It looks like none of the classes.")
    return {place: " ".join(texts) for place, texts in remarks.items()}
