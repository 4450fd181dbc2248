"""The winner is trained on every row of choosing, and on every view of it where it learnt from views."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from thawline.core.options import Options
from thawline.core.runtime import Runtime
from thawline.data.dataset import Dataset, Sample
from thawline.data.split import make_split
from thawline.features.bank import BankSpec, FeatureBank, open_bank, write_segment
from thawline.features.extract import Extraction
from thawline.features.network import load_backbone
from thawline.heads.linear import fit_linear
from thawline.search.compare import leaderboard_of
from thawline.search.frozen import answer_frozen, stacked_views
from thawline.work.model import train_winner
from thawline.work.run import CompareResult

LABELS = np.arange(60) % 3
HASHES = [hashlib.sha256(str(row).encode()).hexdigest() for row in range(60)]


@pytest.fixture(scope="module")
def network():
    return load_backbone(pretrained=False)


@pytest.fixture(scope="module")
def compared(network, tmp_path_factory):
    """A comparison of the first cut's features, drawn, plain and in another view."""
    root, cut = tmp_path_factory.mktemp("cache"), network.backbone.cuts[0]
    spec = BankSpec(
        backbone_name=network.backbone.name,
        weights_sha256=network.backbone.weights_sha256,
        input=network.backbone.input,
        views=("plain",),
        compute="float32",
        storage="float32",
        cuts=((cut.module, cut.channels),),
        poolings=("mean",),
        blocks=((0, "mean", cut.channels),),
    )
    rng = np.random.default_rng(0)
    centre = rng.normal(size=(3, cut.channels))[LABELS]

    def drawn(view: str) -> FeatureBank:
        own = replace(spec, views=(view,))
        directory = open_bank(root, own).directory
        digests = np.frombuffer(b"".join(map(bytes.fromhex, HASHES)), np.uint8).reshape(-1, 32)
        rows = (centre + rng.normal(size=centre.shape)).astype(np.float32)[:, None]
        return FeatureBank(own, directory, (write_segment(root, directory, digests=digests, rows=rows),))

    plain, flipped = drawn("plain"), drawn("flip.1")
    samples = [Sample(str(row), int(LABELS[row]), HASHES[row], None, row, None) for row in range(60)]
    dataset = Dataset(None, ("a", "b", "c"), tuple(samples), ())
    split = make_split(dataset)
    frozen = answer_frozen(
        plain, network.backbone, dataset=dataset, split=split, view_banks=[flipped], view_policy="flip"
    )
    return CompareResult(
        dataset=dataset,
        report=None,
        split=split,
        extraction=Extraction(plain, 60, 0, 0.0),
        comparison=leaderboard_of(frozen, full_pass_ms=1.0),
        cut_labels=("0",),
        full_pass_ms=1.0,
        view_banks=(flipped,),
    )


@pytest.mark.parametrize("augment", ["none", "flip"])
def test_a_linear_winner_is_trained_on_all_that_it_learnt_from(compared, network, augment):
    board = compared.leaderboard
    place = next(
        index
        for index, trial in enumerate(board.trials)
        if (trial.strategy.head, trial.strategy.augment) == ("linear", augment)
    )
    comparison = replace(compared.comparison, leaderboard=replace(board, winner=place))
    classifier = train_winner(
        replace(compared, comparison=comparison), network, Runtime("cpu", "float32", 8), Options(storage="float32")
    )
    banks = [compared.extraction.bank, *(compared.view_banks if augment == "flip" else ())]
    rows = compared.split.pool
    features = stacked_views(banks, [HASHES[row] for row in rows], blocks=board.trials[place].strategy.blocks)
    assert len(features) == len(banks) * len(rows)
    labels = np.concatenate([LABELS[rows]] * len(banks))
    expected = fit_linear(features, labels, l2=board.trials[place].l2, num_classes=3)
    np.testing.assert_allclose(classifier.head.logits(features), expected.logits(features), atol=1e-5)
    assert classifier.temperature > 0


def test_a_thaw_plan_cannot_win_without_the_ground_of_its_training(compared, network):
    board = compared.leaderboard
    first = replace(board.trials[0], strategy=replace(board.trials[0].strategy, tune="all"))
    comparison = replace(compared.comparison, leaderboard=replace(board, trials=(first, *board.trials[1:]), winner=0))
    with pytest.raises(ValueError, match="the ground of its training is needed"):
        train_winner(replace(compared, comparison=comparison), network, Runtime("cpu", "float32", 8), Options())
