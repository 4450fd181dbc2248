"""What is solved: what may lead or win, the members of what may win together, and what is safest of few pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.search.test_heads_together import BACKBONE, SPEC, K, alone, linear_heads, rows_of

from thawline.search import solving as module
from thawline.search.heads_together import answer_together
from thawline.search.solving import is_dear, solve_hopeful, thinned


class OneBank:
    """As much of a bank as is asked for."""

    spec = SPEC


@pytest.fixture
def solved_of(monkeypatch):
    """Return what is solved, given the sketches of every linear head and whether pictures are few."""

    def names(sketches, rows, *, few):
        monkeypatch.setattr(module, "is_few", lambda _: few)
        by_name = {entry.strategy.name: replace(entry, sketched=True, merits=(0.0,) * 5) for entry in sketches}

        def answer(heads, effort):
            return [replace(by_name[head.name], sketched=effort.is_sketch) for head in heads]

        candidates = [(entry.strategy,) for entry in sketches]
        ahead = []
        monkeypatch.setattr(module, "rotate_ahead", lambda sets, **_: ahead.extend(sets))
        found = solve_hopeful(
            answer,
            candidates,
            bank=OneBank(),
            rows=rows,
            backbone=BACKBONE,
            advance=lambda done: None,
            hashes=[],
            kept={},
        )
        assert ahead == [entry.strategy.blocks for entry in found if not entry.sketched]
        assert [entry.strategy for entry in found] == [entry.strategy for entry in sketches]
        return {entry.strategy.name for entry in found if not entry.sketched}

    return names


def test_members_of_what_may_win_together_are_all_solved(solved_of):
    rows = rows_of()
    sketches = alone(rows)  # drawn apart, so that together they are better than each
    joined = answer_together(sketches, rows, specs=[SPEC], backbone=BACKBONE)
    best = max(joined, key=lambda entry: entry.credit.mean())
    assert best.credit.mean() > max(entry.credit.mean() for entry in sketches)
    solved = solved_of(sketches, rows, few=False)
    assert {part.name for part in best.strategy.members} <= solved
    assert len(solved) < len(sketches)


def test_of_few_pictures_the_safest_is_solved_however_it_came_out(solved_of):
    rows = rows_of()
    sketches = alone(rows)
    whole = answer_together(sketches, rows, specs=[SPEC], backbone=BACKBONE)[0]
    members = {part.name for part in whole.strategy.members}
    poor = [replace(e, every=-e.every, credit=1 - e.credit) if e.strategy.name in members else e for e in sketches]
    assert not members <= solved_of(poor, rows, few=False)
    assert members <= solved_of(poor, rows, few=True)


def vast():
    return replace(rows_of(), labels=np.arange(3600) % 1200)


def test_of_very_many_classes_fewer_candidates_are_answered_and_all_alike():
    candidates = [(strategy, replace(strategy, head="k-NN")) for strategy in linear_heads()]
    assert thinned(candidates, rows=rows_of(), bank=OneBank()) == candidates
    kept = thinned(candidates, rows=vast(), bank=OneBank())
    assert len(kept) < len(candidates) / 2
    joined = answer_together(alone(rows_of()), rows_of(), specs=[SPEC], backbone=BACKBONE)
    names = {heads[0].name for heads in kept}
    assert {part.name for entry in joined for part in entry.strategy.members} <= names
    assert {len(heads) for heads in kept if heads[0].is_fused} == {1}
    assert {len(heads) for heads in kept if not heads[0].is_fused} == {2}


def test_large_sets_are_sketched_first_but_those_of_very_many_classes():
    assert not is_dear(rows_of())
    assert is_dear(replace(rows_of(), labels=np.arange(module.SCREENED_ROWS) % K))
    assert is_dear(replace(rows_of(), labels=np.arange(1000) % 30))
    assert not is_dear(vast())
