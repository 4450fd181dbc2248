"""What is told of abstaining is plain data."""

from thawline.vet.abstaining import Kept


def test_a_threshold_that_answers_nothing_has_no_share_of_right_answers():
    assert Kept(1, 0, 0.0, 0.0, 0.8, None, 0.0, 1.0).right is None
