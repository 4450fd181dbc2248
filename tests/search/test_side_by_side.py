"""Several networks on one leaderboard: each as it would stand alone, and a few sets of features of several fused."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from thawline.core.types import InputSpec
from thawline.data.dataset import Dataset, Sample
from thawline.data.split import make_split
from thawline.features.backbone import Backbone, CutPoint, join_backbones
from thawline.features.bank import BankSpec, open_bank
from thawline.features.joined_bank import JoinedBank
from thawline.features.segment import write_segment
from thawline.search.compare import compare
from thawline.search.side_by_side import strategies_of

INPUT = InputSpec(32, (0.5,) * 3, (0.5,) * 3)


def spec_of(name, num_cuts, poolings=("mean", "std"), channels=4) -> BankSpec:
    return BankSpec(
        backbone_name=name,
        weights_sha256=hashlib.sha256(name.encode()).hexdigest(),
        input=INPUT,
        views=("plain",),
        compute="float32",
        storage="float32",
        cuts=tuple((f"blocks.{cut}", channels) for cut in range(num_cuts)),
        poolings=poolings,
        blocks=tuple((cut, pooling, channels) for cut in range(num_cuts) for pooling in poolings),
    )


def backbone_of(name, num_cuts, macs) -> Backbone:
    cuts = [CutPoint(cut, f"blocks.{cut}", 4, 32, num_cuts - 1 - cut, (cut + 1) / num_cuts) for cut in range(num_cuts)]
    return Backbone(name, name, "0" * 64, INPUT, tuple(cuts), macs, 1000, 0, False, True, "none", "drawn")


SPECS = (spec_of("small", 4), spec_of("large", 5, ("mean", "token")))
JOINED = join_backbones([backbone_of("small", 4, 10**6), backbone_of("large", 5, 3 * 10**6)])


def listed(specs=SPECS, backbone=JOINED):
    return [head for heads in strategies_of(specs, backbone, num_classes=2, num_rows=10) for head in heads]


def test_each_network_has_the_strategies_that_it_has_alone():
    both = {strategy.name: strategy for strategy in listed()}
    for place, (spec, network) in enumerate(zip(SPECS, JOINED.parts, strict=True)):
        for alone in listed([spec], network):
            joined = both[alone.name]
            assert joined.depths == tuple(4 * place + depth for depth in alone.depths)
            assert joined.cost == pytest.approx(alone.cost * (1, 3)[place])
            assert (joined.head, joined.pooling) == (alone.head, alone.pooling)
            assert (joined.num_networks, alone.passes) == (1, ())


def test_what_reads_both_is_a_few_sets_and_says_so():
    fused = [strategy for strategy in listed() if strategy.num_networks == 2]
    assert [strategy.name for strategy in fused] == [
        "small + large · whole · linear",
        "small + large · fused 1–3 (mean+std) + fused 1–4 (mean+token) · linear",
        "small + large · fused 2–3 (mean+std) + fused 2–4 (mean+token) · linear",
    ]
    whole, *_ = fused
    assert whole.blocks == ((3, "mean"), (8, "token"))
    assert whole.cost == pytest.approx(4 + 8 * 2 / 10**6)
    assert whole.passes == (1.0, 1.0)
    assert len({strategy.name for strategy in listed()}) == len(listed())


def test_of_three_networks_every_pair_is_fused_and_of_more_only_all():
    for count, expected in ((3, {(1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)}), (5, {(1, 1, 1, 1, 1)})):
        names = [str(place) for place in range(count)]
        backbone = join_backbones([backbone_of(name, 3, 10**6) for name in names])
        fused = listed([spec_of(name, 3) for name in names], backbone)
        assert {strategy.passes for strategy in fused if strategy.num_networks > 1} == expected


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Two networks, each of which tells one of three classes from the others."""
    root, rng, labels = tmp_path_factory.mktemp("cache"), np.random.default_rng(0), np.arange(120) % 3
    hashes = [hashlib.sha256(str(row).encode()).hexdigest() for row in range(120)]
    digests = np.frombuffer(b"".join(map(bytes.fromhex, hashes)), np.uint8).reshape(-1, 32)
    banks = []
    for place, spec in enumerate((spec_of("small", 4), spec_of("large", 5))):
        rows = rng.normal(size=(120, spec.width)) + 1.5 * (labels == place)[:, None]
        directory = open_bank(root, spec).directory
        write_segment(root, directory, digests=digests, rows=rows.astype(np.float32)[:, None])
        banks.append(open_bank(root, spec))
    samples = tuple(Sample(str(row), int(labels[row]), hashes[row], None, row, None) for row in range(120))
    return JoinedBank(banks), Dataset(None, ("a", "b", "c"), samples, ())


def test_both_together_win_and_take_the_time_of_both(drawn):
    bank, dataset = drawn
    times = {"full_pass_ms": 10.0, "further_pass_ms": (50.0,)}
    board = compare(bank, JOINED, dataset=dataset, split=make_split(dataset), **times).leaderboard
    leader = board.trials[0]
    assert leader.strategy.num_networks == 2
    assert leader.predict_ms == pytest.approx(60.0, rel=0.01)
    whole = {trial.name: trial for trial in board.trials}
    assert whole["small · whole · linear"].predict_ms == pytest.approx(10.0, rel=0.01)
    assert whole["large · whole · linear"].predict_ms == pytest.approx(50.0, rel=0.01)
    assert whole["large · 2 blocks cut · linear"].predict_ms == pytest.approx(30.0, rel=0.01)


def test_scrambled_test_labels_leave_the_choice_between_networks_as_it_is(drawn):
    bank, dataset = drawn
    split = make_split(dataset)
    labels = dataset.labels.copy()
    labels[split.test] = np.random.default_rng(1).permutation(labels[split.test])
    assert (labels != dataset.labels).any()
    samples = zip(dataset.samples, labels, strict=True)
    other = replace(dataset, samples=tuple(replace(sample, label=int(label)) for sample, label in samples))
    boards = [compare(bank, JOINED, dataset=one, split=split).leaderboard for one in (dataset, other)]
    assert [trial.name for trial in boards[0].trials] == [trial.name for trial in boards[1].trials]
    assert [trial.mean for trial in boards[0].trials] == [trial.mean for trial in boards[1].trials]
    assert boards[0].winner == boards[1].winner
