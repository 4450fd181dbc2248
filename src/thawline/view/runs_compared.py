"""The folders of several finished runs -> one offline HTML page that sets them side by side on the pictures they share.

One idea: everything is read from their `report.json`; nothing is predicted again, and no picture is opened.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thawline.core.errors import DataError, StoreError, UsageError, first_few
from thawline.core.html import scale_of
from thawline.core.owned import contains
from thawline.core.scores import SCORES
from thawline.core.store import disk_errors, write_bytes
from thawline.search.ties import SIGNIFICANCE
from thawline.vet.answer_table import AnswerTable
from thawline.vet.runs_paired import Difference, PairedRuns, pair_runs
from thawline.view.page import render_plain
from thawline.view.render import read_report
from thawline.view.report_data import ReportData
from thawline.view.words import fact, printable

__all__ = ["compare_runs"]

TITLE = b"side by side \xc2\xb7 thawline</title>"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SHOWN = 48
KINDS = ("balanced_accuracy", "macro_f1", "log_loss")
PASSED_OVER = frozenset({"seconds", "bank", "options.cache_dir"})
"""Facts of provenance that say nothing of how a model was made."""


def compare_runs(runs: Sequence[Path | str], out: Path | str | None = None, *, replace: bool = False) -> Path:
    """Write a page that sets finished runs side by side, and return its path.

    Every further run is compared with the first, picture by picture, on the test pictures that all share; where these
    are few, on all pictures that every run answered without having seen them.

    Args:
        runs: Two or more folders that `fit`, `tune` or a recipe wrote; their classes must be the same.
        out: The page; None takes `compared.html` next to the first run's folder. An older such page is replaced.
        replace: Whether to replace a file that is no such page too.

    Raises:
        UsageError: Fewer than two runs, one of them twice, or more than 26.
        StoreError: A folder is no run, or of an earlier version; or the page cannot be written.
        DataError: Other classes, or no picture in common.
    """
    folders = [Path(run) for run in runs]
    _require_several(folders)
    read = [read_report(folder) for folder in folders]
    tables = [_table(folder, data) for folder, data in zip(folders, read, strict=True)]
    _require_same_classes(folders, read)
    paired = pair_runs(tables, [data.class_names for data in read])
    if paired is None:
        raise DataError(
            f"report: {first_few([str(folder) for folder in folders])} have no picture in common that all of them "
            "answered under the same label, so there is nothing to compare. Name runs on the same pictures."
        )
    target = folders[0].resolve().parent / "compared.html" if out is None else Path(out)
    if target.exists() and not replace and not contains(target, TITLE):
        raise StoreError(
            f"report: {target} stands there and is no page of compared runs. Choose another place with -o, or pass "
            "--replace."
        )
    page = _page(folders, read, tables=tables, paired=paired)
    with disk_errors("report", target):
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, page.encode())
    return target


def _require_several(folders: Sequence[Path]) -> None:
    """Refuse a single run, the same one twice, and more than there are letters for."""
    if not 2 <= len(folders) <= len(LETTERS):
        raise UsageError(f"report: {len(folders)} runs named; 2 to {len(LETTERS)} can be set side by side.")
    seen: set[Path] = set()
    for folder in folders:
        if folder.resolve() in seen:
            raise UsageError(f"report: {folder} is named twice. Name each run once.")
        seen.add(folder.resolve())


def _table(folder: Path, data: ReportData) -> AnswerTable:
    if data.answers is None:
        raise StoreError(
            f"report: {folder} was written by an earlier version, which kept no answers picture by picture. Run its "
            "command again; nothing is extracted twice."
        )
    return data.answers


def _require_same_classes(folders: Sequence[Path], read: Sequence[ReportData]) -> None:
    """Refuse runs whose classes differ, and say which do."""
    first = set(read[0].class_names)
    for folder, data in zip(folders[1:], read[1:], strict=True):
        own = set(data.class_names)
        if own == first:
            continue
        sides = [
            f"{first_few([printable(name) for name in sorted(names)])} only in {place}"
            for names, place in ((first - own, folders[0]), (own - first, folder))
            if names
        ]
        raise DataError(
            f"report: {folders[0]} and {folder} have different classes: {'; '.join(sides)}. Name runs with the same "
            "ones."
        )


def _page(
    folders: Sequence[Path], read: Sequence[ReportData], *, tables: Sequence[AnswerTable], paired: PairedRuns
) -> str:
    """Return the page."""
    runs = [
        {
            "letter": letter,
            "name": str(folder),
            "kept": _kept(data),
            "scores": scores,
            "own": data.evaluation.accuracy if data.evaluation else None,
        }
        for letter, folder, data, scores in zip(LETTERS, folders, read, paired.scores, strict=False)
    ]
    sides = _Sides(read, tables, paired)
    pairs = [_pair(sides, number, gap) for number, gap in enumerate(paired.differences, start=1)]
    shares = [scores["accuracy"] for scores in paired.scores]
    where = "test pictures that all of them were tested on"
    if paired.part != "test":
        where = "pictures that each of them answered without having seen them"
    return render_plain(
        "runs.html.j2",
        {
            "runs": runs,
            "paired": paired,
            "pairs": pairs,
            "where": where,
            "kinds": [kind for kind in SCORES if kind.name in KINDS],
            "scale_of_runs": scale_of([score.low for score in shares], [score.high for score in shares]),
            "differing": list(_differing(read)),
        },
    )


def _kept(data: ReportData) -> str:
    """Return the name of the strategy or the row whose model a run kept."""
    return data.comparison.delivered if data.comparison else data.leaderboard.trials[data.leaderboard.winner].name


@dataclass(frozen=True)
class _Sides:
    """What is known of the shared pictures in every run."""

    read: Sequence[ReportData]
    tables: Sequence[AnswerTable]
    paired: PairedRuns

    def picture(self, place: int) -> str:
        """Return the thumbnail of a shared picture as a link that holds it, from the first run that has one."""
        for data, table, rows in zip(self.read, self.tables, self.paired.rows, strict=True):
            found = data.album.place_of.get(table.paths[rows[place]])
            if found is not None:
                jpeg = data.album.pictures[found].jpeg
                return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
        return ""

    def said(self, run: int, place: int) -> dict[str, Any]:
        """Return what a run said of a shared picture."""
        table, row, names = self.tables[run], self.paired.rows[run, place], self.read[run].class_names
        label = names[table.predicted[row]]
        return {
            "letter": LETTERS[run],
            "label": label,
            "share": float(table.confidence[row]),
            "is_right": label == names[table.labels[row]],
        }


def _pair(sides: _Sides, number: int, gap: Difference) -> dict[str, Any]:
    """Return what the page says of one run against the first."""
    if gap.p_value <= SIGNIFICANCE:
        verdict = "The difference is larger than chance explains."
    else:
        verdict = "These pictures cannot tell the two apart."
    return {
        "letter": LETTERS[number],
        "gap": gap,
        "p_text": f"{gap.p_value:.3f}" if gap.p_value >= 0.001 else "less than 0.001",
        "verdict": verdict,
        "won": [_changed(sides, number, place) for place in gap.won[:SHOWN].tolist()],
        "lost": [_changed(sides, number, place) for place in gap.lost[:SHOWN].tolist()],
        "num_won": len(gap.won),
        "num_lost": len(gap.lost),
    }


def _changed(sides: _Sides, number: int, place: int) -> dict[str, Any]:
    """Return a picture that changed sides between the first run and another."""
    first, row = sides.tables[0], sides.paired.rows[0, place]
    return {
        "path": first.paths[row],
        "picture": sides.picture(place),
        "true": sides.read[0].class_names[first.labels[row]],
        "said": [sides.said(0, place), sides.said(number, place)],
    }


def _differing(read: Sequence[ReportData]) -> Iterator[tuple[str, list[str]]]:
    """Yield every fact of how the models were made that is not the same in all runs, with its values."""
    facts = [
        {"command": data.command, "metric": data.leaderboard.metric, **dict(_flat(data.provenance))} for data in read
    ]
    for key in dict.fromkeys(key for own in facts for key in own):
        values = [own.get(key) for own in facts]
        if (
            key.split(".")[0] not in PASSED_OVER
            and key not in PASSED_OVER
            and any(value != values[0] for value in values)
        ):
            yield key.replace("_", " ").replace(".", " · "), [fact(value) for value in values]


def _flat(facts: Mapping[str, Any], *, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the facts of a mapping and of those in it, named by the way to them."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, before=f"{before}{key}.")
        else:
            yield f"{before}{key}", value
