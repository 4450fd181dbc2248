"""A number reads the same wherever it stands; the module's examples are tried as they are written."""

from __future__ import annotations

import doctest
from dataclasses import replace

import pytest
import report_cases as cases

from thawline.view import words
from thawline.view.words import duration_text, fact, odds, percent, points, shared_backbone, short_name, span, unit

GAP = "\N{NO-BREAK SPACE}"


def test_the_examples_hold():
    result = doctest.testmod(words)
    assert result.attempted >= 7
    assert result.failed == 0


def test_shares_have_one_decimal_and_a_space_that_does_not_break():
    assert (percent(0.98897), percent(1.0), percent(0.0)) == (f"98.9{GAP}%", f"100.0{GAP}%", f"0.0{GAP}%")
    assert span(0.968, 0.9961) == f"96.8–99.6{GAP}%"
    assert [points(gap) for gap in (0.0123, -0.0123, 0.0004, -0.0004)] == ["+1.2", "−1.2", "0.0", "0.0"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00994, "9.9 ms"), (0.00996, "10 ms"), (0.994, "0.99 s"), (9.94, "9.9 s"), (59.4, "59 s"), (59.6, "1 min")],
)
def test_a_duration_changes_its_unit_where_people_do(seconds, text):
    assert duration_text(seconds) == text


def test_errors_are_told_as_odds():
    assert [odds(error) for error in (0.0, 0.5, 0.1, 0.011, 0.0004)] == [
        "none", "about 5 in 10", "about 1 in 10", "about 1 in 90", "about 1 in 2,500"
    ]  # fmt: skip


def test_facts_of_provenance_are_plain_text():
    facts = [fact(value) for value in (None, True, False, 0.123456, 12_345.6, 9_999, 10_000, (1, "a"), "x")]
    assert facts == ["none", "yes", "no", "0.1235", "12,346", "9999", "10,000", "1, a", "x"]
    assert [unit(key) for key in ("extract_s", "size_px", "bank_key", "s")] == [
        "extract (s)", "size (px)", "bank key", "s"
    ]  # fmt: skip


def test_heads_together_are_told_by_what_they_read():
    trials = cases.make_mixed_board().trials[1:3]
    members = tuple(trial.strategy for trial in trials)
    strategy = replace(members[0], kind="frozen", head="together", members=members)
    names = [trial.strategy.name.removeprefix(f"{strategy.backbone} · ") for trial in trials]
    assert words.training(strategy)[1].endswith(f"; the mean of 2 heads: {names[0]}, {names[1]}")


def test_a_backbone_is_shared_whatever_starts_from_nothing():
    board = cases.make_mixed_board()
    assert shared_backbone(board) == "net"
    assert short_name(board.trials[0], "net") == "last 20 %"
    assert short_name(board.trials[-1], "net") == "cnn · from nothing"
    assert shared_backbone(replace(board, trials=board.trials[-1:])) == ""
    other = replace(board.trials[1], strategy=replace(board.trials[1].strategy, backbone="other"))
    assert shared_backbone(replace(board, trials=(board.trials[0], other))) == ""
