"""`suspects.csv` as a person left it -> pictures under other labels, or left out, and what became of every row.

One idea: a correction belongs to the bytes of a picture, so it holds for all files with these bytes, wherever they have
been moved; only a row without a digest goes by its path. Features go by bytes too, so nothing is extracted again.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thawline.core.errors import DataError, first_few
from thawline.core.spreadsheet import csv_text
from thawline.data.dataset import LedgerRow
from thawline.data.sources.delimited import parse_csv
from thawline.data.sources.listing import FileSource, display_path

__all__ = ["COLUMNS", "Correction", "Corrections", "apply_corrections", "corrections_csv", "read_corrections"]

COLUMNS = ("path", "label", "suggested", "sha256")
"""Columns of the copy that a run keeps."""

LEFT_OUT = "left out by a correction"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NEEDED = (
    "Required is the `suspects.csv` of a run, or a CSV with the columns `path` (or `sha256`) and `suggested`: the "
    "class of the picture, or nothing, to leave it out."
)
SHOWN = 3


@dataclass(frozen=True)
class Correction:
    """What a person says of one picture.

    Attributes:
        path: As the row has it; may be out of date where there is a digest.
        sha256: Hex digest of the picture's bytes; empty where the row goes by its path.
        suggested: The class that it belongs to; empty where it is to be left out.
        where: File and line, for errors.
        label: What it was called, as the row has it.
    """

    path: str
    sha256: str
    suggested: str
    where: str
    label: str = ""


@dataclass(frozen=True)
class Corrections:
    """What became of the corrections of a data set.

    Attributes:
        files: Names of the files that they were read from, in order.
        rows: One for each picture (bytes, or a path that was not found) that a row is about, as finally decided.
        relabelled: (path, label before, label now) of every file under another label than its own.
        left_out: Paths of the files that are left out.
        num_as_before: Files that already are what their correction says.
        missing: (path, reason) of every row that no picture was found for.
    """

    files: tuple[str, ...]
    rows: tuple[Correction, ...]
    relabelled: tuple[tuple[str, str, str], ...]
    left_out: tuple[str, ...]
    num_as_before: int
    missing: tuple[tuple[str, str], ...]

    @property
    def note(self) -> str:
        """What was done, in a sentence."""
        relabelled, left = len(self.relabelled), len(self.left_out)
        parts = [f"{relabelled:,} picture{'' if relabelled == 1 else 's'} under another label"]
        parts += [f"{left:,} left out"] if left else []
        parts += [f"{self.num_as_before:,} as before"] if self.num_as_before else []
        missing = [f"{path} ({reason})" for path, reason in self.missing]
        lost = f"; {len(missing):,} could not be applied: {first_few(missing, SHOWN)}" if missing else ""
        return f"--corrections {' '.join(self.files)}: {', '.join(parts)}{lost}"

    def to_json(self) -> dict[str, Any]:
        """Return what was done as plain lists and dictionaries."""
        return {
            "files": list(self.files),
            "relabelled": [{"path": path, "from": was, "to": now} for path, was, now in self.relabelled],
            "left_out": list(self.left_out),
            "as_before": self.num_as_before,
            "missing": [{"path": path, "reason": reason} for path, reason in self.missing],
        }


def read_corrections(files: Sequence[Path]) -> tuple[tuple[Correction, ...], ...]:
    """Return the rows of each file, in order.

    Raises:
        DataError: A file cannot be read, lacks a column, or has a row that names no picture; or it comes from a run
            whose own corrections are not named and would be undone.
    """
    named = {file.resolve() for file in files}
    for file in files:
        kept = file.resolve().with_name("corrections.csv")
        if file.name == "suspects.csv" and kept.is_file() and kept not in named:
            older, newer = display_path(file.with_name("corrections.csv")), display_path(file)
            raise DataError(
                f"corrections: {newer} is of a run that stands on {older}, which would be undone. Name both: "
                f"--corrections {older} --corrections {newer}; or move {older} away to undo it."
            )
    return tuple(_read(file) for file in files)


def corrections_csv(found: Corrections) -> str:
    """Return corrections as CSV that `read_corrections` reads, whatever files they came from."""
    return csv_text([COLUMNS, *((row.path, row.label, row.suggested, row.sha256) for row in found.rows)])


def apply_corrections(
    rows: Sequence[LedgerRow],
    files: Sequence[Path],
    *,
    class_names: Mapping[str, str],
    is_part: bool = False,
) -> tuple[list[LedgerRow], Corrections]:
    """Return the ledger rows of all files with their corrections, and what was done.

    Of several files, a later one goes before an earlier. A picture that is not there (any more) is no error where the
    row has its digest, as long as any row finds its picture.

    Args:
        rows: Every file that was examined.
        files: As in `read_corrections`.
        class_names: Every name that a class may be called by → its name.
        is_part: Whether pictures were left aside unread (`--limit`), so that a path may be right and not found.

    Raises:
        DataError: As `read_corrections`; or a class that does not exist, a path that does not, a picture of which two
            rows of one file say different things, or no row that finds its picture.
    """
    by_file = [[_settled(item, class_names) for item in corrections] for corrections in read_corrections(files)]
    by_digest: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        by_digest[row.sha256].append(place)
    digest_of = {row.path: row.sha256 for row in rows}
    asked = [item for corrections in by_file for item in corrections]
    _refuse_unknown_classes(asked, class_names)
    if not is_part:
        _refuse_unknown_paths(asked, digest_of)
    decided: dict[tuple[str, str], Correction] = {}
    for corrections in by_file:
        decided |= _decided(corrections, digest_of)
    found = _applied(rows, decided, by_digest, names=tuple(display_path(file.name) for file in files))
    if decided and len(found[1].missing) == len(decided):
        path, reason = found[1].missing[0]
        raise DataError(
            f"corrections: none of the {len(decided):,} rows of {first_few([str(file) for file in files])} finds its "
            f"picture, the first being {path} ({reason}). Name the corrections of these pictures."
        )
    return found


def _read(file: Path) -> tuple[Correction, ...]:
    """Return the rows of one file."""
    where = f"corrections: {display_path(file)}"
    try:
        table = parse_csv(FileSource(file).read(), title=file.name)
    except DataError as error:
        raise DataError(f"{where}: {error}. {_NEEDED}") from None
    heads = [cell.strip().casefold() for cell in table.rows[0].cells] if table.rows else []
    if "suggested" not in heads or not {"path", "sha256"} & set(heads):
        missing = "suggested" if "suggested" not in heads else "path"
        shown = f"its first line is {', '.join(heads)[:100]!r}" if heads else "it is empty"
        raise DataError(f"{where} has no column {missing!r}: {shown}. {_NEEDED}")
    found, bad = [], []
    for row in table.rows[1:]:
        cells = dict(zip(heads, row.cells, strict=False))
        digest, path = cells.get("sha256", "").casefold(), cells.get("path", "")
        if (digest and not _DIGEST.fullmatch(digest)) or not (digest or path) or "suggested" not in cells:
            bad.append(f"line {row.line} ({','.join(row.cells)[:60]})")
            continue
        place = f"{display_path(file.name)}, line {row.line}"
        found.append(Correction(path, digest, cells["suggested"], place, cells.get("label", "")))
    if bad:
        raise DataError(
            f"{where}: {first_few(bad, SHOWN)}: each row needs a cell for `suggested`, and a path or a sha256 of 64 "
            "hex digits. Write these rows again, or delete them."
        )
    return tuple(found)


def _settled(item: Correction, class_names: Mapping[str, str]) -> Correction:
    """Return a correction to a class as the data set calls it; as it is where there is none."""
    name = unicodedata.normalize("NFC", item.suggested)
    return replace(item, suggested=class_names.get(name, name))


def _refuse_unknown_classes(asked: Sequence[Correction], class_names: Mapping[str, str]) -> None:
    known = sorted(set(class_names.values()))
    unknown = {item.suggested: item.where for item in reversed(asked) if item.suggested not in {"", *known}}
    if unknown:
        words = []
        for name, where in [*unknown.items()][:SHOWN]:
            near = difflib.get_close_matches(name, known, n=2)
            words.append(f"{name!r} ({where})" + (f", did you mean {' or '.join(near)}?" if near else ""))
        more = f" and {len(unknown) - SHOWN:,} more" if len(unknown) > SHOWN else ""
        raise DataError(
            f"corrections: there is no class {'; '.join(words)}{more}. Classes are {first_few(known)}. Write one of "
            "them; an empty cell leaves the picture out."
        )


def _refuse_unknown_paths(asked: Sequence[Correction], known: Mapping[str, str]) -> None:
    unknown = [item for item in asked if not item.sha256 and item.path not in known]
    if unknown:
        words = []
        for item in unknown[:SHOWN]:
            near = difflib.get_close_matches(item.path, known, n=1)
            words.append(f"{item.path} ({item.where})" + (f", did you mean {near[0]}?" if near else ""))
        more = f" and {len(unknown) - SHOWN:,} more" if len(unknown) > SHOWN else ""
        raise DataError(
            f"corrections: there is no picture {'; '.join(words)}{more}. Write its path as ledger.csv has it, or add "
            "its sha256, which finds it wherever it lies."
        )


def _decided(asked: Sequence[Correction], digest_of: Mapping[str, str]) -> dict[tuple[str, str], Correction]:
    """Return what one file says of each picture, by its digest or, where that is not known, its path.

    Raises:
        DataError: Two rows say different things of one picture.
    """
    decided: dict[tuple[str, str], Correction] = {}
    against = []
    for item in asked:
        digest = item.sha256 or digest_of.get(item.path, "")
        key = (digest, "" if digest else item.path)
        other = decided.setdefault(key, replace(item, sha256=digest))
        if other.suggested != item.suggested:
            left, right = (one.suggested or "nothing" for one in (other, item))
            against.append(f"{item.path or item.sha256} is {left} ({other.where}) and {right} ({item.where})")
    if against:
        raise DataError(
            f"corrections: {len(against):,} picture{'' if len(against) == 1 else 's'} would be two things at once: "
            f"{first_few(against, SHOWN)}. All files with the same bytes are one picture. Keep one row of it."
        )
    return decided


def _applied(
    rows: Sequence[LedgerRow],
    decided: Mapping[tuple[str, str], Correction],
    by_digest: Mapping[str, Sequence[int]],
    *,
    names: tuple[str, ...],
) -> tuple[list[LedgerRow], Corrections]:
    """Return the ledger with what was decided, and what was done."""
    corrected, kept, relabelled, left_out, missing, as_before = list(rows), [], [], [], [], 0
    for (digest, _), item in decided.items():
        places = [place for place in by_digest.get(digest, ()) if digest and rows[place].status != "skipped"]
        if not places:
            is_there = digest in by_digest and digest
            reason = "it cannot be read" if is_there else "no picture with these bytes" if digest else "no such picture"
            missing.append((item.path or item.sha256, reason))
            kept.append(item)
            continue
        first = rows[places[0]]
        kept.append(replace(item, path=first.path, label=first.label))
        for place in places:
            row = rows[place]
            if not item.suggested:
                corrected[place] = replace(row, status="skipped", reason=LEFT_OUT)
                left_out.append(row.path)
            elif item.suggested == row.label:
                as_before += 1
            else:
                corrected[place] = replace(row, label=item.suggested, corrected_from=row.label)
                relabelled.append((row.path, row.label, item.suggested))
    found = Corrections(names, tuple(kept), tuple(relabelled), tuple(left_out), as_before, tuple(missing))
    return corrected, found
