"""Where networks can be cut, how wide and coarse they are there, and at what cost."""

from __future__ import annotations

import pytest
from torch import nn

from thawline.core.errors import BackboneError
from thawline.features.cuts import cut_points
from thawline.features.network import load_backbone
from thawline.features.scratch_cnn import ScratchCNN


def test_cuts_by_hand():
    """Two convolutions on 8 px: 8·8·(3·4·9) = 6,912 multiply-adds, then 4·4·(4·6) = 384 behind the pooling."""
    blocks = (nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2)), nn.Conv2d(4, 6, 1))
    cuts, num_macs = cut_points(ScratchCNN(blocks, 6, 10).eval(), 8)
    assert num_macs == 6912 + 384
    assert [(cut.index, cut.module, cut.channels, cut.stride) for cut in cuts] == [
        (0, "blocks.0", 4, 2),
        (1, "blocks.1", 6, 2),
    ]
    assert [cut.blocks_removed for cut in cuts] == [1, 0]
    assert [cut.cost_fraction for cut in cuts] == [6912 / 7296, 1.0]


class LooksAtNumbers(nn.Module):
    """Branches on a value, which a shadow does not have."""

    def forward(self, x):
        return x if float(x.sum()) < 1e9 else -x


def test_an_architecture_that_looks_at_numbers_is_run_for_real():
    blocks = (nn.Sequential(nn.Conv2d(3, 4, 1), LooksAtNumbers()), nn.Conv2d(4, 6, 1))
    cuts, num_macs = cut_points(ScratchCNN(blocks, 6, 10).eval(), 8)
    assert (num_macs, [cut.channels for cut in cuts]) == (64 * 12 + 64 * 24, [4, 6])


def test_an_architecture_without_a_trunk_is_read_at_its_stages_and_where_its_classifier_reads_it():
    cuts = load_backbone("dla34", pretrained=False, size_px=64).backbone.cuts
    assert [cut.blocks_removed for cut in cuts] == [5, 4, 3, 2, 1, 0, 0]
    assert [cut.stride for cut in cuts] == [1, 2, 4, 8, 16, 32, 64]
    assert cuts[-1].module == "pool"
    costs = [cut.cost_fraction for cut in cuts]
    assert costs == sorted(costs)
    assert 0 < costs[0] < costs[-1] == 1


def test_the_bundled_backbone_has_17_cuts(lite0):
    cuts = lite0.backbone.cuts
    assert len(cuts) == 17
    assert [cut.label for cut in cuts[-3:]] == ["5.3", "6.0", "head"]
    assert [cut.blocks_removed for cut in cuts[-3:]] == [2, 1, 0]
    assert [cut.channels for cut in cuts[-3:]] == [192, 320, 1280]
    assert [cut.stride for cut in cuts[:6]] == [2, 4, 4, 8, 8, 16]
    assert lite0.backbone.name == "efficientnet_lite0"
    assert lite0.backbone.input.mean == (0.498,) * 3
    assert lite0.backbone.input.std == (0.502,) * 3
    assert lite0.backbone.input.size_px == 224
    assert lite0.backbone.license == "apache-2.0"
    assert 380e6 < lite0.backbone.num_macs < 410e6  # the paper's 407 M, without classifier
    assert lite0.backbone.num_params == 4_652_008


def test_resnet34_loses_one_two_or_all_three_blocks_of_its_last_stage():
    backbone = load_backbone("resnet34", pretrained=False).backbone
    assert len(backbone.cuts) == 16
    assert [backbone.cut_removing(n).label for n in range(4)] == ["layer4.2", "layer4.1", "layer4.0", "layer3.5"]
    with pytest.raises(BackboneError, match=r"resnet34: no cut removes 16 blocks; its cuts remove 0, 1, 2"):
        backbone.cut_removing(16)


def test_a_vit_is_read_last_behind_its_norm():
    network = load_backbone("vit_tiny_patch16_224", pretrained=False)
    cuts = network.backbone.cuts
    assert [cut.label for cut in cuts[-2:]] == ["10", "head"]
    assert (len(cuts), cuts[-1].module, cuts[-1].stride, cuts[-1].channels) == (12, "norm", 16, 192)
    assert network.backbone.has_class_token
    assert network.num_prefix_tokens == 1
