"""Pictures and labels that lie in memory or are named one by one -> the frozen strategies compared, the winner fitted.

The one idea: what `fit` does with a folder, without a test part and without a folder. Features lie in the bank by the
content of a picture, also those of the pictures that are asked for: folds of an outer cross-validation share them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thawline.core.errors import DataError
from thawline.core.options import Options
from thawline.core.progress import Progress
from thawline.core.store import cache_root
from thawline.core.types import Floats
from thawline.data.augment import PLAIN
from thawline.data.dataset import Dataset, Sample
from thawline.data.sources.listing import Candidate, Listing
from thawline.data.sources.places import Place
from thawline.data.sources.unlabelled import Answerable
from thawline.features.extract import extract_views
from thawline.features.joined_bank import join_banks
from thawline.heads.calibrate import probabilities
from thawline.search.leaderboard import Leaderboard
from thawline.train.hyperparameters import TrainOptions
from thawline.use.bundle import save_bundle
from thawline.use.classifier import Classifier
from thawline.use.classify import classify_samples
from thawline.use.evaluate import evaluate_rows
from thawline.use.evaluation import Evaluation
from thawline.work.doubting import doubting
from thawline.work.model import describe_training, frozen_model
from thawline.work.order import Order
from thawline.work.refit import Delivered
from thawline.work.rows import Outcome
from thawline.work.session import Compared, compare_frozen, open_session

__all__ = ["Learnt", "answers_from_bank", "learn"]

PLACE = Place.of("the pictures handed over")
GROUPED_BY = "groups"
FEW = 16


@dataclass(frozen=True)
class Learnt:
    """What came of pictures and labels.

    Attributes:
        compared: The comparison, with every picture in it.
        classifier: The winner, fitted on every picture; it answers always.
        strategy: Its name.
    """

    compared: Compared
    classifier: Classifier
    strategy: str

    @property
    def leaderboard(self) -> Leaderboard:
        """All strategies, best first."""
        return self.compared.leaderboard

    def evaluation(self) -> Evaluation:
        """Return the scores of the winner on every picture, each answered by a head that never saw it."""
        compared, chosen = self.compared, self.compared.comparison
        shares = probabilities(chosen.held_out_logits, self.classifier.temperature)
        unleaked = np.zeros(len(chosen.rows), dtype=np.int64)
        return evaluate_rows(compared.dataset, chosen.rows, shares=shares, strategy=self.strategy, leaked=unleaked)

    def doubting(self) -> Classifier:
        """Return the model with thresholds: when a picture is "none of these", and when it is "not sure"."""
        final = Delivered(self.classifier, self.compared.split.pool)
        board = self.compared.leaderboard
        outcome = Outcome(board, self.strategy, final, self.evaluation(), chosen=self.compared.comparison)
        return doubting(self.compared, outcome).classifier

    def save(self, folder: Path) -> None:
        """Write the model folder of `doubting`.

        Raises:
            StoreError: As `save_bundle`.
        """
        training = describe_training(self.compared, self.strategy, rows=self.compared.split.pool)
        save_bundle(folder, self.doubting(), training=training)


def learn(
    pictures: Sequence[Answerable],
    labels: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    options: Options,
    training: TrainOptions,
    progress: Progress | None = None,
) -> Learnt:
    """Return the frozen strategies compared by cross-validation, and the winner fitted on all pictures.

    Nothing is written but the features, into the cache.

    Args:
        pictures: N pictures.
        labels: N names of classes.
        groups: N names of what belongs together, which no fold parts; None for none.
        options: Of the run.
        training: Its `augment` and `views` matter.
        progress: Where to report to.

    Raises:
        DataError: As `check`: a picture cannot be decoded, a class has a single picture.
    """
    named = ["" for _ in pictures] if groups is None else groups
    found = zip(pictures, labels, named, strict=True)
    candidates = tuple(
        Candidate(f"{number}: {name}", label, None, source, group)
        for number, ((name, source), label, group) in enumerate(found)
    )
    grouped_by = GROUPED_BY if groups is not None else ""
    listing = Listing(PLACE, tuple(sorted(set(labels))), candidates, grouped_by=grouped_by)
    order = Order(PLACE, options=options, training=training)
    compared = compare_frozen(open_session(order, Path(), listing=listing, progress=progress), hold_out=False)
    comparison, board = compared.comparison, compared.leaderboard
    winner = board.trials[board.winner]
    made = frozen_model(
        compared, winner, logits=comparison.held_out_logits, labels=compared.dataset.labels[comparison.rows]
    )
    return Learnt(compared, made.classifier, winner.name)


def answers_from_bank(classifier: Classifier, pictures: Sequence[Answerable], *, options: Options) -> Floats:
    """Return (N, K) float32 probabilities of pictures, whose features are taken from the bank or put there.

    Fewer than `FEW` go through the network as in prediction: they cost less than what a bank is opened for.

    Args:
        classifier: From `learn`.
        pictures: N pictures.
        options: Those that it learnt with.

    Raises:
        DataError: A picture cannot be decoded.
    """
    samples = []
    for number, (name, source) in enumerate(pictures):
        try:
            digest = hashlib.sha256(source.read()).hexdigest()
        except DataError as error:
            raise DataError(f"predict: {name}: {error}. Leave it out.") from None
        samples.append(Sample(name, 0, digest, None, number, source))
    if len(samples) < FEW:
        return classify_samples(classifier, samples)
    dataset = Dataset(PLACE, classifier.class_names, tuple(samples), ())
    banks = []
    for network in classifier.networks:
        (done,) = extract_views(
            dataset,
            network,
            runtime=classifier.reader.runtime,
            views=(PLAIN,),
            cache=cache_root(options.cache_dir),
            poolings=options.pooling,
            storage=options.storage,
        )
        banks.append(done.bank)
    features = join_banks(banks).read([sample.sha256 for sample in samples], classifier.reader.blocks)
    return probabilities(classifier.head.logits(features), classifier.temperature)
