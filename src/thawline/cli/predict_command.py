"""`thawline predict` and `unsort`: words on the command line -> answers on the console, in a file, in class folders."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from thawline.cli.arguments import Device, Json, Model
from thawline.cli.console import say, say_json, stream
from thawline.core.errors import UsageError
from thawline.core.progress import SilentProgress, progress_for_stderr

if TYPE_CHECKING:
    from thawline.core.types import Prediction
    from thawline.data.sources.unlabelled import Answerable
    from thawline.use.answer import Answering
    from thawline.use.predict import Tally
    from thawline.use.sorting import SortedFolder

__all__ = ["predict", "unsort"]

STDIN = "stdin:"
"""What `-` is called while the words are parsed, where a hyphen begins an option."""

FORM_OF_ENDING = {".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json"}


Pictures = Annotated[
    list[str] | None,
    Parameter(
        help="Files, folders, quoted globs, archives, tables, and what else `fit` reads, labels or not; `-` reads "
        "their names from standard input."
    ),
]
Answers = Annotated[
    Path | None,
    Parameter(
        name=["--out", "-o"],
        help="Write the answers to this file instead: CSV or JSON by its ending, else text. One that stands there "
        "stays, unless --replace is given.",
    ),
]
Top = Annotated[
    int | None,
    Parameter(name=["--top", "-k"], help="Name so many classes of each.", validator=validators.Number(gte=1)),
]
SortInto = Annotated[
    Path | None,
    Parameter(
        help="Also copy every picture into a class folder below this one; those that the model is not sure of lie "
        "apart. Nothing is overwritten; `thawline unsort` undoes it."
    ),
]
Watch = Annotated[
    Path | None,
    Parameter(help="Answer the pictures of this folder, then each new one as it arrives, until Ctrl+C."),
]


def predict(
    model: Model,
    pictures: Pictures = None,
    *,
    out: Answers = None,
    replace: Annotated[bool, Parameter(help="Let --out replace a file that stands there.")] = False,
    top: Top = None,
    json: Annotated[bool, Parameter(help="One line of JSON per picture.")] = False,
    csv: Annotated[bool, Parameter(help="CSV with a column per class, safe for spreadsheets.")] = False,
    table: Annotated[bool, Parameter(help="A table with aligned columns.")] = False,
    sort_into: SortInto = None,
    link: Annotated[bool, Parameter(help="Let --sort-into make links instead of copies.")] = False,
    watch: Watch = None,
    device: Device = "auto",
) -> None:
    """Predict the class of each picture; one that cannot be read gets a row with the reason.

    Where none can be read, the exit code is 1.
    """
    form = _form(json=json, csv=csv, table=table, out=out)
    _check(pictures, out=out, replace=replace, sort_into=sort_into, link=link, watch=watch)
    from thawline.use.model_place import open_model
    from thawline.use.predict import Tally
    from thawline.use.sorting import SortedFolder

    answering = open_model(model, device=device)
    into = None if sort_into is None else SortedFolder(sort_into, how="link" if link else "copy")
    tally = Tally()
    rows = _rows(answering, _found(pictures, watch), tally=tally, into=into, is_endless=watch is not None)
    lines = _lines(rows, form, answering=answering, top=top)
    if watch is None:
        stream(lines) if out is None else _write(out, lines, replace=replace)
    else:
        sys.stderr.write(f"thawline: watching {watch} until Ctrl+C\n")
        with suppress(KeyboardInterrupt):  # the usual way to stop it
            stream(lines) if out is None else _append(out, lines)
    if out is not None or into is not None or watch is not None:
        _tell(tally, out=out, into=into)
    if watch is None:
        tally.require_one(pictures or [])


def _rows(
    answering: Answering,
    found: Iterable[Sequence[Answerable]],
    *,
    tally: Tally,
    into: SortedFolder | None,
    is_endless: bool,
) -> Iterator[Prediction]:
    """Yield a row a picture, counted, and each after its picture stands in its class folder."""
    from thawline.use.predict import predict_each

    for pictures in found:
        progress = SilentProgress() if is_endless else progress_for_stderr()
        rows = tally.counted(predict_each(answering, pictures, progress=progress))
        for row, (_, source) in zip(rows, pictures, strict=True):
            if into is not None:
                into.put(row, source)
            yield row


def unsort(
    folder: Annotated[Path, Parameter(help="The folder that `predict --sort-into` named.")],
    *,
    json: Json = False,
) -> None:
    """Undo `predict --sort-into`: remove the copies and links that it made and that nobody has changed."""
    from thawline.use.sorting import undo

    done = undo(folder)
    if json:
        say_json({"removed": done.num_removed, "changed": list(done.changed)})
        return
    say(f"removed {_count(done.num_removed)} from {folder}")
    for place in done.changed:
        say(f"left alone, changed since it was put there: {folder / place}")


def _form(*, json: bool, csv: bool, table: bool, out: Path | None) -> str:
    """Return the one form that was asked for: json, csv, table or text."""
    asked = [name for name, is_asked in (("json", json), ("csv", csv), ("table", table)) if is_asked]
    if len(asked) > 1:
        raise UsageError(f"predict: --{' and --'.join(asked)} contradict each other. Choose one of them.")
    return asked[0] if asked else FORM_OF_ENDING.get(out.suffix.lower(), "text") if out else "text"


def _check(
    pictures: Sequence[str] | None,
    *,
    out: Path | None,
    replace: bool,
    sort_into: Path | None,
    link: bool,
    watch: Path | None,
) -> None:
    """Refuse what contradicts itself, or would lose something, before the model is loaded."""
    from thawline.use.sorting import require_apart

    if watch is None and not pictures:
        raise UsageError("predict: no pictures are named. Name files or folders, `-` for names on standard input.")
    if watch is not None and pictures:
        raise UsageError("predict: --watch names its folder itself. Leave the other pictures out, or --watch.")
    if link and sort_into is None:
        raise UsageError("predict: --link is for --sort-into. Name its folder, or leave --link out.")
    if out is not None and os.path.lexists(out) and not (replace and out.is_file()):
        what = "is a folder" if out.is_dir() else "stands there already"
        raise UsageError(f"predict: {out} {what}. Choose another name with -o, or pass --replace for a file.")
    if sort_into is not None:
        for named in [watch] if watch else [Path(name) for name in pictures or () if name != STDIN]:
            require_apart(sort_into, named)


def _found(pictures: Sequence[str] | None, watch: Path | None) -> Iterator[Sequence[Answerable]]:
    """Yield the pictures that are named, at once; or those of a folder as they arrive."""
    if watch is not None:
        from thawline.use.watching import arrivals

        yield from arrivals(watch)
        return
    from thawline.data.sources.unlabelled import pictures_in

    yield pictures_in([name for given in pictures or () for name in (_typed_in() if given == STDIN else [given])])


def _typed_in() -> list[str]:
    """Return the names on standard input: one a line, or ended by NUL as `find -print0` does."""
    given = sys.stdin.buffer.read()
    parts = given.split(b"\0") if b"\0" in given else given.splitlines()
    return [os.fsdecode(part) for part in parts if part.strip()]


def _lines(rows: Iterator[Prediction], form: str, *, answering: Answering, top: int | None) -> Iterator[str]:
    from thawline.view.prediction_text import answered_csv, prediction_lines, prediction_table, predictions_jsonl

    if form == "json":
        return predictions_jsonl(rows, top=top)
    if form == "csv":
        return answered_csv(rows, answering.class_names, top=top)
    number = min(top or 1, len(answering.class_names))
    return prediction_table(rows, top=number) if form == "table" else prediction_lines(rows, top=number)


def _write(out: Path, lines: Iterable[str], *, replace: bool) -> None:
    """Write a file as a whole: it is there once every picture is answered."""
    from thawline.core.store import disk_errors, staging_directory

    with disk_errors("predict", out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with staging_directory(out.parent) as staged:
            made = staged / "answers"
            with made.open("w", encoding="utf-8", newline="") as file:
                file.writelines(line + "\n" for line in lines)
            if not replace and os.path.lexists(out):
                raise UsageError(f"predict: {out} came into being meanwhile. Choose another name with -o.")
            made.replace(out)


def _append(out: Path, lines: Iterable[str]) -> None:
    """Write a file line by line as the answers come."""
    from thawline.core.store import disk_errors

    with disk_errors("predict", out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", encoding="utf-8", newline="", buffering=1) as file:
            for line in lines:
                file.write(line + "\n")


def _tell(tally: Tally, *, out: Path | None, into: SortedFolder | None) -> None:
    """Write to standard error what was done and where it is."""
    from thawline.view.prediction_text import tally_text

    lines = [f"predict: {tally_text(tally.num_rows, num_answers=tally.num_answers, doubts=tally.doubts)}"]
    if out is not None:
        lines.append(f"  {out}")
    if into is not None:
        known = f" ({into.num_known:,} stood there already)" if into.num_known else ""
        few = ", ".join(f"{name} {count:,}" for name, count in islice(into.counts.most_common(), 8))
        lines.append(f"  {_count(into.counts.total())} put into {into.folder}{known}{f': {few}' if few else ''}")
    sys.stderr.write("\n".join(lines) + "\n")


def _count(number: int) -> str:
    return "1 picture" if number == 1 else f"{number:,} pictures"
