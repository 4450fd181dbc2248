"""The cuts of several networks are numbered on, and a picture is prepared once for each way that differs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thawline.core.types import InputSpec
from thawline.features.joined import distinct_inputs, joined_blocks, own_blocks
from thawline.features.network import load_backbone

SPEC = InputSpec(size_px=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def backbones():
    return [load_backbone(name, pretrained=False).backbone for name in ("simple_cnn", "deep_cnn")]


def test_cuts_are_numbered_on(backbones):
    first, second = (len(backbone.cuts) for backbone in backbones)
    parts = (((0, "mean"), (first - 1, "std")), ((0, "std"), (second - 1, "mean")))
    blocks = joined_blocks(parts, backbones)
    assert [cut for cut, _ in blocks] == [0, first - 1, first, first + second - 1]
    assert own_blocks(blocks, backbones) == parts
    assert own_blocks(blocks[2:], backbones) == ((), parts[1])


@pytest.mark.parametrize(("cuts", "text"), [((99,), "no cut 99; there are 0 to"), ((-1,), "no cut -1")])
def test_a_cut_that_is_not_there_is_refused(backbones, cuts, text):
    with pytest.raises(ValueError, match=text):
        own_blocks([(cut, "mean") for cut in cuts], backbones)


def test_no_network_is_returned_to(backbones):
    second = len(backbones[0].cuts)
    with pytest.raises(ValueError, match="cut 0 of simple_cnn is read after those of another network"):
        own_blocks([(second, "mean"), (0, "mean")], backbones)


def test_what_is_applied_to_prepared_pixels_makes_no_other_preparation():
    other = replace(SPEC, mean=(0.1, 0.2, 0.3), std=(0.2, 0.2, 0.2))
    larger = replace(SPEC, size_px=96)
    assert distinct_inputs([SPEC, other, larger, SPEC]) == ((SPEC, larger), (0, 0, 1, 0))


def test_where_a_picture_is_padded_the_mean_is_part_of_the_picture():
    padded = replace(SPEC, fit="letterbox")
    other = replace(padded, mean=(0.1, 0.2, 0.3))
    assert distinct_inputs([padded, other, replace(padded, std=(1.0, 1.0, 1.0))]) == ((padded, other), (0, 1, 0))
