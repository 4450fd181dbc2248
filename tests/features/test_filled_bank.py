"""What was extracted counts what reading had made again since."""

from __future__ import annotations

from types import SimpleNamespace

from thawline.features.filled_bank import Extraction


def test_rows_that_are_made_again_later_are_counted():
    bank = SimpleNamespace(num_damaged=0, num_remade=0)
    done = Extraction(bank, 5, 0.5)
    assert (done.num_lacking, done.num_extracted, done.num_damaged, done.seconds) == (5, 5, 0, 0.5)
    bank.num_damaged, bank.num_remade = 3, 2
    assert (done.num_lacking, done.num_extracted, done.num_damaged) == (5, 7, 3)
