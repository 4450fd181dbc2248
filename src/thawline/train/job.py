"""One training run: its data, plan and options; and its result."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from thawline.core.store import content_key
from thawline.core.types import Curve, Floats, Ints
from thawline.core.version import __version__
from thawline.data.dataset import Dataset
from thawline.features.bank import BankSpec, Block
from thawline.features.network import Network, load_backbone, rendering_as
from thawline.heads.dense import DenseHead
from thawline.heads.linear import LinearHead
from thawline.train.context import Context
from thawline.train.new_head import NewHead, head_block, new_head, trained_head
from thawline.train.plan import Plan, check_plan, default_epochs, default_learning_rate, scratch_size_px
from thawline.train.thawed import working_copy

__all__ = ["Job", "Trained", "plan_network", "set_aside"]

WATCHED_SHARE = 10
NOT_IDENTITY = ("checkpoint_every", "disk_budget", "score_folds")


@dataclass(frozen=True)
class Job:
    """One training run.

    Attributes:
        context: Pictures, options, machine. Its seed is that of order, augmentation, blending and dropout.
        plan: What thaws.
        network: The network that the plan trains, from `plan_network`; it is left as it is.
        train: Rows to learn from, as indices of samples.
        held_out: Rows to watch without learning from them; may be empty. Nothing is decided by them.
        class_weights: (K,) float32, mean 1 over the training rows.
        start: Solved head to start from, (C, K) and (K,), or None for a head of zeros.
        bank: That of the run's pooled features, which a head that trains alone reads; None: it makes its own.
    """

    context: Context
    plan: Plan
    network: Network
    train: Ints
    held_out: Ints
    class_weights: Floats
    start: tuple[Floats, Floats] | None = None
    bank: BankSpec | None = None

    def __repr__(self) -> str:
        """Return one short line."""
        return f"Job({self.name!r}, {len(self.train):,} pictures to learn from, {len(self.held_out):,} to watch)"

    @property
    def name(self) -> str:
        """The strategy's name on the leaderboard."""
        return self.plan.strategy_name(self.network.backbone.name, self.context.training.hidden)

    @property
    def block(self) -> Block:
        """The cut and pooling that the head reads."""
        return head_block(self.network, self.plan.blocks_cut)

    def new_head(self) -> NewHead:
        """Return the head that the training run starts from, on the machine's device."""
        head = new_head(
            self.network,
            len(self.class_weights),
            start=self.start,
            blocks_cut=self.plan.blocks_cut,
            num_hidden=self.context.training.hidden,
            seed=self.context.seed,
        )
        return head.to(self.context.runtime.device)

    def new_network(self) -> Network:
        """Return the copy that is trained, on the machine's device; the network itself where only a head trains."""
        if self.plan.kind == "frozen":
            return self.network
        copy = working_copy(self.network, keeps_norms=self.plan.from_nothing)
        copy.model.to(self.context.runtime.device)
        return copy

    @property
    def num_epochs(self) -> int:
        """Epochs as given, or what suits the plan and the number of pictures."""
        return self.context.training.epochs or default_epochs(self.plan, len(self.train))

    @property
    def learning_rate(self) -> float:
        """Largest step size as given, or what suits the plan."""
        training = self.context.training
        return training.learning_rate or default_learning_rate(self.plan, training.optimizer)

    def identity(self) -> dict[str, Any]:
        """Return what tells this training run from any other, as flat JSON: a checkpoint of another one is refused."""
        context, samples = self.context, self.context.dataset.samples
        learnt = [(samples[row].sha256, samples[row].label) for row in self.train.tolist()]
        options = {name: value for name, value in asdict(context.training).items() if name not in NOT_IDENTITY}
        return {
            "thawline": __version__,
            "plan": self.plan.name,
            "backbone": self.network.backbone.name,
            "backbone weights": self.network.backbone.weights_sha256[:16],
            "input": content_key(self.network.backbone.input.facts()),
            "training pictures and labels": content_key(learnt),
            "classes": content_key(list(context.dataset.class_names)),
            "class weights": content_key(self.class_weights.astype(float).round(6).tolist()),
            "number format": context.training_runtime.dtype,
            "seed": context.seed,
            **{f"--{name.replace('_', '-')}": value for name, value in options.items()},
        }


@dataclass(frozen=True)
class Trained:
    """The result of a training run.

    Attributes:
        tensors: Trained weights of the working copy, its norms' buffers where they learn, and the head's, by name.
        curve: A value an epoch.
        seconds: Wall time, what earlier runs of a resumed one took included.
        learning_rate: Largest step size used.
        finder: (step size, smoothed loss) of the range test, where there was one.
        epochs: That it ran, with fractions.
        wanted_epochs: That it would have run without an allowance.
    """

    tensors: Mapping[str, Tensor]
    curve: Curve
    seconds: float
    learning_rate: float
    finder: tuple[tuple[float, float], ...] = ()
    epochs: float = 0.0
    wanted_epochs: float = 0.0

    def __repr__(self) -> str:
        """Return one short line."""
        return f"Trained({len(self.tensors)} tensors, {len(self.curve.train_loss)} epochs, {self.seconds:.1f} s)"

    @property
    def head(self) -> LinearHead | DenseHead:
        """The head, for features as they are."""
        return trained_head(self.tensors)


def plan_network(plan: Plan, context: Context) -> Network:
    """Return the network that a plan trains: the backbone, or another one with random weights from the seed.

    Raises:
        BackboneError: There is no such network, or not at that size.
        UsageError: Plan and options contradict each other.
    """
    check_plan(plan, context.training)
    if not plan.from_nothing:
        return context.network
    backbone = context.network.backbone
    name = plan.network or backbone.name
    size_px = context.training.scratch_size or scratch_size_px(name, context.dataset)
    spec = backbone.input
    network = load_backbone(
        name,
        pretrained=False,
        seed=context.seed,
        size_px=size_px,
        fit=spec.fit,
        crop_share=context.options.crop_share,
    )
    return rendering_as(network, spec.rendering)


def set_aside(dataset: Dataset, rows: Ints, *, seed: int) -> tuple[Ints, Ints]:
    """Return (training rows, a tenth to watch): whole groups, stratified, at least one of a class that lies in five.

    Every class keeps a group to learn from, also where groups hold several classes.
    """
    rng = np.random.default_rng((seed, WATCHED_SHARE))
    groups, labels = dataset.groups[rows], dataset.labels[rows]
    left = {int(label): set(groups[labels == label].tolist()) for label in np.unique(labels)}
    classes_of: dict[int, list[int]] = defaultdict(list)
    for label, own in left.items():
        for group in own:
            classes_of[group].append(label)
    watched: set[int] = set()
    for label, own in left.items():
        drawn = rng.permutation(np.unique(groups[labels == label])).tolist()
        wanted = (round(len(drawn) / WATCHED_SHARE) or int(len(drawn) >= 5)) - len(watched.intersection(drawn))
        for group in drawn:
            if wanted > 0 and group in own and all(len(left[other]) > 1 for other in classes_of[group]):
                wanted -= 1
                watched.add(group)
                for other in classes_of[group]:
                    left[other].remove(group)
    away = np.isin(groups, sorted(watched))
    return rows[~away], rows[away]
