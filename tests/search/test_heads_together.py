"""Heads together: which, what they cost, what they answer, and that nothing of a fold is known when it is answered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from tests.search.test_strategy import backbone_of, spec_of

from thawline.features.backbone import join_backbones
from thawline.heads.linear import L2_STRENGTHS
from thawline.search.answers import Rows, answers_from
from thawline.search.heads_together import TEMPERATURES, answer_together, columns_read, is_few, safest
from thawline.search.side_by_side import strategies_of
from thawline.search.strategy import candidate_features, default_pooling, strategies_for, together_features
from thawline.search.ties import FEW

SPEC, BACKBONE = spec_of(17), backbone_of(17)
N, K = 24, 3
LABELS = np.arange(N, dtype=np.int64) % K


def rows_of(labels=LABELS, *, num_folds=4) -> Rows:
    """All rows scored by folds of neighbouring rows, twice; the second time another way round."""
    order = np.arange(N)
    held = [np.sort(part) for rows in (order, np.roll(order, 3)) for part in np.split(rows, num_folds)]
    train = np.ones((N, len(held)), np.float32)
    for fold, places in enumerate(held):
        train[places, fold] = 0
    repeat = np.arange(len(held)) // num_folds
    return Rows(np.arange(N), labels, np.arange(N), train, tuple(held), repeat, np.arange(N), np.ones(N))


def linear_heads():
    """Return the plain linear strategy of every candidate."""
    return [
        strategies_for(part, BACKBONE, num_classes=K, num_rows=N, plain_pooling=default_pooling(SPEC))[0]
        for part in candidate_features(SPEC)
    ]


def alone(rows, *, seed=0, scale=1.0, without=()):
    """Return answers of every linear head, drawn at random around the truth."""
    rng = np.random.default_rng(seed)
    found = []
    for strategy in linear_heads():
        logits = (scale * (2 * np.eye(K)[LABELS] + rng.normal(size=(2, N, K)))).astype(np.float32)
        every = None if strategy.name in without else logits
        found.append(
            answers_from(
                strategy, logits.argmax(axis=2), logits=logits[0], rows=rows, seconds=1.0, choice=2, every=every
            )
        )
    return found


def answered(rows, **more):
    return answer_together(alone(rows, **more), rows, specs=[SPEC], backbone=BACKBONE)


def test_heads_that_answer_together_are_fixed_beforehand_and_cost_one_pass():
    whole, middle = (entry.strategy for entry in answered(rows_of()))
    assert whole.name == "drawn · 4 heads together"
    assert [part.depths[0] for part in whole.members] == [16, 4, 10, 12]
    assert {part.depths[-1] for part in whole.members} == {16}
    assert middle.name == "drawn · middle and end together"
    assert [part.depths for part in middle.members] == [tuple(range(10, 14)), tuple(range(10, 17))]
    for strategy in (whole, middle):
        heads = sum(part.cost - BACKBONE.cuts[part.depths[-1]].cost_fraction for part in strategy.members)
        assert strategy.cost == pytest.approx(1 + heads)
        assert strategy.blocks_removed == 0
        assert not strategy.is_plain
        assert set(strategy.blocks) == {block for part in strategy.members for block in part.blocks}
        assert len(set(strategy.blocks)) == len(strategy.blocks)


@pytest.mark.parametrize("num_cuts", [1, 2, 3, 4, 5, 8, 17, 24])
@pytest.mark.parametrize("poolings", [("mean",), ("mean", "std"), ("mean", "std", "token")])
def test_they_are_candidates_under_names_of_their_own_whatever_the_network(num_cuts, poolings):
    spec = spec_of(num_cuts, poolings=poolings)
    sets = together_features(spec)
    for members in sets.values():
        assert len(members) == len(set(members)) > 1
        assert set(members) <= set(candidate_features(spec))
    assert len({frozenset(members) for members in sets.values()}) == len(sets)


def test_probabilities_are_averaged_at_the_temperatures_that_are_told():
    rows = rows_of(num_folds=1)  # one fold: its temperatures are the final ones
    heads = alone(rows, scale=6.0)
    entry = answer_together(heads, rows, specs=[SPEC], backbone=BACKBONE)[0]
    by_name = {head.strategy.name: head for head in heads}
    shares = [softmax(by_name[part.name].every / part.temperature, axis=2) for part in entry.members]
    np.testing.assert_allclose(np.exp(entry.logits), np.mean(shares, axis=0)[0], rtol=1e-5)
    assert entry.predicted.tolist() == np.mean(shares, axis=0).argmax(axis=2).tolist()
    assert {part.temperature for part in entry.members} <= set(TEMPERATURES) - {1.0}  # they are much too sure
    assert {part.l2 for part in entry.members} == {L2_STRENGTHS[2]}
    assert entry.is_complete
    assert (entry.num_fits, entry.every) == (0, None)


def test_together_they_are_right_more_often_than_each():
    rows = rows_of()
    heads = alone(rows)
    scores = [head.scores.mean() for head in heads]
    assert answer_together(heads, rows, specs=[SPEC], backbone=BACKBONE)[0].scores.mean() > np.mean(scores) + 0.05


def test_the_labels_of_a_fold_change_nothing_in_its_answers():
    rows = rows_of()
    before = answered(rows, scale=3.0)
    for fold in (0, 2):
        held = rows.held_out[fold]
        labels = LABELS.copy()
        labels[held] = (labels[held] + 1) % K
        for entry, other in zip(before, answered(rows_of(labels), scale=3.0), strict=True):
            assert np.array_equal(entry.logits[held], other.logits[held])


def test_a_set_of_which_a_head_was_sketched_is_a_sketch_in_the_repeats_that_all_answered():
    rows = rows_of()
    heads = alone(rows)
    entire = answer_together(heads, rows, specs=[SPEC], backbone=BACKBONE)
    name = entire[0].strategy.members[0].name
    heads = [replace(e, every=e.every[:1], sketched=True) if e.strategy.name == name else e for e in heads]
    whole, middle = answer_together(heads, rows, specs=[SPEC], backbone=BACKBONE)
    assert (whole.sketched, middle.sketched) == (True, False)
    assert whole.is_complete
    assert (whole.predicted[1] == -1).all()
    assert len(whole.fold_scores) == 4
    np.testing.assert_array_equal(middle.predicted, entire[1].predicted)


def test_a_head_that_was_not_compared_is_left_out_and_a_set_of_one_is_none():
    of_whole = [part.name for part in answered(rows_of())[0].strategy.members]
    named = [entry.strategy.name for entry in answered(rows_of(), without=of_whole[:1])]
    assert named == ["drawn · 3 heads together", "drawn · middle and end together"]
    assert answered(rows_of(), without=of_whole[1:]) == []
    assert answer_together([], rows_of(), specs=[SPEC], backbone=BACKBONE) == []


def test_each_head_reads_the_columns_of_its_own_blocks():
    for entry in answered(rows_of()):
        strategy, at = entry.strategy, 0
        masks = columns_read(strategy, SPEC.widths)
        for block in strategy.blocks:
            width = SPEC.widths[block]
            for mask, member in zip(masks, strategy.members, strict=True):
                assert mask[at : at + width].all() == mask[at] == (block in member.blocks)
            at += width
        assert {len(mask) for mask in masks} == {at}


def test_heads_of_several_networks_answer_together_too():
    small = replace(backbone_of(17), name="small")
    joined = join_backbones([small, replace(backbone_of(8), name="large", num_macs=3_000_000)])
    specs, rows = [SPEC, spec_of(8)], rows_of()
    heads = [
        replace(entry, strategy=strategy)
        for entry in alone(rows)[:1]
        for strategies in strategies_of(specs, joined, num_classes=K, num_rows=N)
        for strategy in strategies
    ]
    found = {
        entry.strategy.name: entry.strategy for entry in answer_together(heads, rows, specs=specs, backbone=joined)
    }
    assert list(found) == [
        *("small · 4 heads together", "small · middle and end together"),
        *("large · 4 heads together", "large · middle and end together"),
        *("small + large · 8 heads together", "small + large · middle and end together"),
    ]
    own, other, both = (found[f"{name} heads together"] for name in ("small · 4", "large · 4", "small + large · 8"))
    assert (own.passes, other.passes, both.passes) == ((1, 0), (0, 1), (1, 1))
    assert (own.num_networks, both.num_networks) == (1, 2)
    assert both.cost == pytest.approx(own.cost + other.cost)
    assert both.blocks == (*own.blocks, *other.blocks)
    assert min(other.depths) >= 17


def test_few_pictures_are_counted_by_class():
    assert is_few(rows_of())
    per_class = Rows(*[None] * 8)
    assert not is_few(replace(per_class, labels=np.arange(FEW * K) % K))
    assert is_few(replace(per_class, labels=np.arange(FEW * K - 1) % K))


def test_the_safest_is_known_beforehand():
    rows = rows_of()
    heads = alone(rows)
    assert (
        safest([*heads, *answer_together(heads, rows, specs=[SPEC], backbone=BACKBONE)]) == "drawn · 4 heads together"
    )
    assert safest(heads) == "drawn · whole · linear"
    assert safest([head for head in heads if head.strategy.is_fused]) is None
