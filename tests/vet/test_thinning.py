"""Heads that learn from fewer pictures: of all classes alike, or of half of them."""

from dataclasses import replace

import numpy as np
import pytest
from thinning_cases import STRATEGY, answered, drawn

from thawline.heads.linear import L2_STRENGTHS
from thawline.search.leaderboard import Member, Trial
from thawline.vet import thinning
from thawline.vet.thinning import FEWEST, HALF, SOME, WHOLE, Head, Plan, can_thin, cheaper_heads, heads_of, plan_for


def trial(strategy, **known):
    return Trial(
        strategy, (0.9,), 0.9, 0.8, 1.0, 0.9, 0.9, 0.0, 0.0, 0.0, 1.0, True,
        known.pop("l2", None), known.pop("neighbours", None), 1.0, 1.0, 10, **known,
    )  # fmt: skip


def test_more_pictures_are_answered_better_and_sizes_are_as_asked():
    features, rows = drawn(240)
    found = answered(features, rows)
    assert found.hits.shape == (5, 240)
    assert found.pictures == pytest.approx([24, 48, 96, 144, 192], abs=1)
    means = found.hits.mean(axis=1)
    assert means[0] + 0.08 < means[-1]
    assert (found.between[:-1] > 0).all()
    assert found.between[-1] == 0
    assert found.num_fits == WHOLE.num_heads(5) == 105
    assert "240 rows by 5 sizes" in repr(found)


def test_a_held_out_row_is_never_learnt_from():
    """Features that say nothing but which row it is: who learns from a row, knows it; who does not, guesses."""
    rows = drawn(90)[1]
    found = answered(np.eye(90, dtype=np.float32), rows)
    assert found.hits[-1].mean() < 0.6
    assert np.nanmean(found.whole) < 0.8


def test_a_class_is_halved_by_turns_and_its_own_pictures_are_what_it_loses():
    features, rows = drawn(240)
    found = answered(features, rows)
    assert not np.isnan(found.whole).any()
    assert np.nanmean(found.whole) > np.nanmean(found.halved) + 0.02


def test_the_drawings_of_a_size_part_the_pictures_between_them_and_copies_stay_whole():
    _, rows = drawn(120, copies=2)
    halves = [thinning._thin(rows, 0, share=0.5, draw=draw, of=2) for draw in range(2)]
    assert ((halves[0] > 0) != (halves[1] > 0))[rows.train[:, 0] > 0].all()
    assert (halves[0].reshape(-1, 2)[:, 0] == halves[0].reshape(-1, 2)[:, 1]).all()
    assert np.bincount(rows.labels[halves[0] > 0]).tolist() == [32, 32, 32]


def test_a_class_weighs_as_much_when_it_is_halved():
    _, rows = drawn(120)
    train = rows.train * np.where(rows.labels == 0, 2, 1)[:, None].astype(np.float32)
    for side in (0, 1):
        weights, halved = thinning._halve(replace(rows, train=train), 0, pair=0, side=side)
        before, after = (np.bincount(rows.labels, weights=values) for values in (train[:, 0], weights))
        assert after == pytest.approx(before)
        assert np.bincount(rows.labels[weights > 0]).tolist() == np.where(halved, 16, 32).tolist()
        assert 0 < halved.sum() < 3


def test_what_is_taken_off_rare_classes_is_that_of_all_pictures():
    """Of features that say nothing, rare classes are guessed where their shares are taken off, whatever is left out."""
    features, rows = drawn(240, apart=0.0)
    labels = np.where(np.arange(240) % 8 == 0, rows.labels, 0)
    skewed = replace(rows, labels=labels)
    never, plain = (answered(features, replace(skewed, adjusts=part)).hits for part in (1.0, 0.0))
    rare = labels > 0
    assert (plain[:, rare].mean(axis=1) < never[:, rare].mean(axis=1)).all()


def test_a_class_of_one_picture_is_never_left_out():
    features, rows = drawn(60)
    labels = rows.labels.copy()
    labels[0] = 3
    found = answered(features, replace(rows, labels=labels))
    assert np.isnan(found.whole[0])
    assert np.isnan(found.whole).sum() == 1


def test_heads_together_answer_by_their_mean():
    features, rows = drawn(120)
    heads = (Head(STRATEGY, 1, 0.7), Head(STRATEGY, 3))
    assert answered(features, rows, heads=heads).num_fits == 210
    assert (
        answered(features, rows, heads=(Head(STRATEGY, 2), Head(STRATEGY, 2))).hits == answered(features, rows).hits
    ).all()


@pytest.mark.parametrize("head", ["class mean", "k-NN"])
def test_every_solved_head_has_a_curve(head):
    features, rows = drawn(120, apart=3.0)
    found = answered(features, rows, heads=(Head(replace(STRATEGY, head=head), 1 if head == "k-NN" else 0),), plan=HALF)
    assert found.hits[-1].mean() > 0.5


def test_parts_give_what_the_whole_gives(monkeypatch):
    features, rows = drawn(120)
    whole = answered(features, rows, plan=HALF)
    monkeypatch.setattr("thawline.vet.thinning.FLOATS", 120 * 3)
    parts = answered(features, rows, plan=HALF)
    assert np.mean(whole.hits == parts.hits) > 0.99  # rows that no fit of a part needs are left out there


def test_very_large_sets_are_asked_of_one_fold_and_of_some_held_out_rows(monkeypatch):
    features, rows = drawn(300)
    monkeypatch.setattr("thawline.vet.thinning.MOST_HELD_OUT", 40)
    found = answered(features, rows, plan=FEWEST)
    assert len(found.places) == 40
    assert np.isin(found.places, rows.held_out[0]).all()
    assert np.isnan(found.whole).all()
    assert found.num_fits == 4


def test_fewer_heads_are_fitted_where_they_cost_more():
    rows = drawn(60)[1]

    def sized(num_rows, num_classes):
        labels = np.arange(num_rows) % num_classes
        return plan_for(replace(rows, labels=labels))

    found = [sized(1000, 10), sized(5000, 10), sized(50_000, 10), sized(12_000, 1200)]
    assert found[0] is WHOLE
    assert [WHOLE, HALF, SOME, FEWEST].index(found[1]) < 3
    assert found[3] is FEWEST
    order = [[WHOLE, HALF, SOME, FEWEST].index(plan) for plan in found]
    assert order == sorted(order)


def test_of_very_many_pictures_and_classes_class_means_are_asked():
    rows, together = drawn(60)[1], (Head(STRATEGY, 1), Head(STRATEGY, 2))
    assert cheaper_heads(together, replace(rows, labels=np.arange(50_000) % 10)) == together
    (found,) = cheaper_heads(together, replace(rows, labels=np.arange(12_000) % 1200))
    assert (found.strategy.head, found.strategy.blocks) == ("class mean", STRATEGY.blocks)


def test_where_nothing_can_be_left_out_that_is_known():
    assert can_thin(drawn(60)[1])
    assert not can_thin(drawn(6, num_classes=3)[1])
    rows = drawn(60)[1]
    assert not can_thin(replace(rows, labels=np.zeros(60, int)))


def test_the_heads_of_a_trial_are_those_that_were_chosen():
    assert heads_of(trial(STRATEGY, l2=L2_STRENGTHS[3])) == (Head(STRATEGY, 3),)
    assert heads_of(trial(replace(STRATEGY, head="k-NN"), neighbours=10)) == (Head(replace(STRATEGY, head="k-NN"), 2),)
    assert heads_of(trial(replace(STRATEGY, head="class mean")))[0].setting == 0
    assert heads_of(trial(replace(STRATEGY, head="dense"))) == ()
    assert heads_of(trial(replace(STRATEGY, kind="partial", tune="last 20 %"))) == ()
    together = replace(STRATEGY, head="together", members=(STRATEGY, replace(STRATEGY, depths=(1,))))
    members = (Member("drawn", L2_STRENGTHS[1], 0.7), Member("drawn", L2_STRENGTHS[2], 1.4))
    assert heads_of(trial(together, members=members)) == (
        Head(together.members[0], 1, 0.7), Head(together.members[1], 2, 1.4),
    )  # fmt: skip


def test_a_plan_says_how_many_heads_it_takes():
    assert Plan(((0.5, 2), (1.0, 1)), pairs=1).num_heads(5) == 25
    assert Plan(((0.5, 2), (1.0, 1)), pairs=1, folds=1).num_heads(5) == 5
