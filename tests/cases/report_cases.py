"""Report data of both kinds of run, small and drawn: what tests of pages, texts and tables start from."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html import unescape

import numpy as np
from PIL import Image

from thawline.core.scores import Score
from thawline.core.types import Curve
from thawline.features.backbone import CutPoint
from thawline.search.leaderboard import Gain, Leaderboard, Trial
from thawline.search.strategy import Strategy
from thawline.use.evaluate import evaluate
from thawline.use.evaluation import ClassScore, Evaluation
from thawline.vet.abstaining import Abstaining, CoveragePoint, Kept, Sets
from thawline.vet.advice import Advice
from thawline.vet.lookalikes import ConfusedClasses, LookalikePair
from thawline.vet.looks import Look, Looks
from thawline.vet.more_pictures import ClassGain, CurvePoint, Forecast, MorePictures
from thawline.vet.picture_map import MapPoint, PictureMap
from thawline.vet.slices import Slice, Slices
from thawline.vet.strangest import Strange, Strangest
from thawline.vet.suspects import Suspect, Suspects
from thawline.view.album import TEST_PART, Album, Shown, TileSheet
from thawline.view.report_data import Outside, Picture, ReportData, RowComparison, RowData

LABELS = ("3.0", "4.0", "4.1", "5.0", "head")
MODULES = ("blocks.3.0", "blocks.4.0", "blocks.4.1", "blocks.5.0", "conv_head")
CUTS = tuple(CutPoint(i, module, 16 * (i + 1), 8, 4 - i, (i + 1) / 5) for i, module in enumerate(MODULES))
HIGH = ((4, 1.0), (3, 0.99), (2, 0.9), (1, 0.6), (0, 0.0))
HOSTILE = "<script>window.pwned=1</script>"


def tiny_jpeg(colour="steelblue"):
    out = io.BytesIO()
    Image.new("RGB", (20, 14), colour).save(out, "JPEG")
    return out.getvalue()


def make_trial(depths, mean, *, lead=0.9, curve=None):
    name = "fused" if len(depths) > 1 else "cut"
    strategy = Strategy("net", depths, ("mean", "std"), "linear", f"net · {name} {depths}", 0.2 * (max(depths) + 1))
    gap = mean - lead
    ends = (0.0, 0.0) if gap == 0 else (gap - 0.0123, gap + 0.0123)
    return Trial(
        strategy, (mean, mean), mean, mean - 0.031, mean + 0.027, mean, mean - 0.004, gap, *ends,
        p_value=1.0 if gap == 0 else 0.2, tied=ends[1] >= 0, l2=1e-3, neighbours=None, fit_s=0.25, predict_ms=3.21,
        num_pictures=368, curve=curve,
    )  # fmt: skip


def make_board():
    curve = Curve((1.2, 0.6, 0.3), (1.1, 0.7, 0.5), (0.5, 0.7, 0.9), (0.5, 0.7, 0.8))
    trials = [make_trial((1, 2, 3, 4), 0.9), make_trial((1, 2, 3), 0.893), make_trial((3,), 0.84, curve=curve)]
    trials += [make_trial((4,), 0.81), make_trial((2,), 0.77), make_trial((1,), 0.7), make_trial((0,), 0.6)]
    gain = Gain("net · cut (4,)", 0.09, 0.078, 0.102)
    return Leaderboard("accuracy", "5 folds × 2", tuple(trials), 1, 0.8871, 0.8522, 0.9166, 368, 1234, 3.2, gain=gain)


def make_mixed_board(*, winner=0):
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


def make_forecast():
    memory = {"memory_bytes": 3 * 2**29, "disk_bytes": 440 * 2**20}
    return (
        {"strategy": "net · last 20 %", "seconds": 100.0, **memory, "outcome": "ran 5 of 5 folds", "took_s": 200.0},
        {"strategy": "net · all", "seconds": 4000.0, **memory, "outcome": "left out: too long", "took_s": None},
    )


def make_evaluation(names, *, wrong=1, leaked=1):
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


def make_album(names, *, mistakes=(), wrong=None):
    """An album of one picture a class, of mistakes (path, label, answer, sureness), and the counts of four a class."""
    shown = [
        Shown(path, tiny_jpeg("coral"), 20, 14, label, TEST_PART, ((said, sure), (label, round(1 - sure, 4))))
        for path, label, said, sure in mistakes
    ]
    shown += [Shown(f"{name}/1.jpg", tiny_jpeg(), 20, 14, label) for label, name in enumerate(names)]
    wrong = len(mistakes) if wrong is None else wrong
    confusion = make_evaluation(names, wrong=wrong).confusion
    num = int(confusion.sum())
    return Album(tuple(shown), confusion, num, num, wrong)


def make_choice(names=("ant", "bee", "crow"), *, wrong=1, leaked=1):
    """What a run that chose among strategies shows."""
    return ReportData(
        title="garden", created="2026-01-02T03:04:05+00:00", command="thawline fit garden -o run", class_names=names,
        counts={"train": tuple(range(10, 10 + len(names))), "test": (4,) * len(names)},
        leaderboard=make_board(), cuts=CUTS, evaluation=make_evaluation(names, wrong=wrong, leaked=leaked),
        pictures=tuple(Picture(name, "train", f"{name}/1.jpg") for name in names), place="run",
        album=make_album(names, mistakes=((f"{names[0]}/9.jpg", 0, 1, 0.9432),) if wrong else (), wrong=wrong),
        check={
            "used": 1369, "skipped": [{"path": "x/notes.jpg", "reason": "a text file"}], "repaired": [],
            "exact_copies": [["a/1.jpg", "a/2.jpg"]], "near_copies": [],
            "leaks": [{"path": "t/1.jpg", "of": "a/1.jpg"}], "conflicts": [], "class_counts": {},
            "imbalance": 2.5, "notes": ["A folder is inside a class folder."],
        },
        provenance={"backbone": "net", "weights": {"sha256": "ab" * 32}, "timings": {"extract_s": 4.125}, "seed": 7},
        notes=("The folder `valid` is the test.",),
    )  # fmt: skip


def make_advice(names, paths):
    """Advice with every part that a page shows, on pictures of some paths."""
    first, other = names[0], names[1]
    suspect = Suspect(paths[0], first, other, 0.91, "it looks like the other", "ab", "", paths[1:3], paths[2:4])
    copied = replace(
        suspect, path=paths[1], probability=None, copy=paths[2], reason=f"copy under another label: {paths[2]}"
    )
    look = Look(paths[0], "surest wrong", 0, 1, 0.91, ((0, 255), (80, 10)), (0.1, 0.0, 0.9, 1.0))
    points = tuple(MapPoint(path, 0.1 * n, 0.5, n % 2, (n + (n == 0)) % 2) for n, path in enumerate(paths))
    part = Slice(
        "size", f"the 9 smallest pictures of {first}", f"Of the 9 smallest pictures 4 were wrong, {first} and others.",
        9, 4, 0.55, 0.3, 0.7, 0.9, 0.88, False, 0.001, paths[:2],
    )  # fmt: skip
    kept = Kept(60, 54, 0.9, 0.8, 0.95, 0.98, 0.9, 1.0)
    curve = tuple(CoveragePoint(c, 0.5, 1 - 0.1 * c**3, 0.8, 0.99, int(60 * c)) for c in (0.25, 0.5, 0.75, 1.0))
    sets = Sets(0.9, 0.91, 0.8, 0.96, 1.2, (0, 50, 10), "test", 60, 200)
    measured = tuple(CurvePoint(n, 0.7 + n / 500, 0.6, 0.95, 0.65, 0.93) for n in (20, 40, 80))
    forecast = tuple(
        Forecast(80 * n, 0.86 + 0.01 * n, 0.8, 0.99, 0.85, 0.97, 0.012 * n, 0.002, 0.03) for n in (1, 2, 4)
    )
    gains = (
        ClassGain(first, 20, 0.8, 0.034, -0.01, 0.08, 0.011, 0.06, True),
        ClassGain(other, 20, 0.9, 0.0, 0, 0, 0, 0, False),
    )
    return Advice(
        60,
        looks=Looks((look, replace(look, path=paths[1], kind="surest right", predicted=0))),
        picture_map=PictureMap(points, 0),
        slices=Slices(12, (part,)),
        suspects=Suspects(60, 2, 1, 1, (suspect, copied)),
        abstaining=Abstaining(0.02, 0.95, 0.5, kept, kept, curve, "test", sets, "A note on abstaining."),
        strangest=Strangest(
            "net · whole", 0.05, 0.02, 60, 0.04, 0.01, 0.1, 60, (Strange(paths[2], other, 0.97, 3.0, True, True),)
        ),
        more_pictures=MorePictures(
            "accuracy", "net · whole", 80, measured, forecast, 50, gains, 30, "A note on growth."
        ),
        confused=(ConfusedClasses(first, other, 3, 1, 20, 20, (LookalikePair(*paths[:2], 0.9, 0.5, 0.4, 0.6, 0.3),)),),
    )


def with_advice(data):
    """The data with advice on their own album."""
    paths = tuple(shown.path for shown in data.album.pictures)
    cheat = {
        "fact": "brightness", "class": data.class_names[0], "accuracy": 0.9, "low": 0.8, "high": 0.95, "chance": 0.5,
        "auroc": 0.95, "p_value": 0.001, "is_technical": True, "words": f"{data.class_names[0]} is brighter.",
    }  # fmt: skip
    album = replace(data.album, sheets=(TileSheet(tiny_jpeg("green"), 8, 2, paths),))
    checked = {**data.check, "cheats": [cheat]}
    return replace(data, advice=make_advice(data.class_names, paths), album=album, check=checked)


def words(html):
    """The page's text as a reader sees it, with plain spaces."""
    body = re.sub(r"<(style|script)\b[^>]*>.*?</\1>", "", html, flags=re.DOTALL)
    body = body.replace("<wbr>", "")
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).replace("\N{NO-BREAK SPACE}", " ").split())


RULE = re.compile(
    r'<path d="M [\d.]+ ([\d.]+)[^>]*var\(--rule\)(?:(?!</text>).)*>([\d.]+)\N{NO-BREAK SPACE}%</text>', re.DOTALL
)


def ruled_shares(svg):
    """Return the heights of the rules across a share axis, in pixels, and what their labels say, in percent."""
    rules = RULE.findall(svg)
    return [float(y) for y, _ in rules], [float(text) for _, text in rules]


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
    mistaken = np.where(labels == 0, 1, 0)  # lopsided, so that no two scores of a row are the same
    predicted = np.where(np.arange(num) < num - right, mistaken, labels)
    shares = np.full((num, len(names)), 0.1 / len(names))
    shares[np.arange(num), predicted] += 0.9
    test = evaluate(
        labels, shares, strategy=name, class_names=names, paths=[f"{i}.jpg" for i in range(num)],
        groups=np.arange(num), leaked=(np.arange(num) >= num - leaked).astype(np.int64),
    )  # fmt: skip
    return RowData(name, f"net · does {name}", origin, expected, 21.0 if epochs else 0.25, epochs, test)


def make_mistakes(names):
    """An album with two mistakes, the surer one last."""
    mistakes = ((f"{names[1]}/9.jpg", 1, 0, 0.6132), (f"{names[0]}/8.jpg", 0, 1, 0.8732))
    return make_album(names, mistakes=mistakes)


def board_of(rows):
    """A leaderboard of the rows: the two best are tied."""
    ranked = sorted(rows, key=lambda row: -row.evaluation.accuracy.value)
    lead = ranked[0].evaluation.accuracy.value
    trials = []
    for place, row in enumerate(ranked):
        score = row.evaluation.accuracy
        kind = "frozen" if row.epochs is None else "partial"
        strategy = Strategy("net", (3,), ("mean",), "linear", row.name, 1.0, kind)
        trial = make_trial((3,), score.value, lead=lead, curve=CURVE if row.epochs else None)
        judged = {"tied": place < 2, "p_value": 0.5 if place < 2 else 0.001}
        judged |= {"difference_low": -0.03, "difference_high": 0.01} if 0 < place < 2 else {}
        trials.append(replace(trial, strategy=strategy, low=score.low, high=score.high, **judged))
    num = ranked[0].evaluation.accuracy.n
    return Leaderboard("accuracy", f"{num} held-out pictures", tuple(trials), 0, lead, 0.5, 0.9, num, 3, 4.0)


IN_COMPARISON = frozenset(RowComparison.__dataclass_fields__)


def with_rows(data, rows, **changes):
    """The data with other rows."""
    comparison = replace(data.comparison, rows=rows, **changes)
    return replace(data, comparison=comparison, leaderboard=board_of(rows))


def make_rows(names=("ant", "bee", "crow"), *, num=60, **changes):
    """What a run that set three rows side by side shows; `changes` are fields of the data or of its comparison."""
    rows = (
        make_row("from Adam", 40, names=names, num=num, origin=0.6913, expected=(0.61, 0.55, 0.68), epochs=3),
        make_row("thawed", num - 3, names=names, num=num, origin=0.9557, expected=(0.9, 0.8, 0.94), epochs=5),
        make_row("solved", num - 6, names=names, num=num, expected=(0.97, 0.95, 0.99)),
    )  # fmt: skip
    facts = {
        "recipe": "garden", "title": "A garden, remade", "story": "Somebody asked which bee.",
        "created": "2026-01-02T03:04:05+00:00", "command": "thawline recipe run garden",
        "class_names": names, "cuts": CUTS, "drifts": {"thawed": DRIFT}, "evaluation": rows[2].evaluation,
        "counts": {"train": (12,) * len(names), "test": (num // len(names),) * len(names)},
        "leaderboard": board_of(rows), "rows": rows, "delivered": "solved", "pass_s": 33.0, "total_s": 130.0,
        "goal": 0.88, "goal_words": "top-1 above 0.88",
        "pictures": tuple(Picture(n, r, f"{n}/1.jpg") for n in names for r in ("train", "test")),
        "outside": (
            Outside("zoo/1.jpg", tiny_jpeg("coral"), names[0], 0.9132, names[0]),
            Outside("zoo/2.jpg", tiny_jpeg("coral"), names[0], 0.5132, names[1]),
            Outside("zoo/3.jpg", tiny_jpeg("coral"), names[0], 0.4132, None),
        ),
        "frozen": make_board(), "album": make_mistakes(names), "place": "runs/garden",
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
