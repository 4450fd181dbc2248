"""Pictures, backbone, options and machine of a run -> what every step of it is given.

A `Context` is what all steps share; a `Ground` adds the frozen comparison that training runs start from and are
compared with. A row with options of its own has a context of its own: `replace(context, training=…, folder=…)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from thawline.core.options import Options
from thawline.core.progress import Progress, SilentProgress
from thawline.core.runtime import Runtime
from thawline.core.store import cache_root
from thawline.data.dataset import Dataset
from thawline.data.split import Split
from thawline.features.bank import FeatureBank
from thawline.features.network import Network
from thawline.search.frozen import FrozenAnswers
from thawline.train.hyperparameters import TrainOptions
from thawline.train.processes import Processes

if TYPE_CHECKING:
    from thawline.train.crew import Crew

__all__ = ["Context", "Ground", "Machine", "TrainingLog"]

TrainingLog = Callable[[str, int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Machine:
    """What a run computes on and reports to.

    Attributes:
        runtime: Device and number format in which pictures are read.
        processes: Those that train together.
        progress: Where to report to.
        training: The same device and the number format of training, where it is another; or None.
        log: Called after every epoch with the training run's name, the epoch and its values; or None.
        crew: Workers of a cluster that training runs are given to; or None: this process trains.
    """

    runtime: Runtime
    processes: Processes = field(default_factory=Processes)
    progress: Progress = field(default_factory=SilentProgress)
    training: Runtime | None = None
    log: TrainingLog | None = None
    crew: Crew | None = None


@dataclass(frozen=True)
class Context:
    """What every step of a run shares.

    Attributes:
        dataset: Checked pictures.
        network: The pretrained backbone, as loaded; it is left as it is. Training runs start from it.
        options: Of the run.
        training: How networks are trained.
        machine: What it computes on and reports to.
        folder: Where training runs are kept until the run is done.
        further: Other networks that frozen strategies read too.
    """

    dataset: Dataset
    network: Network
    options: Options
    training: TrainOptions
    machine: Machine
    folder: Path
    further: tuple[Network, ...] = ()

    def __repr__(self) -> str:
        """Return one short line."""
        return f"Context({len(self.dataset):,} pictures, {self.network.backbone.name}, {self.folder})"

    @property
    def networks(self) -> tuple[Network, ...]:
        """All networks that frozen strategies read, in the order of their cuts."""
        return (self.network, *self.further)

    @property
    def seed(self) -> int:
        """Seed of every random choice."""
        return self.options.seed

    @property
    def storage(self) -> Literal["float16", "float32"]:
        """Number format of stored features, which those that a head reads are rounded to."""
        return self.options.storage

    @property
    def cache(self) -> Path:
        """Folder in which features and activations are kept between runs; made if need be."""
        return cache_root(self.options.cache_dir)

    @property
    def runtime(self) -> Runtime:
        """Device and number format in which frozen features are computed."""
        return self.machine.runtime

    @property
    def training_runtime(self) -> Runtime:
        """Device and number format in which networks are trained, and the frozen prefix below what trains is run."""
        return self.machine.training or self.machine.runtime


@dataclass(frozen=True)
class Ground:
    """A context and the frozen comparison that training runs start from.

    Attributes:
        context: Pictures, backbone, options, machine.
        split: Folds and test rows; the test rows are not read here.
        bank: Pooled features of the backbone: heads to start from are solved on them, heads alone are trained on them.
        frozen: Answers of the frozen strategies: they tell which rows to answer, and whether classes weigh equally.
    """

    context: Context
    split: Split
    bank: FeatureBank
    frozen: FrozenAnswers

    def __repr__(self) -> str:
        """Return one short line."""
        return f"Ground({self.context}, {self.split.num_folds} folds, {len(self.frozen.answers)} frozen strategies)"
