"""What a person can ask for: one frozen, checked set of options that every verb shares, saved in `run.json`."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

from thawline.core.errors import UsageError
from thawline.core.rendering import Fit
from thawline.core.spelling import nearest

__all__ = ["CheckOptions", "Options", "make_options", "refusal"]

Pooling = Literal["mean", "std", "max", "grid"]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]
"""One name, or several; files say one as plain text."""
Files = Annotated[tuple[Path, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str | Path) else value)]
"""One file, or several."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class CheckOptions:
    """Which pictures take part and what their classes are called: the options of `check`, which every verb has."""

    on_bad: Literal["skip", "stop"] = "skip"
    """Leave files that cannot be read out, with a row in the ledger (`skip`), or refuse the folder (`stop`)."""

    class_names: Path | None = None
    """File with a name for every class folder: CSV with a column of folders and one of names, or JSON."""

    one_against_rest: str | None = None
    """Distinguish this class from all others, which become one class called `rest`."""

    path_column: str | None = None
    """Column of a table that holds the pictures or their paths. Default: found by its name and contents."""

    label_column: str | None = None
    """Column of a table that holds the classes. Default: `label`, `class`, `category` and the like."""

    picture_folder: Path | None = None
    """Folder that a table's paths start from; only files inside it are read. Default: the table's own folder."""

    group_from: str | None = None
    """Regular expression that finds, in each picture's path, the patient, camera or sequence that it belongs to."""

    group_column: str | None = None
    """Column of a table that says which pictures belong together; `none` for none. Default: `group`, `patient`, …."""

    copies: Literal["keep", "exact", "ignore"] = "keep"
    """What stays together and counts once: near copies too (`keep`), the same bytes or pixels (`exact`), or nothing."""

    drop_small_classes: bool = False
    """Leave out classes with too few pictures to fold and test, with rows in the ledger, instead of stopping."""

    corrections: Files = ()
    """Table that gives pictures other labels: a run's `suspects.csv`, edited. May be repeated; the last one wins."""

    limit: int | None = None
    """Take at most this many pictures of each class and part, drawn at random: for a quick look."""

    seed: int = 0
    """Seed of every random choice: the same seed and pictures give the same result."""

    cache_dir: Path | None = None
    """Where features and fetched pictures are kept. Default: THAWLINE_CACHE, else the user's cache folder."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 2:
            raise UsageError(
                f"--limit {self.limit}: at least 2 pictures of a class are needed, one to train on and one to test on."
            )
        if self.group_from is not None:
            if self.group_column is not None:
                raise UsageError("--group-from and --group-column: groups come from one of the two. Give one of them.")
            try:
                re.compile(self.group_from)
            except (re.error, RecursionError, OverflowError) as error:
                raise UsageError(
                    f"--group-from {self.group_from!r} is not a regular expression: {error}. Write one such as "
                    r"'(patient\d+)_'."
                ) from None
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed}: it must be a whole number of at least 0.")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Options(CheckOptions):
    """Options of `fit`, `compare` and `extract`; the defaults are what most people want."""

    backbone: Names = ("efficientnet_lite0",)
    """Networks to read: `efficientnet_lite0` (bundled), timm's, `hf-hub:OWNER/NAME`, `local-dir:DIR`, `auto`."""

    weights: Path | None = None
    """Take the backbone's weights from this file (safetensors or a plain PyTorch state dict)."""

    size: int | None = None
    """Side of the network's square input in pixels; larger sees more and costs more. Default: the network's own."""

    fit: Fit = "crop"
    """How a picture meets the square: `crop` shows its middle, `letterbox` pads, `stretch` distorts."""

    crop_share: float | None = None
    """Share of the shorter side that `crop` shows, 0.1 to 1. Default: what the backbone's weights were made with."""

    pooling: tuple[Pooling, ...] = ("mean", "std")
    """What is read at every depth: `mean`, `std`, `max`, `grid` (2×2 means: for pictures in which place matters)."""

    metric: Literal["auto", "accuracy", "balanced_accuracy"] = "auto"
    """What strategies are compared by; `auto`: balanced accuracy where classes differ threefold in size."""

    class_weights: Literal["auto", "adjusted", "balanced", "none"] = "auto"
    """Of unequal classes: correct for their sizes (`adjusted`, `auto`), weigh them equally (`balanced`), or neither."""

    folds: int = 5
    """Folds of the cross-validation; fewer where a class has fewer pictures, none where a validation part is given."""

    repeats: int | None = None
    """How many times folds are drawn. Default: twice; once where there are more than 3,000 pictures."""

    refit: Literal["auto", "all", "none"] = "auto"
    """Once the test is read, let the model learn from it too (`all`) or not; `auto`: a head, if Thawline drew it."""

    error_rate: float | None = None
    """Promised share of wrong answers; the model abstains from others. Default: 0.01 to 0.1, if half are answered."""

    false_alarms: float = 0.01
    """Share of pictures that do belong which the model may call "none of these"."""

    device: str = "auto"
    """Where the network runs: `auto`, `cpu`, `cuda`, `mps`."""

    engine: Literal["auto", "eager", "inductor", "onnxruntime", "openvino"] = "auto"
    """What reads the pictures; `auto`: PyTorch (`eager`), or an installed one that is done sooner here."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of compared features and of training; `auto`: float32, and what is fast. Models use float32."""

    storage: Literal["float16", "float32"] = "float16"
    """Number format of stored features."""

    cluster: str | None = None
    """Work on a Ray cluster: `local` starts one here, `auto` takes the running one, or HOST:PORT of its head."""

    store: str | None = None
    """Place that machines share features in: a folder, or an address such as `s3://bucket/features`. Default: none."""

    memory: float | None = None
    """GiB that comparing and fitting may take; what needs more is ranked on a sample. Default: half of what is free."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.pooling or len(set(self.pooling)) != len(self.pooling):
            raise UsageError(
                f"--pooling is {', '.join(self.pooling) or 'empty'}: name each reading once, at least one."
            )
        if not self.backbone or len(set(self.backbone)) != len(self.backbone):
            raise UsageError(
                f"--backbone is {', '.join(self.backbone) or 'empty'}: name each network once, at least one."
            )
        if "auto" in self.backbone and (len(self.backbone) > 1 or self.weights is not None):
            raise UsageError(
                "--backbone auto: it chooses the networks itself. Give neither others nor --weights with it."
            )
        if self.weights is not None and len(self.backbone) > 1:
            raise UsageError(
                f"--weights {self.weights}: a file belongs to one network, and {', '.join(self.backbone)} are named. "
                "Name one, or put each file into a folder with its config.json and name local-dir:FOLDER."
            )
        repeats = 2 if self.repeats is None else self.repeats
        if self.folds < 2 or repeats < 1:
            raise UsageError(f"--folds {self.folds} --repeats {repeats}: at least 2 folds and 1 repeat are needed.")
        for flag, rate in (("--error-rate", self.error_rate), ("--false-alarms", self.false_alarms)):
            if rate is not None and not 0 < rate <= 0.5:
                raise UsageError(f"{flag} {rate}: a share above 0 and of at most 0.5 is needed, such as 0.01 for 1 %.")
        if self.memory is not None and not self.memory > 0:
            raise UsageError(f"--memory {self.memory:g}: a number of GiB above 0 is needed, such as 4.")
        if self.size is not None and not 32 <= self.size <= 2048:
            raise UsageError(f"--size {self.size}: between 32 and 2048 pixels are possible.")
        if self.crop_share is not None and not 0.1 <= self.crop_share <= 1:
            raise UsageError(
                f"--crop-share {self.crop_share}: between 0.1 and 1 of the shorter side can be shown; 1 shows all."
            )


def make_options(**changes: object) -> Options:
    """Return options that differ from the defaults by `changes`.

    Raises:
        UsageError: An option that does not exist, or a value that it cannot take; both are named.
    """
    try:
        return Options(**changes)  # type: ignore[arg-type]
    except ValidationError as error:
        raise refusal(error) from None


def refusal(error: ValidationError) -> UsageError:
    """Return the error that names every invalid option, its value, and what it may be."""
    problems = []
    names = [option.name for option in fields(Options)]
    for item in error.errors():
        name = str(item["loc"][0])
        if item["type"] == "unexpected_keyword_argument":
            near = nearest(name, names, limit=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "help(thawline.Options) lists them."
            problems.append(f"there is no option {name!r}; {hint}")
        else:
            flag = "--" + name.replace("_", "-")
            problems.append(f"{flag} {item['input']!r}: {item['msg'][0].lower()}{item['msg'][1:]}.")
    return UsageError(f"options: {' '.join(problems)}")
