"""A card for the hub says what a stranger needs, and nothing of the person's machine."""

from __future__ import annotations

import json

import pytest
import yaml

from thawline.use.exports.hub_card import hub_card

pytestmark = pytest.mark.usefixtures("one_thread")


def block_of(card):
    return yaml.safe_load(card.split("---\n")[1])


@pytest.mark.parametrize("library", ["timm", "onnx"])
def test_the_block_of_facts_is_what_the_hub_reads(dense_model, library):
    facts = block_of(hub_card(dense_model, library))
    assert (facts["library_name"], facts["pipeline_tag"]) == (library, "image-classification")
    assert library in facts["tags"]
    (metric,) = facts["model-index"][0]["results"][0]["metrics"]
    assert (metric["type"], metric["value"]) == ("accuracy", 0.9485)
    assert "0.914 to 0.970 of 272 pictures" in metric["name"]
    assert facts["license"] == "other"  # of random weights


def test_huggingface_reads_it_too(dense_model):
    from huggingface_hub import ModelCard

    card = ModelCard(hub_card(dense_model, "timm"))
    assert card.data.eval_results[0].metric_value == 0.9485
    assert card.data.library_name == "timm"


def test_without_scores_it_says_so(make_dense, tmp_path):
    card = hub_card(make_dense(tmp_path / "run"), "timm")
    assert "No test scores were recorded" in card
    assert "model-index" not in block_of(card)


def test_names_are_shown_and_never_read(make_dense, tmp_path):
    bundle = make_dense(tmp_path / "run: [x]\n--- evil")
    (tmp_path / "run: [x]\n--- evil" / "metrics.json").write_text(
        json.dumps({"accuracy": {"value": 1.0, "low": 0.9, "high": 1.0, "n": 9}, "evil": {"value": "x"}})
    )
    card = hub_card(bundle, "timm")
    assert block_of(card)["model-index"][0]["name"] == "run: [x]\n--- evil"
    assert "\n# run: \\[x\\] \\-\\-\\- evil\n" in card


def test_nothing_of_this_machine_is_in_it(dense_model):
    for library in ("timm", "onnx"):
        assert str(dense_model.directory.parent) not in hub_card(dense_model, library)
        assert "command" not in hub_card(dense_model, library)
