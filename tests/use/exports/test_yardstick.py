"""Draws are the same whatever the order, and as wide as the classes."""

from __future__ import annotations

import numpy as np

from thawline.data.dataset import Sample
from thawline.use.exports.yardstick import clearness, drawn, spread_over_classes


def samples(counts):
    return [
        Sample(f"{label}/{number}.jpg", label, f"{label}{number:063d}", None, number, None)
        for label, count in enumerate(counts)
        for number in range(count)
    ]


def test_classes_take_turns_whatever_the_order():
    known = samples([50, 2, 9])
    few = spread_over_classes(known, 12)
    assert np.bincount([one.label for one in few]).tolist() == [5, 2, 5]
    assert [one.label for one in few[:3]] == [0, 1, 2]
    assert spread_over_classes(known[::-1], 12) == few
    assert spread_over_classes(known, 12, seed=1) != few
    assert sorted(one.path for one in spread_over_classes(known, 1000)) == sorted(one.path for one in known)


def test_held_out_pictures_keep_the_shares_of_their_classes():
    known = samples([900, 100])
    few = drawn(known, 500)
    assert 30 < sum(one.label for one in few) < 70
    assert drawn(known[::-1], 500) == few
    assert len(drawn(known, 2000)) == len(known)


def test_clearness_is_how_far_the_second_class_is():
    shares = np.array([[0.1, 0.6, 0.3], [1.0, 0.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(clearness(shares), [np.log(2), np.log(1e9)], rtol=1e-5)
