"""ReportData and facts -> one HTML page, through the template: how its words, pictures and findings are written.

One idea: names of classes and files come from strangers. The templates escape everything, and a content security
policy inside the page forbids requests and every script but our own, which it knows by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from thawline.core.html import scale_of
from thawline.core.remembered import recalled
from thawline.search.ties import AS_GOOD_WORDS, MARGIN_WORDS, TEST_WORDS
from thawline.use.evaluation import ClassScore, Evaluation
from thawline.view.dataset_text import groups_text, scene_text, scenes_title
from thawline.view.report_data import ALIKE, Picture, ReportData
from thawline.view.svg import PALETTE_CSS
from thawline.view.words import (
    GAP,
    KIND_WORDS,
    duration_text,
    fact,
    moment,
    odds,
    percent,
    points,
    score_span,
    score_text,
    short_name,
    size_text,
    span,
    training,
    unit,
)

__all__ = ["both_widths", "plain_environment", "render_page", "render_plain", "safe_figure"]


def render_page(data: ReportData, facts: Mapping[str, Any]) -> str:
    """Return one HTML document that needs no other file and no network, and no script to show all that it has.

    Equal arguments give equal text. Whatever cannot be written as UTF-8 (file names that are not text) becomes `?`.

    Args:
        data: What is shown.
        facts: What the template asks for as well.
    """
    command = {"command": data.command} if data.command else {}  # from Python there is none
    shared: dict[str, Any] = {
        "data": data,
        "board": data.leaderboard,
        "palette": Markup(PALETTE_CSS),  # noqa: S704  (a constant of ours)
        "style": _own_file("page.css"),
        "script": (script := _own_file("page.js")),
        "policy": POLICY + f"; script-src 'sha256-{_sha256(script)}'",
        "findings": _findings(data.check),
        "check_notes": _check_notes(data.check),
        "provenance": command | {"created": moment(data.created)} | dict(data.provenance),
    }
    html = _environment().get_template("report.html.j2").render(shared | _picture_facts(data) | dict(facts))
    return html.encode("utf-8", "replace").decode("utf-8")


def render_plain(template: str, facts: Mapping[str, Any]) -> str:
    """Return one HTML document without a script, in the style of a report; else as `render_page`.

    Args:
        template: Its file name; it takes `palette`, `style` and `policy` besides the facts.
        facts: What the template asks for.
    """
    shared = {"palette": Markup(PALETTE_CSS), "style": _own_file("page.css"), "policy": POLICY}  # noqa: S704
    html = _environment().get_template(template).render(shared | dict(facts))
    return html.encode("utf-8", "replace").decode("utf-8")


POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'"
)


@cache
def _own_file(name: str) -> Markup:
    """Return a style sheet or a script of ours, as it stands in a page."""
    return Markup(files("thawline.view").joinpath(name).read_text(encoding="utf-8"))  # noqa: S704


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _picture_facts(data: ReportData) -> dict[str, Any]:
    """Return the pictures by class, and the totals that the bars are drawn from."""
    pictures_of: dict[str, list[Picture]] = {}
    small = {picture.path: picture for picture in data.pictures}
    for picture in data.pictures:
        if picture.role == ALIKE:
            continue
        pictures_of.setdefault(picture.class_name, []).append(picture)
    roles = [role for role in ("train", "validation", "test") if sum(data.counts.get(role, ()))]
    totals = [sum(data.counts[role][k] for role in roles) for k in range(len(data.class_names))]
    largest = max(totals, default=0) or 1
    return {
        "K": len(data.class_names),
        "roles": roles,
        "class_totals": totals,
        "largest": largest,
        "pictures_of": pictures_of,
        "scenes_title": scenes_title,
        "scenes": [
            (
                scene_text(scene, data.check["class_counts"]),
                [small[path] for path in scene["pictures"] if path in small],
            )
            for scene in data.check.get("scenes", ())
        ],
    }


_FINDINGS = {  # field of the check -> what the report calls one and several, and whether a person should look
    "used": ("picture used", "pictures used", False),
    "skipped": ("file skipped", "files skipped", True),
    "repaired": ("picture repaired", "pictures repaired", True),
    "remarks": ("file with a remark", "files with a remark", False),
    "blank": ("blank picture", "blank pictures", True),
    "exact_copies": ("group of exact copies", "groups of exact copies", True),
    "near_copies": ("group of near copies", "groups of near copies", True),
    "leaks": ("held-out picture with a copy in training", "held-out pictures with a copy in training", True),
    "conflicts": ("same picture, two labels", "same picture, two labels", True),
    "small_classes": ("class with fewer than five", "classes with fewer than five", True),
    "empty_classes": ("class left with nothing", "classes left with nothing", True),
    "similar_names": ("group of names that look alike", "groups of names that look alike", True),
}


def _findings(check: Mapping[str, Any]) -> list[tuple[str, int, bool, Any]]:
    """Return title, count, whether to look at it, and the value itself, for every known part of the check."""
    rows = []
    for key, (one, several, matters) in _FINDINGS.items():
        if key not in check:
            continue
        value = check[key]
        if key == "leaks" and any("group" in leak for leak in value):
            one, several = (
                one.replace("a copy", "a copy or its group"),
                several.replace("a copy", "a copy or their group"),
            )
        count = value if isinstance(value, int) else len(value)
        rows.append((one if count == 1 else several, count, matters and count > 0, value))
    return rows


def _check_notes(check: Mapping[str, Any]) -> list[str]:
    """Return the remarks of the check as sentences, imbalance included where it is worth one."""
    notes = [groups_text(check)] if check.get("groups") else []
    notes += [str(note) for note in check.get("notes", ())]
    if (imbalance := float(check.get("imbalance", 1.0))) >= 1.5:
        notes.append(f"The largest class has {imbalance:.1f} times the pictures of the smallest.")
    return notes


def safe_figure(svg: str) -> Markup:
    """Mark a figure as safe: its text was escaped when its tree was written."""
    return Markup(svg)  # noqa: S704


def both_widths(draw: Callable[..., str], *what: object) -> tuple[Markup, Markup]:
    """Return a figure laid out for a page and for a phone."""
    return one_width(draw, *what), one_width(partial(draw, width_px=360), *what)


def one_width(draw: Callable[..., str], *what: object) -> Markup:
    """Return a figure; one of the same is remembered, where a run remembers."""
    drawn = partial(draw, *what)  # of a partial function it takes over the arguments
    facts = [drawn.func.__module__, drawn.func.__qualname__, drawn.args, drawn.keywords]
    return safe_figure(recalled("figure", facts, make=drawn))


def plain_environment() -> jinja2.Environment:
    """Return a template environment for our templates: everything is escaped, an unknown name is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("thawline", "view"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _environment() -> jinja2.Environment:
    """Return the environment of the report and its like, with the filters that they share."""
    environment = plain_environment()
    environment.filters |= {
        "percent": percent,
        "span": span,
        "points": points,
        "moment": moment,
        "fact": fact,
        "unit": unit,
        "odds": odds,
        "duration": _duration,
        "size": size_text,
        "training": training,
        "short": short_name,
        "breakable": _breakable,
    }
    environment.globals |= {"score_text": score_text, "score_span": score_span}
    environment.globals |= {"scale": scale_of, "confusions": _confusions, "weakest": _weakest, "kind_words": KIND_WORDS}
    environment.globals["tie"] = {
        "test": TEST_WORDS.replace(" %", f"{GAP}%"),
        "margin": MARGIN_WORDS,
        "as_good": AS_GOOD_WORDS,
    }
    return environment


def _breakable(text: object) -> Markup:
    """Return escaped text that may be broken after an underscore, as many class names need."""
    return Markup("_<wbr>").join(str(text).split("_"))


def _duration(seconds: float) -> str:
    """Return a duration with spaces that do not break."""
    return duration_text(seconds).replace(" ", GAP)


def _weakest(test: Evaluation) -> list[ClassScore]:
    """Return the classes by recall, weakest first, those without a test picture last."""
    return sorted(test.per_class, key=lambda row: (row.support == 0, row.recall, row.f1))


def _confusions(test: Evaluation, limit: int) -> list[tuple[str, str, int, int]]:
    """Return the pairs confused most often: true class, predicted class, pictures, pictures of the true class."""
    wrong = np.array(test.confusion)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    pairs = [divmod(int(flat), len(test.class_names)) for flat in order]
    totals = np.asarray(test.confusion).sum(axis=1)
    names = test.class_names
    return [(names[i], names[j], int(wrong[i, j]), int(totals[i])) for i, j in pairs if wrong[i, j]]
