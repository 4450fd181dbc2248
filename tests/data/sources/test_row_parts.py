"""A column of words, or of yes and no, says which part of the data a row belongs to."""

from __future__ import annotations

import pytest

from thawline.core.errors import DataError
from thawline.data.sources.row_parts import row_parts


def parts(*columns):
    return row_parts(columns, lines=range(2, 2 + len(columns[0][0])), where="t.csv")


def test_words_name_parts_and_eval_next_to_a_validation_is_the_test():
    assert parts((["train", "Dev", "TESTING", ""], None)) == ["train", "validation", "test", None]
    assert parts((["training", "val", "eval"], None)) == ["train", "validation", "test"]
    assert parts((["train", "unlabelled"], None)) == ["train", "unlabelled"]
    assert row_parts([], lines=[2, 3], where="t.csv") == [None, None]


def test_yes_and_no():
    assert parts((["True", "0", "no", "1.0"], "validation")) == ["validation", "train", "train", "validation"]
    assert parts((["yes", "", "false"], "test"), (["no", "TRUE", "0"], "validation")) == ["test", "validation", "train"]
    assert parts((["1", "0"], "train")) == ["train", "test"]


def test_a_cell_that_says_neither_is_named_with_its_line():
    with pytest.raises(DataError, match=r"t\.csv, line 3: split 'somewhere' is not one of train, validation, test"):
        parts((["train", "somewhere"], None))
    with pytest.raises(DataError, match=r"t\.csv, line 3: 'maybe' is neither true nor false"):
        parts((["1", "maybe"], "validation"))
