"""`check`: a ledger row for every file, copies confirmed by pixels, and clear refusals."""

from __future__ import annotations

import csv
import io
import json

import imagehash
import numpy as np
import pytest
from PIL import Image

from thawline.core.errors import DataError, UsageError
from thawline.core.options import make_options
from thawline.core.progress import LineProgress
from thawline.data.check import CheckOptions, check, ledger_csv
from thawline.data.copies import find_near_copies, group_copies, hash_thumbnails
from thawline.data.dataset import LedgerRow


def five(name: str, start: int) -> dict[str, int]:
    return {f"{name}/{number}.png": start + number for number in range(5)}


def thumbnails(*pictures: Image.Image) -> np.ndarray:
    return np.stack(
        [np.asarray(picture.convert("RGB").resize((32, 32), Image.Resampling.LANCZOS)) for picture in pictures]
    )


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


def test_report_as_json_has_the_promised_keys(make_folder):
    files = {**five("train/a", 0), **five("train/b", 10), "test/a/copy.png": 3, "test/b/x": 30, "test/b/bad": b""}
    _, report = check(make_folder(files))
    data = json.loads(json.dumps(report.to_json()))
    assert data["used"] == 12
    assert data["skipped"] == [{"path": "test/b/bad", "reason": "the file is empty"}]
    assert data["leaks"] == [{"path": "test/a/copy.png", "of": "train/a/3.png"}]
    assert data["exact_copies"] == [["test/a/copy.png", "train/a/3.png"]]
    assert data["near_copies"] == []
    assert data["conflicts"] == []


def test_near_copies_are_found_and_share_a_group(make_folder, encode, draw):
    big = draw(7, (400, 300))
    files = {
        **five("a", 100),
        **five("b", 200),
        "a/big.png": encode(big),
        "b/small.jpg": encode(big.resize((120, 90)), "JPEG", quality=60),
        "b/webp": encode(big, "WEBP", quality=70),
    }
    dataset, report = check(make_folder(files))
    assert report.near_copies == (("a/big.png", "b/small.jpg", "b/webp"),)
    assert report.exact_copies == ()
    groups = {sample.path: sample.group for sample in dataset.samples}
    assert groups["a/big.png"] == groups["b/small.jpg"] == groups["b/webp"]
    assert len(set(groups.values())) == len(dataset) - 2
    assert report.conflicts == (("a/big.png", "a", "b/small.jpg", "b"),)


def test_the_same_bytes_under_two_labels_are_kept_and_reported(make_folder):
    dataset, report = check(make_folder({**five("a", 0), **five("b", 10), "b/again.png": 2}))
    assert len(dataset) == 11
    assert report.conflicts == (("a/2.png", "a", "b/again.png", "b"),)
    assert report.exact_copies == (("a/2.png", "b/again.png"),)


def test_leaks_between_three_parts(make_folder):
    files = {**five("train/a", 0), **five("train/b", 10)}
    files |= {"val/a/1": 1, "val/a/2": 50, "val/b/3": 51, "test/a/4": 50, "test/b/5": 14, "test/b/6": 60}
    _, report = check(make_folder(files))
    assert report.leaks == (("test/a/4", "val/a/2"), ("test/b/5", "train/b/4.png"), ("val/a/1", "train/a/1.png"))


def test_odd_classes_are_told(make_folder):
    files = {
        **five("Red Fox", 0),
        **five("redfox", 10),
        "hen/1": 20,
        "hen/2": 21,
        "docs/readme": b"text",
        "hen/x/3": 22,
    }
    dataset, report = check(make_folder(files))
    assert dataset.class_names == ("Red Fox", "hen", "redfox")
    assert report.similar_names == (("Red Fox", "redfox"),)
    assert report.small_classes == (("hen", 3),)
    assert report.empty_classes == ("docs",)
    assert report.notes == ("hen/x is inside a class folder; its pictures are labelled hen",)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (
            {"a/1.jpg": b"text", "b/2.jpg": b"more"},
            "none of the 2 files .* is a picture .*a/1.jpg \\(text, not a picture\\)",
        ),
        ({"a/1": 1, "a/2": 2}, "one class with pictures, 'a'"),
        ({"a/1": 1, "a/2": 2, "b/1": b"text"}, "one class with pictures, 'a'"),
        ({"all/a/1": 1, "all/b/2": 2}, "perhaps name that class folder itself"),
        ({"a/1": 1, "a/2": 2, "b/1": 3}, "b has one usable picture each"),
        (
            {"train/a/1": 1, "train/a/2": 2, "train/b/3": 3, "train/b/4": 4, "val/c/5": 5, "val/c/6": 6},
            "c has pictures to test",
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


def test_hashes_are_those_of_imagehash(draw):
    stack = thumbnails(*(draw(seed) for seed in range(20)))
    expected = [int(str(imagehash.phash(Image.fromarray(item))), 16) for item in stack]
    assert hash_thumbnails(stack).tolist() == expected


def test_near_copies_agree_with_looking_at_every_pair(draw, monkeypatch):
    """Tiles and blocks change nothing: the pairs are those that a plain double loop confirms."""
    from thawline.data import copies

    rng = np.random.default_rng(0)
    base = thumbnails(*(draw(seed % 40) for seed in range(60))).astype(int)
    stack = np.clip(base + rng.integers(-3, 4, base.shape), 0, 255).astype(np.uint8)
    monkeypatch.setattr(copies, "_TILE", (7, 11))
    monkeypatch.setattr(copies, "_BLOCK", 5)
    assert find_near_copies(stack).tolist() == [[seed, seed + 40] for seed in range(20)]


def test_white_ground_and_flat_pictures_are_not_copies(draw):
    white = [Image.new("RGB", (64, 64), "white") for _ in range(2)]
    for picture, seed in zip(white, (1, 2), strict=True):
        picture.paste(draw(seed, (20, 20)), (22, 22))
    colours = [Image.new("RGB", (64, 64), colour) for colour in ("red", "darkred", "blue")]
    assert find_near_copies(thumbnails(*white, *colours)).tolist() == []


def test_what_the_hash_takes_for_a_copy_is_settled_by_pixels(draw):
    stack = np.repeat(thumbnails(draw(5)), 2, axis=0)
    stripes = np.where(np.arange(32) % 2, 12, -12)[None, :, None]  # too fine for the hash to see
    stack[1] = np.clip(stack[1].astype(int) + stripes, 0, 255)
    hashes = hash_thumbnails(stack)
    assert int(np.bitwise_count(hashes[0] ^ hashes[1])) <= 8
    assert find_near_copies(stack).tolist() == []


def test_empty_pages_are_not_copies_of_one_another():
    stack = np.full((2, 32, 32, 3), 250, dtype=np.uint8)
    stack[:, :10] -= 1  # the same faint shadow of the scanner
    assert find_near_copies(stack).tolist() == []


def test_the_same_shape_in_another_colour_is_no_copy(draw):
    levels = np.asarray(draw(5).convert("L")).astype(int) // 3
    tinted = [np.stack([levels + shift for shift in shifts], axis=2) for shifts in ((150, 0, 0), (0, 0, 150))]
    stack = thumbnails(*(Image.fromarray(item.astype(np.uint8)) for item in tinted))
    assert find_near_copies(stack).tolist() == []


def test_groups_join_chains_and_exact_copies(draw):
    stack = thumbnails(draw(1), draw(2), draw(1), draw(3))
    stack[2, 0, 0, 0] ^= 1
    groups, pairs = group_copies(["x", "y", "z", "y"], stack)
    assert groups.tolist() == [0, 1, 0, 1]
    assert pairs.tolist() == [[0, 2]]


@pytest.mark.pictures
def test_monkeys(shared_data):
    dataset, report = check(shared_data / "monkeys")
    assert report.used == 1369
    assert report.skipped == (("monkey_labels.txt", "no class folder"),)
    assert "training/n9/n9151jpg" in {sample.path for sample in dataset.samples}
    assert abs(len(report.leaks) - 44) <= 6
    labels = {sample.path: sample.label for sample in dataset.samples}
    assert all(labels[path] == labels[of] for path, of in report.leaks)
    training = [all(path.startswith("training") for path in group) for group in report.exact_copies]
    assert (training.count(True), training.count(False)) == (63, 4)


@pytest.mark.pictures
def test_celebrities(shared_data):
    _, report = check(shared_data / "celebrities")
    assert report.used == 368
    assert len(report.exact_copies) == 5
    assert 18 <= len(report.near_copies) <= 40  # by eye: 36 pairs
    assert [path for path, reason in report.repaired if "EXIF" in reason] == [
        "serena_williams/beautiful-serena-williams-smile-face-hd-mobile-desktop-background-free-wallpaper.jpg"
    ]


@pytest.mark.pictures
def test_instruments(shared_data):
    _, report = check(shared_data / "instruments")
    by_eye = {("422", "838"), ("238", "394"), ("90", "443")}
    pairs = {tuple(path.split("#")[1] for path in group) for group in report.near_copies}
    assert len(pairs & by_eye) >= 2
    assert len(pairs - by_eye) <= 2
