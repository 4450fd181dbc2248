"""What a run stands on names every network that was compared, and all that the kept model reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thawline.core.remembered import remembering
from thawline.features.joined import joined_blocks
from thawline.search.leaderboard import Leaderboard
from thawline.use.bundle import load_bundle, write_bundle
from thawline.work import model
from thawline.work.choice import choose
from thawline.work.model import answer_test, describe_training, frozen_model, networks_of
from thawline.work.provenance import provenance
from thawline.work.session import compare_frozen, open_session


@pytest.fixture(scope="module")
def both(order, tmp_path_factory):
    """Return the frozen comparison of two networks."""
    asked = replace(order, options=replace(order.options, backbone=("simple_cnn", "deep_cnn")))
    return compare_frozen(open_session(asked, tmp_path_factory.mktemp("both")))


def fused(compared):
    """Return the best trial that reads both networks."""
    return next(trial for trial in compared.leaderboard.trials if trial.strategy.num_networks == 2)


def made_of(compared, trial):
    answers = next(one for one in compared.comparison.frozen.answers if one.strategy is trial.strategy)
    labels = compared.comparison.frozen.rows.scored_labels
    return frozen_model(compared, trial, logits=answers.logits, labels=labels)


def test_each_network_is_extracted_once_and_all_are_compared(both, order, tmp_path):
    assert isinstance(both.leaderboard, Leaderboard)
    assert {trial.strategy.backbone for trial in both.leaderboard.trials} == {
        "simple_cnn",
        "deep_cnn",
        "simple_cnn + deep_cnn",
    }
    again = compare_frozen(open_session(both.session.order, tmp_path))
    assert [extraction.num_extracted for extraction in again.extractions] == [0, 0]
    assert again.ground.bank is again.extraction.bank  # training runs start from the first network


def test_a_model_of_both_answers_from_its_folder_as_from_the_banks(both, tmp_path):
    made = made_of(both, fused(both))
    assert [network.backbone.name for network in made.classifier.networks] == ["simple_cnn", "deep_cnn"]
    shares = answer_test(both, made)
    write_bundle(
        tmp_path / "model", made.classifier, training=describe_training(both, made.strategy.name, rows=both.split.pool)
    )
    bundle = load_bundle(tmp_path / "model", device="cpu")
    samples = [both.dataset.samples[row] for row in both.split.test]
    answers = [bundle.classifier.answer(sample.source.read()) for sample in samples]
    np.testing.assert_allclose(answers, shares, atol=1e-3)


def test_a_model_answers_in_float32_also_where_the_features_of_choosing_are_of_another_format(order, tmp_path):
    asked = replace(order, options=replace(order.options, backbone="simple_cnn", dtype="bfloat16"))
    compared = compare_frozen(open_session(asked, tmp_path / "run"))
    assert compared.bank.spec.compute == "bfloat16"
    made = made_of(compared, compared.leaderboard.trials[0])
    assert made.classifier.reader.runtime.dtype == "float32"
    samples = [compared.dataset.samples[row] for row in compared.split.test]
    answers = [made.classifier.answer(sample.source.read()) for sample in samples]
    np.testing.assert_allclose(answer_test(compared, made), answers, atol=1e-4)


def test_a_frozen_model_reads_the_test_once_for_all_runs_that_end_with_it(order, tmp_path, monkeypatch):
    asked = replace(order, options=replace(order.options, backbone="simple_cnn", dtype="bfloat16"))
    compared = compare_frozen(open_session(asked, tmp_path / "run"))
    first, other = (made_of(compared, trial) for trial in compared.leaderboard.trials[:2])
    with remembering(tmp_path / "cache"):
        shares = answer_test(compared, first)
        monkeypatch.setattr(model, "classify_samples", lambda *_, **__: np.zeros(0))
        np.testing.assert_array_equal(answer_test(compared, first), shares)
        assert answer_test(compared, other).size == 0  # another head has to read


def test_a_model_of_the_second_network_alone_is_an_ordinary_one(both, tmp_path):
    trial = next(trial for trial in both.leaderboard.trials if trial.strategy.backbone == "deep_cnn")
    made = made_of(both, trial)
    manifest = write_bundle(
        tmp_path / "model", made.classifier, training=describe_training(both, trial.name, rows=both.split.pool)
    )
    assert (manifest.format, manifest.backbone.name) == (1, "deep_cnn")
    networks, blocks = networks_of(both, trial.strategy)
    assert networks == both.session.context.further
    num_cuts = [len(network.backbone.cuts) for network in both.session.context.networks]
    assert joined_blocks([(), blocks], num_cuts) == trial.strategy.blocks
    assert manifest.blocks == list(blocks)


def test_the_networks_that_were_compared_are_named(both, compared):
    outcome = choose(both)
    facts = provenance(both, outcome)
    assert facts["compared"] == ["simple_cnn", "deep_cnn"]
    assert facts["options"]["backbone"] == ["simple_cnn", "deep_cnn"]
    kept = [network.backbone.name for network in outcome.classifier.networks]
    assert [one["name"] for one in facts.get("networks", [facts["backbone"]])] == kept
    alone = provenance(compared, choose(compared))
    assert "compared" not in alone
    assert "networks" not in alone
    assert alone["options"]["backbone"] == "simple_cnn"
