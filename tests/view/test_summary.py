"""What a terminal shows is what the results hold: rows, marks, gaps, bars, and nothing left out in silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import report_cases as cases

from thawline.core.scores import Score
from thawline.features.backbone import CutPoint
from thawline.search.leaderboard import Leaderboard, Trial
from thawline.search.strategy import Strategy
from thawline.search.ties import TIE_WORDS
from thawline.use.evaluation import ClassScore, Evaluation
from thawline.use.expectation import Expectation
from thawline.view.row_table import rows_html
from thawline.view.summary import (
    evaluation_text,
    forecast_text,
    leaderboard_text,
    run_html,
    run_text,
    thaw_line_text,
)


def cuts_of(*labels):
    """The cuts of a single network, which has no name where it stands alone."""
    return {"": tuple(CutPoint(index, f"blocks.{label}", 8, 8, 0, 1.0) for index, label in enumerate(labels))}


def make_trial(depths, mean, *, head="linear", name=None, tied=False, lead=0.9):
    strategy = Strategy("net", depths, ("mean",), head, name or f"net · {depths} · {head}", 0.5)
    gap = mean - lead
    return Trial(
        strategy, (mean,), mean, mean - 0.04, mean + 0.03, mean, mean, gap, gap - 0.02, gap + 0.01, p_value=0.5,
        tied=tied, l2=None, neighbours=None, fit_s=0.1, predict_ms=3.14, num_pictures=1097,
    )  # fmt: skip


def make_board(trials, winner=0, metric="accuracy"):
    return Leaderboard(metric, "5 folds × 2", tuple(trials), winner, 0.8761, 0.8111, 0.9222, 1097, 2400, 3.21)


def make_evaluation(*, without=None, top5=None):
    labels = np.array([0, 0, 1, 1])
    confusion = np.array([[2, 0], [1, 1]])
    rows = (ClassScore("cat", 0.6667, 1.0, 0.8, 0.3, 1.0, 2), ClassScore("dog", 1.0, 0.5, 0.6667, 0.1, 0.9, 2))
    scores = {
        "accuracy": Score(0.7512, 0.3012, 0.9512, 1234), "accuracy_without_leaks": without, "top5": top5,
        "balanced_accuracy": Score(0.6423, 0.3, 0.9, 4), "macro_precision": Score(0.83, 0.4, 0.95, 4),
        "macro_recall": Score(0.75, 0.4, 0.92, 4), "macro_f1": Score(0.5334, 0.2, 0.9, 4),
    }  # fmt: skip
    return Evaluation(
        "net · whole", ("cat", "dog"), {name: score for name, score in scores.items() if score}, rows,
        confusion, tuple("abcd"), labels, np.eye(2, dtype=np.float32)[[0, 0, 1, 0]], np.array([0, 0, 0, 1]),
    )  # fmt: skip


def test_a_leaderboard_shows_ranks_marks_scores_and_gaps():
    board = make_board(
        [make_trial((1, 2), 0.9, tied=True), make_trial((1,), 0.885, tied=True), make_trial((2,), 0.7)], winner=1
    )
    title, header, first, second, third, last = leaderboard_text(board).splitlines()
    assert title == "Leaderboard: accuracy over 1,097 pictures, 5 folds × 2, 2,400 fits in 3.2 s"
    assert header.split() == ["strategy", "score", "95", "%", "interval", "against", "the", "leader", "ms"]
    assert " ".join(first.split()) == "1 = net · (1, 2) · linear 0.900 [0.860, 0.930] leader 3.1"
    assert " ".join(second.split()) == "2 *= net · (1,) · linear 0.885 [0.845, 0.915] -0.015 [-0.035, -0.005] 3.1"
    assert " ".join(third.split()) == "3 net · (2,) · linear 0.700 [0.660, 0.730] -0.200 [-0.220, -0.190] 3.1"
    assert ". = 2 tied with the leader: " in last
    assert last.endswith(": 0.876 [0.811, 0.922]")


def test_the_columns_of_a_leaderboard_stand_below_one_another():
    board = make_board([make_trial((1,), 0.9, name="a"), make_trial((2,), 0.8, name="a much longer name")])
    _, header, first, second, _ = leaderboard_text(board).splitlines()
    assert first.index("0.900") == second.index("0.800") == header.index("score")
    assert first.index("[0.860") == second.index("[0.760") == header.index("95 %")
    assert len(first) == len(second) == len(header)


def test_a_long_leaderboard_is_cut_but_never_its_winner():
    board = make_board([make_trial((i,), 0.9 - i / 100, tied=True) for i in range(20)], winner=17)
    lines = leaderboard_text(board, most=3).splitlines()
    assert [line.split()[0] for line in lines[2:6]] == ["1", "2", "3", "18"]
    assert lines[5].split()[1] == "*="
    assert lines[6] == "    … and 16 more in leaderboard.json"
    assert "more in" not in leaderboard_text(board, most=20)


def test_heads_together_that_win_are_told_one_by_one():
    one, other = make_trial((1,), 0.8), make_trial((2,), 0.7)
    strategy = replace(one.strategy, name="net · 2 heads together", members=(one.strategy, other.strategy))
    last = leaderboard_text(make_board([replace(one, strategy=strategy), other])).splitlines()[-1]
    assert last == "  net · 2 heads together is the mean of 2 heads: (1,) · linear, (2,) · linear"


def test_with_few_pictures_the_winner_is_said_to_be_the_safest():
    board = make_board([make_trial((1,), 0.9, tied=True), make_trial((2,), 0.7)], winner=1)
    assert "* winner: with fewer than 15 pictures a class, what is safest on average" in leaderboard_text(
        replace(board, is_safe=True)
    )


def of_kind(kind, trial, **changes):
    return replace(trial, strategy=replace(trial.strategy, kind=kind), **changes)


def test_a_score_over_part_of_the_pictures_says_so():
    whole, part = make_trial((1,), 0.9), of_kind("full", make_trial((2,), 0.8), num_pictures=219)
    header, first, second = leaderboard_text(make_board([whole, part])).splitlines()[1:4]
    assert header.split()[-2:] == ["ms", "pictures"]
    assert first.split()[-2:] == ["3.1", "1,097"]
    assert second.split()[-2:] == ["3.1", "219"]
    assert len(header) == len(first) == len(second)
    assert "pictures" not in leaderboard_text(make_board([whole])).splitlines()[1]


def test_the_best_of_each_kind_is_shown_however_far_down():
    trials = [make_trial((i,), 0.9 - i / 100) for i in range(8)]
    trials += [of_kind("scratch", make_trial((), 0.5, name="a")), of_kind("scratch", make_trial((), 0.4, name="b"))]
    lines = leaderboard_text(make_board(trials), most=3).splitlines()
    assert [line.split()[0] for line in lines[2:6]] == ["1", "2", "3", "9"]
    assert lines[6] == "    … and 6 more in leaderboard.json"


def test_a_forecast_is_aligned_and_adds_up():
    rows = [
        {"strategy": "net · last 20 %", "seconds": 200.0, "memory_bytes": 3 * 2**29, "disk_bytes": 440 * 2**20},
        {"strategy": "cnn", "seconds": 40.0, "memory_bytes": 600 * 2**20, "disk_bytes": 0, "outcome": "left out"},
    ]
    assert forecast_text(rows, 900.0).splitlines() == [
        "  strategy               time   memory     disk",
        "  net · last 20 %  3 min 20 s  1.5 GiB  440 MiB",
        "  cnn                    40 s  600 MiB    0 MiB  left out",
        "  together              4 min  1.5 GiB  440 MiB  of the 15 min allowed",
    ]
    assert forecast_text(rows, None).splitlines()[-1].endswith("440 MiB")
    assert "nothing is trained" in forecast_text((), 900.0)


def test_the_thaw_line_leaves_out_what_trains_the_network():
    trials = [of_kind("partial", make_trial((1,), 0.95)), make_trial((1,), 0.9)]
    trials += [of_kind("scratch", make_trial((), 0.4, name="cnn"))]
    _, line = thaw_line_text(make_board(trials), cuts_of("3.0", "4.0")).splitlines()
    assert line.split()[0] == "4.0"
    assert "0.900" in line


def test_the_metric_is_named_in_words():
    board = make_board([make_trial((1,), 0.9)], metric="balanced_accuracy")
    assert leaderboard_text(board).startswith("Leaderboard: balanced accuracy over")


def test_the_thaw_line_has_a_bar_for_each_depth_alone():
    board = make_board(
        [
            make_trial((0, 1, 2), 0.95),
            make_trial((1,), 0.94, head="k-NN"),
            make_trial((1,), 0.9),
            make_trial((1,), 0.85),
            make_trial((2,), 0.75),
            make_trial((0,), 0.5),
        ]
    )
    title, *lines = thaw_line_text(board, cuts_of("3.0", "4.0", "head")).splitlines()
    assert "linear head on each depth alone" in title
    assert [line.split()[0] for line in lines] == ["3.0", "4.0", "head"]
    assert [line.count("█") for line in lines] == [20, 36, 30]
    assert [line.split()[2] for line in lines] == ["0.500", "0.900", "0.750"]
    assert ["← best" in line for line in lines] == [False, True, False]
    assert lines[0].index("0.500") == lines[1].index("0.900")


def test_every_network_has_a_line_of_its_own():
    trials = [make_trial((1,), 0.9), make_trial((2,), 0.8), make_trial((0,), 0.5)]
    cuts = cuts_of("3.0", "4.0", "head")[""]
    first, second = thaw_line_text(make_board(trials), {"small": cuts[:2], "large": cuts[2:]}).split("\n\n")
    assert first.splitlines()[0] == "The thaw line of small: a linear head on each depth alone"
    assert [line.split()[0] for line in first.splitlines()[1:]] == ["3.0", "4.0"]
    assert second.splitlines()[0].startswith("The thaw line of large")
    assert [line.split()[2] for line in second.splitlines()[1:]] == ["0.800"]


def test_without_a_single_depth_there_is_no_line():
    assert (
        thaw_line_text(make_board([make_trial((0, 1), 0.9), make_trial((1,), 0.8, head="k-NN")]), cuts_of("a", "b"))
        == ""
    )


def test_an_evaluation_in_words():
    assert evaluation_text(make_evaluation()).splitlines() == [
        "Test: 0.751 [0.301, 0.951] of 1,234 pictures",
        "      balanced accuracy 0.642, macro-precision 0.830, macro-recall 0.750, macro-F1 0.533",
        "      mean confidence 1.000, calibration error 0.250 (by chance alone 0.000)",
    ]
    assert evaluation_text(make_evaluation(), rule="read once").startswith(
        "Test: 0.751 [0.301, 0.951] of 1,234 pictures, read once\n"
    )
    full = evaluation_text(make_evaluation(without=Score(0.7, 0.2, 0.9, 1190), top5=Score(0.99, 0.9, 1.0, 1234)))
    assert full.splitlines()[1:] == [
        "      0.700 [0.200, 0.900] of the 1,190 without a copy in training",
        "      top-5 0.990, balanced accuracy 0.642, macro-precision 0.830, macro-recall 0.750, macro-F1 0.533",
        "      mean confidence 1.000, calibration error 0.250 (by chance alone 0.000)",
    ]


def test_a_run_that_chose_tells_its_leaderboard_its_winner_and_its_test():
    data = cases.make_choice()
    text = run_text(data)
    board, winner, test = leaderboard_text(data.leaderboard), data.leaderboard.trials[1].name, data.evaluation
    note = "Note: 1 of 1,370 files was skipped: 1 × a text file. The ledger names them."
    assert text == f"{board}\n\nWinner: {winner}\n{evaluation_text(test, rule='read once')}\n{note}"
    assert TIE_WORDS in board
    assert run_text(replace(data, evaluation=None, check={})) == f"{board}\n\nWinner: {winner}"


def test_a_run_tells_what_its_budget_went_to_and_whether_its_goal_was_reached():
    data = replace(cases.make_choice(), forecast=cases.make_forecast(), budget_s=400.0, goal=0.95)
    lines = run_text(data).splitlines()
    assert any("ran 5 of 5 folds" in line for line in lines)
    assert lines[-1].startswith("FAIL  goal 0.950: not reached, but its interval ends at 0.958, above the goal")
    assert (
        run_text(replace(data, goal=0.5)).splitlines()[-1] == "PASS  goal 0.500: reached, by the whole of the interval."
    )


def test_what_to_expect_comes_before_the_test_and_what_speaks_against_it(tmp_path):
    test, choosing = Score(0.927, 0.857, 0.964, 96), Score(0.807, 0.765, 0.844, 384)
    found = Expectation("accuracy", Score(0.831, 0.795, 0.862, 480), test, choosing, True, 0.006)
    data = replace(cases.make_choice(), expectation=found, num_refitted=12)
    lines = run_text(data).splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("Expect: "))
    assert lines[place] == (
        "Expect: 0.831 [0.795, 0.862] of further pictures right, from the 96 test pictures and the 384 of the folds "
        "together, the surer score counting more"
    )
    assert lines[place + 1].startswith("Note: The test says 0.927 (0.857 to 0.964), the folds 0.807")
    assert lines[place + 2].startswith("Test: 0.917")
    assert any(line.startswith("Note: The delivered model learnt from all 45 pictures") for line in lines)
    html = run_html(data, tmp_path)
    assert "The model should be right on 0.831 [0.795, 0.862]" in html.split("<table")[0]
    assert "<b>Expect: 0.831</b> [0.795, 0.862] accuracy" in html
    assert "further apart than chance explains" in html
    assert "The delivered model learnt from all 45 pictures" in html
    own = replace(data, expectation=replace(found, is_pooled=False, score=test, p_value=0.5), num_refitted=0)
    assert "Expect" not in run_text(own) + run_html(own, tmp_path)
    balanced = replace(data, expectation=replace(found, metric="balanced_accuracy"))
    assert "Expect: 0.831 [0.795, 0.862] balanced accuracy, from" in run_text(balanced)


def test_a_choice_by_one_part_is_not_called_cross_validated():
    board = cases.make_board()
    assert "The whole choice, cross-validated: 0.887" in leaderboard_text(board)
    trials = tuple(replace(trial, fold_scores=trial.fold_scores[:1]) for trial in board.trials)
    text = leaderboard_text(replace(board, trials=trials, rule="the validation folder"))
    assert "Its score on the pictures that it was chosen by: 0.887" in text
    assert "cross" not in text


def test_pictures_that_were_all_learnt_from_are_no_test():
    evaluation = replace(make_evaluation(), leaked=np.ones(4, dtype=np.int64))
    assert evaluation_text(evaluation).splitlines()[1] == (
        "      All of them, or a copy of each, were learnt from: this is no test."
    )


def test_a_score_added_to_the_list_is_told(added_score):
    assert f", {added_score.title} 0.100." in run_text(cases.make_rows())


def test_a_notebook_shows_the_comparison_the_test_and_the_way_to_the_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, out = replace(cases.make_choice(), goal=0.95), Path("runs") / "<b>garden"
    html = run_html(data, out)
    first, rest = html.split(data.leaderboard._repr_html_())
    assert "The model is right on 0.917 [" in first
    assert rest
    assert "<b>Test: 0.917</b> [0.661, 0.958] of 12 pictures, read once · goal 0.950: not reached" in html
    assert '<a href="runs/%3Cb%3Egarden/report.html"' in html
    assert "<b>garden" not in html
    rows = run_html(cases.make_rows(), out)
    assert rows_html(cases.make_rows()) in rows
    assert rows.index("The best row, thawed") < rows.index("<table")
    assert "read once" not in rows
    assert '<a href="runs/%3Cb%3Egarden/report.html"' in rows


def test_groups_and_classes_left_out_are_told_after_a_run():
    facts = {"by": "the column patient", "groups": 12, "pictures": 90, "alone": 3, "counted": 15}
    notes = ["--drop-small-classes: left out once (1 distinct picture)", "something else"]
    for data in (cases.make_choice(), cases.make_rows()):
        told = replace(data, check={**data.check, "groups": facts, "notes": notes})
        groups, small = (line for line in run_text(told).splitlines() if line not in run_text(data).splitlines())
        assert groups.startswith(
            "12 groups by the column patient, with 90 pictures, 3 in none; no fold or test that is"
        )
        assert groups.endswith(
            "parts one, and every interval counts groups (15 in all, with single pictures), not pictures."
        )
        assert small == "--drop-small-classes: left out once (1 distinct picture)"


def test_an_evaluation_by_groups_says_so():
    text = evaluation_text(replace(make_evaluation(without=Score(0.5, 0.2, 0.8, 3)), num_groups=7))
    assert "of 1,234 pictures in 7 groups" in text
    assert "of the 3 without a copy or their group in training" in text
