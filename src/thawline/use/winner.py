"""A finished comparison becomes its winner: trained on every row of choosing, evaluated once, ready for a bundle."""

from __future__ import annotations

import numpy as np

from thawline import __version__
from thawline.core.options import Options
from thawline.core.runtime import Runtime, package_versions
from thawline.data.split import leaked
from thawline.features.backbones import Network
from thawline.heads.calibrate import fit_temperature, probabilities
from thawline.heads.head import Head
from thawline.heads.linear import fit_linear
from thawline.heads.nearest import fit_class_mean, fit_neighbours
from thawline.search.frozen import class_row_weights, stacked_views
from thawline.use.bundle import Classifier, Training
from thawline.use.evaluate import evaluate
from thawline.use.evaluation import Evaluation
from thawline.use.run import CompareResult, options_json, thumbnail

__all__ = ["describe_training", "evaluate_winner", "train_winner"]

GOLDEN_PICTURES, GOLDEN_PX = 4, 320


def train_winner(compared: CompareResult, network: Network, runtime: Runtime, options: Options) -> Classifier:
    """Return the winner trained on every row of choosing, its temperature taken from held-out logits.

    A winner that learnt from augmented views is trained on every view of these rows.
    """
    board, dataset = compared.leaderboard, compared.dataset
    trial = board.trials[board.winner]
    strategy = trial.strategy
    rows = compared.split.pool
    blocks, num_classes = strategy.blocks, len(dataset.class_names)
    banks = (compared.extraction.bank, *(compared.view_banks if strategy.augment != "none" else ()))
    features = stacked_views(banks, [dataset.samples[row].sha256 for row in rows], blocks)
    labels = np.tile(dataset.labels[rows], len(banks))
    if strategy.head == "linear":
        weights = class_row_weights(labels) if compared.comparison.balanced else None
        head: Head = fit_linear(features, labels, l2=trial.l2 or 0.0, num_classes=num_classes, row_weights=weights)
    elif strategy.head == "class mean":
        head = fit_class_mean(features, labels, num_classes=num_classes)
    else:
        head = fit_neighbours(features, labels, k=trial.neighbours or 1, num_classes=num_classes)
    return Classifier(
        network,
        runtime,
        blocks=blocks,
        storage=options.storage,
        head=head,
        temperature=fit_temperature(compared.comparison.held_out_logits, dataset.labels[compared.comparison.rows]),
        class_names=dataset.class_names,
    )


def evaluate_winner(compared: CompareResult, classifier: Classifier) -> Evaluation:
    """Return the scores on the test rows: the only reading of their labels."""
    dataset, rows, board = compared.dataset, compared.split.test, compared.leaderboard
    features = compared.extraction.bank.read(
        [dataset.samples[row].sha256 for row in rows], list(classifier.reader.blocks)
    )
    return evaluate(
        dataset.labels[rows],
        probabilities(classifier.head.logits(features), classifier.temperature),
        strategy=board.trials[board.winner].name,
        class_names=dataset.class_names,
        paths=[dataset.samples[row].path for row in rows],
        groups=dataset.groups[rows],
        leaked=leaked(dataset, compared.split).astype(np.int64),
    )


def describe_training(compared: CompareResult, options: Options) -> Training:
    """Return what the bundle records of its training, with a few training pictures of different classes as proof."""
    dataset, rows, board = compared.dataset, compared.split.pool, compared.leaderboard
    _, first = np.unique(dataset.labels[rows], return_index=True)
    golden = [thumbnail(dataset, int(row), GOLDEN_PX) for row in rows[first[:GOLDEN_PICTURES]]]
    return Training(
        strategy=board.trials[board.winner].name,
        images_key=dataset.images_key,
        sha256s=[dataset.samples[row].sha256 for row in rows],
        golden=golden,
        provenance={"versions": package_versions(), "options": options_json(options), "rule": board.rule},
        version=__version__,
    )
