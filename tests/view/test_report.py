"""The report says what its data say, whatever the names are, and is made again from its JSON."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
import report_cases as cases

from thawline.core.scores import Score
from thawline.search.ties import AS_GOOD_WORDS, TEST_WORDS
from thawline.use.expectation import Expectation
from thawline.view.album import Album, Shown
from thawline.view.report import render_report
from thawline.view.report_data import Picture, ReportData

HOSTILE = cases.HOSTILE


def test_a_score_added_to_the_list_has_a_tile_and_is_stored(added_score):
    data = cases.make_choice()
    test = replace(data.evaluation, scores={**data.evaluation.scores, "error_rate": Score(0.0123, 0.01, 0.02, 12)})
    data = ReportData.from_json(replace(data, evaluation=test).to_json())
    assert data.evaluation.scores == test.scores
    assert "1.2 % error rate" in cases.words(render_report(data))


@pytest.mark.parametrize(
    "sentence",
    [
        "91.7 % of 12 unseen pictures right",
        "95 % interval 66.1–95.8 %. Without the 1 picture that has a copy in training: 76.5 % of 11 (54.3–93.2 %).",
        "1 was wrong, about 1 in 12.",
        "accuracy 88.7 % (85.2–91.7 %)",
        "gains +9.0 points over the last cut alone, which is the usual choice and scores 81.0 %",
        "(paired 95 % interval +7.8 to +10.2)",
        "7 strategies by accuracy: 5 folds × 2, 368 pictures, 1,234 heads trained in 3.2 s. 2 are tied",
        "fused (1, 2, 3) winner 89.3 % −0.7 (−1.9 to +0.5) 88.9 % 3.2 ms",
        "73.2 % balanced accuracy",
        "76.4 % macro-F1",
        "It was 100.0 % sure on average and right in 91.7 %. Its calibration error is 8.3 %; a model that is",
        "ant 4 72.2 % 91.1 % 83.3 %",
        "→ bee 94.3 % · 9.jpg",
        "train 33",
        "1,369 pictures used",
        "1 group of exact copies a/1.jpg = a/2.jpg",
        "x/notes.jpg a text file",
        "The largest class has 2.5 times the pictures of the smallest.",
        "A folder is inside a class folder.",
        "extract (s) 4.125",
        "The folder valid is the test.",
        "3 classes · net · 2026-01-02 03:04 UTC",
        "created 2026-01-02 03:04 UTC",
    ],
)
def test_numbers_appear_as_given(sentence):
    assert sentence in cases.words(render_report(cases.make_choice()))


@pytest.mark.parametrize(
    ("created", "shown"),
    [
        ("2026-11-22T05:04:23+00:00", "2026-11-22 05:04 UTC"),
        ("2026-11-22T05:04:23.123456Z", "2026-11-22 05:04 UTC"),
        ("2026-11-22 00:34+05:30", "2026-11-21 19:04 UTC"),
        ("20261122T050423Z", "2026-11-22 05:04 UTC"),
        ("2026-11-22T05:04:23", "2026-11-22 05:04"),
        ("2026-11-22", "2026-11-22"),
        ("2026", "2026"),
        ("0001-01-01T00:00+09:00", "0001-01-01T00:00+09:00"),
        ("last <week>", "last <week>"),
    ],
)
def test_the_moment_of_the_run_is_readable(created, shown):
    assert f"created {shown} " in cases.words(render_report(replace(cases.make_choice(), created=created)))


def test_kinds_side_by_side_have_their_story_and_their_tags():
    html = render_report(replace(cases.make_choice(), leaderboard=cases.make_mixed_board()))
    text = cases.words(html)
    assert "From nothing to fully thawed" in text
    assert "93.0 % partly thawed after 3 min 10 s" in text
    assert "90.0 % frozen , best of 7 after 0.25 s" in text
    assert "45.0 % from nothing after 1 min 20 s" in text
    assert "1 last 20 % partly thawed winner leader 93.0 %" in text
    assert "2 all fully thawed tied on 74 of 368 92.0 %" in text
    assert "fused (1, 2, 3) frozen tied 89.3 %" in text
    assert "strategy, on net where none is named" in text
    assert "A hollow mark answered only part of the pictures." in text
    assert "1,234 training runs in 3.2 s" in text
    assert html.count('id="story920-') > 0
    assert html.count('id="story360-') > 0
    assert len(re.findall(r'\bid="([^"]+)"', html)) == len(set(re.findall(r'\bid="([^"]+)"', html)))


def test_frozen_trials_alone_have_no_story_and_no_tags():
    html = render_report(cases.make_choice())
    assert "From nothing to fully thawed" not in cases.words(html)
    assert 'id="story' not in html
    assert 'class="tag frozen"' not in html


@pytest.mark.parametrize(
    ("winner", "sentence"),
    [
        (0, "trained head, then last 7 blocks"),
        (1, "trained everything predicts"),
        (2, "reads mean + std at 4 depths; linear head predicts"),
        (9, "trained everything, from random weights; pictures varied by trivial"),
    ],
)
def test_the_winners_facts_say_what_was_trained(winner, sentence):
    board = cases.make_mixed_board(winner=winner)
    last = board.trials[9]
    varied = replace(last, strategy=replace(last.strategy, augment="trivial"))
    board = replace(board, trials=(*board.trials[:9], varied))
    assert sentence in cases.words(render_report(replace(cases.make_choice(), leaderboard=board)))


def test_the_last_cut_alone_is_a_frozen_one():
    text = cases.words(render_report(replace(cases.make_choice(), leaderboard=cases.make_mixed_board())))
    assert "over the last cut alone, which is the usual choice and scores 81.0 %" in text


def test_curves_of_trained_networks_come_first_and_are_folded_after_twelve():
    html = render_report(replace(cases.make_choice(), leaderboard=cases.make_mixed_board()))
    names = re.findall(r"<figcaption><bdi>([^<]*)</bdi>", html)[:4]
    assert names == ["last 20 %", "all", "cnn · from nothing", "cut (3,)"]
    assert html.count(">step size<") == 3
    assert "on a logarithmic scale" in cases.words(html)
    board = cases.make_board()
    many = tuple(replace(board.trials[2], p_value=n / 100) for n in range(14))
    html = render_report(replace(cases.make_choice(), leaderboard=replace(board, trials=many, winner=0)))
    assert "The other 2 curves" in cases.words(html)
    assert "on a logarithmic scale" not in cases.words(html)


def test_the_budget_shows_forecast_against_what_it_took():
    data = replace(
        cases.make_choice(), leaderboard=cases.make_mixed_board(), forecast=cases.make_forecast(), budget_s=400.0
    )
    html = render_report(data)
    text = cases.words(html)
    assert "The budget was 6 min 40 s for the whole run. 1 of 2 strategies ran: 3 min 20 s" in text
    assert "against a forecast of 1 min" in text
    assert "ran 5 of 5 folds ; 1.5 GiB of memory , 440 MiB of disk" in text
    assert "left out: too long" in text
    bars = re.findall(r'<i class="(forecast|took)( past)?" style="width:([\d.]+)%"', html)
    assert bars == [("forecast", "", "25.00"), ("took", "", "50.00"), ("forecast", " past", "100.00")]
    unlimited = cases.words(render_report(replace(data, forecast=cases.make_forecast()[1:], budget_s=None)))
    assert "None of the 1 strategies ran." in unlimited
    assert "The budget was" not in unlimited
    assert "The budget" not in cases.words(render_report(cases.make_choice()))


def test_the_finder_stands_beside_the_curves():
    sweep = tuple((10.0**-e, 2.0 - e / 10) for e in range(6, 1, -1))
    data = replace(cases.make_choice(), finder=sweep, finder_rate=1e-3)
    assert "Learning-rate finder" in cases.words(render_report(data))
    assert "chosen: 0.001" in cases.words(render_report(data))
    assert "Learning-rate finder" not in cases.words(render_report(cases.make_choice()))
    bare = replace(data, leaderboard=replace(data.leaderboard, trials=data.leaderboard.trials[:2]))
    assert 'id="curves"' in render_report(bare)


def test_any_run_may_have_a_goal_and_drifts():
    data = replace(cases.make_choice(), goal=0.85, drifts={"net · last 20 %": cases.DRIFT})
    html = render_report(data)
    text = cases.words(html).replace(" ,", ",")
    assert "The goal, an accuracy above 85.0 %, was reached, but its interval begins at 66.1 %" in text
    result = html[html.index('<section id="answer"') : html.index('<section id="next"')]
    assert result.count('<u class="goal"') == 5  # four bars and the key
    assert "goal 85.0 %" in text  # in the curve
    assert "Forgetting How far did training move" in text
    assert "ImageNet’s own head was not scored: net has no head." in text
    assert "The goal, more than most, was reached" in cases.words(
        render_report(replace(data, goal_words="more than most"))
    ).replace(" ,", ",")
    balanced = replace(data, leaderboard=replace(data.leaderboard, metric="balanced_accuracy"))
    assert render_report(balanced).count('<u class="goal"') == 3  # no line across bars of another score


def test_the_surest_mistake_comes_first():
    html = render_report(replace(cases.make_choice(), album=cases.make_mistakes(("ant", "bee"))))
    gallery = html[html.index('id="mistakes"') : html.index('<section id="sure"')]
    assert re.findall(r"([\d.]+)\N{NO-BREAK SPACE}% · <bdi>([^<]*)", gallery) == [("87.3", "8.jpg"), ("61.3", "9.jpg")]


def test_the_rule_of_ties_is_told_from_its_numbers():
    text = cases.words(render_report(cases.make_choice()))
    assert f"{TEST_WORDS} cannot tell them from the leader" in text
    assert f"A cheaper one wins only where it is {AS_GOOD_WORDS}." in text


def test_same_data_same_page():
    assert render_report(cases.make_choice()) == render_report(cases.make_choice())


def test_hostile_names_are_inert_everywhere():
    hostile = (
        HOSTILE,
        "' onload='window.pwned=2",
        '"><img src=x onerror=window.pwned=3>',
        "$\\frac{a}$ & 😀",
        "x" * 300,
    )
    board = cases.make_board()
    named = replace(board.trials[0], strategy=replace(board.trials[0].strategy, name=f"net · {HOSTILE}"))
    data = replace(
        cases.make_choice(hostile), title=HOSTILE, command=HOSTILE, notes=(HOSTILE,), goal=0.9, goal_words=HOSTILE,
        provenance={HOSTILE: {"a": HOSTILE}}, drifts={HOSTILE: cases.DRIFT},
        check={"used": 1, "skipped": [{HOSTILE: HOSTILE}], "notes": [HOSTILE]},
        leaderboard=replace(board, trials=(named, *board.trials[1:])),
        cuts=(replace(cases.CUTS[0], module="</text><script>"), *cases.CUTS[1:]),
    )  # fmt: skip
    html = render_report(data)
    assert html.count("<script") == 2  # our facts and our script
    assert not re.search(r"<[^>]*\son[a-z]+=(?=[^>]*>)(?<!')", re.sub(r'"[^"]*"', '""', html))
    assert "&lt;script&gt;window.pwned=1&lt;/script&gt;" in html
    assert "<img" not in html


def test_page_forbids_requests_and_every_script_but_its_own():
    html = render_report(cases.make_choice())
    policy = unescape(re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html).group(1))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'")
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.endswith(f"; script-src 'sha256-{digest}'")
    assert "unsafe" not in policy.replace("style-src 'unsafe-inline'", "")
    links = set(re.findall(r'(?:src|href)="([^"#][^:"]*:)', html))
    assert links == {"data:"}
    assert "url(http" not in html
    assert set(re.findall(r"url\(([a-z]*:)", html)) == {"data:"}
    assert "@import" not in html


def test_without_evaluation_the_choosing_is_the_headline():
    text = cases.words(render_report(replace(cases.make_choice(), evaluation=None, album=Album())))
    assert "88.7 % accuracy is to be expected of the model" in text
    assert "No test pictures have been read" in text
    assert "unseen" not in text


def test_without_mistakes():
    text = cases.words(render_report(cases.make_choice(wrong=0, leaked=0)))
    assert "Not one was wrong. That does not promise perfection: with 12 pictures, up to 33.9 %" in text
    assert "Most confident mistakes" not in text
    assert "that have a copy" not in text


def test_almost_nothing_to_show():
    board = cases.make_board()
    lone = replace(board, trials=board.trials[:1], winner=0)
    data = ReportData("bare", "2026", "thawline", ("a", "b"), {}, lone, ())
    text = cases.words(render_report(data))
    for absent in ("The thaw line", "What the check found", "Curves", "Pictures", "Test"):
        assert absent not in text
    assert "None is tied with the leader" in text
    assert ReportData.from_json(data.to_json()) == data


@pytest.mark.parametrize("num_classes", [2, 30, 31, 100])
def test_number_of_classes(num_classes):
    names = tuple(f"class {k:03d}" for k in range(num_classes))
    html = render_report(cases.make_choice(names, wrong=3))
    assert ("Most confused" in html) == (num_classes > 30)
    assert ('class="matrix' in html) == (num_classes <= 30)
    text = cases.words(html)
    assert all(f"{name} 4 72.2 %" in text for name in names)
    if num_classes > 30:
        assert "class 000 → class 001 3 of 4" in text


def test_long_lists_are_cut_and_counted():
    check = {"used": 5, "skipped": [{"path": f"{i}.jpg", "reason": "bad"} for i in range(53)]}
    text = cases.words(render_report(replace(cases.make_choice(), check=check)))
    assert "and 3 more; ledger.csv has a row for every file." in text
    assert "49.jpg" in text
    assert "50.jpg" not in text


def test_scenes_of_many_pictures_are_shown_with_their_pictures():
    data = cases.make_choice()
    scene = {"pictures": ["ant/7.jpg", "ant/8.jpg"], "classes": {"ant": 2}, "distinct": 1}
    shown = tuple(Picture("ant", "alike", path) for path in scene["pictures"])
    album = Album(tuple(Shown(path, cases.tiny_jpeg("coral"), 20, 14, 0) for path in scene["pictures"]))
    checked = {**data.check, "scenes": [scene], "class_counts": {"ant": 5}}
    html = render_report(replace(data, check=checked, pictures=(*data.pictures, *shown), album=album))
    told = cases.words(html)
    assert "1 scene of many pictures" in told
    assert "2 pictures, 2 of 5 of ant: copies of one another, which count as one picture (ant/7.jpg, ant/8.jpg)" in told
    assert [html.count(f'title="{path}"') for path in scene["pictures"]] == [1, 1]
    assert "of many pictures" not in cases.words(render_report(data))


def test_what_to_expect_leads_the_page_and_the_refit_is_told():
    test, choosing = Score(0.927, 0.857, 0.964, 96), Score(0.807, 0.765, 0.844, 384)
    found = Expectation("accuracy", Score(0.831, 0.795, 0.862, 480), test, choosing, True, 0.006)
    data = replace(cases.make_choice(leaked=0), expectation=found, num_refitted=12, goal=0.82)
    shown = cases.words(render_report(data))
    assert "83.1 % of further pictures should be right" in shown
    assert "95 % interval 79.5–86.2 %, from the 96 test pictures and the 384 of the folds together" in shown
    assert "Of the test alone, read once, 91.7 % were right (66.1–95.8 %)." in shown
    assert "The test says 92.7 % (85.7 % to 96.4 %), the folds 80.7 %" in shown
    assert "the scores are of the model before" in shown
    assert (
        "1 of the 12 test pictures was wrong. On further pictures of the same kind, expect between about 1 in 7 and"
        in shown
    )
    assert "was reached , but its interval begins at 79.5 %" in shown  # the goal is held against what is expected
    assert data.headline == found.score
    balanced = replace(data, expectation=replace(found, metric="balanced_accuracy"))
    balanced = replace(balanced, leaderboard=replace(data.leaderboard, metric="balanced_accuracy"))
    assert "83.1 % balanced accuracy is what to expect" in cases.words(render_report(balanced))
    assert balanced.headline == data.evaluation.accuracy


def test_a_test_of_one_s_own_leads_with_the_pictures_that_have_no_copy_in_training():
    data = cases.make_choice(leaked=1)
    clean = data.evaluation.accuracy_without_leaks
    choosing = Score(0.8871, 0.8522, 0.9166, 368)
    data = replace(data, expectation=Expectation("accuracy", clean, clean, choosing, False, 0.5))
    shown = cases.words(render_report(data))
    assert "76.5 % of 11 unseen pictures right" in shown
    assert (
        "from your own test alone, its 11 pictures without a copy in training. With the 1 that has one: 91.7 %" in shown
    )
    assert data.from_json(data.to_json()).expectation == data.expectation


def test_with_a_validation_folder_nothing_is_held_out_in_turn():
    data = cases.make_choice()
    board = data.leaderboard
    trials = tuple(replace(trial, fold_scores=trial.fold_scores[:1]) for trial in board.trials)
    folder = replace(board, trials=trials, rule="the validation folder")
    for changes in ({}, {"evaluation": None}):
        shown = cases.words(render_report(replace(data, leaderboard=folder, **changes)))
        assert "on the pictures that it was chosen by" in shown
        assert not [word for word in ("in turn", "cross-validat", "first fold", "other folds") if word in shown]


def test_a_test_that_was_all_learnt_from_is_called_none():
    data = cases.make_choice(leaked=0)
    assert "this is no test" not in cases.words(render_report(data))
    leaked = replace(data.evaluation, leaked=np.ones_like(data.evaluation.leaked))
    shown = cases.words(render_report(replace(data, evaluation=leaked)))
    assert "All of them, or a copy of each, were learnt from: this is no test." in shown
