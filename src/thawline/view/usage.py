"""The data of a run -> the commands that use its model, with the run's own paths: what a person copies."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from thawline.view.report_data import ReportData
from thawline.view.words import printable

__all__ = ["Command", "commands_of"]

UNKNOWN = "RUN"


@dataclass(frozen=True)
class Command:
    """Something to copy.

    Attributes:
        title: What it does, in a few words.
        text: Lines to copy.
        note: What to know besides; may be empty.
    """

    title: str
    text: str
    note: str = ""


def commands_of(data: ReportData) -> tuple[Command, ...]:
    """Return how the model of a run is used: command line, Python, score again, service; the folder as it was named."""
    place = printable(data.place) or UNKNOWN
    run, model = shlex.quote(place), shlex.quote(f"{place}/model")
    python = (
        "import thawline\n\n"
        f'for row in thawline.predict({f"{place}/model"!r}, "new_pictures/"):\n'
        "    print(row.path, row.label, row.probability)"
    )
    return (
        Command(
            "Name the class of new pictures",
            f"thawline predict {model} new_pictures/",
            "Files, folders, archives or tables; `--csv` and `--json` write what other programs read.",
        ),
        Command("The same in Python", python),
        Command(
            "Score it on other labelled pictures",
            f"thawline evaluate {model} labelled_pictures/",
            "The surest way to learn what it is worth elsewhere.",
        ),
        Command(
            "Run it without PyTorch, or as a service with a page to drop pictures on",
            f"thawline export {run}\nthawline serve {shlex.quote(f'{place}/exports/model.onnx')}",
            "The first line writes one ONNX file; it needs `pip install 'thawline[export]'`, the second "
            "`pip install 'thawline[serve]'`.",
        ),
        Command("Draw this page again", f"thawline report {shlex.quote(place)}", "After an update of Thawline."),
    )
