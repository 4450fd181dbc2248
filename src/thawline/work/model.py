"""A finished comparison becomes its winner: trained on every row of choosing, evaluated once, ready for a bundle."""

from __future__ import annotations

import numpy as np

from thawline.core.options import Options
from thawline.core.progress import Progress
from thawline.core.runtime import Runtime, package_versions
from thawline.core.types import Floats
from thawline.core.version import __version__
from thawline.data.split import leaked
from thawline.features.network import Network
from thawline.heads.calibrate import fit_temperature, probabilities
from thawline.heads.head import Head
from thawline.heads.linear import fit_linear
from thawline.heads.nearest import fit_class_mean, fit_neighbours
from thawline.search.frozen import class_row_weights, stacked_views
from thawline.search.leaderboard import Trial
from thawline.search.strategy import Strategy
from thawline.train.context import Ground
from thawline.train.folds import final_model
from thawline.use.bundle import Classifier, Training
from thawline.use.evaluate import evaluate_rows
from thawline.use.evaluation import Evaluation
from thawline.use.predict import classify_samples
from thawline.work.run import CompareResult, options_json, thumbnail

__all__ = ["answer_test", "describe_training", "evaluate_winner", "fit_head", "train_winner"]

GOLDEN_PICTURES, GOLDEN_PX = 4, 320


def train_winner(
    compared: CompareResult, network: Network, runtime: Runtime, options: Options, ground: Ground | None = None
) -> Classifier:
    """Return the winner trained on every row of choosing, its temperature taken from held-out logits.

    A winner that learnt from augmented views is trained on every view of these rows; a thaw plan trains its network
    once more, on all of them.

    Args:
        compared: The comparison.
        network: The pretrained backbone.
        runtime: Device and number format.
        options: `storage` matters.
        ground: What trainings share; needed where the winner is a thaw plan.
    """
    board, dataset = compared.leaderboard, compared.dataset
    strategy = board.trials[board.winner].strategy
    if strategy.tune:
        network, head = _train_plan(compared, ground)
    else:
        head = fit_head(compared, board.trials[board.winner])
    return Classifier(
        network,
        runtime,
        blocks=strategy.blocks,
        storage=options.storage,
        head=head,
        temperature=fit_temperature(compared.comparison.held_out_logits, dataset.labels[compared.comparison.rows]),
        class_names=dataset.class_names,
    )


def _train_plan(compared: CompareResult, ground: Ground | None) -> tuple[Network, Head]:
    """Return the network and head of the winning plan, trained on every row of choosing."""
    board = compared.leaderboard
    plans = {one.forecast.name: one.plan for one in compared.tried}
    if ground is None:
        raise ValueError("train the winner: it is a thaw plan, and the ground of its training is needed.")
    network, head, _ = final_model(plans[board.trials[board.winner].name], ground)
    return network, head


def fit_head(compared: CompareResult, trial: Trial) -> Head:
    """Return the head of a frozen strategy fitted on every row of choosing."""
    dataset = compared.dataset
    rows, num_classes = compared.split.pool, len(dataset.class_names)
    banks = (compared.extraction.bank, *(compared.view_banks if trial.strategy.augment != "none" else ()))
    features = stacked_views(banks, [dataset.samples[row].sha256 for row in rows], blocks=trial.strategy.blocks)
    labels = np.tile(dataset.labels[rows], len(banks))
    if trial.strategy.head == "linear":
        weights = class_row_weights(labels) if compared.comparison.balanced else None
        return fit_linear(features, labels, l2=trial.l2 or 0.0, num_classes=num_classes, row_weights=weights)
    if trial.strategy.head == "class mean":
        return fit_class_mean(features, labels, num_classes=num_classes)
    return fit_neighbours(features, labels, k=trial.neighbours or 1, num_classes=num_classes)


def evaluate_winner(compared: CompareResult, classifier: Classifier, progress: Progress | None = None) -> Evaluation:
    """Return the scores on the test rows: the only reading of their labels."""
    winner = compared.leaderboard.trials[compared.leaderboard.winner]
    shares = answer_test(compared, classifier, winner.strategy, progress)
    leaks = leaked(compared.dataset, compared.split).astype(np.int64)
    return evaluate_rows(compared.dataset, compared.split.test, shares=shares, strategy=winner.name, leaked=leaks)


def answer_test(
    compared: CompareResult, classifier: Classifier, strategy: Strategy, progress: Progress | None = None
) -> Floats:
    """Return (n, K) probabilities of the test rows; no label is read.

    What a frozen backbone says of them lies in the bank where the pass read it; a trained one reads the pictures.
    """
    bank, samples = compared.extraction.bank, [compared.dataset.samples[row] for row in compared.split.test]
    if strategy.kind == "frozen" and set(strategy.blocks) <= set(bank.spec.columns):
        features = bank.read([sample.sha256 for sample in samples], strategy.blocks)
        return probabilities(classifier.head.logits(features), classifier.temperature)
    return classify_samples(classifier, samples, progress=progress)


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
