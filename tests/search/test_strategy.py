"""Which features are tried, what they are called and what they cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thawline.core.runtime import Runtime
from thawline.core.types import InputSpec
from thawline.features.backbone import Backbone, CutPoint
from thawline.features.bank import BankSpec
from thawline.features.extract import bank_spec
from thawline.features.network import load_backbone
from thawline.search.strategy import (
    HEADS,
    Features,
    Strategy,
    candidate_features,
    default_pooling,
    strategies_for,
    with_views,
)

INPUT = InputSpec(32, (0.5,) * 3, (0.5,) * 3)


def spec_of(num_cuts, poolings=("mean", "std"), channels=8) -> BankSpec:
    return BankSpec(
        backbone_name="drawn",
        weights_sha256="0" * 64,
        input=INPUT,
        views=("plain",),
        compute="float32",
        storage="float32",
        cuts=tuple((f"blocks.{cut}", channels) for cut in range(num_cuts)),
        poolings=poolings,
        blocks=tuple((cut, pooling, channels) for cut in range(num_cuts) for pooling in poolings),
    )


def backbone_of(num_cuts) -> Backbone:
    cuts = [CutPoint(cut, f"blocks.{cut}", 8, 32, num_cuts - 1 - cut, (cut + 1) / num_cuts) for cut in range(num_cuts)]
    return Backbone("drawn", "drawn", "0" * 64, INPUT, tuple(cuts), 1_000_000, 1000, 0, False, True, "none", "drawn")


def test_single_cuts_come_first_by_one_pooling():
    for num_cuts in (1, 2, 4, 17, 24):
        candidates = candidate_features(spec_of(num_cuts))
        assert [features.depths for features in candidates[:num_cuts]] == [(cut,) for cut in range(num_cuts)]
        assert {features.pooling for features in candidates[:num_cuts]} == {("mean",)}
        assert all(len(features.depths) > 1 for features in candidates[num_cuts:])


@pytest.mark.parametrize("num_cuts", [2, 4, 17, 24])
def test_runs_of_cuts_are_fused_few_of_them_and_each_once(num_cuts):
    spec = spec_of(num_cuts)
    candidates = candidate_features(spec)
    fused = candidates[num_cuts:]
    assert len(set(candidates)) == len(candidates)
    assert 1 <= len(fused) <= 10
    for features in fused:
        first, last = features.depths[0], features.depths[-1]
        assert features.depths == tuple(range(first, last + 1))
        assert last < num_cuts
    for features in candidates:
        assert features.num_columns == sum(width for c, p, width in spec.blocks if (c, p) in set(features.blocks))
    to_the_end = {features.pooling for features in fused if features.depths[-1] == num_cuts - 1}
    assert ("mean", "std") in to_the_end
    if num_cuts >= 4:
        assert to_the_end == {("mean",), ("mean", "std")}
        assert any(features.depths[-1] < num_cuts - 1 for features in fused)


def test_runs_begin_at_a_quarter_or_further_up_or_are_the_middle():
    fused = [(f.depths[0], f.depths[-1], f.pooling) for f in candidate_features(spec_of(16))[16:]]
    both = ("mean", "std")
    to_the_end = [(start, 15, both) for start in (4, 8, 10, 12)]
    assert fused == [*to_the_end, (8, 15, ("mean",)), (10, 13, both), (4, 11, both)]


def test_from_half_way_up_with_all_poolings_is_always_tried():
    """The strongest on the origin projects' pictures: mean and deviation of every block from `blocks.4` on."""
    assert (tuple(range(8, 17)), ("mean", "std")) in [(f.depths, f.pooling) for f in candidate_features(spec_of(17))]


def test_one_cut_cannot_be_fused():
    assert len(candidate_features(spec_of(1))) == 1


def test_blocks_go_depth_by_depth():
    assert Features((3, 4), ("mean", "std"), 32).blocks == ((3, "mean"), (3, "std"), (4, "mean"), (4, "std"))


def test_one_pooling_is_tried_once():
    candidates = candidate_features(spec_of(4, poolings=("mean",)))
    assert len(set(candidates)) == len(candidates) > 4
    assert {features.pooling for features in candidates} == {("mean",)}


def test_a_class_token_is_what_a_cut_is_read_by():
    spec = spec_of(4, poolings=("mean", "std", "token"))
    assert default_pooling(spec) == "token"
    alone = [features.pooling for features in candidate_features(spec) if len(features.depths) == 1]
    assert alone == [*[("token",)] * 4, ("token", "mean")]
    fused = {features.pooling for features in candidate_features(spec) if len(features.depths) > 1}
    assert fused == {("token",), ("mean", "std", "token")}


def everything(backbone, spec, num_classes=10, num_rows=1000):
    plain = default_pooling(spec)
    return [
        strategy
        for features in candidate_features(spec)
        for strategy in strategies_for(
            features, backbone, num_classes=num_classes, num_rows=num_rows, plain_pooling=plain
        )
    ]


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet34", "vit_small_patch16_224", "convnext_atto"])
def test_names_are_unique_on_a_leaderboard_and_say_what_is_read(name):
    backbone = load_backbone(name, pretrained=False).backbone
    strategies = everything(backbone, bank_spec(backbone, Runtime("cpu", "float32", 8)))
    names = [strategy.name for strategy in strategies]
    assert len(set(names)) == len(names)
    assert all(strategy.name.startswith(f"{name} · ") for strategy in strategies)
    assert f"{name} · whole · linear" in names
    assert f"{name} · 1 block cut · k-NN" in names
    assert f"{name} · 2 blocks cut · class mean" in names
    if name == "efficientnet_lite0":
        assert f"{name} · fused 4.0–head (mean+std) · linear" in names
        assert len([text for text in names if "fused" not in text]) == 17 * len(HEADS)


def test_fields_of_a_strategy():
    linear, mean, neighbours = strategies_for(
        Features((1, 2), ("mean",), 16), backbone_of(4), num_classes=10, num_rows=500, plain_pooling="mean"
    )
    assert (linear.head, mean.head, neighbours.head) == HEADS
    assert linear.name == "drawn · fused 1–2 · linear"
    assert (linear.depths, linear.pooling, linear.blocks_removed, linear.is_fused) == ((1, 2), ("mean",), 1, True)
    assert (linear.kind, linear.augment) == ("frozen", "none")
    assert linear.is_plain
    for other in ({"kind": "full"}, {"augment": "flip"}, {"tune": "head"}):
        assert not replace(linear, **other).is_plain
    assert Strategy("drawn", (0,), ("mean",), "dense", "named", 1.0).blocks_removed == 0
    assert linear.cost == mean.cost == pytest.approx(0.75 + 16 * 10 / 1e6)
    assert neighbours.cost == pytest.approx(0.75 + 16 * 500 / 1e6)


def test_views_are_part_of_the_name_and_cost_nothing_later():
    linear = strategies_for(
        Features((3,), ("mean",), 8), backbone_of(4), num_classes=2, num_rows=9, plain_pooling="mean"
    )[0]
    viewed = with_views(linear, "flip", num_views=2)
    assert (viewed.name, viewed.augment) == ("drawn · whole · linear · flip ×2", "flip")
    assert (viewed.cost, viewed.blocks, viewed.kind) == (linear.cost, linear.blocks, "frozen")


def test_a_pooling_out_of_the_ordinary_is_part_of_the_name():
    options = {"num_classes": 2, "num_rows": 9, "plain_pooling": "mean"}
    plain = strategies_for(Features((3,), ("mean",), 8), backbone_of(4), **options)[0]
    other = strategies_for(Features((3,), ("mean", "std"), 16), backbone_of(4), **options)[0]
    assert (plain.name, other.name) == ("drawn · whole · linear", "drawn · whole (mean+std) · linear")


def test_deeper_costs_more_and_a_wider_reading_a_little_more():
    backbone, spec = backbone_of(17), spec_of(17)
    linear = [strategy for strategy in everything(backbone, spec) if strategy.head == "linear"]
    alone = [strategy.cost for strategy in linear if not strategy.is_fused]
    assert alone == sorted(alone)
    assert len(set(alone)) == 17
    whole = max(alone)
    for strategy in linear:
        if strategy.is_fused:
            deepest = alone[strategy.depths[-1]]
            assert deepest < strategy.cost < deepest + 0.01
    assert whole == pytest.approx(1, abs=0.001)


def test_memory_of_many_pictures_costs_a_neighbour_head():
    few, many = (
        strategies_for(Features((3,), ("mean",), 8), backbone_of(4), num_classes=2, num_rows=n, plain_pooling="mean")[
            2
        ].cost
        for n in (100, 100_000)
    )
    assert many > few + 0.5
