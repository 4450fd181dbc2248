"""Models in use on what people really bring: one class alone, odd names, turned pictures, classes of one picture."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import pytest
from PIL import Image

import thawline
from thawline.cli.app import main
from thawline.core.options import Options
from thawline.core.spreadsheet import true_cell

QUICK = {"size": 64, "folds": 2, "repeats": 1}
WORDS = ("--size", "64", "--folds", "2", "--repeats", "1")


@pytest.fixture(scope="module")
def base_model(make_case, tmp_path_factory):
    """Return the model folder of a quick run on the plain case."""
    place = tmp_path_factory.mktemp("base_run")
    thawline.fit(make_case("base"), place / "run", options=Options(**QUICK, cache_dir=place / "cache"))
    return place / "run" / "model"


@pytest.fixture(scope="module")
def one_class_test(make_case):
    return make_case("one_class_test")


@pytest.mark.parametrize(
    ("folder", "num"), [("one", 6), ("single", 9), ("subset", 12), ("unlearnt", 12), ("only_test", 12)]
)
def test_whatever_has_labels_is_scored(base_model, one_class_test, folder, num):
    result = thawline.evaluate(base_model, one_class_test / folder)
    assert result.num_images == num
    assert 0.5 <= result.accuracy.value <= 1
    assert sum(row.support for row in result.per_class) == num


def test_groups_of_the_run_are_those_of_its_evaluations(make_case, tmp_path):
    """A model that learnt camera by camera is scored camera by camera, where the pictures say which."""
    photos = make_case("base")
    for place in sorted(photos.rglob("*.jpg")):
        place.rename(place.with_name(f"cam{int(place.stem[-1]) // 2}_{place.name}"))
    options = Options(**QUICK, group_from=r"cam\d", cache_dir=tmp_path / "cache", refit="none")
    run = thawline.fit(photos, tmp_path / "run", options=options)
    names = {path: path.partition("/")[2][:4] for path in run.data.evaluation.paths}
    assert run.data.evaluation.num_groups == len(set(names.values())) >= 1
    with (tmp_path / "run" / "ledger.csv").open(encoding="utf-8", newline="") as file:
        parts = {}
        for row in csv.DictReader(file):
            parts.setdefault(row["path"].partition("/")[2][:4], set()).add(row["path"] in names)
    assert all(len(sides) == 1 for sides in parts.values())
    result = thawline.evaluate(tmp_path / "run" / "model", photos)
    assert (result.num_images, result.num_groups) == (30, len(parts))
    assert set(result.leaked.tolist()) == {0, 1}
    assert result.accuracy_without_leaks.n == len(names)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "5 groups by --group-from cam" in page
    assert "every interval counts groups, not pictures" in page
    others = make_case("one_class_test") / "subset"
    assert thawline.evaluate(tmp_path / "run" / "model", others).num_groups is None


def test_archives_and_tables_are_answered_as_their_files(base_model, one_class_test, tmp_path, capfd):
    folder = one_class_test / "one" / "howler"
    files = sorted(folder.iterdir())
    with zipfile.ZipFile(tmp_path / "flat.zip", "w") as archive:
        for file in files:
            archive.write(file, file.name)
    (tmp_path / "list.csv").write_text("\n".join(["file_name", *(file.name for file in files)]), encoding="utf-8")
    (folder.parent / "list.csv").write_text("\n".join(["path", *(f"howler/{file.name}" for file in files)]))
    assert (
        main(["predict", str(base_model), str(tmp_path / "flat.zip"), str(folder.parent / "list.csv"), "--json"]) == 0
    )
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    (folder.parent / "list.csv").unlink()
    assert [row["path"] for row in rows[:6]] == [f"{tmp_path}/flat.zip/{file.name}" for file in files]
    assert [row["path"] for row in rows[6:]] == [str(file) for file in files]
    for one, other in zip(rows[:6], rows[6:], strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)
    assert main(["predict", str(base_model), str(tmp_path / "list.csv")]) == 1  # its pictures are elsewhere
    assert capfd.readouterr().out.count(": no such file") == 6


def read_csv(text):
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert all(len(row) == len(header) for row in rows)
    assert len(set(header)) == len(header)
    assert not any(cell[:1] in tuple("=+-@\t\r\n") and not is_number(cell) for row in [header, *rows] for cell in row)
    return [dict(zip(header, row, strict=True)) for row in rows]


def is_number(cell):
    try:
        return float(cell) is not None
    except ValueError:
        return False


def test_odd_names_leave_every_output_whole(make_case, tmp_path, capfd):
    photos, out = make_case("names"), tmp_path / "run"
    names = sorted({path.name for path in photos.iterdir()})
    assert main(["check", str(photos)]) == 0
    said = capfd.readouterr().out
    assert "\x1b" not in said
    assert sum(line.startswith("       4  ") for line in said.splitlines()) == len(names)
    assert main(["fit", str(photos), "-o", str(out), *WORDS]) == 0
    for name in ("ledger.csv", "leaderboard.csv", "history.csv"):
        with (out / name).open(encoding="utf-8", newline="") as file:
            rows = read_csv(file.read())
        if name == "ledger.csv":
            assert sorted({true_cell(row["label"]) for row in rows}) == names
            assert {true_cell(row["path"]).rpartition("/")[0].split("/")[0] for row in rows} <= set(names)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "alert(1)" in page
    capfd.readouterr()
    assert main(["predict", str(out / "model"), str(photos / "new\nline"), str(photos / "path"), "--csv"]) == 0
    rows = read_csv(capfd.readouterr().out)
    assert len(rows) == 8
    assert rows[0]["path"].startswith(str(photos / "new\nline"))
    assert {true_cell(row["label"]) for row in rows} <= set(names)
    for word in ("path", "label", "error"):
        assert f"class {word}" in rows[0]
    assert main(["predict", str(out / "model"), str(photos / "new\nline"), "--json"]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [sorted(line["probabilities"]) for line in lines] == [names] * 4
    assert main(["predict", str(out / "model"), str(photos / "new\nline")]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 4


def test_the_eight_turns_answer_alike(base_model, make_case, tmp_path):
    photos = make_case("exif")
    with Image.open(photos / "upright.png") as upright:
        for turn, back in enumerate(Image.Transpose, start=2):  # the inverse of what EXIF says, in the order of EXIF
            exif = Image.Exif()
            exif[0x0112] = {0: 2, 1: 4, 2: 8, 3: 3, 4: 6, 5: 5, 6: 7}[back.value]
            inverse = {Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270}
            inverse |= {Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90}
            upright.transpose(inverse.get(back, back)).save(tmp_path / f"turn{turn}.png", exif=exif)
    turned = [photos / f"o6.{ending}" for ending in ("png", "webp", "tif")]  # without loss
    others = [photos / f"o6.{ending}" for ending in ("jpg", "avif")] + [photos / "xmp_only.jpg"]
    files = [photos / "upright.png", *sorted(tmp_path.glob("turn*.png")), *turned]
    assert len(files) == 11
    answers = thawline.predict(base_model, files)
    for answer in answers:
        for name, share in answer.probabilities.items():
            assert share == pytest.approx(answers[0].probabilities[name], abs=0.002), answer.path
    by_exif, avif, by_xmp = thawline.predict(base_model, others)
    assert by_exif.probability == pytest.approx(answers[0].probability, abs=0.02)  # coded with a little loss
    assert avif.probability == pytest.approx(answers[0].probability, abs=0.05)
    assert by_xmp.probability == pytest.approx(by_exif.probability, abs=1e-6)


def test_classes_of_one_picture_are_refused_by_name_or_left_out(make_case, tmp_path, capfd):
    photos = make_case("singletons")
    assert main(["fit", str(photos), "-o", str(tmp_path / "run"), *WORDS]) == 1
    said = capfd.readouterr().err.strip().splitlines()[-1]
    assert "once, onceagain has one usable picture each" in said
    assert "--drop-small-classes" in said
    assert main(["check", str(photos), "--drop-small-classes", "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert (report["used"], len(report["class_counts"]), len(report["skipped"])) == (24, 3, 2)
    assert main(["compare", str(photos), "--drop-small-classes", *WORDS]) == 0
