"""What `predict` and `unsort` make of their words: places, forms, files, and what they refuse before any work."""

from __future__ import annotations

import csv
import io
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from thawline.cli import predict_command
from thawline.cli.app import main
from thawline.core.errors import DataError
from thawline.use import model_place, watching
from thawline.use.answer import Answer
from thawline.use.doubt import Doubt


class Shades:
    """A model that tells dark pictures from light ones, and is not sure of grey ones."""

    class_names, batch_size = ("dark", "light"), 2
    doubt = Doubt(read_from=None, false_alarms=0.01, num_groups=9, error_rate=0.05, min_probability=0.7)

    def prepare(self, data, *, max_megapixels=50):
        try:
            return (np.asarray(Image.open(io.BytesIO(data)).convert("RGB")),), ()
        except OSError:
            raise DataError("no picture") from None

    def answers_to(self, batch):
        light = np.array([pixels.mean() / 255 for (pixels,) in batch], dtype=np.float32)
        return Answer(np.stack([1 - light, light], axis=1), None)

    def in_streams(self, work, items):
        return map(work, items)


@pytest.fixture
def thawline(monkeypatch, capsys):
    """Return what runs a command with that model, and returns code, output and errors."""
    monkeypatch.setattr(model_place, "open_model", lambda *_, **__: Shades())

    def run(*words, stdin=b""):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err, lines=said.out.splitlines())

    return run


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    for name, shade in {"black.png": 0, "grey.png": 128, "white.png": 255}.items():
        Image.new("L", (8, 8), shade).save(folder / name)
    return folder


def names(lines):
    return [line.rsplit("/", 1)[1] for line in lines]


def test_names_come_from_standard_input_by_line_or_by_nul(thawline, photos):
    given = [bytes(photos / name) for name in ("white.png", "black.png")]
    for stdin in (b"\n".join(given) + b"\n", b"\0".join(given) + b"\0", b"\r\n".join(given)):
        assert names(thawline("predict", "run", "-", stdin=stdin).lines) == ["white.png", "black.png"]


def test_a_quoted_glob_is_opened_and_one_without_a_match_is_a_row(thawline, photos):
    said = thawline("predict", "run", photos / "*[ck].png", photos / "*.gif")
    assert [line[:5] for line in said.lines] == ["1.000", "  ---"]
    assert said.lines[1].endswith("*.gif: no file has a name like this")


def test_the_ending_of_the_file_says_its_form(thawline, photos, tmp_path):
    for name, first in {"a.csv": "path,label", "a.jsonl": '{"path"', "a.txt": "1.000  dark"}.items():
        said = thawline("predict", "run", photos, "-o", tmp_path / "out" / name)
        assert (said.code, said.out) == (0, "")
        assert (tmp_path / "out" / name).read_text().startswith(first)
        assert "predict: 3 pictures: 2 answered, 1 not sure\n" in said.err
    assert thawline("predict", "run", photos, "-o", tmp_path / "b.csv", "--table").code == 0
    assert (tmp_path / "b.csv").read_text().startswith("picture")


def test_the_file_is_whole_or_not_there_and_never_overwritten_unasked(thawline, photos, tmp_path):
    out = tmp_path / "a.csv"
    out.write_text("mine")
    said = thawline("predict", "run", photos, "-o", out)
    assert (said.code, out.read_text()) == (2, "mine")
    assert "a.csv stands there already. Choose another name with -o, or pass --replace" in said.err
    assert thawline("predict", "run", photos, "-o", out, "--replace").code == 0
    assert len(list(csv.reader(io.StringIO(out.read_text())))) == 4
    assert thawline("predict", "run", photos, "-o", tmp_path, "--replace").code == 2
    (photos / "bad.png").write_bytes(b"x")
    said = thawline("predict", "run", photos / "bad.png", "-o", tmp_path / "bad.jsonl")
    assert said.code == 1
    assert json.loads((tmp_path / "bad.jsonl").read_text())["error"] == "no picture"


def test_top_names_the_first_classes_in_every_form(thawline, photos):
    grey = photos / "grey.png"
    assert thawline("predict", "run", grey, "-k", "2").out.startswith("0.502  light, 0.498  dark  ")
    assert list(json.loads(thawline("predict", "run", grey, "--json", "--top", "1").out)["probabilities"]) == ["light"]
    assert thawline("predict", "run", grey, "--table", "--top", "9").code == 0
    assert thawline("predict", "run", grey, "--top", "0").code == 2


def test_sorted_pictures_are_told_and_unsorted(thawline, photos, tmp_path):
    out = tmp_path / "sorted"
    said = thawline("predict", "run", photos, "--sort-into", out)
    assert len(said.lines) == 3
    assert "3 pictures put into" in said.err
    assert sorted(path.relative_to(out).as_posix() for path in out.glob("*/*")) == [
        "dark/black.png", "light/white.png", "not sure/grey.png",
    ]  # fmt: skip
    said = thawline("predict", "run", photos, "--sort-into", out, "--link")
    assert "0 pictures put into" in said.err
    assert "(3 stood there already)" in said.err
    (out / "dark" / "black.png").write_bytes(b"mine")
    said = thawline("unsort", out)
    assert said.out.startswith("removed 2 pictures from")
    assert f"left alone, changed since it was put there: {out}/dark/black.png" in said.out
    assert (out / "dark" / "black.png").read_bytes() == b"mine"
    assert json.loads(thawline("unsort", out, "--json").out) == {"removed": 0, "changed": ["dark/black.png"]}


def test_a_watched_folder_is_answered_until_it_is_stopped(thawline, photos, tmp_path, monkeypatch):
    looks = []

    def wait(seconds):
        looks.append(seconds)
        if len(looks) == 2:
            Image.new("L", (8, 8), 250).save(photos / "late.png")
        if len(looks) == 5:
            raise KeyboardInterrupt

    real = watching.arrivals
    monkeypatch.setattr(watching, "arrivals", lambda folder: real(folder, wait=wait))
    said = thawline("predict", "run", "--watch", photos, "-o", tmp_path / "a.jsonl", "--sort-into", tmp_path / "sorted")
    assert said.code == 0
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [row["path"].rsplit("/", 1)[1] for row in rows] == ["black.png", "grey.png", "white.png", "late.png"]
    assert (tmp_path / "sorted" / "light" / "late.png").exists()
    assert "4 pictures: 3 answered, 1 not sure" in said.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "no pictures are named"),
        (["x", "--json", "--csv"], "--json and --csv contradict each other"),
        (["x", "--link"], "--link is for --sort-into"),
        (["x", "--watch", "y"], "--watch names its folder itself"),
    ],
)
def test_what_contradicts_itself_is_refused_before_the_model_is_opened(words, problem, capsys, monkeypatch):
    monkeypatch.setattr(model_place, "open_model", lambda *_, **__: pytest.fail("opened"))
    assert main(["predict", "run", *words]) == 2
    assert problem in capsys.readouterr().err


def test_one_folder_inside_the_other_is_refused(thawline, photos):
    said = thawline("predict", "run", photos, "--sort-into", photos / "sorted")
    assert said.code == 1
    assert "are inside one another" in said.err
    assert not (photos / "sorted").exists()


def test_forms_by_ending_are_forms_that_exist():
    assert set(predict_command.FORM_OF_ENDING.values()) <= {"csv", "json"}
