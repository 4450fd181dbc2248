"""`thawline export` and `thawline serve`: words on the command line -> api -> console."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from thawline.cli.arguments import Json, Model
from thawline.cli.console import say, say_json

__all__ = ["export", "serve"]


def export(
    model: Model,
    *,
    out: Annotated[
        Path | None, Parameter(name=["--out", "-o"], help="The ONNX file. Default: MODEL.onnx, beside the folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a model as one ONNX file that answers as the folder does, for `serve` and for other programs."""
    from thawline import api

    done = api.export(model, out)
    if json:
        say_json({**asdict(done), "path": str(done.path)})
        return
    say(f"{done.path}  {done.size_bytes / 2**20:,.1f} MiB")
    say(
        f"{done.num_golden} pictures went through it: probabilities differ by at most {done.difference:.1e} from torch "
        f"in float32, and by {done.golden_difference:.1e} from the folder, which computes in {done.compute}."
    )


def serve(
    model: Annotated[Path, Parameter(help="An ONNX file that `thawline export` wrote.")],
    *,
    host: Annotated[str, Parameter(help="Address to listen on; `0.0.0.0` lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port; 0 takes a free one.")] = 8000,
) -> None:
    """Answer requests with an exported model: a page to drop pictures on, `POST /predict`, `GET /health`."""
    from thawline import api

    def ready(address: str) -> None:
        sys.stderr.write(f"thawline: {model} answers at {address} until Ctrl+C\n")
        sys.stderr.flush()

    api.serve(model, host=host, port=port, ready=ready)
