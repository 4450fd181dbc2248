"""What JSON cannot hold by itself is held in a form that gives it back."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import report_cases as cases

from thawline.core.errors import StoreError
from thawline.search.leaderboard import Member
from thawline.view.report_json import encode, evaluation_from, leaderboard_from, refusing_damage, with_jpeg


def through_json(value):
    return json.loads(json.dumps(asdict(value), default=encode))


def test_an_evaluation_comes_back_with_its_arrays():
    before = cases.make_evaluation(("ant", "bee", "crow"))
    again = evaluation_from(through_json(before))
    assert (again.scores, again.per_class, again.paths) == (before.scores, before.per_class, before.paths)
    for name in ("confusion", "labels", "probabilities", "leaked"):
        array = getattr(again, name)
        assert array.dtype == getattr(before, name).dtype
        assert np.array_equal(array, getattr(before, name))


def test_a_leaderboard_comes_back_equal():
    board = cases.make_mixed_board()
    assert leaderboard_from(through_json(board)) == board


def test_heads_together_come_back_with_their_members():
    board = cases.make_mixed_board()
    trial = board.trials[1]
    strategy = replace(trial.strategy, head="together", members=(board.trials[0].strategy, trial.strategy))
    members = (Member("a", 1e-3, 0.7), Member("b", 1e-5, 1.0))
    together = replace(board, trials=(board.trials[0], replace(trial, strategy=strategy, members=members)))
    assert leaderboard_from(through_json(together)) == together


def test_a_picture_comes_back_as_bytes():
    raw = json.loads(json.dumps({"path": "a", "jpeg": b"\xff\xd8\x00"}, default=encode))
    assert with_jpeg(raw) == {"path": "a", "jpeg": b"\xff\xd8\x00"}


def test_numbers_of_numpy_are_plain_numbers():
    assert json.dumps([np.float32(0.5), np.int64(3)], default=encode) == "[0.5, 3]"


def test_unknown_objects_are_refused():
    with pytest.raises(TypeError, match="a report cannot hold set"):
        replace(cases.make_choice(), provenance={"odd": {1}}).to_json()


def test_damage_is_refused_with_a_way_out():
    message = r"cannot be read \(KeyError: 'trials'\)\. Run `thawline fit` again"
    with pytest.raises(StoreError, match=message), refusing_damage():
        leaderboard_from({})
