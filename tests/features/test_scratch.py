"""The list of networks that start from nothing, and the facts that timm would have of them."""

from __future__ import annotations

import pytest

from thawline.features import scratch_cnn
from thawline.features.scratch import SCRATCH


def test_every_network_of_the_list_can_be_built_and_no_other():
    assert list(scratch_cnn._BUILDERS) == list(SCRATCH)


@pytest.mark.parametrize("name", SCRATCH)
def test_pixels_run_from_minus_one_to_one(name):
    config = SCRATCH[name].config
    assert (config["mean"], config["std"], config["interpolation"]) == ((0.5,) * 3, (0.5,) * 3, "bicubic")
    assert config["input_size"] == (3, SCRATCH[name].size_px, SCRATCH[name].size_px)
    assert config["fixed_input_size"] == (name == "tutorial_cnn")
