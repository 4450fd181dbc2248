"""The script of the cases makes what the other files here read; each area has a test file of its own."""

from __future__ import annotations

import thawline


def test_the_plain_case_is_three_classes_of_ten_pictures(make_case):
    dataset, _ = thawline.check(make_case("base"))
    assert (dataset.class_names, len(dataset.samples)) == (("capuchin", "howler", "uakari"), 30)
