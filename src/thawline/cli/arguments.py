"""What several commands take: words on the command line, with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from thawline.cli.typed import Typed
from thawline.core.options import CheckOptions, Options
from thawline.train.hyperparameters import TrainOptions

__all__ = [
    "CHECK_DEFAULTS",
    "DEFAULTS",
    "TRAINING_DEFAULTS",
    "Budget",
    "Config",
    "Device",
    "Flat",
    "FlatCheck",
    "FlatTraining",
    "Forecast",
    "Goal",
    "Json",
    "Model",
    "Out",
    "Photos",
    "PhotosOrFile",
    "Plans",
    "Replace",
    "TensorBoard",
    "Words",
]

Photos = Annotated[
    str,
    Parameter(
        help="Class folders, a zip or tar of them, a manifest (CSV or Parquet), Parquet that holds pictures, "
        "`webdataset:SHARDS`, `hf:OWNER/NAME` or `torchvision:NAME`."
    ),
]
PhotosOrFile = Annotated[
    str | None, Parameter(help=f"{Photos.__metadata__[0].help} Not needed where --config names them.")
]
Model = Annotated[
    Path, Parameter(help="Folder of a run that `thawline fit`, `tune` or `recipe run` wrote, or its `model` folder.")
]
Json = Annotated[bool, Parameter(help="Print the result as JSON.")]
Device = Annotated[str, Parameter(help="Where the network runs: `auto`, `cpu`, `cuda`, `mps`.")]
Out = Annotated[
    Path,
    Parameter(
        name=["--out", "-o"],
        help="Folder of the run. An older run of its kind on these pictures is replaced; what is not Thawline's stays.",
    ),
]
Replace = Annotated[
    bool,
    Parameter(help="Replace what Thawline made there of other pictures, in another way or by an older version too."),
]
Config = Annotated[
    Path | None,
    Parameter(
        help="TOML file with `photos`, `plans`, `goal` and any of these options by name, or a recipe's tables. Options "
        "on the command line win over the file."
    ),
]
Budget = Annotated[
    str | None,
    Parameter(
        help="Time for the run, in which networks are trained too, shortened to fit: `15min`. Default: heads only."
    ),
]
Plans = Annotated[
    list[str] | None,
    Parameter(
        name="--plan",
        help="What to train: `all`, `last 20 %`, `last 7 blocks`, `head`, `head, 2 blocks cut`, `head, then all`, "
        "`gradual last 7 blocks`, `simple_cnn from nothing`. May be repeated.",
    ),
]
Forecast = Annotated[
    bool, Parameter(name="--forecast", help="Print what every strategy would take on this machine, and stop.")
]
Goal = Annotated[
    float | None,
    Parameter(
        help="Accuracy to exceed, such as 0.9: the report says whether it was.",
        validator=validators.Number(gte=0, lte=1),
    ),
]
TensorBoard = Annotated[Path | None, Parameter(help="Folder for a TensorBoard log of the training runs.")]
Flat = Annotated[Options, Parameter(name="*")]
FlatCheck = Annotated[CheckOptions, Parameter(name="*")]
FlatTraining = Annotated[TrainOptions, Parameter(name="*", group="Training")]
Words = Annotated[Typed, Parameter(parse=False)]
DEFAULTS, CHECK_DEFAULTS, TRAINING_DEFAULTS = Options(), CheckOptions(), TrainOptions()
