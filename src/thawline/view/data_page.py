"""What a check found, a map and small pictures -> one offline HTML page about a folder, with labels or without.

One idea: what a person should look at is shown as pictures: copies side by side, the strangest ones next to what they
are most like, and the map; everything else is a count. There is no script and no request.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from thawline.core.errors import by_reason, first_few
from thawline.vet.picture_map import PictureMap
from thawline.view.dataset_text import groups_text, scene_text
from thawline.view.map_pictures import map_pictures_svg, pictures_on_map
from thawline.view.map_plot import map_svg
from thawline.view.page import plain_environment
from thawline.view.svg import PALETTE_CSS
from thawline.view.words import moment

__all__ = ["DataPage", "OddPicture", "pictures_needed", "render_data_page"]

MOST_GROUPS, MOST_OF_A_GROUP, MOST_CLASSES, MOST_REASONS = 30, 8, 40, 12
WIDTHS_PX = (920, 360)


@dataclass(frozen=True)
class OddPicture:
    """A picture that is little like any other.

    Attributes:
        path: Its name.
        nearest: The picture that it is most like.
        likeness: How alike its nearest are, in [-1, 1].
        stands_out: Whether it is beyond what the spread of the set explains.
    """

    path: str
    nearest: str
    likeness: float
    stands_out: bool


@dataclass(frozen=True)
class DataPage:
    """What a page about a folder shows.

    Attributes:
        title: Of the folder.
        created: Moment, as ISO 8601.
        check: `CheckReport.to_json()`.
        class_names: K names; one of a set without labels.
        drawn: The map, or None where the pictures were not read by a network.
        network: Which network says what is alike.
        odd: The strangest pictures, strangest first.
        thumbnails: Path → JPEG, of those that `pictures_needed` names.
    """

    title: str
    created: str
    check: Mapping[str, Any]
    class_names: tuple[str, ...]
    drawn: PictureMap | None = None
    network: str = ""
    odd: tuple[OddPicture, ...] = ()
    thumbnails: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def pictures_needed(data: DataPage) -> tuple[str, ...]:
    """Return the paths of all pictures that the page shows, in a fixed order, each once."""
    paths = [path for group in _copies(data.check) for path in group["paths"]]
    paths += [path for row in data.check["conflicts"][:MOST_GROUPS] for path in (row["path"], row["other_path"])]
    paths += [path for row in data.odd for path in (row.path, row.nearest)]
    if data.drawn is not None:
        for width_px in WIDTHS_PX:
            shown = pictures_on_map(data.drawn, width_px=width_px).values()
            paths += [data.drawn.points[number].path for number in shown]
    return tuple(dict.fromkeys(paths))


def render_data_page(data: DataPage) -> str:
    """Return one HTML document that needs no other file, no network and no script; equal data give equal text.

    Whatever cannot be written as UTF-8 (file names that are not text) becomes `?`.
    """
    environment = plain_environment()
    environment.filters |= {"jpeg": _jpeg_url, "moment": moment}
    check = data.check
    copies, conflicts = _copies(check), check["conflicts"]
    num_copies = len(check["exact_copies"]) + len(_near_alone(check))
    facts: dict[str, Any] = {
        "data": data,
        "palette": Markup(PALETTE_CSS),  # noqa: S704  (a constant of ours)
        "counts": _counts(data, num_copies),
        "classes": sorted(check["class_counts"].items(), key=lambda item: (-item[1], item[0])),
        "most_classes": MOST_CLASSES,
        "copies": copies,
        "num_more_copies": num_copies - len(copies),
        "conflicts": conflicts[:MOST_GROUPS],
        "num_more_conflicts": max(0, len(conflicts) - MOST_GROUPS),
        "skipped": _reasons(check["skipped"]),
        "notes": _notes(check),
        "num_standing_out": sum(row.stands_out for row in data.odd),
        "pictures": _figures(map_pictures_svg, data, data.thumbnails),
        "dots": _figures(map_svg, data, data.class_names) if len(data.class_names) > 1 else None,
    }
    html = environment.get_template("data_page.html.j2").render(facts)
    return html.encode("utf-8", "replace").decode("utf-8")


def _figures(draw: Any, data: DataPage, what: object) -> tuple[Markup, ...] | None:
    """Return a figure of the map for a page and for a phone."""
    if data.drawn is None:
        return None
    return tuple(Markup(draw(data.drawn, what, width_px=width_px)) for width_px in WIDTHS_PX)  # noqa: S704


def _near_alone(check: Mapping[str, Any]) -> list[list[str]]:
    """Return the groups of near copies, without those whose members all have the same bytes."""
    exact = {tuple(group) for group in check["exact_copies"]}
    return [group for group in check["near_copies"] if tuple(group) not in exact]


def _copies(check: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the first groups of copies: near ones, which hold exact ones of their members, then exact ones alone."""
    near = _near_alone(check)
    inside = {path for group in near for path in group}
    exact = [group for group in check["exact_copies"] if group[0] not in inside]
    groups = [("near copies", group) for group in near] + [("the same bytes", group) for group in exact]
    return [
        {"kind": kind, "paths": group[:MOST_OF_A_GROUP], "more": max(0, len(group) - MOST_OF_A_GROUP)}
        for kind, group in groups[:MOST_GROUPS]
    ]


def _counts(data: DataPage, num_copies: int) -> list[tuple[int, str, bool]]:
    """Return number, words, and whether to look at it."""
    check, num_classes = data.check, len(data.class_names)
    rows = [
        (check["used"], "picture that can be used", "pictures that can be used", False),
        *([(num_classes, "class", "classes", False)] if num_classes > 1 else []),
        (len(check["skipped"]), "file skipped", "files skipped", True),
        (len(check["repaired"]), "picture repaired", "pictures repaired", True),
        (num_copies, "group of copies", "groups of copies", True),
        (len(check["conflicts"]), "picture under two labels", "pictures under two labels", True),
        (len(check["blank"]), "blank picture", "blank pictures", True),
        (sum(row.stands_out for row in data.odd), "picture that stands out", "pictures that stand out", True),
    ]
    kept = [row for row in rows if row[0] or row[1] in ("file skipped", "group of copies", "picture that stands out")]
    return [(num, one if num == 1 else several, matters and num > 0) for num, one, several, matters in kept]


def _reasons(skipped: Sequence[Mapping[str, str]]) -> list[tuple[str, int, str]]:
    """Return why files were skipped: the reason, how many, and some of them."""
    alike = by_reason([(row["path"], row["reason"]) for row in skipped])
    return [(reason, len(paths), first_few(paths, 5)) for reason, paths in alike[:MOST_REASONS]]


def _notes(check: Mapping[str, Any]) -> list[str]:
    """Return remarks as sentences."""
    notes = [groups_text(check)] if check.get("groups") else []
    notes += [str(note) for note in check["notes"]]
    notes += [f"{scene_text(scene, check['class_counts'])}." for scene in check.get("scenes", ())]
    if check["imbalance"] >= 3:
        notes.append(f"The largest class has {check['imbalance']:.1f} times the pictures of the smallest.")
    return notes


def _jpeg_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
