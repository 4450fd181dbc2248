"""`thawline recipe` as a person types it: listed, shown, run from one's own file; a stranger's file does no harm."""

from __future__ import annotations

import csv
import json
import shutil

import pytest

import thawline as package

OWN = """
title = "Three digits, mine"
story = "Which one is it?"

[options]
size = 64
folds = 2

[training]
epochs = 1
batch_size = 8

[goal]
accuracy = 0.01
words = "better than nothing"

[[rows]]
name = "solved"
frozen = "whole"

[[rows]]
name = "by epochs"
plan = "head"
"""
FILES = {
    ".thawline.json",
    "comparison.csv", "history.csv", "leaderboard.csv", "leaderboard.json", "learning_curve.json", "ledger.csv",
    "model", "report.html", "report.json", "run.json", "suspects.csv",
    "metrics.json", "predictions.csv", "model_card.md", "figures",
}  # fmt: skip
HOSTILE = {
    "empty": "",
    "no TOML": "title = = 1",
    "a number without end": "title = " + "1" * 5000,
    "nested lists": "title = " + "[" * 90_000,
    "nested tables": "[options]\nsize" + ".a" * 900 + " = 1\n" + OWN.split("[options]")[0],
    "nested options": OWN.replace("size = 64", "size" + ".a" * 900 + " = 1"),
    "a control character": 'title = "\x1b[2J"\n\x00',
    "a long key": OWN.replace("size = 64", "s" * 500_000 + " = 1"),
    "a long value": OWN.replace("size = 64", f'size = "{"9" * 500_000}"'),
    "rows as text": 'title = "x"\nstory = "y"\nrows = "os.system"',
    "rows as a table": OWN.replace("[[rows]]", "[rows]", 1),
    "options as text": OWN.replace("[options]\nsize = 64\nfolds = 2", 'options = "size"'),
    "code": OWN.replace("[options]", "[options]\nbackbone = \"__import__('os').system('touch here')\""),
    "a pickle of weights": OWN.replace("[options]", '[options]\nweights = "evil.pkl"'),
    "no number": OWN.replace("accuracy = 0.01", "accuracy = nan"),
    "beyond all": OWN.replace("accuracy = 0.01", "accuracy = inf"),
    "an origin of 96": OWN.replace('frozen = "whole"', 'frozen = "whole"\norigin = 96'),
    "an ImageNet class": OWN + "\n[imagenet]\n3 = [1000]",
    "a nameless row": OWN.replace('name = "solved"', 'name = " "'),
    "minutes": OWN + '\n[[expected]]\npictures = ""\nbackbone = ""\ncommand = ""\nminutes = -inf\nscores = {}',
    "an interval": OWN
    + '\n[[expected]]\npictures = ""\nbackbone = ""\ncommand = ""\nminutes = 1\nscores = { solved = [0.5, 0.6, 0.7] }',
    "epochs": OWN.replace("epochs = 1\n", "epochs = -1\n"),
    "a picture folder": "data = 3\n" + OWN,
}


@pytest.fixture
def own(tmp_path):
    """Return a recipe file of one's own."""
    path = tmp_path / "my-own.toml"
    path.write_text(OWN, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pictures(scans, tmp_path_factory):
    """Return 24 scans to learn from and 12 to test on."""
    root = tmp_path_factory.mktemp("recipes") / "photos"
    for part, count in (("train", 8), ("test", 4)):
        for name in ("3", "8", "9"):
            (root / part / name).mkdir(parents=True)
            for path in sorted((scans / part / name).iterdir())[:count]:
                shutil.copy(path, root / part / name)
    return root


def test_list_names_all_recipes_and_show_prints_one(thawline):
    listed = thawline("recipe", "list")
    assert listed.code == 0
    assert len(listed.out.splitlines()) == len(package.recipe_names()) == 5
    told = thawline("recipe", "list", "--json").json
    assert [one["name"] for one in told] == list(package.recipe_names())
    assert all(one["title"] in listed.out for one in told)
    shown = thawline("recipe", "show", "monkeys")
    assert shown.code == 0
    assert shown.out.strip() == package.load_recipe("monkeys").text.strip()
    assert "thawline recipe run monkeys" in shown.out


def test_a_recipe_of_ones_own_is_shown_run_and_reported(own, pictures, thawline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert thawline("recipe", "show", own).out.strip() == OWN.strip()
    said = thawline("recipe", "run", own, "--data", pictures, "--outside", pictures / "test")
    assert said.code == 0, said.err
    out = tmp_path / "runs" / "my-own"
    assert {path.name for path in out.iterdir()} == FILES
    assert said.out.startswith("Three digits, mine\n  12 held-out pictures, read once, efficientnet_lite0\n")
    assert "PASS  goal 0.010" in said.out
    assert "\n  open runs/my-own/report.html\n  thawline predict runs/my-own/model new/\n" in said.out
    told = json.loads((out / "run.json").read_text(encoding="utf-8"))
    with (out / "comparison.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == [row["row"] for row in told["rows"]] == ["solved", "by epochs"]
    assert all(
        float(row["accuracy"]) == pytest.approx(one["accuracy"], abs=1e-4)
        for row, one in zip(rows, told["rows"], strict=True)
    )
    page = (out / "report.html").read_bytes()
    assert b"your own test folder" in page
    (out / "report.html").unlink()
    assert thawline("report", out).code == 0
    assert (out / "report.html").read_bytes() == page
    answers = thawline("predict", out / "model", pictures / "test", "--json").rows
    right = sum(row["label"] == row["path"].split("/")[-2] for row in answers)
    assert right / len(answers) == told["rows"][1]["accuracy"]  # the last row is delivered


@pytest.mark.slow
def test_a_run_in_a_process_of_its_own_speaks_json_and_takes_every_flag(own, pictures, shell, tmp_path):
    words = ("--protocol", "folds", "--limit", "6", "--one-against-rest", "8", "--epochs", "2", "--seed", "3", "--json")
    said = shell("recipe", "run", own, "--data", pictures, "-o", tmp_path / "out", *words)
    assert said.code == 0, said.err
    assert said.json["rule"] == "2 folds × 1"
    assert len({row["n"] for row in said.json["rows"]}) == 1
    assert (said.json["options"]["limit"], said.json["options"]["seed"]) == (6, 3)
    assert package.load(tmp_path / "out" / "model").class_names == ("8", "rest")


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused_in_a_few_words(kind, pictures, thawline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "evil.toml").write_bytes(HOSTILE[kind].encode())
    (tmp_path / "evil.pkl").write_bytes(b"cos\nsystem\n(S'touch here'\ntR.")
    said = thawline("recipe", "run", "evil.toml", "--data", pictures)
    assert said.code in (1, 2), said.out
    assert said.out == ""
    message = said.err.strip().splitlines()[-1]
    assert message.startswith(
        "thawline: weights evil.pkl" if kind == "a pickle of weights" else "thawline: recipe evil"
    )
    assert "Traceback" not in said.err
    assert len(message) < 2_000
    assert {path.name for path in tmp_path.iterdir()} <= {"evil.toml", "evil.pkl", "cache"}


def test_files_that_are_no_recipe_are_refused(thawline, tmp_path, pictures):
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "zeros.toml").symlink_to("/dev/zero")
    for name, words in (("folder", "directory"), ("zeros", "longer than a MiB"), ("missing", "No such file")):
        said = thawline("recipe", "run", tmp_path / f"{name}.toml", "--data", pictures)
        assert said.code == 2
        assert words in said.err


def test_what_the_command_cannot_do_is_said_before_the_work(own, pictures, thawline, tmp_path):
    for words, said in (
        (("run", "monkies"), "Did you mean monkeys?"),
        (("run", own), "--data PHOTOS"),
        (("run", own, "--data", pictures, "--epochs", "0"), "--epochs 0"),
        (("run", own, "--data", pictures, "--outside", tmp_path / "nowhere"), "holds no pictures"),
        (("run", own, "--data", pictures, "--protocol", "luck"), "luck"),
    ):
        told = thawline("recipe", *words)
        assert told.code == 2, told.out
        assert said in told.err
        assert "Traceback" not in told.err
