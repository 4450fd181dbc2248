"""What a worker of a group could not do is told once; its clock is one for all attempts. Groups: `test_trainers`."""

from __future__ import annotations

import os
import time

import pytest
import torch

from thawline.core.errors import StoreError, TrainingError
from thawline.work.cluster.elastic import Mailbox, use_threads


def test_the_first_error_is_kept():
    mailbox = Mailbox()
    assert mailbox.read() is None
    first = StoreError("one")
    mailbox.post(first)
    mailbox.post(TrainingError("other"))
    assert mailbox.read() is first


def test_the_clock_goes_on_over_attempts():
    mailbox = Mailbox()
    mailbox.began_at -= 10
    assert mailbox.gone_s() == pytest.approx(10, abs=5)
    mailbox.begin()
    assert mailbox.gone_s() < 5
    before = mailbox.gone_s()
    time.sleep(0.01)
    assert mailbox.gone_s() > before


def test_a_worker_computes_on_what_was_reserved_for_it(monkeypatch):
    monkeypatch.setenv("THAWLINE_THREADS", "7")
    before = torch.get_num_threads()
    try:
        use_threads(1)
        assert os.environ["THAWLINE_THREADS"] == "1"
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
