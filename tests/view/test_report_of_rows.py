"""The report of a comparison sets its rows side by side, says only what its data say, and runs no name."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
import report_cases as cases

from thawline.core.errors import StoreError
from thawline.core.intervals import wilson
from thawline.view.report import render_report
from thawline.view.report_data import Outside
from thawline.view.row_table import rows_html
from thawline.view.summary import run_text
from thawline.view.words import score_text

HOSTILE = cases.HOSTILE


def shares_of(data):
    """Every share that the data hold, as the page writes it, with the ends of the bars' scales."""
    found = set()
    for row in data.rows:
        test = row.evaluation
        found |= {value for score in test.scores.values() for value in (score.value, score.low, score.high)}
        found |= {*(row.expected or ()), row.origin or 0.0}
        for one in test.per_class:
            found |= {one.precision, one.recall, one.f1, one.recall_low, one.recall_high}
    found |= {picture.probability for picture in data.comparison.outside} | {data.goal or 0.0}
    found |= {mistake.confidence for mistake in data.album.mistakes}
    found |= {trial.mean for trial in data.comparison.frozen.trials}
    trust = data.evaluation.calibration
    found |= {trust.mean_confidence, trust.calibration_error, trust.calibration_error_by_chance}
    if (n := data.rows[0].evaluation.accuracy.n) < 100 and data.rows[1].origin:
        found |= set(wilson(data.rows[1].origin * n, n))
    return {f"{100 * value:.1f}" for value in found}


@pytest.fixture(scope="module")
def page():
    """The report of `make_rows`."""
    return render_report(cases.make_rows())


@pytest.fixture(scope="module")
def text(page):
    """What a reader of it sees."""
    return cases.words(page).replace(" .", ".").replace(" ,", ",")


@pytest.mark.parametrize(
    "sentence",
    [
        "95.0 % of 60 held-out pictures right: “ thawed ”",
        "Without the 5 pictures that have a copy in training: 94.5 % of 55",
        "Tied with it: “ solved ”; a paired test at 5 % cannot tell it from the best, and a loss of more than 5 points",
        "The goal, top-1 above 0.88, was reached, but its interval begins at 86.3 %, below the goal",
        "Only 60 pictures were held out: 95.6 % of 60 means anything from 87.1 % to 98.6 %.",
        "--protocol folds holds every picture out once",
        "3 rows in the author's order: 60 held-out pictures, 2 min 10 s in all.",
        "thawed partly thawed best net · does thawed, 5 epochs 95.0 % 94.5 %",
        "over the last cut alone, which is the usual choice and scores 81.0 %",
        "Of the model kept, “ solved ”",
        "▲ above 80.0–94.0 %",
        "▼ below 95.0–99.0 %",
        "✓ as expected 55.0–68.0 %",
        "solved frozen tied model kept",
        "rows on the frozen network share one pass of it over the pictures, 33 s",
        "goal 88.0 %",
        "the 2 whose class is known, 1 is right",
        "41.3 % sure 3.jpg",
        "✗ it is bee",
        "ImageNet’s own head was not scored: net has no head.",
        "36 for training · 60 for the test · 3 classes · net",
        "Somebody asked which bee.",
        "A note.",
    ],
)
def test_what_the_data_say_appears(text, sentence):
    assert sentence in text


@pytest.mark.parametrize("num_classes", [2, 3, 12])
def test_every_share_shown_stems_from_the_data(num_classes):
    data = cases.make_rows(tuple(f"class {k}" for k in range(num_classes)))
    html = render_report(data)
    body = re.sub(r"<(style|svg)\b.*?</\1>", "", html, flags=re.DOTALL)
    body = re.sub(r'<section id="next".*?</section>', "", body, flags=re.DOTALL)  # gains are worked out from the data
    shown = set(re.findall(r"(\d+\.\d)(?=\N{NO-BREAK SPACE}%|–)", unescape(body)))
    assert len(shown) > 20
    assert shown <= shares_of(data)


def test_rows_stand_in_the_authors_order_with_their_marks(page):
    table = page[page.index('<table class="compare lines">') : page.index("</table>")]
    assert re.findall(r'<td class="what"><b><bdi>([^<]*)', table) == ["from Adam", "thawed", "solved"]
    assert table.count('<u class="origin"') == 2
    assert table.count('<u class="goal"') == 6  # each row, with and without leaks
    assert table.count("+ pass") == 1
    assert len(re.findall('<tr class="winner">', table)) == 1


def test_a_mark_lies_where_its_share_is_on_the_scale(page):
    scale = re.search(r'<th class="wide"><span class="ends"><span>(\d+)</span><span>(\d+)', page)
    low, high = int(scale.group(1)) / 100, int(scale.group(2)) / 100
    places = [float(at) for at in re.findall(r'<u class="origin" style="left:([\d.]+)%"></u><i', page)]
    assert places == pytest.approx([100 * (origin - low) / (high - low) for origin in (0.6913, 0.9557)], abs=0.01)


def table_of(page, css_class):
    """Return the texts of a table's cells, line by line; the small text below a number is left out."""
    table = page[page.index(f'<table class="{css_class}">') :]
    lines = re.findall(r"<tr.*?</tr>", table[: table.index("</table>")], flags=re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", re.sub(r"<small>.*?</small>", "", line)) for line in lines]


def test_every_score_of_every_row_stands_below_its_own_name(page):
    headings, *lines = table_of(page, "scores")
    for row, (name, *cells) in zip(cases.make_rows().rows, lines, strict=True):
        assert cases.words(name) == row.name
        scores = {
            kind.title: f"{100 * score.value:.1f} %" if kind.is_share else f"{score.value:.3f}"
            for kind, score in row.evaluation.listed_scores
        }
        shown = dict(zip(headings[1:], map(cases.words, cells), strict=True))
        assert shown == scores

    first = cases.make_rows().rows[0].evaluation
    assert len({f"{score.value:.3f}" for score in (first.macro_precision, first.macro_recall, first.macro_f1)}) == 3


def test_the_model_kept_has_a_tile_for_every_score(page):
    test = page[page.index('<section id="sure"') :]
    tiles = re.findall(r'<div title="[^"]*"><b>(.*?)</b>(.*?)<br>', test)
    scores = cases.make_rows().evaluation.listed_scores
    assert tiles == [(score_text(kind, score.value), kind.title) for kind, score in scores]
    assert ("0.402", "log-loss") in tiles


def test_a_score_added_to_the_list_stands_next_to_the_others(added_score):
    headings, *lines = table_of(render_report(cases.make_rows()), "scores")
    assert headings[-1] == added_score.title
    assert [cases.words(line[-1]) for line in lines] == ["33.3 %", "5.0 %", "10.0 %"]


def test_the_surest_mistake_comes_first(page):
    gallery = page[page.index('id="mistakes"') : page.index('<section id="sure"')]
    assert re.findall(r"([\d.]+)\N{NO-BREAK SPACE}% · <bdi>([^<]*)", gallery) == [("87.3", "8.jpg"), ("61.3", "9.jpg")]


def test_rows_may_have_a_budget():
    text = cases.words(render_report(replace(cases.make_rows(), forecast=cases.make_forecast(), budget_s=400.0)))
    assert "The budget was 6 min 40 s for the whole run. 1 of 2 rows ran: 3 min 20 s" in text


def test_without_several_depths_there_is_no_thaw_line(page):
    assert '<section id="thaw-line"' in page
    data = cases.make_rows()
    lone = replace(data.comparison.frozen, trials=data.comparison.frozen.trials[-1:], winner=0)
    for frozen in (lone, None):
        html = render_report(replace(data, comparison=replace(data.comparison, frozen=frozen)))
        assert '<section id="thaw-line"' not in html


def test_the_table_of_contents_names_every_section_once(page):
    parts = re.findall(r'<section id="([^"]*)" class="part">', page)
    assert parts == ["answer", "next", "fails", "sure", "data", "strategies", "usage", "provenance"]
    contents = page[page.index("<nav") : page.index("</nav>")]
    assert re.findall(r'<a href="#([^"]*)">', contents) == parts
    inside = re.findall(r'<section id="([^"]*)" class="sub">', page)
    assert len(set(parts + inside)) == len(parts + inside)
    assert {"comparison", "thaw-line", "curves", "test", "forgetting", "outside"} <= set(inside)


def test_curves_confusions_and_drifts_stand_side_by_side(page):
    assert page.count('id="curve0-') > 0
    assert page.count('id="curve1-') > 0
    assert 'id="curve2-' not in page
    assert page.count('class="matrix roomy mini"') == 3
    assert 'title="ant → bee: 7 of 20"' in page
    assert 'id="drift0-920-' in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_what_is_not_there_is_not_shown():
    html = render_report(cases.solved_only(cases.make_rows()))
    text = cases.words(html)
    for absent in ("Curves", "Forgetting", "From outside", "What the time buys", "The goal", "what the author got"):
        assert absent not in text
    assert "origin" not in text
    assert "this recipe states" not in text
    assert "What the check found" not in text


def test_many_classes_are_folded_to_the_confused_pairs():
    html = render_report(cases.make_rows(tuple(f"class {k:02}" for k in range(21)), num=63))
    assert 'class="matrix dense mini' not in html
    assert "Most confused" in cases.words(html)
    assert "class 00 class 01 2 of 3" in cases.words(html)


def test_folds_hold_every_picture_out():
    data = cases.make_rows(counts={"train": (16, 16, 16), "validation": (4, 4, 4)})
    data = replace(data, leaderboard=replace(data.leaderboard, rule="5 folds × 1"))
    text = cases.words(render_report(data))
    assert "60 pictures · 3 classes" in text
    assert "The parts of the first fold; every picture is held out in one. train 48 validation 12" in text
    assert "95.0 % of 60 pictures right, each held out in turn: “ thawed ”" in text
    assert "5 folds × 1, 60 pictures, 2 min" in text
    assert "--protocol folds" not in text


def test_a_goal_missed_says_so(page):
    text = cases.words(render_report(cases.make_rows(goal=0.99))).replace(" ,", ",")
    assert "The goal, top-1 above 0.88, was not reached, by the whole of the interval." in text
    assert 'class="goal-words reached"' in page


def test_a_drift_that_cannot_be_read_says_so():
    with pytest.raises(StoreError, match="drift"):
        render_report(cases.make_rows(drifts={"thawed": {"cuts": []}}))


def test_hostile_names_are_inert_everywhere():
    names = (
        HOSTILE,
        "' onload='window.pwned=2",
        '"><img src=x onerror=window.pwned=3>',
        "caf\udce9 & 😀",
        "x" * 300,
    )
    data = cases.make_rows(names, recipe=HOSTILE, title=HOSTILE, story=HOSTILE, command=HOSTILE)
    called = [HOSTILE, '" onmouseover="window.pwned=4', "\x1b[2J"]
    rows = tuple(replace(row, name=name, does=HOSTILE) for row, name in zip(data.rows, called, strict=True))
    data = cases.with_rows(
        data, rows, delivered=HOSTILE, outside_words=HOSTILE,
        outside=(Outside(HOSTILE, cases.tiny_jpeg(), HOSTILE, 0.5, '"><script>'),),
    )  # fmt: skip
    board = data.leaderboard
    hostile = [replace(trial, strategy=replace(trial.strategy, backbone=HOSTILE)) for trial in board.trials]
    data = replace(
        data, leaderboard=replace(board, trials=tuple(hostile), rule=HOSTILE), goal_words=HOSTILE, notes=(HOSTILE,),
        provenance={HOSTILE: HOSTILE}, check={"used": 1, "notes": [HOSTILE]},
    )  # fmt: skip
    for html in (render_report(data), str(rows_html(data))):
        html.encode("utf-8")
        assert html.count("<script") == (2 if "<html" in html else 0)
        assert not re.search(r"<[^>]*\son[a-z]+=", re.sub(r'"[^"]*"', '""', html))
        assert "&lt;script&gt;window.pwned=1&lt;/script&gt;" in html
    assert "\x1b" not in run_text(data)
