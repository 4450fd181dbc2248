"""What several commands take: words on the command line, with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from thawline.core.options import CheckOptions, Options

__all__ = ["CHECK_DEFAULTS", "DEFAULTS", "Device", "Flat", "FlatCheck", "Json", "Model", "Out", "Photos"]

Photos = Annotated[
    str,
    Parameter(
        help="Class folders, a zip or tar of them, a manifest (CSV or Parquet), Parquet that holds pictures, "
        "`webdataset:SHARDS`, `hf:OWNER/NAME` or `torchvision:NAME`."
    ),
]
Model = Annotated[Path, Parameter(help="A `model` folder that `thawline fit` wrote.")]
Json = Annotated[bool, Parameter(help="Print the result as JSON.")]
Device = Annotated[str, Parameter(help="Where the network runs: `auto`, `cpu`, `cuda`, `mps`.")]
Out = Annotated[Path, Parameter(name=["--out", "-o"], help="Folder of the run; older results in it are replaced.")]
Flat = Annotated[Options, Parameter(name="*")]
FlatCheck = Annotated[CheckOptions, Parameter(name="*")]
DEFAULTS, CHECK_DEFAULTS = Options(), CheckOptions()
