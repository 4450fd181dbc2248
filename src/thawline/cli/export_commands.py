"""`thawline export` and `verify`: words on the command line -> a model in other forms -> console."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

import thawline
from thawline.cli.arguments import Json
from thawline.cli.console import say, say_json
from thawline.core.errors import UsageError
from thawline.core.progress import progress_for_stderr

if TYPE_CHECKING:
    from thawline.use.exports.hub_upload import Pushed
    from thawline.use.exports.write_export import Exported

__all__ = ["export", "verify"]

OrtWeb = Annotated[
    Path | None,
    Parameter(help="Of `web`: the tarball of onnxruntime-web as `npm pack` makes it, instead of fetching it once."),
]
Out = Annotated[
    Path | None,
    Parameter(
        name=["--out", "-o"],
        help="The file or folder; of several forms, a folder for them. Default: `exports/` in the run.",
    ),
]
MeasuredOn = Annotated[
    Path | None,
    Parameter(
        help="For onnx-int8, which is measured on pictures: where those of the run lie now, if they moved; or "
        "labelled ones that the model has not learnt from. With `--with-neighbours`: where those lie that it "
        "learnt from, if they moved."
    ),
]
Carrying = Annotated[
    bool,
    Parameter(
        help="For onnx and onnx-tensor: put training pictures next to the file, up to 5,000 as thumbnails with their "
        "labels, so that a service shows those most like a picture. Whoever gets that file sees them; no push "
        "sends it.",
    ),
]


def export(
    model: Annotated[
        Path | None, Parameter(help="The folder of a run, or a `model` folder; not needed with `--list`.")
    ] = None,
    *,
    to: Annotated[
        list[str] | None, Parameter(help="The form; may be repeated. Default: onnx. `--list` explains them.")
    ] = None,
    out: Out = None,
    photos: MeasuredOn = None,
    with_neighbours: Carrying = False,
    push_to: Annotated[
        str | None,
        Parameter(help="OWNER/NAME on Hugging Face's hub, for timm or onnx; the token is read from HF_TOKEN alone."),
    ] = None,
    public: Annotated[bool, Parameter(help="A repository that the push makes is for everybody; else private.")] = False,
    with_golden: Annotated[
        bool, Parameter(help="Push the golden pictures too, which are training pictures; else they stay here.")
    ] = False,
    ort_web: OrtWeb = None,
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
    kinds = to or ["onnx"]
    _require_pushable(push_to, kinds, only_pushed=public or with_golden, with_neighbours=with_neighbours)
    done = thawline.export_all(
        model,
        kinds,
        out=out,
        photos=photos,
        ort_web=ort_web,
        with_neighbours=with_neighbours,
        progress=progress_for_stderr(),
    )
    rows = [{**asdict(each), "path": str(each.path)} for each in done]
    if not json:
        say("\n".join(map(exported_text, done)))
    if push_to is not None:
        pushed = _pushed(model, done[0], repository=push_to, private=not public, with_golden=with_golden)
        rows[0]["pushed"] = asdict(pushed)
        if not json:
            say(f"{pushed.url}  {'private' if pushed.is_private else 'public'}")
    if json:
        say_json(rows)


def _require_pushable(push_to: str | None, kinds: Sequence[str], *, only_pushed: bool, with_neighbours: bool) -> None:
    """Refuse what does not go with a push, or what only goes with one, before anything is exported."""
    if push_to is None:
        if only_pushed:
            raise UsageError("export: --public and --with-golden go with --push-to OWNER/NAME. Name the repository.")
        return
    if with_neighbours:
        raise UsageError("export: training pictures are never pushed. Push without --with-neighbours.")
    from thawline.use.exports.hub_upload import require_pushable

    require_pushable(push_to, kinds)


def _pushed(model: Path, done: Exported, *, repository: str, private: bool, with_golden: bool) -> Pushed:
    """Send an export to the hub; what goes up is told on standard error first."""
    from thawline.use.exports.hub_upload import push_export
    from thawline.view.words import printable

    def tell(line: str) -> None:
        sys.stderr.write(f"thawline: {printable(line)}\n")
        sys.stderr.flush()

    return push_export(
        model,
        done.path,
        repository=repository,
        kind=done.kind,
        private=private,
        with_golden=with_golden,
        say=tell,
    )


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
    return 1 if any(result.passed is False for result in results) else 0
