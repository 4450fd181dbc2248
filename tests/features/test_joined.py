"""The cuts of several networks are numbered on, and a picture is prepared once for each way that differs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thawline.core.types import InputSpec
from thawline.features.joined import distinct_inputs, joined_blocks, network_of, own_blocks

SPEC = InputSpec(size_px=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def test_cuts_are_numbered_on():
    parts = (((0, "mean"), (3, "std")), ((0, "std"), (4, "mean")))
    blocks = joined_blocks(parts, [4, 5])
    assert [cut for cut, _ in blocks] == [0, 3, 4, 8]
    assert own_blocks(blocks, [4, 5]) == parts
    assert own_blocks(blocks[2:], [4, 5]) == ((), parts[1])
    assert [network_of(cut, [4, 5]) for cut in (0, 3, 4, 8)] == [0, 0, 1, 1]


@pytest.mark.parametrize(("cut", "text"), [(9, "no cut 9; there are 0 to 8"), (-1, "no cut -1")])
def test_a_cut_that_is_not_there_is_refused(cut, text):
    with pytest.raises(ValueError, match=text):
        own_blocks([(cut, "mean")], [4, 5])


def test_no_network_is_returned_to():
    with pytest.raises(ValueError, match="cut 0 is read after those of another network"):
        own_blocks([(4, "mean"), (0, "mean")], [4, 5])


def test_what_is_applied_to_prepared_pixels_makes_no_other_preparation():
    other = replace(SPEC, mean=(0.1, 0.2, 0.3), std=(0.2, 0.2, 0.2))
    larger = replace(SPEC, size_px=96)
    assert distinct_inputs([SPEC, other, larger, SPEC]) == ((SPEC, larger), (0, 0, 1, 0))


def test_where_a_picture_is_padded_the_mean_is_part_of_the_picture():
    padded = replace(SPEC, fit="letterbox")
    other = replace(padded, mean=(0.1, 0.2, 0.3))
    assert distinct_inputs([padded, other, replace(padded, std=(1.0, 1.0, 1.0))]) == ((padded, other), (0, 1, 0))
