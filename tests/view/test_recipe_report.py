"""The report of a recipe sets the rows side by side, says only what its data say, and runs no name that it shows."""

from __future__ import annotations

import csv
import importlib.util
import io
import re
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from thawline.core.errors import StoreError
from thawline.core.intervals import wilson
from thawline.core.types import Curve
from thawline.search.leaderboard import Leaderboard
from thawline.search.strategy import Strategy
from thawline.use.evaluate import evaluate
from thawline.view.recipe_report import recipe_csv, render_recipe_report
from thawline.view.recipe_summary import (
    goal_text,
    recipe_repr_html,
    recipe_text,
    small_part_text,
    tied_rows,
    unclear_rows,
)
from thawline.view.report_data import Outside, Picture, ReportData, RowComparison, RowData

_beside = importlib.util.spec_from_file_location("report_cases", Path(__file__).with_name("test_report.py"))
assert _beside is not None
assert _beside.loader is not None
cases = importlib.util.module_from_spec(_beside)
sys.modules["report_cases"] = cases
_beside.loader.exec_module(cases)

HOSTILE = cases.HOSTILE
CURVE = Curve((1.2, 0.6, 0.3), (1.1, 0.7, 0.5), (0.5, 0.7, 0.9), (0.5, 0.7, 0.8), (1e-3, 5e-4, 1e-5))
DRIFT = {
    "cuts": [
        {"label": "0.0", "stage": 0, "cost_fraction": 0.4, "cka": 1.0, "low": 1.0, "high": 1.0, "unpooled_cka": 1.0},
        {"label": "head", "stage": 1, "cost_fraction": 1.0, "cka": 0.8, "low": 0.7, "high": 0.9, "unpooled_cka": 0.6},
    ],
    "num_pictures": 40,
    "head": None,
    "no_head": "net has no head",
}


def make_row(name, right, *, names, num=60, leaked=5, origin=None, expected=None, epochs=None):
    """A row whose every score is computed from answers, `right` of `num` being right."""
    labels = np.arange(num) % len(names)
    predicted = np.where(np.arange(num) < num - right, (labels + 1) % len(names), labels)
    shares = np.full((num, len(names)), 0.1 / len(names))
    shares[np.arange(num), predicted] += 0.9
    test = evaluate(
        labels, shares, strategy=name, class_names=names, paths=[f"{i}.jpg" for i in range(num)],
        groups=np.arange(num), leaked=(np.arange(num) >= num - leaked).astype(np.int64),
    )  # fmt: skip
    return RowData(name, f"net · does {name}", origin, expected, 21.0 if epochs else 0.25, epochs, test)


def board_of(rows):
    """A leaderboard of the rows: the two best are tied."""
    ranked = sorted(rows, key=lambda row: -row.evaluation.accuracy.value)
    lead = ranked[0].evaluation.accuracy.value
    trials = []
    for place, row in enumerate(ranked):
        score = row.evaluation.accuracy
        kind = "frozen" if row.epochs is None else "partial"
        strategy = Strategy("net", (3,), ("mean",), "linear", row.name, 1.0, kind)
        trial = cases.make_trial((3,), score.value, lead=lead, curve=CURVE if row.epochs else None)
        judged = {"tied": place < 2, "p_value": 0.5 if place < 2 else 0.001}
        trials.append(replace(trial, strategy=strategy, low=score.low, high=score.high, **judged))
    num = ranked[0].evaluation.accuracy.n
    return Leaderboard("accuracy", f"{num} held-out pictures", tuple(trials), 0, lead, 0.5, 0.9, num, 3, 4.0)


IN_COMPARISON = frozenset(RowComparison.__dataclass_fields__)


def with_rows(data, rows, **changes):
    """The data with other rows."""
    comparison = replace(data.comparison, rows=rows, **changes)
    return replace(data, comparison=comparison, leaderboard=board_of(rows))


def make_data(names=("ant", "bee", "crow"), *, num=60, **changes):
    rows = (
        make_row("from Adam", 40, names=names, num=num, origin=0.6913, expected=(0.61, 0.55, 0.68), epochs=3),
        make_row("thawed", num - 3, names=names, num=num, origin=0.9557, expected=(0.9, 0.8, 0.94), epochs=5),
        make_row("solved", num - 6, names=names, num=num, expected=(0.97, 0.95, 0.99)),
    )  # fmt: skip
    facts = {
        "recipe": "garden", "title": "A garden, remade", "story": "Somebody asked which bee.",
        "created": "2026-01-02T03:04:05+00:00", "command": "thawline recipe run garden",
        "class_names": names, "cuts": cases.CUTS, "drifts": {"thawed": DRIFT}, "evaluation": rows[2].evaluation,
        "counts": {"train": (12,) * len(names), "test": (num // len(names),) * len(names)},
        "leaderboard": board_of(rows), "rows": rows, "delivered": "solved", "pass_s": 33.0, "total_s": 130.0,
        "goal": 0.88, "goal_words": "top-1 above 0.88",
        "pictures": tuple(Picture(n, r, f"{n}/1.jpg", cases.tiny_jpeg()) for n in names for r in ("train", "test")),
        "outside": (
            Outside("zoo/1.jpg", cases.tiny_jpeg("coral"), names[0], 0.9132, names[0]),
            Outside("zoo/2.jpg", cases.tiny_jpeg("coral"), names[0], 0.5132, names[1]),
            Outside("zoo/3.jpg", cases.tiny_jpeg("coral"), names[0], 0.4132, None),
        ),
        "outside_words": "They show what lies beyond.", "check": {"used": 96, "skipped": [], "notes": ["A note."]},
        "provenance": {"seed": 7}, "notes": ("Held out: `test/`.",),
    }  # fmt: skip
    facts |= changes
    compared = RowComparison(**{name: facts.pop(name) for name in IN_COMPARISON & set(facts)})
    return ReportData(**facts, comparison=compared)


def solved_only(data):
    """The same without anything that is optional."""
    rows = tuple(replace(row, epochs=None, origin=None, expected=None) for row in data.rows)
    data = with_rows(data, rows, outside=())
    return replace(data, goal=None, goal_words="", notes=(), pictures=(), check={}, drifts={})


def words(html):
    return cases.words(html)


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
    if (n := data.rows[0].evaluation.accuracy.n) < 100 and data.rows[1].origin:
        found |= set(wilson(data.rows[1].origin * n, n))
    return {f"{100 * value:.1f}" for value in found}


@pytest.fixture(scope="module")
def page():
    """The report of `make_data`."""
    return render_recipe_report(make_data())


@pytest.fixture(scope="module")
def text(page):
    """What a reader of it sees."""
    return words(page).replace(" .", ".").replace(" ,", ",")


@pytest.mark.parametrize(
    "sentence",
    [
        "95.0 % of 60 held-out pictures right: “ thawed ”",
        "Without the 5 pictures that have a copy in training: 94.5 % of 55",
        "Tied with it: “ solved ”; a paired test cannot tell it from the best",
        "The goal, top-1 above 0.88, was reached, but its interval begins at 86.3 %, below the goal",
        "Only 60 pictures were held out: 95.6 % of 60 means anything from 87.1 % to 98.6 %.",
        "--protocol folds holds every picture out once",
        "3 rows in the author's order: 60 held-out pictures, 2 min 10 s in all.",
        "thawed partly thawed best net · does thawed, 5 epochs 95.0 % 94.5 %",
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
        "36 for training · 60 held out · 3 classes · net",
        "Somebody asked which bee.",
        "A note.",
    ],
)
def test_what_the_data_say_appears(text, sentence):
    assert sentence in text


@pytest.mark.parametrize("num_classes", [2, 3, 12])
def test_every_share_shown_stems_from_the_data(num_classes):
    data = make_data(tuple(f"class {k}" for k in range(num_classes)))
    html = render_recipe_report(data)
    body = re.sub(r"<(style|svg)\b.*?</\1>", "", html, flags=re.DOTALL)
    shown = set(re.findall(r"(\d+\.\d)(?=\N{NO-BREAK SPACE}%|–)", unescape(body)))
    assert len(shown) > 20
    assert shown <= shares_of(data)


def test_rows_stand_in_the_authors_order_with_their_marks(page):
    table = page[page.index('<table class="compare">') : page.index("</table>")]
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


def test_curves_confusions_and_drifts_stand_side_by_side(page):
    assert page.count('id="curve0-') > 0
    assert page.count('id="curve1-') > 0
    assert 'id="curve2-' not in page
    assert page.count('class="heat"') == 3
    assert 'title="ant → bee: 7 of 20"' in page
    assert 'id="drift0-920-' in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_what_is_not_there_is_not_shown():
    html = render_recipe_report(solved_only(make_data()))
    text = words(html)
    for absent in ("Curves", "Forgetting", "From outside", "What the time buys", "The goal", "what the author got"):
        assert absent not in text
    assert "origin" not in text
    assert "this recipe states" not in text
    assert "No check was recorded." in text


def test_many_classes_are_folded_to_the_confused_pairs():
    html = render_recipe_report(make_data(tuple(f"class {k:02}" for k in range(21)), num=63))
    assert 'class="heat"' not in html
    assert "Of 21 classes, the pairs that each row confused most often." in words(html)
    assert "class 00 class 01 2 of 3" in words(html)


def test_folds_hold_every_picture_out():
    data = make_data(counts={"train": (16, 16, 16), "validation": (4, 4, 4)})
    data = replace(data, leaderboard=replace(data.leaderboard, rule="5 folds × 1"))
    text = words(render_recipe_report(data))
    assert "60 pictures · 3 classes" in text
    assert "as they are parted in the first fold; every picture is held out in one. train 48 validation 12" in text
    assert "95.0 % of 60 pictures right, each held out in turn: “ thawed ”" in text
    assert "5 folds × 1, 60 pictures, 2 min" in text
    assert "--protocol folds" not in text


@pytest.mark.parametrize(
    ("goal", "sentence"),
    [
        (0.8, "reached, by the whole of the interval"),
        (0.97, "not reached, but its interval ends at 0.983, above the goal: these pictures cannot tell"),
        (0.99, "not reached, by the whole of the interval"),
        (None, ""),
    ],
)
def test_the_goal_is_judged_with_the_interval(goal, sentence):
    assert goal_text(make_data(goal=goal), "{:.3f}".format) == sentence


def test_a_goal_missed_says_so(page):
    text = words(render_recipe_report(make_data(goal=0.99))).replace(" ,", ",")
    assert "The goal, top-1 above 0.88, was not reached, by the whole of the interval." in text
    assert 'class="goal-words reached"' in page


def test_equal_data_make_equal_bytes_and_survive_json(page):
    data = make_data()
    again = ReportData.from_json(data.to_json())
    assert again.to_json() == data.to_json()
    assert render_recipe_report(again) == page
    assert recipe_csv(again) == recipe_csv(data)
    assert recipe_text(again) == recipe_text(data)


def test_a_drift_that_cannot_be_read_says_so():
    with pytest.raises(StoreError, match="drift"):
        render_recipe_report(make_data(drifts={"thawed": {"cuts": []}}))


def test_hostile_names_are_inert_everywhere():
    names = (HOSTILE, "' onload='window.pwned=2", '"><img src=x onerror=window.pwned=3>', "caf\udce9 & 😀", "x" * 300)
    data = make_data(names, recipe=HOSTILE, title=HOSTILE, story=HOSTILE, command=HOSTILE)
    called = [HOSTILE, '" onmouseover="window.pwned=4', "\x1b[2J"]
    rows = tuple(replace(row, name=name, does=HOSTILE) for row, name in zip(data.rows, called, strict=True))
    data = with_rows(
        data, rows, delivered=HOSTILE, outside_words=HOSTILE,
        outside=(Outside(HOSTILE, cases.tiny_jpeg(), HOSTILE, 0.5, '"><script>'),),
    )  # fmt: skip
    board = data.leaderboard
    hostile = [replace(trial, strategy=replace(trial.strategy, backbone=HOSTILE)) for trial in board.trials]
    data = replace(
        data, leaderboard=replace(board, trials=tuple(hostile), rule=HOSTILE), goal_words=HOSTILE, notes=(HOSTILE,),
        provenance={HOSTILE: HOSTILE}, check={"used": 1, "notes": [HOSTILE]},
    )  # fmt: skip
    for html in (render_recipe_report(data), str(recipe_repr_html(data))):
        html.encode("utf-8")
        assert "<script" not in html
        assert not re.search(r"<[^>]*\son[a-z]+=", re.sub(r'"[^"]*"', '""', html))
        assert "&lt;script&gt;window.pwned=1&lt;/script&gt;" in html
    assert render_recipe_report(data).count("<img ") == len(data.pictures) + 1
    assert "\x1b" not in recipe_text(data)


def test_the_table_as_csv():
    rows = list(csv.DictReader(io.StringIO(recipe_csv(make_data()))))
    assert [row["row"] for row in rows] == ["from Adam", "thawed", "solved"]
    test = make_data().rows[1].evaluation
    assert rows[1] == {
        "row": "thawed", "does": "net · does thawed", "origin": "0.955700", "accuracy": "0.950000",
        "low": f"{test.accuracy.low:.6f}", "high": f"{test.accuracy.high:.6f}",
        "accuracy_without_leaks": f"{52 / 55:.6f}", "precision": f"{test.macro_precision.value:.6f}",
        "recall": f"{test.macro_recall.value:.6f}", "macro_f1": f"{test.macro_f1.value:.6f}", "seconds": "21.000000",
        "shares_pass": "false", "tied": "true", "expected": "0.900000", "verdict": "above",
    }  # fmt: skip
    assert (rows[2]["origin"], rows[2]["verdict"]) == ("", "below")


def test_the_terminal_shows_the_rows_aligned():
    lines = recipe_text(make_data()).splitlines()
    assert lines[4:7] == [
        "     from Adam     0.667  [0.541, 0.773]     0.667           21 s   0.691  0.610 [0.550, 0.680]  as expected",
        "  *= thawed        0.950  [0.863, 0.983]     0.950           21 s   0.956  0.900 [0.800, 0.940]  above",
        "   = solved        0.900  [0.799, 0.953]     0.900  0.25 s + pass          0.970 [0.950, 0.990]  below",
    ]
    text = "\n".join(lines)
    assert "* best row; 1 tied with it (=)" in text
    assert "PASS  goal 0.880: reached, but its interval begins at 0.863, below the goal" in text
    assert "+ pass: the one pass of the network over the pictures, which these rows share, took 33 s." in text
    assert "the best row: 0.945 [0.851, 0.981] of 55." in text
    bare = recipe_text(solved_only(make_data())).splitlines()
    assert bare[3:5] == [
        "     row        accuracy   95 % interval  macro-F1           time",
        "     from Adam     0.667  [0.541, 0.773]     0.667    21 s + pass",
    ]
    assert "FAIL  goal 0.990: not reached, by the whole of the interval." in recipe_text(make_data(goal=0.99))


def test_two_dozen_test_pictures_mean_a_wide_interval():
    rows = (make_row("dense", 23, names=("dog", "other"), num=24, leaked=0, origin=0.96, epochs=15),)
    data = make_data(("dog", "other"), rows=rows, leaderboard=board_of(rows), goal=None, delivered="dense")
    note = "Only 24 pictures were held out: 0.96 of 24 means anything from 0.80 to 0.99."
    assert note + " `--protocol folds` holds every picture out once and says more." in recipe_text(data)
    assert small_part_text(make_data(num=120), "{:.2f}".format) == ""
    assert "It is the only row." in words(render_recipe_report(data))


def test_the_best_row_and_its_ties_are_the_leaderboards():
    data = make_data()
    assert data.best_row.name == "thawed"
    assert [row.name for row in tied_rows(data)] == ["solved"]
    assert unclear_rows(data) == ()


def test_rows_that_the_pictures_are_too_few_to_judge_are_neither_tied_nor_behind():
    data = make_data()
    trials = tuple(replace(trial, p_value=0.2) if not trial.tied else trial for trial in data.leaderboard.trials)
    data = replace(data, leaderboard=replace(data.leaderboard, trials=trials))
    assert [row.name for row in unclear_rows(data)] == ["from Adam"]
    lines = recipe_text(data).splitlines()
    assert lines[4].startswith("   ? from Adam")
    assert "? the pictures are too few to tell 1 of the others from it, or to call that a tie." in lines
    assert ", or to call that a tie." in words(render_recipe_report(data))
    assert "too few" not in words(render_recipe_report(make_data()))


def test_a_notebook_shows_the_rows():
    html = str(recipe_repr_html(make_data()))
    assert re.findall(r">(from Adam|thawed|solved)<", html) == ["from Adam", "thawed", "solved"]
    assert "0.950" in html
    assert "Goal 0.880: reached" in html
