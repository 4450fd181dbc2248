"""Thresholds come from held-out pictures of choosing; test labels change none, and every winner gets its own."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from thawline.data.dataset import Dataset
from thawline.vet.advice import Advice
from thawline.work.advising import advise
from thawline.work.choice import choose
from thawline.work.doubting import columns_of_score, doubting
from thawline.work.order import Row
from thawline.work.rows import answer_rows


@pytest.fixture(scope="module")
def outcome(compared):
    return doubting(compared, choose(compared))


def test_a_frozen_winner_reads_its_features(compared, outcome):
    doubted, classifier = outcome.doubted, outcome.classifier
    assert doubted.rows.tolist() == list(range(len(compared.dataset)))
    assert (doubted.doubt.read_from, doubted.doubt.num_groups) == ("features", len(compared.split.pool))
    assert np.isfinite(doubted.score).all()
    assert classifier.outsiders.strangeness is not None
    assert classifier.doubt == doubted.doubt
    assert "nothing is promised" in doubted.note  # 29 pictures show nothing


def test_each_held_out_picture_is_scored_by_its_own_features(compared, outcome):
    """Those of the delivered model, which learnt it, rank pictures much as a fit without it does."""
    doubted, pool = outcome.doubted, compared.split.pool
    strategy = next(t.strategy for t in compared.leaderboard.trials if t.name == outcome.strategy)
    hashes = [compared.dataset.samples[row].sha256 for row in pool]
    own = outcome.classifier.outsiders.strangeness.score(compared.bank.read(hashes, strategy.blocks))
    held_out = doubted.score[np.isin(doubted.rows, pool)]
    assert spearmanr(own, held_out).statistic > 0.5


def test_noise_is_none_of_these_and_most_that_belong_are_not(compared, outcome):
    classifier = outcome.classifier
    noise = np.random.default_rng(0).integers(0, 2, (8, 32, 32, 3)).astype(np.uint8) * 255
    answer = classifier.answers(noise)
    assert {classifier.doubt.about(1.0, float(share)) for share in answer.outside} == {"none of these"}
    assert len(outcome.doubted.strange) <= 0.2 * len(compared.dataset)


def test_the_test_labels_change_no_threshold(compared, outcome):
    dataset = compared.dataset
    scrambled = {row: 1 - dataset.samples[row].label for row in compared.split.test.tolist()}
    samples = tuple(replace(one, label=scrambled.get(row, one.label)) for row, one in enumerate(dataset.samples))
    context = replace(compared.session.context, dataset=replace(dataset, samples=samples))
    other = replace(compared, session=replace(compared.session, context=context))
    options = replace(compared.session.order.options, refit="none")
    other = replace(other, session=replace(other.session, order=replace(other.session.order, options=options)))
    assert isinstance(other.dataset, Dataset)
    told = doubting(other, choose(other))
    assert told.doubted.doubt == outcome.doubted.doubt
    np.testing.assert_array_equal(told.doubted.score, outcome.doubted.score)
    np.testing.assert_array_equal(told.classifier.outsiders.quantiles, outcome.classifier.outsiders.quantiles)


def test_a_trained_winner_reads_its_answers(compared, compared_for, order):
    row = Row("tuned", plan="head, then all")
    laid = compared_for(replace(order, rows=(row,)))
    told = doubting(laid, choose(laid))
    assert told.doubted.doubt.read_from == "answers"
    assert sorted(told.doubted.rows) == sorted(told.chosen.rows)
    assert told.classifier.outsiders.strangeness is None


def test_rows_that_are_answered_one_by_one_answer_always(compared, compared_for, order):
    laid = compared_for(replace(order, protocol="test", rows=(Row("whole", frozen="whole"),)))
    told = doubting(laid, answer_rows(laid))
    assert (told.doubted, told.classifier.doubt) == (None, None)


def test_advice_has_both_parts(compared, outcome):
    advice = advise(compared, outcome)
    assert isinstance(advice, Advice)
    assert advice.abstaining.test.num_pictures == advice.strangest.num_test == len(compared.split.test)
    assert advice.strangest.note
    assert len(advice.strangest.strangest) == 24


def test_the_deepest_columns_are_scored(compared):
    strategy = next(trial.strategy for trial in compared.leaderboard.trials if trial.strategy.is_fused)
    reads = columns_of_score(compared, strategy)
    assert len(reads) == sum(compared.bank.spec.widths[block] for block in strategy.blocks)
    assert reads[-1]
