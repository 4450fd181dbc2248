"""`thawline export` and `verify`: words on the command line -> a model in other forms -> console."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import thawline
from thawline.cli.arguments import Json
from thawline.cli.console import say, say_json
from thawline.core.errors import UsageError
from thawline.core.progress import progress_for_stderr

__all__ = ["export", "verify"]


def export(
    model: Annotated[
        Path | None, Parameter(help="The folder of a run, or a `model` folder; not needed with `--list`.")
    ] = None,
    *,
    to: Annotated[
        list[str] | None, Parameter(help="The form; may be repeated. Default: onnx. `--list` explains them.")
    ] = None,
    out: Annotated[
        Path | None,
        Parameter(
            name=["--out", "-o"],
            help="The file or folder; of several forms, a folder for them. Default: `exports/` in the run.",
        ),
    ] = None,
    list: Annotated[bool, Parameter(help="List the forms, what each needs, and whether that is installed.")] = False,  # noqa: A002
    json: Json = False,
) -> None:
    """Write a model in forms that other programs run; each is proved by golden pictures before it is put in its place.

    A form that answers otherwise than the model folder is refused, and nothing is written.
    """
    from thawline.use.exports.kinds import KINDS
    from thawline.view.export_text import exported_text, kinds_text

    if list:
        facts = [{**asdict(kind), "missing": kind.missing} for kind in KINDS]
        say_json(facts) if json else say(kinds_text(KINDS))
        return
    if model is None:
        raise UsageError("export: no model is named. Name the folder of a run: `thawline export RUN`.")
    done = thawline.export_all(model, to or ["onnx"], out=out, progress=progress_for_stderr())
    if json:
        say_json([{**asdict(each), "path": str(each.path)} for each in done])
    else:
        say("\n".join(map(exported_text, done)))


def verify(
    export: Annotated[Path, Parameter(help="An exported file or folder, or the folder of a run: all its exports.")],
    *,
    json: Json = False,
) -> int:
    """Repeat on this machine what proved an export: its golden pictures must get the answers of the model folder.

    Shows size, memory, time of a picture and differences, of several exports side by side. The exit code is 1 where
    one does not pass.
    """
    from thawline.use.exports.verify import verified_json
    from thawline.view.export_text import verified_text
    from thawline.view.words import printable

    results = thawline.verify(export, progress=progress_for_stderr())
    if json:
        say_json(verified_json(results, named=export))
        for failed in (result for result in results if not result.passed):
            sys.stderr.write(f"thawline: {printable(str(failed.path))}: {printable(failed.words)}\n")
    else:
        say(verified_text(results))
    return 0 if all(result.passed for result in results) else 1
