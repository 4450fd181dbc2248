"""The description of a network: short names of its cuts, and the cut that a number of blocks means."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from thawline.core.errors import BackboneError
from thawline.core.types import InputSpec
from thawline.features.backbone import Backbone, CutPoint, join_backbones


def backbone_of(*modules, removed=None):
    removed = removed or range(len(modules) - 1, -1, -1)
    cuts = tuple(
        CutPoint(index, module, 8, 32, blocks, (index + 1) / len(modules))
        for index, (module, blocks) in enumerate(zip(modules, removed, strict=True))
    )
    spec = InputSpec(32, (0.5,) * 3, (0.5,) * 3)
    return Backbone("drawn", "drawn", "0" * 64, spec, cuts, 1_000_000, 1000, 0, False, True, "none", "drawn")


@pytest.mark.parametrize(
    ("module", "label"),
    [
        ("blocks.4.0", "4.0"),
        ("blocks.11", "11"),
        ("layer4.1", "layer4.1"),
        ("stages.2.blocks.8", "2.8"),
        ("conv_head", "head"),
        ("norm", "head"),
        ("norm_pre", "head"),
    ],
)
def test_a_cut_has_a_short_name(module, label):
    assert CutPoint(0, module, 8, 32, 0, 1.0).label == label


def test_a_cut_is_found_by_the_blocks_it_removes():
    backbone = backbone_of("layer1.0", "layer1.1", "layer2.0", removed=(3, 1, 0))
    assert [backbone.cut_removing(number).module for number in (0, 1, 3)] == ["layer2.0", "layer1.1", "layer1.0"]
    with pytest.raises(BackboneError, match=r"drawn: no cut removes 2 blocks; its cuts remove 0, 1, 3\. Choose one"):
        backbone.cut_removing(2)


def test_a_description_is_plain_json():
    backbone = backbone_of("blocks.0", "conv_head")
    assert json.loads(json.dumps(asdict(backbone)))["cuts"][1]["module"] == "conv_head"


def test_it_prints_in_a_line():
    backbone = replace(backbone_of(*(f"blocks.{block}" for block in range(24))), weights_origin="hub timm/drawn")
    assert repr(backbone) == "<Backbone drawn: 24 cuts, 32 px, hub timm/drawn>"


def test_joined_networks_count_their_cuts_on_and_cost_in_passes_of_the_first():
    small = replace(backbone_of("blocks.0", "conv_head"), name="small")
    large = replace(backbone_of("layer1.0", "layer2.0", "layer3.0"), name="large", num_macs=4_000_000)
    joined = join_backbones([small, large])
    assert (joined.name, joined.networks, joined.relative_costs) == ("small + large", (small, large), (1.0, 4.0))
    assert [cut.index for cut in joined.cuts] == [0, 1, 2, 3, 4]
    assert [cut.cost_fraction for cut in joined.cuts] == pytest.approx([0.5, 1, 4 / 3, 8 / 3, 4])
    assert [cut.label for cut in joined.named_cuts["large"]] == ["layer1.0", "layer2.0", "layer3.0"]
    assert [(cut.index, cut.cost_fraction) for cut in joined.named_cuts["large"]] == [(2, 1 / 3), (3, 2 / 3), (4, 1.0)]
    assert join_backbones([small]) is small
    assert (small.networks, small.relative_costs) == ((small,), (1.0,))
