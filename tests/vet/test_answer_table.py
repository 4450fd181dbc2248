"""The table of answers has a row a picture, known by the hash of its bytes."""

from __future__ import annotations

import doctest

import numpy as np

from thawline.vet import answer_table as module
from thawline.vet.answer_table import answer_table
from thawline.vet.answered import TEST, Answered


def test_a_row_says_what_a_picture_is_and_was_taken_for(tiny_dataset):
    shares = np.array([[0.9, 0.1], [0.3, 0.7], [0.5, 0.5]], dtype=np.float32)
    table = answer_table(Answered(tiny_dataset, np.array([0, 1, 3]), shares, np.array([0, TEST, 2])))
    assert table.paths == ("a/0.png", "a/1.png", "b/3.png")
    assert [key.hex() for key in table.keys] == [tiny_dataset.samples[row].sha256 for row in (0, 1, 3)]
    assert (table.labels.tolist(), table.predicted.tolist()) == ([0, 0, 1], [0, 1, 0])
    np.testing.assert_allclose(table.confidence, [0.9, 0.7, 0.5])
    np.testing.assert_allclose(table.true_share, [0.9, 0.3, 0.5])
    assert (table.fold.tolist(), len(table)) == ([0, TEST, 2], 3)
    assert repr(table) == "<AnswerTable: 3 pictures, 1 of the test>"


def test_the_examples_hold():
    assert doctest.testmod(module).failed == 0
