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
    model: Annotated[Path, Parameter(help="An ONNX file that `thawline export` wrote.")],
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
) -> None:
    """Answer requests with an exported model: a page to drop pictures on, `POST /predict`, `GET /health`."""

    def ready(address: str) -> None:
        sys.stderr.write(f"thawline: {model} answers at {address} until Ctrl+C\n")
        sys.stderr.flush()

    thawline.serve(model, host=host, port=port, ready=ready, allowed_hosts=allowed_host or (), token_file=token_file)
