"""The networks that options name, and what is said where one is not there."""

from __future__ import annotations

import pytest

from thawline.core.errors import BackboneError
from thawline.core.options import Options
from thawline.work.networks import load_networks


def test_a_recipe_whose_weights_are_not_there_is_told_of_one_that_needs_no_network(tmp_path):
    missing = Options(backbone="resnet18", weights=tmp_path / "none.safetensors")
    with pytest.raises(BackboneError, match=r"recipe mine: .*Or run it with --backbone efficientnet_lite0"):
        load_networks(missing, where="recipe mine")
    with pytest.raises(BackboneError) as error:
        load_networks(missing)
    assert "Or run it with" not in str(error.value)


def test_networks_come_in_the_order_in_which_they_are_named():
    options = Options(backbone=("simple_cnn", "deep_cnn"), size=32)
    assert [network.backbone.name for network in load_networks(options)] == ["simple_cnn", "deep_cnn"]
