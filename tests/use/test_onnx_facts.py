"""Facts of a file come back as they were written; the seal is on every bit."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from thawline.use.exports.export_source import ExportSource
from thawline.use.onnx_facts import OnnxFacts, PlaceFacts, input_names, is_sealed, output_names, pixel_names, sealed


def test_names_of_inputs_and_outputs_follow_from_the_facts(drawn_model, doubting_model):
    source = ExportSource(drawn_model)
    tensor, whole = source.facts(whole=False), source.facts(whole=True)
    assert (input_names(tensor), output_names(tensor)) == (["pixels"], ["probabilities"])
    assert (input_names(whole), output_names(whole)) == (["pictures"], ["probabilities", "doubt"])
    doubting = ExportSource(doubting_model("answers"))
    assert output_names(doubting.facts(whole=True)) == ["probabilities", "outside", "doubt"]
    assert pixel_names(3) == ["pixels", "pixels_2", "pixels_3"]


def test_facts_of_the_wrong_format_are_refused(drawn_model):
    source = ExportSource(drawn_model)
    for facts, change in (
        (source.facts(whole=False), {"takes": "pictures"}),
        (source.facts(whole=False), {"doubt_codes": ["answer"]}),
        (source.facts(whole=True), {"format": 1}),
        (source.facts(whole=True), {"doubt_codes": None}),
    ):
        plain = facts.model_dump()
        assert OnnxFacts.model_validate_json(json.dumps(plain)) == facts
        with pytest.raises(ValidationError, match="format 4 alone takes pictures"):
            OnnxFacts.model_validate_json(json.dumps(plain | change))


def test_a_seal_holds_for_the_bytes_before_it():
    whole = sealed(b"content")
    assert is_sealed(whole)
    assert not is_sealed(whole[:-1])
    assert not is_sealed(b"Content" + whole[7:])
    assert not is_sealed(b"")


def test_a_place_is_an_output_and_left_out_where_there_is_none(drawn_model):
    source = ExportSource(drawn_model)
    assert "place" not in source.facts(whole=False).model_dump()
    place = PlaceFacts(size=64, neighbours_sha256="0" * 64)
    for whole, names in ((False, ["probabilities", "place"]), (True, ["probabilities", "place", "doubt"])):
        facts = source.facts(whole=whole).model_copy(update={"place": place})
        assert output_names(facts) == names
        assert OnnxFacts.model_validate_json(json.dumps(facts.model_dump())) == facts
    with pytest.raises(ValidationError):
        PlaceFacts(size=65, neighbours_sha256="0" * 64)
