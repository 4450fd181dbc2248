"""The strangest pictures come first, the test is told apart, and too few pictures for a rate are said to be."""

import numpy as np
import pytest

from thawline.use.doubt import Doubt
from thawline.vet.strangest import Doubted, strangest


def doubted(score, *, rate=0.01, rows=None, num_groups=3):
    doubt = Doubt(read_from="features", false_alarms=rate, num_groups=num_groups, error_rate=None, min_probability=None)
    score = np.array(score, np.float32)
    rows = np.arange(len(score)) if rows is None else np.array(rows)
    return Doubted(rows, np.clip(score, 0, 1), score, doubt, "")


def test_the_strangest_come_first_and_the_test_is_told_apart(tiny_dataset):
    told = strangest(doubted([0.5, 1.5, 0.1, 2.0], rate=0.05), tiny_dataset, test=np.array([3]))
    assert [one.path for one in told.strangest] == ["b/3.png", "a/1.png", "a/0.png", "b/2.png"]
    assert [(one.label, one.is_outside, one.is_test) for one in told.strangest[:2]] == [
        ("b", True, True),
        ("a", True, False),
    ]
    assert (told.test_alarms, told.num_test) == (1.0, 1)
    assert 0 < told.test_low < told.test_high == 1


def test_without_a_test_nothing_is_measured(tiny_dataset):
    told = strangest(doubted([0.5, 0.6], rows=[0, 2]), tiny_dataset, test=np.array([], dtype=np.int64))
    assert (told.test_alarms, told.num_test, len(told.strangest)) == (None, 0, 2)


@pytest.mark.parametrize(("num_groups", "is_said"), [(20, True), (98, True), (99, False), (5000, False)])
def test_too_few_pictures_for_the_rate_are_said_to_be(tiny_dataset, num_groups, is_said):
    told = strangest(doubted([0.1], num_groups=num_groups), tiny_dataset, test=np.array([], dtype=np.int64))
    assert told.resolved == pytest.approx(1 / (num_groups + 1))
    assert bool(told.note) == is_said
    assert not is_said or "99" in told.note
