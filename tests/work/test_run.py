"""A run learns from what it may, is scored on what it never saw, goes on where it was cut off, and says so."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import thawline
from thawline.core.errors import BackboneError, UsageError
from thawline.data.check import check
from thawline.data.split import make_split
from thawline.train import folds as trial
from thawline.use.predict import predict_pictures
from thawline.view.summary import run_text
from thawline.work.order import Row
from thawline.work.recipe import Recipe, parse_recipe, rows_of_plans
from thawline.work.run import resume
from thawline.work.run import run as carry_out
from thawline.work.run_folder import WORK

PEOPLE = ("lionel_messi", "maria_sharapova", "serena_williams")
NUM_TRAIN, NUM_TEST = 9, 4
HEAD = """
title = "Three people"
story = "Who is it?"

[options]
size = 64
folds = 2

[training]
epochs = 2
batch_size = 8
augment = "none"
learning_rate = 1e-3
"""
SOLVED = (
    HEAD
    + """
[[rows]]
name = "as a whole"
frozen = "whole"

[[rows]]
name = "one less"
frozen = "1 block cut"

[[rows]]
name = "two less"
frozen = "2 blocks cut"
"""
)
ONE_ROW = SOLVED.split('\n[[rows]]\nname = "one less"')[0]
TRAINED = (
    HEAD
    + """
[goal]
accuracy = 0.01
words = "better than nothing"

[[rows]]
name = "solved"
frozen = "whole"

[[rows]]
name = "by epochs"
plan = "head"
training = { hidden = 16, watch = true }

[[rows]]
name = "thawed"
plan = "last 20 %"
training = { epochs = 1 }
drift = true
"""
)
pytestmark = pytest.mark.pictures


def expecting(run, backbone="efficientnet_lite0", **scores):
    """Return an entry of TOML that states scores for the pictures and labels of a run: row to value, low, high."""
    lines = [f'"{name}" = [{value}, {low}, {high}]' for name, (value, low, high) in scores.items()]
    key = run.run["pictures and labels"]
    facts = f'pictures = "{key}"\nbackbone = "{backbone}"\ncommand = "thawline"\nminutes = 1\n'
    return f"\n[[expected]]\n{facts}[expected.scores]\n" + "\n".join(lines)


def verdicts(run):
    return [row.verdict for row in run.data.rows]


def weights_of(out):
    return {path.name: path.read_bytes() for path in (out / "model").glob("*.safetensors")}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("recipe")


@pytest.fixture(scope="module")
def small(shared_data):
    """Return thirteen pictures a person that are quick to decode."""
    return {
        name: sorted((shared_data / "celebrities" / name).iterdir(), key=lambda path: path.stat().st_size)[:13]
        for name in PEOPLE
    }


@pytest.fixture(scope="module")
def photos(small, place):
    """Return 40 pictures in one part; one of them twice."""
    for name, files in small.items():
        (place / "photos" / name).mkdir(parents=True)
        for file in files:
            shutil.copy(file, place / "photos" / name)
    shutil.copy(small[PEOPLE[0]][0], place / "photos" / PEOPLE[0] / "again.jpg")
    return place / "photos"


@pytest.fixture(scope="module")
def parted(small, place):
    """Return the same pictures under train and test, each once."""
    for name, files in small.items():
        for number, file in enumerate(files):
            folder = place / "parted" / ("train" if number < NUM_TRAIN else "test") / name
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder)
    return place / "parted"


@pytest.fixture(scope="module")
def run(place):
    """Return what runs a recipe's text on pictures, all with one cache, each in a folder of its own."""
    made = Counter()

    def call(text, photos, *, changes=None, out=None, **asked):
        made["run"] += 1
        recipe = text if isinstance(text, Recipe) else parse_recipe(text, "mine")
        changes = {"cache_dir": place / "cache", **(changes or {})}
        return thawline.run_recipe(recipe, photos, out=out or place / f"out-{made['run']}", changes=changes, **asked)

    return call


@pytest.fixture(scope="module")
def finished(run, photos):
    """Return a run of all kinds of rows, a fifth held out."""
    return run(TRAINED, photos)


@pytest.fixture(scope="module")
def pooled(run, parted):
    """Return a run that holds every picture out once, of pictures that have parts of their own."""
    return run(TRAINED, parted, protocol="folds")


@pytest.fixture(scope="module")
def solved(run, photos):
    return run(SOLVED, photos)


# protocols


def test_every_row_answers_exactly_the_held_out_pictures(finished, photos):
    dataset, _ = check(photos)
    split = make_split(dataset, num_folds=2, num_repeats=2)
    paths = [dataset.samples[row].path for row in split.test]
    assert len(paths) >= 6
    for row in finished.data.rows:
        assert list(row.evaluation.paths) == paths
        assert row.evaluation.accuracy.n == len(paths)
        assert list(row.evaluation.labels) == dataset.labels[split.test].tolist()
    assert not set(dataset.groups[split.test]) & set(dataset.groups[split.pool])
    assert sum(finished.data.counts["train"]) == len(split.pool) == len(dataset) - len(paths)


def test_the_table_is_the_leaderboard_and_run_json_says_the_same(finished):
    told = json.loads((finished.out / "run.json").read_text(encoding="utf-8"))
    assert told == json.loads(json.dumps(finished.run))
    for row, said in zip(finished.data.rows, told["rows"], strict=True):
        right = np.mean(np.array(row.evaluation.labels) == np.array(row.evaluation.probabilities).argmax(axis=1))
        assert said["accuracy"] == row.evaluation.accuracy.value == pytest.approx(right)
        assert finished.data.trial_of(row).mean == pytest.approx(right)
    assert [row["row"] for row in told["rows"]] == ["solved", "by epochs", "thawed"]
    assert [row.epochs for row in finished.data.rows] == [None, 2, 1]
    assert all(row.seconds > 0 for row in finished.data.rows)
    assert not (finished.out / WORK).exists()


def test_drift_is_measured_where_the_recipe_asks_for_it(finished):
    assert list(finished.data.drifts) == ["thawed"]
    cuts = finished.data.drifts["thawed"]["cuts"]
    assert cuts[0]["cka"] == pytest.approx(1, abs=1e-4)  # the frozen part has not moved
    assert cuts[-1]["cka"] < cuts[0]["cka"]


@pytest.mark.parametrize(
    "deliver", ["thawed", *(pytest.param(name, marks=pytest.mark.slow) for name in ("solved", "by epochs"))]
)
def test_the_model_that_is_kept_answers_as_its_row_did(deliver, run, photos, finished):
    text = TRAINED.replace("\n[options]", f'\ndeliver = "{deliver}"\n[options]')
    made = finished if deliver == "thawed" else run(text, photos)
    row = next(row for row in made.data.rows if row.name == deliver)
    told, bundle = row.evaluation, thawline.load(made.out / "model").bundle
    rows = list(predict_pictures(bundle.classifier, [photos / path for path in told.paths]))
    found = [[one.probabilities[name] for name in told.class_names] for one in rows]
    np.testing.assert_allclose(found, told.probabilities, atol=2e-3)
    assert [one.label for one in rows] == [told.class_names[place] for place in np.argmax(told.probabilities, axis=1)]


@pytest.mark.slow
def test_scrambled_test_labels_change_scores_but_no_model(run, parted, tmp_path):
    scrambled = shutil.copytree(parted, tmp_path / "scrambled")
    for name in PEOPLE:
        (scrambled / "test" / name).rename(scrambled / "test" / f"{name}.old")
    for name, other in zip(PEOPLE, PEOPLE[1:] + PEOPLE[:1], strict=True):
        (scrambled / "test" / f"{name}.old").rename(scrambled / "test" / other)
    text = TRAINED.replace('"whole"', '"best"')
    first, second = run(text, parted), run(text, scrambled)
    assert weights_of(first.out) == weights_of(second.out)
    assert len(weights_of(first.out)) >= 1
    for one, other in zip(first.data.rows, second.data.rows, strict=True):
        by_name = dict(zip(map(name_of, other.evaluation.paths), other.evaluation.probabilities, strict=True))
        for path, shares in zip(one.evaluation.paths, one.evaluation.probabilities, strict=True):
            np.testing.assert_allclose(by_name[name_of(path)], shares, rtol=1e-5)  # batches round by their neighbours
        assert one.does == other.does
    assert first.run["rows"] != second.run["rows"]


def name_of(path):
    return Path(path).name


@pytest.mark.slow
def test_folds_hold_every_picture_out_once_and_pool_the_parts(pooled, parted):
    dataset, _ = check(parted)
    assert {sample.split for sample in dataset.samples} == {"train", "test"}
    for row in pooled.data.rows:
        assert sorted(row.evaluation.paths) == sorted(sample.path for sample in dataset.samples)
    unparted = replace(dataset, samples=tuple(replace(sample, split=None) for sample in dataset.samples))
    split = make_split(unparted, num_folds=2, num_repeats=1, hold_out=False)
    shown = {role: sum(counts) for role, counts in pooled.data.counts.items()}  # both parts of the first fold
    assert shown == dict(zip(("train", "validation"), map(len, split.folds[0]), strict=True))
    assert {picture.role for picture in pooled.data.pictures} == {"train", "validation"}
    assert pooled.leaderboard.rule == "2 folds × 1"  # drawn once, for every repeat trains all anew
    assert any("--protocol test" in note for note in pooled.data.notes)  # where drift would be measured
    bundle = thawline.load(pooled.out / "model").bundle
    learnt = list(predict_pictures(bundle.classifier, [parted / sample.path for sample in dataset.samples]))
    assert {row.label for row in learnt} <= set(PEOPLE)


# what is stated


@pytest.mark.slow
def test_scores_are_set_against_what_is_stated_for_the_same_pictures(run, photos, solved):
    assert verdicts(solved) == ["not stated"] * 3
    values = [row.evaluation.accuracy.value for row in solved.data.rows]
    assert all(0 < value < 1 for value in values), "choose other pictures: each verdict must be possible"
    a, b, c = values
    stated = expecting(solved, **{"as a whole": (a, a, a), "one less": (0, 0, b / 2), "two less": (1, (1 + c) / 2, 1)})
    made = run(SOLVED + stated, photos, changes={"seed": 0, "device": "cpu"})  # neither differs from the recipe's
    assert verdicts(made) == ["as expected", "above", "below"]
    told = run_text(made.data)
    assert all(words in told for words in ("as expected", "above", "below"))
    assert not any("states no scores" in note for note in made.data.notes)


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked",
    [
        {"changes": {"one_against_rest": PEOPLE[1]}},
        {"changes": {"limit": 8}},
        {"changes": {"seed": 1}},
        {"changes": {"size": 32}},
        {"changes": {"backbone": "tutorial_cnn", "size": None}},
        {"protocol": "folds"},
        {"changes": {"epochs": 1}},
    ],
    ids=lambda asked: "-".join(asked.get("changes", asked)),
)
def test_other_labels_pictures_and_options_are_not_measured_by_it(asked, run, photos, solved):
    stated = expecting(solved, **{"as a whole": (0.5, 0, 1)})
    made = run(ONE_ROW + stated, photos, **asked)
    assert verdicts(made) == ["not stated"]
    assert any("states no scores" in note or "do not apply" in note for note in made.data.notes)


@pytest.mark.slow
def test_a_stated_score_holds_for_the_labels_that_the_command_gave(run, photos):
    text = ONE_ROW
    changes = {"one_against_rest": PEOPLE[1], "limit": 8}
    first = run(text, photos, changes=changes)
    again = run(text + expecting(first, **{"as a whole": (0.5, 0, 1)}), photos, changes=changes)
    assert verdicts(again) == ["as expected"]
    assert again.data.class_names == first.data.class_names == (PEOPLE[1], "rest")


@pytest.mark.slow
def test_the_goal_is_passed_or_failed(finished, run, photos):
    assert "PASS  goal 0.010: reached, by the whole of the interval." in run_text(finished.data)
    missed = run(SOLVED + '\n[goal]\naccuracy = 1.0\nwords = "all"', photos)
    assert missed.run["goal_reached"] is False
    assert "FAIL  goal 1.000: not reached" in run_text(missed.data)


# interruptions


def count_trainings(monkeypatch, stop_at=0, took_s=0.0):
    """Count trainings, let each say that it took `took_s` longer, and let the one of number `stop_at` fail."""
    begun, train = [], trial.train

    def counted(job, **asked):
        begun.append(job.plan.name)
        if len(begun) == stop_at:
            raise KeyboardInterrupt
        trained = train(job, **asked)
        return replace(trained, seconds=trained.seconds + took_s)

    monkeypatch.setattr(trial, "train", counted)
    return begun


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["test", "folds"])
def test_a_run_that_was_cut_off_goes_on_and_ends_as_one(protocol, run, parted, pooled, monkeypatch, tmp_path):
    out = tmp_path / "out"
    begun = count_trainings(monkeypatch, stop_at=2 if protocol == "test" else 3, took_s=1000)
    with pytest.raises(KeyboardInterrupt):
        run(TRAINED, parted, protocol=protocol, out=out)
    monkeypatch.undo()
    assert (out / WORK).is_dir()
    assert not (out / "report.json").exists()
    again = count_trainings(monkeypatch)
    made = run(TRAINED, parted, protocol=protocol, out=out)
    assert begun == (["head", "last 20 %"] if protocol == "test" else ["head", "head", "last 20 %"])
    assert again == (["last 20 %"] if protocol == "test" else ["last 20 %"] * 3)  # two folds, and the model
    whole = pooled if protocol == "folds" else run(TRAINED, parted, protocol=protocol)
    for one, other in zip(made.data.rows, whole.data.rows, strict=True):
        assert one.evaluation.accuracy == other.evaluation.accuracy
        np.testing.assert_array_equal(one.evaluation.probabilities, other.evaluation.probabilities)
        was_done = one.name == "by epochs"
        assert (one.seconds > 1000) == was_done  # a training that was done before the cut says what it took then
    assert weights_of(made.out) == weights_of(whole.out)
    assert not (out / WORK).exists()


@pytest.mark.slow
def test_another_order_in_the_same_folder_goes_on_with_nothing(run, photos, monkeypatch, tmp_path):
    out = tmp_path / "out"
    count_trainings(monkeypatch, stop_at=2)
    with pytest.raises(KeyboardInterrupt):
        run(TRAINED, photos, out=out)
    monkeypatch.undo()
    again = count_trainings(monkeypatch)
    made = run(TRAINED, photos, out=out, changes={"epochs": 1})
    assert again == ["head", "last 20 %"]
    assert [row.epochs for row in made.data.rows] == [None, 1, 1]
    assert any("A quick look: one epoch" in note for note in made.data.notes)


# names


@pytest.mark.slow
def test_hostile_names_of_rows_neither_collide_nor_break_out(run, photos):
    names = ["a b", "a-b", "🦜", "🐒", "<script>alert(1)</script>", "../../etc", "x" * 400]
    rows = "".join(
        f'\n[[rows]]\nname = "{name}"\nplan = "head"\ntraining = {{ epochs = {place % 3 + 1} }}'
        for place, name in enumerate(names)
    )
    made = run(HEAD + rows, photos)
    assert [row.name for row in made.data.rows] == names
    assert [row.epochs for row in made.data.rows] == [place % 3 + 1 for place in range(len(names))]
    page = (made.out / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "<script>alert" not in made._repr_html_()
    assert {path.name for path in made.out.iterdir()} == {
        ".thawline.json",
        "comparison.csv", "history.csv", "leaderboard.csv", "leaderboard.json", "learning_curve.json", "ledger.csv",
        "model", "report.html", "report.json", "run.json", "suspects.csv",
        "metrics.json", "predictions.csv", "model_card.md", "figures",
    }  # fmt: skip


def test_a_notebook_shows_the_rows(finished):
    html = finished._repr_html_()
    assert html.count("<tr") == 4
    assert "The best row, " in html.split("<table")[0]
    assert all(name in html for name in ("solved", "by epochs", "thawed", "Three people"))


def test_the_report_is_rendered_anew_byte_for_byte(finished):
    before = (finished.out / "report.html").read_bytes()
    (finished.out / "report.html").unlink()
    assert thawline.render(finished.out).read_bytes() == before


# what is refused, and when


@pytest.fixture
def no_pictures(monkeypatch):
    """Let nothing be checked: what is refused is refused before."""

    def stop(*_, **__):
        raise AssertionError("the pictures were checked before the order was")

    monkeypatch.setattr("thawline.work.session.check", stop)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"changes": {"sise": 64}}, ("recipe mine", "'sise'", "did you mean size?")),
        ({"changes": {"size": "large"}}, ("size = 'large'",)),
        ({"changes": {"metric": "balanced_accuracy"}}, ("metric", "by accuracy")),
        ({"protocol": "luck"}, ("'luck'", "'test' or 'folds'")),
        ({"changes": {"epochs": 0}}, ("--epochs 0",)),
        ({"outside": "nowhere"}, ("--outside nowhere holds no pictures",)),
    ],
)
def test_an_order_that_cannot_be_is_refused_before_the_pictures(asked, said, run, photos, no_pictures):
    with pytest.raises(UsageError) as error:
        run(SOLVED, photos, **asked)
    assert all(words in str(error.value) for words in said)


def test_weights_that_are_not_there_are_missed_before_the_pictures(run, photos, no_pictures, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError, match=r"recipe mine: .*resnet34.* --backbone efficientnet_lite0"):
        run(SOLVED, photos, changes={"backbone": "resnet34"})


def test_weights_that_do_not_fit_are_refused_as_such(run, photos, no_pictures, tmp_path):
    with pytest.raises(BackboneError) as error:
        run(SOLVED, photos, changes={"weights": tmp_path / "none.safetensors"})
    assert "Or run it with" not in str(error.value)  # it is the bundled network already


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('frozen = "99 blocks cut"', ("'99 blocks cut'", "'1 block cut', '2 blocks cut'")),
        ('frozen = "somewhere"', ("cannot be read at 'somewhere'", "'whole'")),
        ('plan = "last 99 blocks"', ("99",)),
        ('plan = "head, 99 blocks cut"', ("99",)),
    ],
)
def test_a_row_beyond_the_backbone_is_refused_before_anything_is_trained(row, said, run, photos, monkeypatch):
    begun = count_trainings(monkeypatch)
    passes = "thawline.work.cluster.extraction.extract_views"
    monkeypatch.setattr(passes, lambda *_, **__: pytest.fail("a pass was made"))
    with pytest.raises(thawline.ThawlineError) as error:
        run(TRAINED + f'\n[[rows]]\nname = "odd"\n{row}', photos)
    assert "recipe mine, row 'odd'" in str(error.value)
    assert all(words in str(error.value) for words in said)
    assert begun == []


# pictures from outside


def test_pictures_from_outside_are_shown_and_broken_ones_told_of(run, photos, small, tmp_path):
    outside = tmp_path / "outside"
    for name, files in small.items():
        (outside / name).mkdir(parents=True)
        shutil.copy(files[0], outside / name)
    (outside / "unknown").mkdir()
    shutil.copy(small[PEOPLE[0]][1], outside / "unknown" / "träne 🦜.jpg")
    (outside / "unknown" / "broken.jpg").write_bytes(small[PEOPLE[1]][0].read_bytes()[:900])
    (outside / "unknown" / "notes.txt").write_text("not a picture", encoding="utf-8")
    made = run(ONE_ROW, photos, outside=outside)
    found = {Path(one.path).parent.name: one for one in made.data.comparison.outside}
    assert len(made.data.comparison.outside) == 4
    assert {name: one.true for name, one in found.items()} == {name: name for name in PEOPLE} | {"unknown": None}
    assert all(0 < one.probability <= 1 and one.predicted in PEOPLE for one in found.values())
    assert all(one.jpeg.startswith(b"\xff\xd8") for one in found.values())
    note = next(note for note in made.data.notes if "outside" in note)
    assert "Of 6 files from outside 2 cannot be read" in note
    assert "broken.jpg" in note
    assert "notes.txt" in note
    assert "broken.jpg" in (made.out / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_folder_without_a_single_picture_does_not_lose_the_run(run, photos, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.jpg").write_bytes(b"no picture")
    made = run(SOLVED, photos, outside=tmp_path / "outside")
    assert made.data.comparison.outside == ()
    assert any("Of 1 files from outside 1 cannot be read" in note for note in made.data.notes)
    assert (made.out / "report.html").exists()


def test_an_empty_folder_is_refused_at_once(run, photos, no_pictures, tmp_path):
    (tmp_path / "outside" / ".hidden").mkdir(parents=True)
    with pytest.raises(UsageError, match="holds no pictures"):
        run(SOLVED, photos, outside=tmp_path / "outside")


def test_a_goal_and_a_drift_are_any_run_s(photos, place):
    recipe = parse_recipe(ONE_ROW, "mine")
    thawed = Row(name="thawed", plan="last 20 %", training={"epochs": 1}, drift=True)
    made = carry_out(recipe.order(photos, rows=(thawed,), goal=0.05), place / "choose")
    assert made.winner == "thawed"
    assert made.run["goal"] == 0.05
    assert made.run["goal_reached"] is (made.evaluation.accuracy.value > 0.05)
    assert list(made.data.drifts) == ["thawed"]
    assert made.data.comparison is None
    assert not (made.out / "comparison.csv").exists()
    assert len(repr(made)) < 300
    assert made.out.name in made._repr_html_()


@pytest.mark.slow
def test_a_budget_run_that_was_cut_off_goes_on(photos, place, monkeypatch):
    recipe, rows = parse_recipe(ONE_ROW, "mine"), rows_of_plans(["head", "tutorial_cnn from nothing"])
    options = {"cache_dir": place / "cache"}
    order = recipe.order(photos, rows=rows, protocol="choose", options=options, budget_s=3600.0)
    begun = count_trainings(monkeypatch, stop_at=3)
    with pytest.raises(KeyboardInterrupt):
        carry_out(order, place / "budget")
    monkeypatch.undo()
    again = count_trainings(monkeypatch)
    made = resume(place / "budget")
    assert len(begun) == 3
    assert begun[-1] in again  # the one that was cut off
    assert len(again) < 2 * 2 + 1  # what was done is not trained again
    assert [row["outcome"] for row in made.run["forecast"] if row["took_s"] is not None]
    whole = carry_out(order, place / "budget-whole")
    assert made.leaderboard.trials[0].name == whole.leaderboard.trials[0].name
    assert {trial.name: trial.mean for trial in made.leaderboard.trials} == {
        trial.name: trial.mean for trial in whole.leaderboard.trials
    }
