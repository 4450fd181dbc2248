"""The report says what its data say, whatever the names are, and is made again from its JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from PIL import Image

from thawline.core.errors import StoreError
from thawline.core.scores import Score
from thawline.features.backbone import CutPoint
from thawline.search.leaderboard import Curve, Leaderboard, Trial
from thawline.search.strategy import Strategy
from thawline.use.evaluation import ClassScore, Evaluation
from thawline.view.curves import curve_svg
from thawline.view.report import history_csv, leaderboard_csv, render_report
from thawline.view.report_data import Mistake, Picture, ReportData
from thawline.view.thaw_line import thaw_line_svg

LABELS = ("3.0", "4.0", "4.1", "5.0", "head")
MODULES = ("blocks.3.0", "blocks.4.0", "blocks.4.1", "blocks.5.0", "conv_head")
CUTS = tuple(CutPoint(i, module, 16 * (i + 1), 8, 4 - i, (i + 1) / 5) for i, module in enumerate(MODULES))
HIGH = ((4, 1.0), (3, 0.99), (2, 0.9), (1, 0.6), (0, 0.0))
HOSTILE = "<script>window.pwned=1</script>"


def tiny_jpeg(colour: str = "steelblue") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (20, 14), colour).save(out, "JPEG")
    return out.getvalue()


def make_trial(depths: tuple[int, ...], mean: float, *, lead: float = 0.9, curve: Curve | None = None) -> Trial:
    name = "fused" if len(depths) > 1 else "cut"
    strategy = Strategy("net", depths, ("mean", "std"), "linear", f"net · {name} {depths}", 0.2 * (max(depths) + 1))
    gap = mean - lead
    ends = (0.0, 0.0) if gap == 0 else (gap - 0.0123, gap + 0.0123)
    return Trial(
        strategy, (mean, mean), mean, mean - 0.031, mean + 0.027, mean, mean - 0.004, gap, *ends,
        p_value=1.0 if gap == 0 else 0.2, tied=ends[1] >= 0, l2=1e-3, neighbours=None, fit_s=0.25, predict_ms=3.21,
        num_pictures=368, curve=curve,
    )  # fmt: skip


def make_board() -> Leaderboard:
    curve = Curve((1.2, 0.6, 0.3), (1.1, 0.7, 0.5), (0.5, 0.7, 0.9), (0.5, 0.7, 0.8))
    trials = [make_trial((1, 2, 3, 4), 0.9), make_trial((1, 2, 3), 0.893), make_trial((3,), 0.84, curve=curve)]
    trials += [make_trial((4,), 0.81), make_trial((2,), 0.77), make_trial((1,), 0.7), make_trial((0,), 0.6)]
    return Leaderboard("accuracy", "5 folds × 2", tuple(trials), 1, 0.8871, 0.8522, 0.9166, 368, 1234, 3.2)


def make_mixed_board(*, winner: int = 0) -> Leaderboard:
    """A board with trials of every kind, some of which answered only part of the pictures."""
    board = make_board()
    curve = Curve((1.2, 0.3), (1.1, 0.5), (0.5, 0.9), (0.5, 0.8), (1e-3, 1e-5))
    trained = [
        ("partial", "net · last 20 %", "net", "head, then last 7 blocks", 0.93, 368, 190.0),
        ("full", "net · all", "net", "", 0.92, 74, 640.0),
        ("scratch", "cnn · from nothing", "cnn", "", 0.45, 74, 80.0),
    ]
    trials = list(board.trials)
    for kind, name, backbone, tune, mean, num_pictures, fit_s in trained:
        plain = make_trial((4,), mean, lead=0.93, curve=curve)
        strategy = replace(plain.strategy, name=name, backbone=backbone, kind=kind, tune=tune)
        trials.append(replace(plain, strategy=strategy, num_pictures=num_pictures, fit_s=fit_s))
    trials.sort(key=lambda trial: -trial.mean)
    return replace(board, trials=tuple(trials), winner=winner)


def make_forecast() -> tuple[dict[str, object], ...]:
    memory = {"memory_bytes": 3 * 2**29, "disk_bytes": 440 * 2**20}
    return (
        {"strategy": "net · last 20 %", "seconds": 100.0, **memory, "outcome": "ran 5 of 5 folds", "took_s": 200.0},
        {"strategy": "net · all", "seconds": 4000.0, **memory, "outcome": "left out: too long", "took_s": None},
    )


def make_evaluation(names: tuple[str, ...], *, wrong: int = 1, leaked: int = 1) -> Evaluation:
    labels = np.repeat(np.arange(len(names)), 4)
    predicted = labels.copy()
    predicted[:wrong] = (predicted[:wrong] + 1) % len(names)
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    n = len(labels)
    right = Score(1 - wrong / n, 0.6613, 1 - wrong / n / 2, n)
    rows = tuple(ClassScore(name, 0.9111, 0.7222, 0.8333, 0.3444, 0.9555, 4) for name in names)
    scores = {
        "accuracy": right, "balanced_accuracy": Score(0.7321, 0.6, 0.8, n), "macro_f1": Score(0.7644, 0.6, 0.8, n),
        "macro_precision": Score(0.7432, 0.6, 0.8, n), "macro_recall": Score(0.7543, 0.6, 0.8, n),
    }  # fmt: skip
    scores |= {"accuracy_without_leaks": Score(0.7654, 0.5432, 0.9321, n - leaked)} if leaked else {}
    scores |= {"top5": Score(0.9876, 0.9, 1.0, n)} if len(names) > 5 else {}
    return Evaluation(
        "net · fused", names, scores, rows, confusion, tuple(f"test/{i}.jpg" for i in range(n)), labels,
        np.eye(len(names), dtype=np.float32)[predicted], np.array([1] * leaked + [0] * (n - leaked)),
    )  # fmt: skip


def make_data(names: tuple[str, ...] = ("ant", "bee", "crow"), *, wrong: int = 1, leaked: int = 1) -> ReportData:
    return ReportData(
        title="garden", created="2026-01-02T03:04:05+00:00", command="thawline fit garden -o run", class_names=names,
        counts={"train": tuple(range(10, 10 + len(names))), "test": (4,) * len(names)},
        leaderboard=make_board(), cuts=CUTS, evaluation=make_evaluation(names, wrong=wrong, leaked=leaked),
        pictures=tuple(Picture(name, "train", f"{name}/1.jpg", tiny_jpeg()) for name in names),
        mistakes=(Mistake(f"{names[0]}/9.jpg", tiny_jpeg("coral"), names[0], names[1], 0.9432),) if wrong else (),
        check={
            "used": 1369, "skipped": [{"path": "x/notes.jpg", "reason": "a text file"}], "repaired": [],
            "exact_copies": [["a/1.jpg", "a/2.jpg"]], "near_copies": [],
            "leaks": [{"path": "t/1.jpg", "of": "a/1.jpg"}], "conflicts": [], "class_counts": {},
            "imbalance": 2.5, "notes": ["A folder is inside a class folder."],
        },
        provenance={"backbone": "net", "weights": {"sha256": "ab" * 32}, "timings": {"extract_s": 4.125}, "seed": 7},
        notes=("The folder `valid` is the test.",),
    )  # fmt: skip


def words(html: str) -> str:
    """The page's text as a reader sees it, with plain spaces."""
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).replace("\N{NO-BREAK SPACE}", " ").split())


def test_a_score_added_to_the_list_has_a_tile_and_is_stored(added_score):
    data = make_data()
    test = replace(data.evaluation, scores={**data.evaluation.scores, "error_rate": Score(0.0123, 0.01, 0.02, 12)})
    data = ReportData.from_json(replace(data, evaluation=test).to_json())
    assert data.evaluation.scores == test.scores
    assert "1.2 % error rate" in words(render_report(data))


@pytest.mark.parametrize(
    "sentence",
    [
        "91.7 % of 12 unseen pictures right",
        "95 % interval 66.1–95.8 %. Without the 1 picture that has a copy in training: 76.5 % of 11 (54.3–93.2 %).",
        "1 was wrong, about 1 in 12.",
        "accuracy 88.7 % (85.2–91.7 %)",
        "The leader scores 90.0 %, the last cut alone, which is the usual choice, 81.0 %: a difference of +9.0 points",
        "(paired 95 % interval +7.8 to +10.2)",
        "7 strategies by accuracy: 5 folds × 2, 368 pictures, 1,234 heads trained in 3.2 s. 2 are tied",
        "fused (1, 2, 3) winner 89.3 % −0.7 (−1.9 to +0.5) 88.9 % 3.2 ms",
        "73.2 % balanced accuracy",
        "76.4 % macro-F1",
        "The model was 100.0 % sure on average and right in 91.7 %. Its calibration error is 8.3 %; one that is",
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
        "3 classes · 2026-01-02 03:04 UTC",
        "created 2026-01-02 03:04 UTC",
    ],
)
def test_numbers_appear_as_given(sentence: str) -> None:
    assert sentence in words(render_report(make_data()))


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
def test_the_moment_of_the_run_is_readable(created: str, shown: str) -> None:
    assert f"created {shown} " in words(render_report(replace(make_data(), created=created)))


def test_kinds_side_by_side_have_their_story_and_their_tags() -> None:
    html = render_report(replace(make_data(), leaderboard=make_mixed_board()))
    text = words(html)
    assert "From nothing to fully thawed" in text
    assert "93.0 % partly thawed after 3 min 10 s" in text
    assert "90.0 % frozen , best of 7 after 0.25 s" in text
    assert "45.0 % from nothing after 1 min 20 s" in text
    assert "1 last 20 % partly thawed winner leader 93.0 %" in text
    assert "2 all fully thawed tied on 74 of 368 92.0 %" in text
    assert "fused (1, 2, 3) frozen tied 89.3 %" in text
    assert "strategy, on net where none is named" in text
    assert "A hollow mark answered only part of the pictures." in text
    assert "1,234 trainings in 3.2 s" in text
    assert html.count('id="story920-') > 0
    assert html.count('id="story360-') > 0
    assert len(re.findall(r'\bid="([^"]+)"', html)) == len(set(re.findall(r'\bid="([^"]+)"', html)))


def test_frozen_trials_alone_have_no_story_and_no_tags() -> None:
    html = render_report(make_data())
    assert "From nothing to fully thawed" not in words(html)
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
def test_the_winners_facts_say_what_was_trained(winner: int, sentence: str) -> None:
    board = make_mixed_board(winner=winner)
    last = board.trials[9]
    varied = replace(last, strategy=replace(last.strategy, augment="trivial"))
    board = replace(board, trials=(*board.trials[:9], varied))
    assert sentence in words(render_report(replace(make_data(), leaderboard=board)))


def test_the_last_cut_alone_is_a_frozen_one() -> None:
    text = words(render_report(replace(make_data(), leaderboard=make_mixed_board())))
    assert "The leader, partly thawed, scores 93.0 %, the last cut alone, which is the usual choice, 81.0 %" in text


def test_curves_of_trained_networks_come_first_and_are_folded_after_twelve() -> None:
    html = render_report(replace(make_data(), leaderboard=make_mixed_board()))
    names = re.findall(r"<figcaption><bdi>([^<]*)</bdi>", html)[:4]
    assert names == ["last 20 %", "all", "cnn · from nothing", "cut (3,)"]
    assert html.count(">step size<") == 3
    assert "on a logarithmic scale" in words(html)
    board = make_board()
    many = tuple(replace(board.trials[2], p_value=n / 100) for n in range(14))
    html = render_report(replace(make_data(), leaderboard=replace(board, trials=many, winner=0)))
    assert "The other 2 curves" in words(html)
    assert "on a logarithmic scale" not in words(html)


def test_the_budget_shows_forecast_against_what_it_took() -> None:
    data = replace(make_data(), leaderboard=make_mixed_board(), forecast=make_forecast(), budget_s=400.0)
    html = render_report(data)
    text = words(html)
    assert "The budget was 6 min 40 s for the whole run. 1 of 2 strategies ran: 3 min 20 s" in text
    assert "against a forecast of 1 min" in text
    assert "ran 5 of 5 folds ; 1.5 GiB of memory , 440 MiB of disk" in text
    assert "left out: too long" in text
    bars = re.findall(r'<i class="(forecast|took)( past)?" style="width:([\d.]+)%"', html)
    assert bars == [("forecast", "", "25.00"), ("took", "", "50.00"), ("forecast", " past", "100.00")]
    unlimited = words(render_report(replace(data, forecast=make_forecast()[1:], budget_s=None)))
    assert "None of the 1 strategies ran." in unlimited
    assert "The budget was" not in unlimited
    assert "The budget" not in words(render_report(make_data()))


def test_the_finder_stands_beside_the_curves() -> None:
    sweep = tuple((10.0**-e, 2.0 - e / 10) for e in range(6, 1, -1))
    data = replace(make_data(), finder=sweep, finder_rate=1e-3)
    assert "Learning-rate finder" in words(render_report(data))
    assert "chosen: 0.001" in words(render_report(data))
    assert "Learning-rate finder" not in words(render_report(make_data()))
    bare = replace(data, leaderboard=replace(data.leaderboard, trials=data.leaderboard.trials[:2]))
    assert 'id="curves"' in render_report(bare)


def test_all_of_fine_tuning_survives_the_json() -> None:
    data = replace(
        make_data(), leaderboard=make_mixed_board(), forecast=make_forecast(), budget_s=400.0,
        finder=((1e-4, 2.0), (1e-3, 1.0)), finder_rate=5e-4,
    )  # fmt: skip
    again = ReportData.from_json(data.to_json())
    assert again.leaderboard == data.leaderboard
    assert (again.forecast, again.budget_s) == (data.forecast, 400.0)
    assert (again.finder, again.finder_rate) == (data.finder, 5e-4)
    assert render_report(again) == render_report(data)


def test_an_earlier_format_is_refused_with_a_way_out() -> None:
    earlier = json.dumps(json.loads(make_data().to_json()) | {"format": 1})
    with pytest.raises(StoreError, match=r"format 1, this version reads 3.*Run `thawline fit` again"):
        ReportData.from_json(earlier)


def test_same_data_same_page() -> None:
    assert render_report(make_data()) == render_report(make_data())


def test_json_round_trip_renders_the_same_page() -> None:
    data = make_data(("base64", "array"))
    text = data.to_json()
    again = ReportData.from_json(text)
    assert again.to_json() == text
    assert render_report(again) == render_report(data)
    assert again.leaderboard == data.leaderboard
    assert again.pictures == data.pictures
    assert again.evaluation is not None
    assert again.evaluation.probabilities.dtype == np.float32
    assert np.array_equal(again.evaluation.confusion, make_evaluation(("base64", "array")).confusion)


def test_json_keeps_names_that_are_not_text() -> None:
    data = make_data(("caf\udce9", "tea"))
    again = ReportData.from_json(data.to_json())
    assert again.class_names == data.class_names
    render_report(again).encode("utf-8")


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"format": 99}', "half"])
def test_damaged_json_says_what_to_do(damage: str) -> None:
    text = make_data().to_json()
    with pytest.raises(StoreError, match=r"^report: the stored data .* cannot be read .*Run `thawline fit` again"):
        ReportData.from_json(text[: len(text) // 2] if damage == "half" else damage)


def test_unknown_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="a report cannot hold set"):
        replace(make_data(), provenance={"odd": {1}}).to_json()


def test_hostile_names_are_inert_everywhere() -> None:
    hostile = (
        HOSTILE,
        "' onload='window.pwned=2",
        '"><img src=x onerror=window.pwned=3>',
        "$\\frac{a}$ & 😀",
        "x" * 300,
    )
    board = make_board()
    named = replace(board.trials[0], strategy=replace(board.trials[0].strategy, name=f"net · {HOSTILE}"))
    data = replace(
        make_data(hostile), title=HOSTILE, command=HOSTILE, notes=(HOSTILE,), provenance={HOSTILE: {"a": HOSTILE}},
        check={"used": 1, "skipped": [{HOSTILE: HOSTILE}], "notes": [HOSTILE]},
        leaderboard=replace(board, trials=(named, *board.trials[1:])),
        cuts=(replace(CUTS[0], module="</text><script>"), *CUTS[1:]),
    )  # fmt: skip
    html = render_report(data)
    assert "<script" not in html
    assert not re.search(r"<[^>]*\son[a-z]+=(?=[^>]*>)(?<!')", re.sub(r'"[^"]*"', '""', html))
    assert "&lt;script&gt;window.pwned=1&lt;/script&gt;" in html
    assert html.count("<img ") == len(data.pictures) + len(data.mistakes)


def test_page_forbids_scripts_and_requests() -> None:
    html = render_report(make_data())
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in html
    links = set(re.findall(r'(?:src|href)="([^"#][^:"]*:)', html))
    assert links == {"data:"}
    assert "url(http" not in html
    assert "@import" not in html


def test_without_evaluation_the_choosing_is_the_headline() -> None:
    text = words(render_report(replace(make_data(), evaluation=None, mistakes=())))
    assert "88.7 % accuracy on pictures held out in turn" in text
    assert "No test pictures have been read" in text
    assert "unseen" not in text


def test_without_mistakes() -> None:
    text = words(render_report(make_data(wrong=0, leaked=0)))
    assert "Not one was wrong. That does not promise perfection: with 12 pictures, up to 33.9 %" in text
    assert "There is none: every test picture was right." in text
    assert "that have a copy" not in text


def test_almost_nothing_to_show() -> None:
    board = make_board()
    lone = replace(board, trials=board.trials[:1], winner=0)
    data = ReportData("bare", "2026", "thawline", ("a", "b"), {}, lone, ())
    text = words(render_report(data))
    assert "No cut points were recorded." in text
    assert "No check was recorded." in text
    assert "None ties with the leader" in text
    assert "Curves" not in text
    assert ReportData.from_json(data.to_json()) == data


@pytest.mark.parametrize("num_classes", [2, 30, 31, 100])
def test_number_of_classes(num_classes: int) -> None:
    names = tuple(f"class {k:03d}" for k in range(num_classes))
    html = render_report(make_data(names, wrong=3))
    assert ("Most confused" in html) == (num_classes > 30)
    assert ('class="matrix' in html) == (num_classes <= 30)
    text = words(html)
    assert all(f"{name} 4 72.2 %" in text for name in names)
    if num_classes > 30:
        assert "class 000 class 001 3 of 4" in text


def test_long_lists_are_cut_and_counted() -> None:
    check = {"used": 5, "skipped": [{"path": f"{i}.jpg", "reason": "bad"} for i in range(53)]}
    text = words(render_report(replace(make_data(), check=check)))
    assert "and 3 more; ledger.csv has a row for every file." in text
    assert "49.jpg" in text
    assert "50.jpg" not in text


def test_thaw_line_marks_winner_leader_and_best_cut() -> None:
    svg = thaw_line_svg(make_board(), CUTS)
    plain = svg.replace("\N{NO-BREAK SPACE}", " ")
    assert "thaw line: 5.0 is the best single cut, 84.0 %" in plain
    for text in ("89.3 % winner", "90.0 % leader", "winner 89.3 %", "net · cut (4,): 81.0 % (77.9 % to 83.7 %)"):
        assert text in plain
    assert all(f">{label}<" in svg for label in LABELS)
    assert "prefers-color-scheme:dark" in svg
    assert not re.search(r"#[0-9a-f]{6}", re.sub(r"<style>.*?</style>", "", svg))


@pytest.mark.parametrize("depths", [((0,),), ((0, 1),), ((2,), (2, 3))])
def test_thaw_line_of_few_trials(depths: tuple[tuple[int, ...], ...]) -> None:
    trials = tuple(make_trial(depth, 0.9) for depth in depths)
    board = replace(make_board(), trials=trials, winner=len(trials) - 1)
    for width_px in (360, 920):
        assert "winner" in thaw_line_svg(board, CUTS, width_px=width_px)


def test_thaw_line_stretches_scores_near_one() -> None:
    trials = tuple(replace(make_trial((i,), mean), low=max(mean - 0.05, 0.0), high=1.0) for i, mean in HIGH)
    svg = thaw_line_svg(replace(make_board(), trials=trials, winner=0), CUTS)
    assert "scores stretched towards 100" in svg
    assert "nan" not in svg
    assert "inf" not in svg
    assert "stretched" not in thaw_line_svg(make_board(), CUTS)


def test_thaw_line_leaves_out_what_reads_no_cut() -> None:
    board = make_board()
    scratch = replace(
        board.trials[0], strategy=replace(board.trials[0].strategy, kind="scratch", depths=(), name="cnn")
    )
    svg = thaw_line_svg(replace(board, trials=(scratch, *board.trials[1:]), winner=0), CUTS)
    assert "cnn" not in svg
    assert "winner 90.0" in svg


def test_curve_has_both_panels_and_no_shared_ids() -> None:
    curve = make_board().trials[2].curve
    assert curve is not None
    first, second = curve_svg(curve, prefix="a"), curve_svg(curve, prefix="b")
    assert ">loss<" in first
    assert ">top-1<" in first
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, second)]
    assert not ids[0] & ids[1]


RULE = re.compile(
    r'<path d="M [\d.]+ ([\d.]+)[^>]*var\(--rule\)(?:(?!</text>).)*>([\d.]+)\N{NO-BREAK SPACE}%</text>', re.DOTALL
)


def ruled_shares(svg: str) -> tuple[list[float], list[float]]:
    """The heights of the rules across a share axis, in pixels, and what their labels say, in percent."""
    found = RULE.findall(svg)
    return [float(y) for y, _ in found], [float(text) for _, text in found]


@pytest.mark.parametrize(
    ("train", "held"),
    [
        ((0.9989, 0.9989, 1.0), (0.9909, 0.9817, 0.9863)),
        ((0.5, 0.7, 0.9), (0.5, 0.7, 0.8)),
        ((0.97, 0.975, 0.98), (0.9701, 0.972, 0.9733)),
        ((0.0, 0.3, 0.62), (0.02, 0.25, 0.4)),
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
        ((0.0, 0.0), (0.0, 0.0)),
    ],
)
def test_curve_lies_where_the_labels_say(train: tuple[float, ...], held: tuple[float, ...]) -> None:
    loss = (1.0,) * len(train)
    svg = curve_svg(Curve(loss, loss, train, held), prefix="a")
    svg = svg[svg.index('id="a-axes_2"') :]
    heights, shares = ruled_shares(svg)
    assert len(shares) >= 3
    assert all(0 <= share <= 100 for share in shares)
    assert len(set(shares)) == len(shares)
    slope, level = np.polyfit(heights, shares, 1)
    assert np.allclose(np.multiply(heights, slope) + level, shares, atol=1e-3)
    ends = [float(y) for y in re.findall(r'<use [^>]*y="([\d.]+)"', svg)]
    assert np.allclose(np.multiply(ends, slope) + level, [100 * train[-1], 100 * held[-1]], atol=1e-3)
    frame = re.search(r'id="a-patch_\d+">\s*<path d="([^"]+)"', svg)
    assert frame is not None
    top = min(float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", frame.group(1)))
    assert slope * top + level <= 100 + 1e-6


@pytest.mark.parametrize("scores", [(0.9, 0.925, 0.951), (0.992, 0.995, 1.0), (0.0, 0.001, 0.002), (1.0, 1.0, 1.0)])
def test_thaw_line_labels_are_exact(scores: tuple[float, ...]) -> None:
    trials = [make_trial((i,), mean) for i, mean in enumerate(scores)]
    trials = [replace(trial, low=trial.mean, high=trial.mean) for trial in reversed(trials)]
    heights, shares = ruled_shares(thaw_line_svg(replace(make_board(), trials=tuple(trials), winner=0), CUTS))
    assert len(shares) >= 2
    assert max(shares) <= 100
    slope, level = np.polyfit(heights, shares, 1)
    assert np.allclose(np.multiply(heights, slope) + level, shares, atol=1e-3)


def test_csv_has_a_row_a_trial() -> None:
    rows = list(csv.DictReader(io.StringIO(leaderboard_csv(make_board()))))
    assert [row["rank"] for row in rows] == [str(n) for n in range(1, 8)]
    assert [row["winner"] for row in rows] == ["false", "true"] + ["false"] * 5
    assert float(rows[1]["difference"]) == pytest.approx(-0.007)
    assert rows[0]["strategy"] == "net · fused (1, 2, 3, 4)"


def test_history_has_a_row_an_epoch() -> None:
    rows = list(csv.DictReader(io.StringIO(history_csv(make_mixed_board()))))
    assert [(row["strategy"], row["kind"], row["epoch"]) for row in rows] == [
        ("net · last 20 %", "partial", "1"),
        ("net · last 20 %", "partial", "2"),
        ("net · all", "full", "1"),
        ("net · all", "full", "2"),
        *[("net · cut (3,)", "frozen", str(epoch)) for epoch in (1, 2, 3)],
        ("cnn · from nothing", "scratch", "1"),
        ("cnn · from nothing", "scratch", "2"),
    ]
    numbers = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy", "learning_rate")
    assert [rows[1][name] for name in numbers] == ["0.3", "0.5", "0.9", "0.8", "1e-05"]
    assert rows[4]["learning_rate"] == ""


def test_history_without_curves_is_its_heading() -> None:
    board = make_board()
    assert history_csv(replace(board, trials=board.trials[:2])).count("\n") == 1


def test_json_is_plain_json() -> None:
    raw = json.loads(make_data().to_json())
    assert raw["format"] == 3
    assert raw["leaderboard"]["trials"][1]["strategy"]["name"] == "net · fused (1, 2, 3)"
