"""`thawline evaluate` and `serve`: words on the command line -> a model in use -> console."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import thawline
from thawline.cli.arguments import CHECK_DEFAULTS, Device, FlatCheck, Json, Model, Photos
from thawline.cli.console import say, say_json
from thawline.core.progress import progress_for_stderr

__all__ = ["evaluate", "serve"]


def evaluate(
    model: Model,
    photos: Photos,
    *,
    device: Device = "auto",
    options: FlatCheck = CHECK_DEFAULTS,
    json: Json = False,
) -> None:
    """Score a model on labelled pictures: their test part where they have one, else all of them."""
    from thawline.view.summary import evaluation_text

    result = thawline.evaluate(model, photos, options=options, device=device, progress=progress_for_stderr())
    say_json(result.to_json()) if json else say(evaluation_text(result))


def serve(
    model: Annotated[
        Path, Parameter(help="Folder of a run, a model folder, or an ONNX file that `thawline export` wrote.")
    ],
    *,
    host: Annotated[
        str, Parameter(help="Address to listen on; `0.0.0.0` lets other machines in and needs `--token-file`.")
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port; 0 takes a free one.")] = 8000,
    allowed_host: Annotated[
        list[str] | None,
        Parameter(help="Another name that the service is called by, such as a proxy's; may be repeated."),
    ] = None,
    token_file: Annotated[
        Path | None, Parameter(help="File with a token that requests show as `Authorization: Bearer TOKEN`.")
    ] = None,
    keep_unsure: Annotated[
        Path | None,
        Parameter(
            help="Folder in which pictures are kept that the model does not answer, to be labelled. Default: none."
        ),
    ] = None,
    log: Annotated[bool, Parameter(help="A line of JSON on standard output for each request.")] = False,
) -> None:
    """Answer requests with a model: a page to drop pictures on, `POST /predict`, `/v2`, `/metrics`, `/docs`."""

    def note(text: str) -> None:
        sys.stderr.write(f"thawline: {text}\n")
        sys.stderr.flush()

    thawline.serve(
        model,
        host=host,
        port=port,
        ready=lambda address: note(f"{model} answers at {address} until Ctrl+C"),
        allowed_hosts=allowed_host or (),
        token_file=token_file,
        keep_unsure=keep_unsure,
        log=sys.stdout if log else None,
        note=note,
    )
