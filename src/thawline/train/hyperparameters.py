"""How a network is trained: one frozen, checked set of options, saved with every run and every checkpoint."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from thawline.core.errors import UsageError
from thawline.data.augment import view_names

__all__ = ["TrainOptions", "parse_bytes", "parse_duration"]

UNITS_S = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600}
UNITS_BYTES = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class TrainOptions:
    """How a network is trained; None means a rule of thumb by the plan and the number of pictures."""

    epochs: int | None = None
    """Passes over the training pictures. Default: by their number."""

    batch_size: int = 32
    """Pictures a step."""

    accumulate: int = 1
    """Split every step into so many parts: the same step in less memory."""

    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """What turns gradients into steps; `sgd` has momentum."""

    momentum: float = 0.9
    """Share of the last step that is carried over into the next (`sgd`)."""

    learning_rate: float | None = None
    """Largest step size. Default: by the plan."""

    find_rate: bool = False
    """Let a range test choose the largest step size, and plot it."""

    schedule: Literal["cosine", "one-cycle", "plateau", "constant"] = "cosine"
    """How the step size changes: falls, rises and falls, falls where learning stalls, or stays."""

    warmup: float = 0.5
    """Epochs over which the step size rises at the start (`cosine`, `constant`, `plateau`)."""

    layer_decay: float = 1.0
    """Factor on the step size for every group of layers further from the head; 1 treats all the same."""

    weight_decay: float | None = None
    """Pull of the weights towards zero; biases and norms are left out. Default: 0.01 for `adamw`; 0 for `adam` and
    `sgd`, which add it to the gradient, where so much of it would stop the learning."""

    l2_sp: float = 0.0
    """Pull of the pretrained weights towards where they started."""

    label_smoothing: float = 0.0
    """Share of a label that is spread over all classes."""

    mixup: float = 0.0
    """Strength of blending pairs of pictures (the beta distribution's parameter); 0 is off."""

    cutmix: float = 0.0
    """Strength of pasting a rectangle of one picture into another; 0 is off."""

    hidden: int = 0
    """Units of a dense layer with ReLU between features and classes; 0 is none."""

    dropout: float = 0.0
    """Share of the features, and of the hidden units, that are dropped in training."""

    ema: float = 0.0
    """Decay a step of a running mean of the weights, which is then what predicts; 0 is off, 0.99 is usual."""

    clip_norm: float | None = 1.0
    """Longest gradient allowed; longer ones are shortened to it."""

    patience: int | None = None
    """Stop after so many epochs without a better loss on a tenth of the training pictures, set aside to watch."""

    keep: Literal["last", "best"] = "last"
    """Which epoch's weights to keep; `best` also needs the tenth that is set aside to watch."""

    watch: bool = False
    """Set a tenth of the training pictures aside to watch, for curves."""

    augment: str | None = None
    """Alter training pictures: none, flip, crop, trivial, rand, augmix, or with +erase. Default: flip where a network
    is trained; frozen heads learn from altered views only where this is given."""

    views: int | None = None
    """Versions of a picture that are cached, the plain one included. Default: 1, 2 or 4, by the augmentation."""

    sampling: Literal["shuffle", "balanced"] = "shuffle"
    """Every picture once an epoch (`shuffle`), or all classes equally often (`balanced`)."""

    disk_budget: str = "4GB"
    """What cached activations of a frozen prefix may take; beyond it the prefix runs live."""

    scratch_size: int | None = None
    """Side of the input of networks from nothing, in pixels. Default: 32 for small pictures, 96 for photos."""

    score_folds: int = 1
    """Folds that every named plan is scored on; more narrow its interval and take as many times as long."""

    checkpoint_every: str = "30s"
    """How often the state is written, so that a kill loses no more than that."""

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise UsageError(f"tune: {problem}")

    def _problems(self) -> list[str]:
        """Return every contradiction, each with its way out."""
        problems = [
            f"--{name.replace('_', '-')} {value:g}: {low:g}{f' to {high:g}' if high else ' or more'} is required."
            for name, low, high in RANGES
            if (value := getattr(self, name)) is not None and not (low <= value and (high is None or value <= high))
        ]
        if self.schedule == "one-cycle" and self.patience is not None:
            problems.append(
                "--schedule one-cycle and --patience contradict each other: stopped early, the cycle never comes down. "
                "Drop --patience, or take --schedule cosine."
            )
        if self.learning_rate is not None and (self.find_rate or self.learning_rate <= 0):
            problems.append(
                f"--learning-rate {self.learning_rate:g}: it must be above 0, and --find-rate is there to choose it. "
                "Give one of the two."
            )
        if self.epochs is not None and self.warmup >= self.epochs:
            problems.append(
                f"--warmup {self.warmup:g} is as long as the training run, --epochs {self.epochs}. Lower it, or raise "
                "--epochs."
            )
        if self.accumulate > self.batch_size:
            problems.append(
                f"--accumulate {self.accumulate}: a step of --batch-size {self.batch_size} cannot be split into "
                "more parts than it has pictures. Lower it."
            )
        view_names(self.policy, self.num_views)
        parse_bytes(self.disk_budget)
        parse_duration(self.checkpoint_every)
        return problems

    @property
    def watches(self) -> bool:
        """Whether a tenth of the training rows is set aside, for curves or for decisions that need their own rows."""
        return self.watch or self.patience is not None or self.keep == "best" or self.schedule == "plateau"

    @property
    def decay(self) -> float:
        """The weight decay: as given, else 0.01 for AdamW, which decouples it from the gradient, and 0 otherwise.

        Source: Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019.
        """
        if self.weight_decay is not None:
            return self.weight_decay
        return 0.01 if self.optimizer == "adamw" else 0.0

    @property
    def policy(self) -> str:
        """The augmentation policy of trained networks: as given, else flips."""
        return self.augment or "flip"

    @property
    def num_views(self) -> int:
        """V, the cached versions of a picture: as given, else 1 without augmentation, 2 for flips, 4 otherwise."""
        return self.views or {"none": 1, "flip": 2}.get(self.policy, 4)

    @property
    def view_names(self) -> tuple[str, ...]:
        """Names of the V cached versions, `plain` first."""
        return view_names(self.policy, self.num_views)

    @property
    def checkpoint_every_s(self) -> float:
        """`checkpoint_every` as seconds."""
        return parse_duration(self.checkpoint_every)

    @property
    def disk_budget_bytes(self) -> int:
        """`disk_budget` as a number."""
        return parse_bytes(self.disk_budget)


RANGES: tuple[tuple[str, float, float | None], ...] = (
    ("epochs", 1, None),
    ("batch_size", 1, None),
    ("accumulate", 1, None),
    ("momentum", 0, 0.999),
    ("warmup", 0, None),
    ("layer_decay", 1e-3, 1),
    ("weight_decay", 0, None),
    ("l2_sp", 0, None),
    ("label_smoothing", 0, 0.99),
    ("mixup", 0, None),
    ("cutmix", 0, None),
    ("hidden", 0, 65_536),
    ("dropout", 0, 0.99),
    ("ema", 0, 0.99999),
    ("clip_norm", 1e-9, None),
    ("patience", 1, None),
    ("views", 1, None),
    ("scratch_size", 32, 2048),
    ("score_folds", 1, None),
)


def parse_duration(text: str) -> float:
    """Return the seconds that a text such as `90s`, `15min` or `1.5h` means.

    Raises:
        UsageError: It is no duration.

    >>> parse_duration("15min"), parse_duration("1.5 h")
    (900.0, 5400.0)
    """
    return _quantity(text, UNITS_S, "a duration", "90s, 15min, 1.5h")


def parse_bytes(text: str) -> int:
    """Return the bytes that a text such as `500MB` or `4GiB` means.

    Raises:
        UsageError: It is no size.

    >>> parse_bytes("4GB")
    4000000000
    """
    return int(_quantity(text, UNITS_BYTES, "a size", "500MB, 4GB"))


def _quantity(text: str, units: dict[str, int], what: str, examples: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text.lower())
    if not match or match[2] not in units:
        raise UsageError(f"tune: {text!r} is not {what}: a number and a unit are required, e.g. {examples}.")
    return float(match[1]) * units[match[2]]
