"""`Answered`: the table that everything on this floor reads."""

import numpy as np

from thawline.vet.answered import TEST, Answered


def test_it_says_what_was_answered_and_what_was_right(tiny_dataset):
    shares = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]], dtype=np.float32)
    answered = Answered(tiny_dataset, np.array([0, 2, 3]), shares, np.array([0, 1, TEST]))
    assert len(answered) == 3
    assert answered.labels.tolist() == [0, 1, 1]
    assert answered.predicted.tolist() == [0, 0, 1]  # of equally probable classes the first
    assert answered.is_right.tolist() == [True, False, True]
    assert answered.confidence.tolist() == np.array([0.9, 0.5, 0.8], dtype=np.float32).tolist()
    assert answered.is_test.tolist() == [False, False, True]
    assert answered.groups.tolist() == [10, 12, 13]
    assert answered.paths == ("a/0.png", "b/2.png", "b/3.png")
    assert repr(answered) == "<Answered: 3 of 4 pictures, 1 of the test>"
