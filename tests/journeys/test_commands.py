"""The commands as a person types them: what they write, what they say and where, and what scripts may rely on."""

from __future__ import annotations

import csv
import inspect
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from thawline.cli.app import app
from thawline.core.version import __version__

OUTPUTS = (
    "run.json", "ledger.csv", "leaderboard.json", "history.csv", "report.html", "metrics.json", "predictions.csv",
    "model_card.md", "figures", "suspects.csv", "learning_curve.json", "model",
)  # fmt: skip
COMMANDS = (
    "fit", "tune", "predict", "check", "compare", "extract", "evaluate", "report", "demo", "cache list", "cache prune",
    "cache verify", "cache compact",
    "export-data", "export", "serve", "recipe list", "recipe show", "recipe run", "completion", "unsort", "verify",
)  # fmt: skip
TIMINGS = {"seconds", "took_s", "fit_s", "predict_ms"}
PROGRESS = re.compile(r"^(check|extract|compare|evaluate|predict|model|report): .*\d", re.MULTILINE)


def without_timings(board):
    """Return a leaderboard without what a clock decided."""
    lists = {
        part: [{name: value for name, value in row.items() if name not in TIMINGS} for row in board[part]]
        for part in ("trials", "tried")
    }
    return {**{name: value for name, value in board.items() if name not in TIMINGS}, **lists}


def scramble(folder):
    """Move all pictures of every class into the folder of the next one."""
    files = {name: sorted((folder / name).iterdir()) for name in "389"}
    for name, other in zip("389", "893", strict=True):
        for path in files[name]:
            path.rename(folder / other / path.name)


def picture_bytes(seed):
    """Return an encoded picture that is unlike those of other seeds."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC).save(stream, "PNG")
    return stream.getvalue()


# fit


def test_fit_writes_all_outputs_and_leaves_nothing_else_behind(run):
    assert all((run.out / name).stat().st_size > 0 for name in OUTPUTS)
    assert (run.out / "model/manifest.json").is_file()
    assert {path.name for path in run.out.iterdir()} == {*OUTPUTS, "leaderboard.csv", "report.json", ".thawline.json"}


def test_run_json_has_what_scripts_rely_on(run):
    facts = run.read("run.json")
    assert facts["pictures"] == {"used": 55, "skipped": 1, "leaked": 1}
    assert facts["extraction"]["pictures"] == 54  # the copy is not extracted twice
    assert facts["extraction"]["seconds"] > 0
    test = facts["test"]
    assert (test["n"], test["n_without_leaks"]) == (19, 18)
    assert 0 <= test["low"] <= test["accuracy"] <= test["high"] <= 1
    assert test["accuracy"] * 19 == pytest.approx(round(test["accuracy"] * 19))
    assert test["accuracy_without_leaks"] * 18 == pytest.approx(round(test["accuracy_without_leaks"] * 18))
    assert test["accuracy"] > 0.6
    assert facts["winner"] in [trial["strategy"] for trial in run.read("leaderboard.json")["trials"]]


def test_run_json_says_how_it_came_about(run):
    facts = run.read("run.json")
    assert facts["thawline"] == __version__
    assert {"python", "torch", "timm"} <= set(facts["versions"])
    assert (facts["options"]["seed"], facts["options"]["folds"], facts["options"]["fit"]) == (0, 5, "crop")
    assert facts["seconds"]["extract_s"] > 0
    assert facts["backbone"]["name"] == "efficientnet_lite0"
    assert len(facts["backbone"]["sha256"]) == 64


def test_leaderboard_json_has_what_scripts_rely_on(run):
    board = run.read("leaderboard.json")
    assert board["metric"] == "accuracy"
    assert len(board["trials"]) > 17
    for trial in board["trials"]:
        assert {"strategy", "kind", "mean", "low", "high", "tied"} <= set(trial)
        assert trial["kind"] in {"scratch", "frozen", "partial", "full"}
        assert 0 <= trial["low"] <= trial["mean"] <= trial["high"] <= 1
        assert isinstance(trial["tied"], bool)
    means = [trial["mean"] for trial in board["trials"]]
    assert means == sorted(means, reverse=True)
    assert board["trials"][0]["tied"]
    assert next(trial for trial in board["trials"] if trial["strategy"] == board["winner"])["tied"]


def test_the_ledger_has_a_row_for_every_file(run):
    rows = list(csv.DictReader(io.StringIO((run.out / "ledger.csv").read_text(encoding="utf-8"))))
    files = {path.relative_to(run.photos).as_posix() for path in run.photos.rglob("*") if path.is_file()}
    assert {row["path"] for row in rows} == files
    assert [row["path"] for row in rows if row["status"] == "skipped"] == ["train/9/notes.txt"]
    assert {row["split"] for row in rows} == {"train", "test"}


def test_fit_ends_by_saying_what_was_found_and_what_to_do_next(run):
    out, facts = run.said.out, run.read("run.json")
    assert out.startswith("Leaderboard: accuracy over 36 pictures")
    assert f"Winner: {facts['winner']}" in out
    score = "{accuracy:.3f} [{low:.3f}, {high:.3f}] of 19 pictures".format(**facts["test"])
    assert f"Test: {score}" in out
    assert f"{facts['test']['accuracy_without_leaks']:.3f} [" in out.split(score)[1]
    assert all((run.out / name).exists() for name in OUTPUTS)
    last = out.split("\n\n")[-1]
    assert last == f"  open {run.out}/report.html\n  thawline predict {run.out}/model new/\n"
    answer = out.split("\n\n")[-2].splitlines()[0]
    assert re.fullmatch(
        r"The model should be right on \d\.\d{3} \[.*\] of further pictures like these: measured on .*\.", answer
    )


def test_scripts_find_scores_and_predictions(run):
    test, scores = run.read("run.json")["test"], run.read("metrics.json")
    assert scores["accuracy"] == {"value": test["accuracy"], "low": test["low"], "high": test["high"], "n": test["n"]}
    assert all(set(score) == {"value", "low", "high", "n"} for score in scores.values())
    rows = list(csv.DictReader(io.StringIO((run.out / "predictions.csv").read_text(encoding="utf-8"))))
    of_test = [row for row in rows if row["part"] == "test"]
    assert list(rows[0])[:7] == ["path", "part", "label", "predicted", "probability", "abstained", "suspect"]
    assert (len(of_test), len(rows)) == (19, 19 + 36)
    assert sum(row["label"] == row["predicted"] for row in of_test) == round(19 * test["accuracy"])


def test_progress_goes_to_standard_error_in_plain_lines_and_nowhere_else(run):
    assert re.search(r"^check: 56 pictures in \d", run.said.err, re.MULTILINE)
    assert re.search(r"^extract: 54 pictures in \d+\.\d s, \d+/s$", run.said.err, re.MULTILINE)
    assert re.search(r"^compare: ", run.said.err, re.MULTILINE)
    assert not re.search(r"[\x1b\r\b]", run.said.err)
    assert not PROGRESS.search(run.said.out)


def test_progress_on_a_terminal_is_a_bar_with_rate_and_time_left(run):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    call = [sys.executable, "-m", "thawline", "check", run.photos, "--json"]
    child = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # the child has closed its end
        pass
    os.close(ours)
    out, _ = child.communicate(timeout=600)
    bar = seen.decode()
    assert "\x1b[" in bar
    assert "━" in bar
    assert "56/56" in bar
    assert re.search(r"\d/s", bar)
    assert re.search(r"\d:\d\d:\d\d.*\d:\d\d:\d\d", bar)
    assert json.loads(out)["used"] == 55


def test_fit_again_extracts_nothing_and_finds_the_same(run, thawline, shared_cache, tmp_path):
    said = thawline("fit", run.photos, "-o", tmp_path / "again", "--json")
    assert said.code == 0
    facts, first = said.json, run.read("run.json")
    assert facts == json.loads((tmp_path / "again/run.json").read_text())
    assert facts["extraction"]["pictures"] == 0
    assert facts["test"] == first["test"]
    board = json.loads((tmp_path / "again/leaderboard.json").read_text())
    assert without_timings(board) == without_timings(run.read("leaderboard.json"))
    assert "\nextract: 5" not in said.err


def test_only_pictures_that_are_new_are_extracted(thawline, photos, shared_cache, tmp_path):
    for number in range(3):
        (photos / "train/8" / f"new{number}.png").write_bytes(picture_bytes(number))
    said = thawline("fit", photos, "-o", tmp_path / "out", "--json")
    assert said.json["extraction"]["pictures"] == 3
    assert said.json["pictures"]["used"] == 58


def test_renaming_a_class_and_moving_the_folder_extract_nothing(thawline, photos, shared_cache, tmp_path):
    for part in ("train", "test"):
        (photos / part / "3").rename(photos / part / "three")
    moved = photos.rename(tmp_path / "moved")
    said = thawline("extract", moved, "--json")
    assert (said.json["extracted"], said.json["damaged_rows"]) == (0, 0)
    said = thawline("compare", moved, "--json")
    assert said.code == 0
    assert "extract:" not in said.err


def test_scrambled_test_labels_leave_the_leaderboard_identical(run, thawline, photos, shared_cache, tmp_path):
    scramble(photos / "test")
    said = thawline("fit", photos, "-o", tmp_path / "out", "--json")
    assert said.json["test"]["accuracy"] < 0.4
    board = json.loads((tmp_path / "out/leaderboard.json").read_text())
    assert without_timings(board) == without_timings(run.read("leaderboard.json"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out/model").glob("*.safetensors")} == {
        path.name: path.read_bytes() for path in (run.out / "model").glob("*.safetensors")
    }
    models = [json.loads((out / "model/manifest.json").read_text()) for out in (tmp_path / "out", run.out)]
    assert models[0]["temperature"] == models[1]["temperature"]


@pytest.mark.slow
def test_scrambled_test_labels_leave_the_leaderboard_of_a_tuning_identical(
    tuned, thawline, photos, shared_cache, tuning, tmp_path
):
    scramble(photos / "test")
    said = thawline("tune", photos, *tuning, "-o", tmp_path / "out", "--json")
    assert said.json["winner"] == tuned.read("run.json")["winner"]
    assert said.json["test"]["accuracy"] < 0.4
    board = json.loads((tmp_path / "out/leaderboard.json").read_text())
    assert without_timings(board) == without_timings(tuned.read("leaderboard.json"))
    assert (tmp_path / "out/history.csv").read_bytes() == (tuned.out / "history.csv").read_bytes()


def test_a_goal_is_reached_or_not_in_the_terminal_and_in_run_json(run, thawline, shared_cache, tmp_path):
    for goal, outcome in (("0.01", "PASS  goal 0.010: reached"), ("1", "FAIL  goal 1.000: not reached")):
        said = thawline("fit", run.photos, "-o", tmp_path / "out", "--goal", goal)
        assert outcome in said.out
        facts = json.loads((tmp_path / "out/run.json").read_text())
        assert (facts["goal"], facts["goal_reached"]) == (float(goal), outcome.startswith("PASS"))


def test_without_a_test_folder_a_fifth_is_held_out(run, thawline, shared_cache, tmp_path):
    said = thawline("fit", run.photos / "train", "-o", tmp_path / "out", "--json")
    assert said.json["pictures"] == {"used": 36, "skipped": 1, "leaked": 0}
    assert 6 <= said.json["test"]["n"] <= 9


# predict


def test_predict_prints_a_line_a_picture(run, thawline):
    said = thawline("predict", run.out / "model", run.photos / "test/3")
    lines = said.out.splitlines()
    assert said.code == 0
    assert len(lines) == 6
    assert all(re.fullmatch(r"[01]\.\d{3}  [389]  .+/test/3/\d{4}\.png", line) for line in lines)
    assert re.search(r"^predict: 6 pictures", said.err, re.MULTILINE)


def test_predict_as_json_has_what_scripts_rely_on(run, thawline, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    one = min((run.photos / "test/9").iterdir())
    said = thawline("predict", run.out / "model", run.photos / "test/3", bad, one, tmp_path / "gone.png", "--json")
    assert said.code == 0
    rows = said.rows
    assert len(rows) == 9
    good, wrong = rows[:6] + rows[7:8], [rows[6], rows[8]]
    for row in good:
        assert set(row) == {"path", "label", "probability", "probabilities", "abstained", "outside"}
        assert set(row["probabilities"]) == {"3", "8", "9"}
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["probability"] == row["probabilities"][row["label"]] == max(row["probabilities"].values())
    assert [row["path"] for row in good[:6]] == [str(path) for path in sorted((run.photos / "test/3").iterdir())]
    assert good[6]["path"] == str(one)
    assert [set(row) for row in wrong] == [{"path", "error"}] * 2
    assert [row["path"] for row in wrong] == [str(bad), str(tmp_path / "gone.png")]
    assert wrong[0]["error"] == "text, not a picture"
    assert wrong[1]["error"] == "no such file"


def test_predict_that_can_read_nothing_fails_in_the_end(run, thawline, tmp_path):
    bad = tmp_path / "folder" / "bad.jpg"
    bad.parent.mkdir()
    said = thawline("predict", run.out / "model", bad.parent)
    assert (said.code, said.out) == (1, "")
    assert f"predict {bad.parent}: there is no file. Name pictures, or folders that hold some" in said.err
    bad.write_text("no picture")
    said = thawline("predict", run.out / "model", bad.parent, tmp_path / "gone.png", "--json")
    assert [row["error"] for row in said.rows] == ["text, not a picture", "no such file"]
    assert said.code == 1
    assert "no file could be read, each row says why. Name pictures" in said.err


def test_predict_says_the_same_in_every_form(run, thawline, tmp_path):
    bad = tmp_path / "bad, very.jpg"
    bad.write_text("no picture")
    words = ("predict", run.out / "model", run.photos / "test/8", bad)
    rows = thawline(*words, "--json").rows
    table = list(csv.DictReader(io.StringIO(thawline(*words, "--csv").out)))
    plain = thawline(*words).out.splitlines()
    assert list(table[0])[:9] == ["path", "label", "probability", "3", "8", "9", "error", "abstained", "outside"]
    assert list(table[0])[9:] == ["doubt", "remark"]
    assert len(rows) == len(table) == len(plain) == 8
    for row, cells, line in zip(rows[:-1], table[:-1], plain[:-1], strict=True):
        assert (cells["path"], cells["label"], cells["error"]) == (row["path"], row["label"], "")
        assert float(cells["probability"]) == pytest.approx(row["probability"])
        assert float(cells["8"]) == pytest.approx(row["probabilities"]["8"])
        assert (cells["abstained"], float(cells["outside"])) == (str(row["abstained"]).lower(), row["outside"])
        doubt = f" ({row['doubt']})" if row["abstained"] else ""
        assert line == f"{row['probability']:.3f}  {row['label']}  {row['path']}{doubt}"
    assert (table[-1]["path"], table[-1]["label"], table[-1]["error"]) == (str(bad), "", "text, not a picture")
    assert plain[-1] == f"  ---  {bad}: text, not a picture"


def test_predictions_give_the_score_that_the_run_states(run, thawline):
    rows = thawline("predict", run.out / "model", run.photos / "test", "--json").rows
    right = [row["label"] == row["path"].split("/")[-2] for row in rows]
    assert sum(right) / len(right) == pytest.approx(run.read("run.json")["test"]["accuracy"])


# evaluate, report


def test_evaluate_gives_the_score_of_the_run(run, thawline):
    said, test = thawline("evaluate", run.out / "model", run.photos, "--json"), run.read("run.json")["test"]
    facts = said.json
    assert facts["accuracy"] == {name: test[name] for name in ("low", "high", "n")} | {"value": test["accuracy"]}
    assert facts["accuracy_without_leaks"]["value"] == test["accuracy_without_leaks"]
    assert (facts["accuracy_without_leaks"]["n"], facts["num_leaked"]) == (18, 1)
    assert np.trace(facts["confusion"]) == round(test["accuracy"] * 19)
    said = thawline("evaluate", run.out / "model", run.photos)
    assert said.out.startswith("Test: {accuracy:.3f} [{low:.3f}, {high:.3f}] of 19 pictures".format(**test))


def test_report_is_made_again_to_the_byte(run, thawline, tmp_path):
    copy = shutil.copytree(run.out, tmp_path / "run")
    (copy / "report.html").unlink()
    said = thawline("report", copy)
    assert (said.code, said.out) == (0, f"{copy / 'report.html'}\n")
    assert (copy / "report.html").read_bytes() == (run.out / "report.html").read_bytes()
    assert thawline("report", copy, "--json").json == {"report": str(copy / "report.html")}


def test_two_runs_stand_side_by_side_on_one_page(run, thawline, tmp_path):
    copy = shutil.copytree(run.out, tmp_path / "runs" / "copy")
    said = thawline("report", copy, run.out)
    page = tmp_path / "runs" / "compared.html"
    assert (said.code, said.out) == (0, f"{page}\n")
    text = page.read_text(encoding="utf-8")
    assert "19 test pictures that all of them were tested on." in text
    assert "Nothing that is on record" in text
    other = tmp_path / "other.html"
    assert thawline("report", copy, run.out, "-o", other, "--json").json == {"report": str(other)}
    assert other.read_bytes() == page.read_bytes()
    assert "-o is for several runs" in thawline("report", copy, "-o", other).err
    assert "is named twice" in thawline("report", copy, copy).err


def test_the_report_says_what_the_run_says(run):
    text, facts = (run.out / "report.html").read_text(encoding="utf-8"), run.read("run.json")
    assert facts["winner"] in text
    assert f"{facts['test']['accuracy']:.3f}" in text or f"{100 * facts['test']['accuracy']:.1f}" in text
    assert f"fit {run.photos} -o {run.out}" in text
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)


# compare, extract, check


def test_compare_shows_the_thaw_line_and_the_leaderboard(run, thawline, shared_cache):
    said = thawline("compare", run.photos)
    assert said.code == 0
    assert said.out.startswith("The thaw line")
    assert said.out.count("← best") == 1
    assert "\nLeaderboard: accuracy over 36 pictures" in said.out
    assert not PROGRESS.search(said.out)


def test_compare_as_json_is_the_leaderboard_of_fit(run, thawline, shared_cache):
    said = thawline("compare", run.photos, "--json")
    assert without_timings(said.json) == without_timings(run.read("leaderboard.json"))


def test_compare_uses_every_picture_where_there_is_no_test(run, thawline, shared_cache):
    assert thawline("compare", run.photos / "train", "--json").json["num_pictures"] == 36


def test_options_reach_the_comparison(run, thawline, shared_cache):
    words = ("compare", run.photos, "--folds", "3", "--repeats", "1", "--metric", "balanced_accuracy", "--json")
    board = thawline(*words).json
    assert (board["metric"], board["rule"]) == ("balanced_accuracy", "3 folds × 1")
    assert len(board["trials"][0]["fold_scores"]) == 3


def test_extract_fills_the_cache_that_the_others_read(run, thawline, own_cache):
    said = thawline("extract", run.photos, "--size", "64", "--pooling", "mean", "--json")
    facts = said.json
    assert {name: facts[name] for name in ("pictures_in_bank", "extracted", "damaged_rows")} == {
        "pictures_in_bank": 54, "extracted": 54, "damaged_rows": 0,
    }  # fmt: skip
    assert facts["directory"] == str(own_cache / "banks" / facts["bank"])
    again = thawline("extract", run.photos, "--size", "64", "--pooling", "mean")
    assert re.search(r"^ +extracted  0$", again.out, re.MULTILINE)
    assert re.search(rf"^ +bank  {facts['bank']}$", again.out, re.MULTILINE)


def test_check_as_json_has_what_scripts_rely_on(thawline, photos):
    (photos / "test/3/other.png").write_bytes(min((photos / "train/9").glob("*.png")).read_bytes())
    said = thawline("check", photos, "--json")
    facts = said.json
    assert {"used", "skipped", "exact_copies", "near_copies", "leaks", "conflicts"} <= set(facts)
    eight, nine = (min((photos / "train" / name).glob("*.png")).name for name in "89")
    assert facts["used"] == 56
    assert facts["skipped"] == [{"path": "train/9/notes.txt", "reason": "text, not a picture"}]
    assert facts["leaks"] == [
        {"path": "test/3/other.png", "of": f"train/9/{nine}"},
        {"path": "test/8/again.png", "of": f"train/8/{eight}"},
    ]
    assert sorted(map(sorted, facts["exact_copies"])) == [
        ["test/3/other.png", f"train/9/{nine}"],
        ["test/8/again.png", f"train/8/{eight}"],
    ]
    assert len(facts["conflicts"]) == 1
    assert said.code == 0


def test_check_in_words(run, thawline):
    said = thawline("check", run.photos)
    assert said.out.startswith("55 pictures used in 3 classes\n")
    assert "train/9/notes.txt: text, not a picture" in said.out
    assert "1 held-out picture with a copy in training:\n  test/8/again.png ≈ train/8/" in said.out


def test_check_can_stop_at_bad_files(run, thawline):
    said = thawline("check", run.photos, "--on-bad", "stop")
    assert (said.code, said.out) == (1, "")
    assert "1 of 56 pictures cannot be used: train/9/notes.txt (text, not a picture)" in said.err


# export-data, other names


@pytest.mark.parametrize("form", ["folder", "parquet"])
def test_what_was_exported_needs_no_extraction(form, run, thawline, tmp_path, shared_cache):
    said = thawline("export-data", run.photos, "-o", tmp_path / "out", "--format", form)
    assert said.code == 0
    assert said.out.startswith("54 pictures in 3 classes: 35 train, 19 test (the parts that the pictures came in)\n")
    assert said.out.endswith(f"\n  {tmp_path / 'out'}\n")
    assert re.search(r"^export: 54 pictures in ", said.err, re.MULTILINE)
    done = thawline("extract", tmp_path / "out", "--json")
    assert done.json["extracted"] == 0
    assert done.json["bank"] == run.read("run.json")["bank"]
    facts = thawline("export-data", run.photos, "-o", tmp_path / "out", "--format", form, "--json").json
    assert (facts["out"], facts["form"], facts["pictures"]) == (str(tmp_path / "out"), form, 54)
    kept = {path: path.read_bytes() for path in run.photos.rglob("*.png")}
    refused = thawline("export-data", run.photos, "-o", run.photos / "train")
    assert (refused.code, refused.out) == (1, "")
    assert "are inside one another. Choose another place with -o." in refused.err
    assert {path: path.read_bytes() for path in run.photos.rglob("*.png")} == kept


def test_names_and_limit_reach_check_and_evaluate(run, thawline, tmp_path):
    names = tmp_path / "names.csv"
    names.write_text("3,three\n8,8\n9,9\n")
    said = thawline("check", run.photos, "--class-names", names, "--limit", "4", "--json")
    assert said.json["class_counts"] == {"three": 8, "8": 8, "9": 8}
    said = thawline("evaluate", run.out / "model", run.photos, "--class-names", names)
    assert said.code == 1
    assert "evaluate: three: not among the model's classes (3, 8, 9)" in said.err
    said = thawline("check", run.photos, "--one-against-rest", "thre", "--class-names", names)
    assert "has no class 'thre'. Did you mean three?" in said.err


# cache


@pytest.fixture
def one_bank(run, tmp_path):
    """Return a cache that holds the run's bank and nothing of the journeys that shared its cache."""
    place = Path("banks") / run.read("run.json")["bank"]
    shutil.copytree(run.cache / place, tmp_path / "copy" / place)
    return tmp_path / "copy"


def test_cache_is_listed_and_pruned(run, thawline, one_bank):
    cache = one_bank
    (entry,) = thawline("cache", "list", "--cache-dir", cache, "--json").json
    assert {"key", "backbone", "size_bytes", "last_used", "directory"} <= set(entry)
    assert entry["key"] == run.read("run.json")["bank"]
    assert (entry["backbone"], entry["directory"]) == ("efficientnet_lite0", str(cache / "banks" / entry["key"]))
    size = sum(path.stat().st_size for path in (cache / "banks").rglob("*") if path.is_file())
    assert entry["size_bytes"] == size
    said = thawline("cache", "list", "--cache-dir", cache)
    assert said.out.startswith(entry["key"])
    assert said.out.endswith(f"\n1 entry, {size / 2**20:.1f} MiB\n")
    kept = thawline("cache", "prune", "--keep-mib", "100", "--older-than-days", "1", "--cache-dir", cache, "--json")
    assert kept.json == []
    removed = thawline("cache", "prune", "--keep-mib", "0.1", "--yes", "--cache-dir", cache, "--json")
    assert [item["key"] for item in removed.json] == [entry["key"]]
    assert thawline("cache", "list", "--cache-dir", cache, "--json").json == []
    assert list(cache.rglob("*.*")) == []


def test_verify_finds_damage_tells_it_and_the_next_run_extracts_again(run, thawline, one_bank):
    cache = one_bank
    said = thawline("cache", "verify", "--cache-dir", cache)
    assert (
        said.code,
        re.fullmatch(r"[0-9a-f]{32} +[0-9,]+ rows sound\n1 bank, [0-9,]+ rows sound\n", said.out) is None,
    ) == (
        0,
        False,
    )
    file = next(cache.glob("banks/*/segments/*/rows.npy"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    said = thawline("cache", "verify", "--cache-dir", cache)
    assert said.code == 1
    assert f"1 row damaged and removed ({file.parent.name})" in said.out
    assert "damage was found and removed (1 row); the rest is whole. The next run that needs those pictures" in said.err
    (found,) = thawline("cache", "verify", "--cache-dir", cache, "--json").json
    assert (found["num_damaged"], found["is_index_damaged"]) == (0, False)
    assert thawline("extract", run.photos, "--cache-dir", cache, "--json").json["extracted"] == 1


def test_a_damaged_row_is_extracted_again_by_the_run_that_reads_it(run, thawline, one_bank, tmp_path):
    cache = one_bank
    before = run.read("leaderboard.json")
    file = next(cache.glob("banks/*/segments/*/rows.npy"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    data[-len(data) // 2] ^= 1
    file.write_bytes(data)
    said = thawline("fit", run.photos, "-o", tmp_path / "again", "--cache-dir", cache)
    assert said.code == 0
    assert "extract: the bank was damaged, 2 pictures once more" in said.err
    again = json.loads((tmp_path / "again/run.json").read_bytes())
    assert (again["extraction"]["damaged_rows"], again["extraction"]["pictures"]) == (2, 2)
    board = json.loads((tmp_path / "again/leaderboard.json").read_bytes())
    assert without_timings(board) == without_timings(before)
    assert thawline("cache", "verify", "--cache-dir", cache).code == 0


def test_compact_leaves_the_rows_as_they_were(run, thawline, one_bank, tmp_path):
    (done,) = thawline("cache", "compact", "--cache-dir", one_bank, "--json").json
    assert (done["num_after"], done["num_repeated"]) == (1, 0)
    assert thawline("cache", "compact", "--cache-dir", one_bank).out.endswith(" 1 → 1 segment\n")
    assert thawline("extract", run.photos, "--cache-dir", one_bank, "--json").json["extracted"] == 0
    assert thawline("cache", "verify", "--cache-dir", one_bank).code == 0


def test_prune_without_a_limit_empties_the_cache(thawline, one_bank):
    cache = one_bank
    said = thawline("cache", "prune", "--yes", "--cache-dir", cache)
    assert re.fullmatch(r"[0-9a-f]{32} .*\nremoved 1 entry, \d\.\d MiB\n", said.out)
    assert thawline("cache", "list", "--cache-dir", cache).out == "0 entries, 0.0 MiB\n"


@pytest.mark.parametrize(("words", "listed"), [((), 1), (("--json",), 0)])
def test_prune_removes_nothing_where_nobody_can_be_asked(words, listed, thawline, one_bank):
    said = thawline("cache", "prune", "--cache-dir", one_bank, *words)
    assert said.code == 1
    assert said.out.count("efficientnet_lite0") == listed
    assert said.err.startswith("thawline: cache prune: nothing was removed: there is nobody to ask. Pass --yes")
    assert len(thawline("cache", "list", "--cache-dir", one_bank, "--json").json) == 1


@pytest.mark.parametrize(("answer", "kept"), [("y\n", 0), ("yes\n", 0), ("\n", 1), ("n\n", 1), ("", 1)])
def test_prune_asks_on_a_terminal(answer, kept, thawline, one_bank, monkeypatch):
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    (one_bank / "banks/2024").mkdir()
    said = thawline("cache", "prune", "--cache-dir", one_bank)
    assert said.code == kept
    assert "Remove 1 entry, " in said.err
    assert f"left alone, not Thawline's: {one_bank / 'banks/2024'}\n" in said.out
    assert len(thawline("cache", "list", "--cache-dir", one_bank, "--json").json) == kept
    assert (one_bank / "banks/2024").is_dir()


@pytest.mark.parametrize("words", [("--keep-mib", "-1"), ("--keep-mib", "nan"), ("--older-than-days", "-0.5")])
def test_prune_refuses_a_limit_that_is_none(words, thawline, one_bank):
    cache = one_bank
    said = thawline("cache", "prune", *words, "--cache-dir", cache)
    assert (said.code, said.out) == (2, "")
    assert f"{words[0]} {words[1]}: at least 0 is required" in said.err
    assert len(thawline("cache", "list", "--cache-dir", cache, "--json").json) == 1


# demo


def test_demo_on_ones_own_pictures(run, thawline, shared_cache, tmp_path):
    said = thawline("demo", run.photos, "-o", tmp_path / "demo")
    assert said.code == 0
    assert said.out.startswith("The thaw line")
    assert f"Winner: {run.read('run.json')['winner']}" in said.out
    assert all((tmp_path / "demo" / name).exists() for name in OUTPUTS)
    assert not (tmp_path / "demo/pictures").exists()


def test_demo_as_json_is_the_run(run, thawline, shared_cache, tmp_path):
    facts = thawline("demo", run.photos, "-o", tmp_path / "demo", "--json").json
    assert facts["test"] == run.read("run.json")["test"]


@pytest.mark.slow
def test_demo_shows_that_the_line_matters(thawline, tmp_path):
    said = thawline("demo", "-o", tmp_path / "demo")
    assert said.code == 0
    scores = [float(score) for score in re.findall(r"█ +(0\.\d{3})", said.out.split("\n\n")[0])]
    assert len(scores) == 17
    assert max(scores[:-2]) > scores[-1]
    assert len(list((tmp_path / "demo/pictures").rglob("*.png"))) == 1797


# help, version, module


def test_the_commands_of_the_issue_are_all_there_are():
    names = {name for name in app.resolved_commands() if not name.startswith("-")}
    assert names == {command.split()[0] for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_every_option(command, thawline, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")  # no line is broken
    function = app
    for word in command.split():
        function = function[word]
        monkeypatch.setattr(function, "_fallback_console", None)  # an earlier one has the width of its time
    said = thawline(*command.split(), "--help")
    assert (said.code, said.err) == (0, "")
    assert f"Usage: thawline {command}" in said.out
    assert inspect.getdoc(function.default_command).splitlines()[0].replace("`", "") in said.out
    rows = re.findall(r"^│ [* ]*(\S.*?) {2,}(.*?) *│$", said.out, re.MULTILINE)
    assert len(rows) == said.out.count("│\n") >= 1
    for names, text in rows:
        assert len(re.sub(r"\[.*?\]", "", text).strip()) > 10, f"{names} says nothing"


@pytest.mark.parametrize("command", sorted({*COMMANDS} - {"serve", "completion"}))
def test_every_command_speaks_json(command, thawline):
    assert "--json" in thawline(*command.split(), "--help").out


def test_help_alone_and_version(thawline):
    for words in ((), ("--help",)):
        said = thawline(*words)
        assert said.code == 0
        assert all(command.split()[0] in said.out for command in COMMANDS)
    assert thawline("--version").out.strip() == __version__


def test_the_module_is_the_command(shell):
    assert shell("--version").out.strip() == __version__
    said = shell("frobnicate")
    assert (said.code, said.out) == (2, "")


def test_waiting_threads_leave_the_processor_unless_the_person_says_otherwise(thawline, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    thawline("--version")
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    thawline("--version")
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_the_command_line_keeps_freed_memory(thawline, monkeypatch):
    asked = []
    monkeypatch.setattr("thawline.cli.app.keep_freed_memory", lambda: asked.append("kept"))
    thawline("--version")
    assert asked == ["kept"]


# the real pictures


@pytest.mark.slow
@pytest.mark.pictures
def test_monkeys_end_with_all_outputs(shared_data, shell, tmp_path):
    said = shell("fit", shared_data / "monkeys", "-o", tmp_path / "run", "--json")
    assert said.code == 0, said.err
    assert all((tmp_path / "run" / name).exists() for name in OUTPUTS)
    facts = said.json
    assert facts["test"]["n"] == 272
    assert facts["test"]["accuracy"] >= 0.97
    assert facts["pictures"]["leaked"] == 272 - facts["test"]["n_without_leaks"] >= 44 - 6
    assert facts["test"]["accuracy_without_leaks"] >= 0.96
    again = shell("fit", shared_data / "monkeys", "-o", tmp_path / "again", "--json")
    assert again.json["extraction"]["pictures"] == 0
    assert again.json["test"] == facts["test"]


@pytest.mark.slow
@pytest.mark.pictures
def test_celebrities_end_with_all_outputs(shared_data, shell, tmp_path):
    said = shell("fit", shared_data / "celebrities", "-o", tmp_path / "run")
    assert said.code == 0, said.err
    assert all((tmp_path / "run" / name).exists() for name in OUTPUTS)
    board = json.loads((tmp_path / "run/leaderboard.json").read_text())
    assert board["trials"][0]["mean"] > 0.85
    assert len(board["trials"][0]["depths"]) > 1  # what lies below the end of the network tells faces apart
    test = json.loads((tmp_path / "run/run.json").read_text())["test"]
    assert test["n"] > 60
    assert test["low"] < test["accuracy"] < test["high"]
