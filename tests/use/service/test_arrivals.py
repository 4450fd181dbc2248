"""Arrivals: what looks unlike what was learned is told soon, and hardly ever where it does not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import beta

from thawline.core.types import Prediction
from thawline.use.doubt import NONE_OF_THESE, NOT_SURE, Doubt
from thawline.use.service import arrivals as arrivals_module
from thawline.use.service.arrivals import PICTURES_TO_FALSE_ALARM, WINDOW, Arrivals, expected_share

NUMBERS = itertools.count()


def doubt(false_alarms=0.05, num_groups=2000, read_from="features"):
    return Doubt(
        read_from=read_from, false_alarms=false_alarms, num_groups=num_groups, error_rate=0.01, min_probability=0.5
    )


def picture():
    """Return bytes that nobody sent before."""
    return next(NUMBERS).to_bytes(8, "big")


def row(reason=None):
    return Prediction("a", "cat", 0.9, {"cat": 0.9, "dog": 0.1}, doubt=reason)


def feed(arrivals, strange):
    """Add pictures, and return after how many it was first said that they look unlike; None: never."""
    first = None
    for number, is_strange in enumerate(strange, start=1):
        arrivals.add(row(NONE_OF_THESE if is_strange else None), picture())
        if first is None and arrivals.drift().is_unlike:
            first = number
    return first


@pytest.mark.parametrize(("share", "within"), [(1.0, 10), (0.5, 60), (0.2, 400)])
def test_a_change_is_told_within_few_pictures(share, within):
    firsts = [feed(Arrivals(doubt()), np.random.default_rng(seed).random(3 * within) < share) for seed in range(20)]
    assert None not in firsts
    assert np.median(firsts) <= within


def test_false_alarms_are_as_rare_as_is_said(monkeypatch):
    """With a promise of 300 pictures to a false alarm, none may come sooner in the mean; seen at the expected share."""
    monkeypatch.setattr(arrivals_module, "PICTURES_TO_FALSE_ALARM", 300)
    expected = expected_share(0.05, num_groups=2000)
    most = 3000
    firsts = []
    for seed in range(40):
        arrivals = Arrivals(doubt())
        firsts.append(feed(arrivals, np.random.default_rng(seed).random(most) < expected) or most)
    assert np.mean(firsts) >= 300


def test_nothing_is_said_of_pictures_like_the_learned_ones_and_an_alarm_ends_with_its_cause():
    assert PICTURES_TO_FALSE_ALARM == 10_000
    arrivals = Arrivals(doubt())
    assert feed(arrivals, np.random.default_rng(0).random(2000) < 0.05) is None
    assert arrivals.drift().words() is None
    assert feed(arrivals, [True] * 40) is not None
    said = arrivals.drift()
    assert said.words().startswith("What arrives looks unlike what was learned: ")
    assert f"of the last {WINDOW} pictures look strange" in said.words()
    assert said.to_json()["is_unlike"] is True
    feed(arrivals, [False] * 300)
    assert not arrivals.drift().is_unlike
    assert arrivals.drift().strange_share == 0


def test_shares_are_those_of_the_window():
    arrivals = Arrivals(doubt())
    for reason in (NONE_OF_THESE, NOT_SURE, None, None):
        arrivals.add(row(reason), picture())
    said = arrivals.drift()
    assert (said.num_pictures, said.strange_share, said.abstained_share) == (4, 0.25, 0.5)
    for _ in range(WINDOW):
        arrivals.add(row(), picture())
    assert (arrivals.drift().num_pictures, arrivals.drift().abstained_share) == (WINDOW, 0)


def test_a_picture_that_comes_again_and_one_that_cannot_be_read_say_nothing():
    arrivals = Arrivals(doubt())
    same = picture()
    for _ in range(100):
        arrivals.add(row(NONE_OF_THESE), same)
        arrivals.add(Prediction.failed("a", "not a picture"), picture())
    assert arrivals.drift().num_pictures == 1
    assert not arrivals.drift().is_unlike


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(arrivals_module, "REMEMBERED", 3)
    arrivals = Arrivals(doubt())
    first = picture()
    for data in (first, picture(), picture(), picture(), first):
        arrivals.add(row(), data)
    assert arrivals.drift().num_pictures == 5
    assert len(arrivals._known) == 3


@pytest.mark.parametrize("known", [None, doubt(read_from=None), doubt(num_groups=0)])
def test_where_nothing_tells_strange_pictures_drift_is_not_known(known):
    arrivals = Arrivals(known)
    arrivals.add(row(NOT_SURE), picture())
    assert arrivals.drift() is None
    assert arrivals.abstained_share() == 1


@pytest.mark.parametrize("num_groups", [1, 20, 137, 5000])
@pytest.mark.parametrize("false_alarms", [0.01, 0.05, 0.4])
def test_the_expected_share_is_the_upper_limit_of_clopper_and_pearson(false_alarms, num_groups):
    beyond = int(false_alarms * num_groups + 1e-9)
    wanted = beta.ppf(0.95, beyond + 1, num_groups - beyond)
    assert expected_share(false_alarms, num_groups=num_groups) == pytest.approx(min(0.99, wanted), abs=1e-6)
