"""`check`: a ledger row for every file, copies confirmed by pixels, and clear refusals."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from PIL import Image

from thawline.core.errors import DataError, UsageError
from thawline.core.options import make_options
from thawline.core.progress import LineProgress
from thawline.data.check import CheckOptions, check, ledger_csv
from thawline.data.dataset import LedgerRow
from thawline.data.images import decode


def five(name: str, start: int) -> dict[str, int]:
    return {f"{name}/{number}.png": start + number for number in range(5)}


def test_every_file_has_a_ledger_row(make_folder, encode, draw):
    clear = encode(Image.new("RGBA", (9, 7), (200, 10, 10, 100)))
    root = make_folder(
        {
            **five("a", 0),
            **five("b", 10),
            "a/clear": clear,
            "b/notes.jpg": b"no picture",
            "b/z.png": b"",
            "top.txt": b"x",
        }
    )
    dataset, report = check(root)
    rows = {row.path: row for row in dataset.ledger}
    assert list(rows) == sorted(rows)
    assert len(rows) == 14
    assert rows["a/clear"].status == "repaired"
    assert (rows["a/clear"].width_px, rows["a/clear"].height_px, rows["a/clear"].format) == (9, 7, "PNG")
    assert rows["a/0.png"].size_bytes == (root / "a/0.png").stat().st_size
    assert rows["b/notes.jpg"] == LedgerRow(
        "b/notes.jpg", "skipped", "text, not a picture", rows["b/notes.jpg"].sha256, 10, 0, 0, "", "b", "", -1
    )
    assert len(rows["b/notes.jpg"].sha256) == 64
    assert rows["top.txt"] == LedgerRow("top.txt", "skipped", "no class folder", "", 0, 0, 0, "", "", "", -1)
    assert report.used == len(dataset) == 11
    assert dict(report.skipped) == {
        "b/notes.jpg": "text, not a picture",
        "b/z.png": "the file is empty",
        "top.txt": "no class folder",
    }
    assert report.repaired == (("a/clear", "filled transparency with white"),)
    assert report.class_counts == {"a": 6, "b": 5}
    assert report.imbalance == pytest.approx(1.2)
    assert [sample.path for sample in dataset.samples] == [
        row.path for row in dataset.ledger if row.status != "skipped"
    ]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (
            {"a/1.jpg": b"text", "b/2.jpg": b"more"},
            "none of the 2 files .* is a picture .*a/1.jpg \\(text, not a picture\\) and 1 more like it",
        ),
        ({"a/1": 1, "a/2": 2}, "one class with pictures, 'a'"),
        ({"a/1": 1, "a/2": 2, "b/1": b"text"}, "one class with pictures, 'a'"),
        ({"cat/a/1.png": 1, "cat/2.png": 2}, "one class .*cat/a is inside a class folder.*name it itself"),
        ({"a/1": 1, "a/2": 2, "b/1": 3}, "b has one usable picture each"),
        (
            {"train/a/1": 1, "train/a/2": 2, "train/b/3": b"?", "val/a/4": 4, "val/b/5": 5, "val/b/6": 6},
            "b has pictures to test",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused(make_folder, files, reason):
    with pytest.raises(DataError, match=reason):
        check(make_folder(files))


def test_on_bad_stop(make_folder):
    root = make_folder({**five("a", 0), **five("b", 10), "b/bad.jpg": b"text"})
    with pytest.raises(DataError, match=r"1 of 11 pictures cannot be used: b/bad\.jpg .*--on-bad skip"):
        check(root, CheckOptions(on_bad="stop"))
    with pytest.raises(UsageError, match="--on-bad 'ask'"):
        make_options(on_bad="ask")


def test_files_that_cannot_be_read_are_skipped(make_folder, monkeypatch):
    root = make_folder({**five("a", 0), **five("b", 10)})
    real = type(root).read_bytes

    def guarded(self):
        if self.name == "3.png":
            raise PermissionError(13, "Permission denied")
        return real(self)

    monkeypatch.setattr(type(root), "read_bytes", guarded)
    _, report = check(root)
    assert report.skipped == (("a/3.png", "no permission to read it"), ("b/3.png", "no permission to read it"))


def test_progress_counts_every_file(make_folder, capsys):
    check(make_folder({**five("a", 0), **five("b", 10)}), progress=LineProgress())
    assert capsys.readouterr().err.startswith("check: 10 pictures in")


def test_ledger_csv_reads_back(make_folder):
    dataset, _ = check(make_folder({**five("a, 'b' \"c\" 🐈", 0), **five("b", 10)}))
    rows = list(csv.DictReader(io.StringIO(ledger_csv(dataset.ledger))))
    assert [row["path"] for row in rows] == [row.path for row in dataset.ledger]
    assert {row["label"] for row in rows} == {"a, 'b' \"c\" 🐈", "b"}
    assert set(rows[0]) == set(LedgerRow.__dataclass_fields__)


@pytest.mark.pictures
def test_monkeys(shared_data):
    dataset, report = check(shared_data / "monkeys")
    assert report.used == 1369
    assert report.skipped == (("monkey_labels.txt", "no class folder"),)
    assert "training/n9/n9151jpg" in {sample.path for sample in dataset.samples}
    assert 50 <= len(report.leaks) <= 55  # by eye: about 55, some with other crops or bold watermarks
    labels = {sample.path: sample.label for sample in dataset.samples}
    assert all(labels[path] == labels[of] for path, of in report.leaks)
    training = [all(path.startswith("training") for path in group) for group in report.exact_copies]
    assert (training.count(True), training.count(False)) == (63, 4)


@pytest.mark.pictures
def test_celebrities(shared_data):
    _, report = check(shared_data / "celebrities")
    assert report.used == 368
    assert len(report.exact_copies) == 5
    assert 34 <= len(report.near_copies) <= 38  # by eye: 36 pairs
    assert [path for path, reason in report.repaired if "EXIF" in reason] == [
        "serena_williams/beautiful-serena-williams-smile-face-hd-mobile-desktop-background-free-wallpaper.jpg"
    ]


@pytest.mark.pictures
def test_instruments(shared_data):
    _, report = check(shared_data / "instruments")
    mirrored = {("578", "839"), ("720", "856"), ("514", "535")}
    by_eye = {("422", "838"), ("238", "394"), ("90", "443")} | mirrored
    pairs = {tuple(path.split("#")[1] for path in group) for group in report.near_copies}
    assert len(pairs & by_eye) >= 4
    assert len(pairs & mirrored) >= 2
    assert len(pairs - by_eye) <= 1


def test_a_remark_on_a_sound_picture_is_in_ledger_and_report(make_folder, monkeypatch):
    def with_remark(data, **how):
        picture = decode(data, **how)
        return replace(picture, remarks=("one", "two")) if len(data) == odd else picture

    root = make_folder({**five("a", 0), **five("b", 10)})
    odd = (root / "b/3.png").stat().st_size
    monkeypatch.setattr("thawline.data.examine.decode", with_remark)
    dataset, report = check(root)
    rows = {row.path: row for row in dataset.ledger}
    assert (rows["b/3.png"].status, rows["b/3.png"].reason, rows["b/3.png"].remark) == ("used", "", "one; two")
    assert rows["b/2.png"].remark == ""
    assert report.to_json()["remarks"] == [{"path": "b/3.png", "remark": "one; two"}]
    assert "one; two" in ledger_csv(dataset.ledger)


def test_classes_too_small_to_fold_and_test_are_left_out_with_rows(make_folder):
    root = make_folder({**five("a", 0), **five("b", 10), "c/1.png": 30, "d/1.png": 40, "d/2.png": 40})
    with pytest.raises(DataError, match=r"c has one usable picture each; .* --drop-small-classes\."):
        check(root)
    dataset, report = check(root, CheckOptions(drop_small_classes=True))
    assert dataset.class_names == ("a", "b")
    assert len(dataset) == 10
    reason = "its class has 1 distinct picture, too few to fold and test"
    assert report.skipped == (("c/1.png", reason), ("d/1.png", reason), ("d/2.png", reason))
    assert report.notes == ("--drop-small-classes: left out c (1 distinct picture), d (1 distinct picture)",)
    assert report.empty_classes == ()
    assert {row.label for row in dataset.ledger if row.status == "skipped"} == {"c", "d"}
    with pytest.raises(DataError, match="two or more"):
        check(make_folder({**five("a", 0), "c/1.png": 30}, "few"), CheckOptions(drop_small_classes=True))


def test_a_test_part_alone_can_be_answered_but_not_learnt_from(make_folder):
    root = make_folder({**five("test/a", 0), "test/b/1.png": 20})
    rows = "".join(f"test/a/{number}.png,a,test\n" for number in range(5))
    (root / "list.csv").write_text(f"path,label,split\n{rows}test/b/1.png,b,test\n")
    for place in (root / "list.csv", root):
        with pytest.raises(DataError, match=r"no training pictures|no picture in the split train"):
            check(place)
        dataset, _ = check(place, for_training=False)
        assert [sample.split for sample in dataset.samples] == ["test"] * 6
        with pytest.raises(DataError, match="train"):  # the leave ends with the listing
            check(place)


def as_copies(draw, encode) -> dict[str, bytes | int]:
    """Return two classes of singles with a re-encoded, a losslessly re-encoded and a byte-equal copy."""
    files: dict[str, bytes | int] = {f"{name}/{k}.png": 10 * at + k for at, name in enumerate("ab") for k in range(6)}
    once = encode(draw(70, (300, 200)), "JPEG", quality=90)
    pixels = Image.open(io.BytesIO(once))
    files |= {"a/near.jpg": encode(pixels, "JPEG", quality=60), "a/once.jpg": once}
    files |= {"a/pixels.png": encode(pixels), "a/twice.jpg": once}
    return files


@pytest.mark.parametrize(
    ("copies", "groups", "near"),
    [
        ("keep", [0, 0, 0, 0], (("a/near.jpg", "a/once.jpg", "a/pixels.png", "a/twice.jpg"),)),
        ("exact", [0, 1, 1, 1], (("a/once.jpg", "a/pixels.png", "a/twice.jpg"),)),
        ("ignore", [0, 1, 2, 3], ()),
    ],
)
def test_what_counts_as_a_copy_can_be_chosen(make_folder, draw, encode, copies, groups, near):
    dataset, report = check(make_folder(as_copies(draw, encode)), CheckOptions(copies=copies))
    own = [sample.group for sample in dataset.samples if not sample.path[2].isdigit()]
    assert [sorted(set(own)).index(group) for group in own] == groups
    assert report.near_copies == near
    assert report.exact_copies == (("a/once.jpg", "a/twice.jpg"),)
    assert any(note.startswith("--copies ignore") for note in report.notes) == (copies == "ignore")


def test_a_class_of_near_copies_is_not_too_small_to_be_kept(make_folder, draw, encode):
    files: dict[str, bytes | int] = {f"a/{k}.png": k for k in range(6)}
    files |= {f"b/{quality}.jpg": encode(draw(50, (200, 150)), "JPEG", quality=quality) for quality in range(60, 90, 5)}
    dataset, report = check(make_folder(files), CheckOptions(drop_small_classes=True))
    assert dataset.class_names == ("a", "b")
    assert len(report.near_copies) == 1


def test_a_class_that_only_the_test_has_is_left_out_and_said(make_folder):
    root = make_folder(
        {
            **five("train/a", 0),
            **five("train/b", 10),
            "test/a/1.png": 20,
            "test/b/1.png": 21,
            "test/yak/1.png": 22,
            "test/yak/2.png": 23,
        }
    )
    dataset, report = check(root)
    assert dataset.class_names == ("a", "b")
    assert report.untaught == {"yak": 2}
    assert report.empty_classes == ()
    assert dict(report.skipped)["test/yak/1.png"] == "no training picture has its class, so that no model can know it"
    (note,) = [note for note in report.notes if "yak" in note]
    assert note.startswith("2 held-out pictures of 'yak' are left out: no training picture has the class")
    assert report.to_json()["untaught"] == {"yak": 2}


def test_a_class_whose_training_pictures_cannot_be_used_is_refused_all_the_same(make_folder):
    held_out = {"test/a/1.png": 20, "test/yak/1.png": 22, "test/yak/2.png": 23}
    broken = {f"train/yak/{number}.png": b"no picture" for number in range(3)}
    root = make_folder({**five("train/a", 0), **five("train/b", 10), **held_out, **broken})
    with pytest.raises(DataError, match="yak has pictures to test on but none to train on"):
        check(root)
