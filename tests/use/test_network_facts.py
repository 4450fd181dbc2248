"""A backbone and its input preparation are the same after their way through JSON, and nothing else gets through."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from thawline.core.rendering import Levels, Rendering
from thawline.core.types import InputSpec
from thawline.use.network_facts import BackboneFacts, InputFacts, NetworkFacts


def test_an_input_preparation_is_the_same_after_its_way_through_json():
    levels = (Levels("16-bit", 0, 4095), Levels("32-bit float", -0.5, 1.0))
    spec = InputSpec(32, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), rendering=Rendering(levels, "grey"), crop_share=0.9)
    facts = InputFacts.model_validate_json(InputFacts.of(spec).model_dump_json())
    assert facts.spec() == spec


def test_a_network_is_a_backbone_and_its_input_and_nothing_more():
    spec = InputSpec(32, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    backbone = BackboneFacts(
        name="a b", architecture="resnet18", weights_sha256="0" * 64, license="mit", weights_origin="file"
    )
    facts = NetworkFacts(backbone=backbone, input=InputFacts.of(spec))
    assert NetworkFacts.model_validate_json(facts.model_dump_json()) == facts
    with pytest.raises(ValidationError, match="more"):
        NetworkFacts.model_validate({**facts.model_dump(), "more": 1})
    with pytest.raises(ValidationError, match="architecture"):
        BackboneFacts.model_validate({**backbone.model_dump(), "architecture": "../resnet18"})
