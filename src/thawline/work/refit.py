"""A model that has been measured -> the model that is delivered, which may learn from the held-out pictures too.

One idea: this comes after the only reading of the test, and nothing is chosen here. Strategy, strength, epochs and
temperature are those of the measured model, so labels of test pictures reach the delivered weights and nothing else.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from thawline.core.types import Ints
from thawline.features.network import Network
from thawline.heads.head import Head
from thawline.train.folds import train_rows
from thawline.train.hyperparameters import TrainOptions
from thawline.use.classifier import Classifier
from thawline.work.final_head import fit_head
from thawline.work.model import Made, classifier_of
from thawline.work.order import overridden
from thawline.work.session import Compared

__all__ = ["Delivered", "deliver", "draws_test"]

NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Delivered:
    """The model that a run leaves behind.

    Attributes:
        classifier: The model.
        rows: (n,) indices of the samples that it learnt from, sorted.
    """

    classifier: Classifier
    rows: Ints


def draws_test(compared: Compared) -> bool:
    """Return whether Thawline drew the test itself: the pictures came in no parts."""
    return len(compared.split.test) > 0 and all(sample.split is None for sample in compared.dataset.samples)


def deliver(compared: Compared, made: Made) -> Delivered:
    """Return the model that is delivered: the measured one, or the same trained again on every picture.

    By `--refit auto` a head on the frozen network is fitted again where it was chosen among strategies and Thawline
    drew the test itself. A trained network is trained again by `--refit all` alone, which takes as long as it took
    before: for as many epochs, or where a training run watches a tenth of its pictures, by the same rules.

    Args:
        compared: The frozen comparison.
        made: The model whose answers to the test have been read.
    """
    order, split = compared.session.order, compared.split
    wanted = order.options.refit
    if wanted == "auto":
        wanted = "all" if made.trial and order.protocol == "choose" and draws_test(compared) else "none"
    if wanted == "none" or not len(split.test):
        return Delivered(made.classifier, split.pool)
    rows, measured = np.union1d(split.pool, split.test), made.classifier
    if made.trial is not None:
        networks, head = measured.networks, fit_head(compared, made.trial, rows=rows)
    else:
        network, head = _trained_again(made, rows)
        networks = (network,)
    blocks, temperature = measured.reader.blocks, measured.temperature
    return Delivered(classifier_of(compared, networks, blocks=blocks, head=head, temperature=temperature), rows)


def _trained_again(made: Made, rows: Ints) -> tuple[Network, Head]:
    """Return a network and its head trained on some rows as they were for the test; kept in the folder as `refit`."""
    ground = made.ground
    if made.plan is None or made.curve is None or ground is None:
        raise ValueError(f"deliver {made.strategy.name!r}: it is neither a fitted head nor a trained network.")
    context = ground.context
    if not context.training.watches:  # the usual number of epochs depends on how many pictures there are
        table = overridden(asdict(context.training), {"epochs": len(made.curve.train_loss)})
        context = replace(context, training=TrainOptions(**table))
    network, head, _ = train_rows(made.plan, replace(ground, context=context), rows=rows, watched=NONE, part="refit")
    return network, head
