"""The checked set written back out: the same pictures, labels and parts, safe names, whole or not at all."""

from __future__ import annotations

import csv
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from thawline.core.errors import DataError, StoreError
from thawline.core.progress import SilentProgress
from thawline.data import exported as export_module
from thawline.data.check import check
from thawline.data.dataset import Dataset
from thawline.data.exported import Export, export
from thawline.data.split import make_split

FORMS = ("folder", "parquet")
PNG = b"\x89PNG\r\n\x1a\n"


def write(root: Path, out: Path, **how: object) -> Export:
    return export(*check(root), out=out, **how)


def facts(dataset: Dataset) -> dict[str, tuple[str, str | None]]:
    """Return class and part of every picture, by its bytes."""
    return {item.sha256: (dataset.class_names[item.label], item.split) for item in dataset.samples}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def five(name: str, start: int) -> dict[str, int]:
    return {f"{name}/{number}.png": start + number for number in range(5)}


@pytest.fixture
def photos(make_folder) -> Path:
    """Return fifteen pictures of three classes, a copy, and a file that is none."""
    files = {**five("a", 0), **five("b", 10), **five("c", 20), "a/again.png": 3, "c/notes.txt": b"seas"}
    return make_folder(files)


@pytest.fixture(scope="session")
def monkeys(shared_data, tmp_path_factory) -> Path:
    """Return 40 real pictures in two parts, among them an exact copy within and one across the parts."""
    root = tmp_path_factory.mktemp("monkeys")
    for part, count in (("training", 7), ("validation", 3)):
        for name in ("n0", "n2", "n5", "n9"):
            (root / part / name).mkdir(parents=True)
            for path in sorted((shared_data / "monkeys" / part / name).iterdir())[:count]:
                shutil.copy(path, root / part / name)
    shutil.copy(min((root / "training/n2").iterdir()), root / "training/n2/same")
    shutil.copy(min((root / "validation/n5").iterdir()), root / "training/n5/leaked.jpg")
    return root


@pytest.mark.pictures
@pytest.mark.parametrize("form", FORMS)
def test_what_comes_back_are_the_same_pictures_labels_and_parts(form, monkeys, tmp_path):
    original, _ = check(monkeys)
    done = write(monkeys, tmp_path / "out", form=form)
    back, report = check(tmp_path / "out")
    leaked = next(item.sha256 for item in original.samples if item.path == "training/n5/leaked.jpg")
    assert len(original) == 42
    assert len(back) == len(facts(back)) == 40 == done.card["pictures"]
    assert back.images_key == original.images_key == done.card["images_key"]
    assert back.class_names == original.class_names
    assert facts(back) == {**facts(original), leaked: ("n5", "test")}
    assert report.exact_copies == ()
    assert done.card["left_out"]["exact_copies"] == [
        {"path": "training/n2/same", "of": min(i.path for i in original.samples if i.path.startswith("training/n2/"))},
        {"path": "training/n5/leaked.jpg", "of": min(i.path for i in original.samples if "validation/n5/" in i.path)},
    ]


@pytest.mark.pictures
def test_folder_and_parquet_share_one_bank(monkeys, tmp_path):
    from thawline.core.runtime import choose_runtime
    from thawline.core.store import cache_root
    from thawline.features.extract import extract
    from thawline.features.network import load_backbone

    network = load_backbone("test_efficientnet", pretrained=False, size_px=32)
    write(monkeys, tmp_path / "folder")
    write(tmp_path / "folder", tmp_path / "tables", form="parquet")
    counts = []
    for root in (tmp_path / "folder", tmp_path / "tables", monkeys):
        done = extract(check(root)[0], network, runtime=choose_runtime("cpu", "float32"), cache=cache_root())
        counts.append((done.num_extracted, done.bank.key))
    assert [count for count, _ in counts] == [40, 0, 0]
    assert len({key for _, key in counts}) == 1


@pytest.mark.pictures
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("form", FORMS)
def test_the_library_datasets_reads_it(form, monkeys, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "hf"))
    datasets.disable_progress_bars()
    write(monkeys, tmp_path / "out", form=form)
    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "hf"))
    assert {part: len(found[part]) for part in found} == {"train": 28, "test": 12}
    features = found["train"].features
    assert features["label"].names == ["n0", "n2", "n5", "n9"]
    assert type(features["image"]).__name__ == "Image"
    assert Counter(found["test"]["label"]) == {0: 3, 1: 3, 2: 3, 3: 3}
    assert all(row["image"].size > (32, 32) for row in found["test"])
    if form == "parquet":
        streamed = datasets.load_dataset(str(tmp_path / "out"), split="train", streaming=True)
        assert [row["source"] for row in streamed.take(2)] == found["train"]["source"][:2]


@pytest.mark.parametrize("form", FORMS)
def test_without_parts_the_fifth_that_fit_would_test_on_is_held_out(form, photos, tmp_path):
    original, _ = check(photos)
    test = {original.samples[row].sha256 for row in make_split(original, seed=3).test}
    done = write(photos, tmp_path / "out", form=form, seed=3)
    back, _ = check(tmp_path / "out")
    assert {item.sha256 for item in back.samples if item.split == "test"} == test
    assert back.images_key == original.images_key
    assert done.card["split"] == "a fifth held out for the test, stratified, copies together, seed 3"
    assert sum(done.card["counts"]["test"].values()) == len(test) >= 3


@pytest.mark.parametrize("form", FORMS)
def test_nothing_need_be_held_out(form, photos, tmp_path):
    write(photos, tmp_path / "out", form=form, held_out="none")
    back, _ = check(tmp_path / "out")
    assert {item.split for item in back.samples} == {None}
    assert len(back) == 15


@pytest.mark.parametrize("form", FORMS)
def test_three_parts_stay_three(form, make_folder, tmp_path):
    numbered = enumerate(itertools.product(("train", "val", "test"), "ab", "123"))
    files = {f"{part}/{name}/{number}.png": seed for seed, (part, name, number) in numbered}
    root = make_folder(files)
    write(root, tmp_path / "out", form=form)
    assert facts(check(tmp_path / "out")[0]) == facts(check(root)[0])


def test_the_folder_holds_the_bytes_a_manifest_and_the_cards(photos, tmp_path):
    done = write(photos, tmp_path / "out")
    with (done.out / "pictures.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 15
    for row in rows:
        assert (done.out / row["path"]).read_bytes() == (photos / row["source"]).read_bytes()
        assert row["path"] == f"{row['split']}/{row['source']}"
    assert facts(check(done.out / "pictures.csv")[0]) == facts(check(done.out)[0])
    card = json.loads((done.out / "dataset.json").read_text(encoding="utf-8"))
    assert card == done.card
    assert (card["made_from"], card["form"], card["class_names"]) == ("photos", "folder", ["a", "b", "c"])
    assert card["left_out"]["skipped"] == [{"path": "c/notes.txt", "reason": "text, not a picture"}]
    text = (done.out / "README.md").read_text(encoding="utf-8")
    assert "15 pictures in 3 classes" in text
    assert "- a/again.png: of a/3.png" in text
    assert "- c/notes.txt: text, not a picture" in text
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".", "staging"))] == []


def test_near_copies_are_kept_and_numbered(make_folder, draw, encode, tmp_path):
    big = draw(77, (400, 300))
    near = {"a/big.png": encode(big), "a/small.jpg": encode(big.resize((120, 90)), "JPEG", quality=60)}
    done = write(make_folder({**five("a", 0), **five("b", 10), **near}), tmp_path / "out", form="parquet")
    assert (done.card["pictures"], done.card["groups_of_near_copies"], done.card["held_out_near_copies"]) == (12, 1, 0)
    table = {name: pq.read_table(path).to_pylist() for name in ("train", "test") for path in done.out.glob(f"{name}-*")}
    groups = {row["source"]: (row["group"], part) for part, rows in table.items() for row in rows}
    assert groups["a/big.png"] == groups["a/small.jpg"]
    assert len(set(groups.values())) == 11


def test_a_near_copy_across_the_persons_own_parts_is_told(make_folder, draw, encode, tmp_path):
    big = draw(77, (400, 300))
    files = {**five("train/a", 0), **five("train/b", 10), "test/a/x.png": 30, "test/b/y.png": 31}
    files |= {"train/a/big.png": encode(big), "test/a/small.jpg": encode(big.resize((120, 90)), "JPEG", quality=60)}
    done = write(make_folder(files), tmp_path / "out")
    assert done.card["held_out_near_copies"] == 1
    assert "1 held-out pictures have a near copy" in (done.out / "README.md").read_text()


@pytest.mark.parametrize("form", FORMS)
def test_the_same_bytes_under_two_labels_are_left_out_and_told(form, make_folder, tmp_path):
    files = {**five("a", 0), **five("b", 10), "b/also.png": 3}
    root = make_folder(files)
    done = write(root, tmp_path / "out", form=form, held_out="none")
    back, report = check(done.out)
    assert (len(back), report.conflicts) == (9, ())
    told = done.card["left_out"]["conflicts"]
    assert [(row["path"], row["label"]) for row in told] == [("a/3.png", "a"), ("b/also.png", "b")]
    assert set(facts(back)) == set(facts(check(root)[0])) - {told[0]["sha256"]}
    assert "one picture, several labels: 2" in (done.out / "README.md").read_text(encoding="utf-8")


def test_a_class_needs_two_pictures_to_be_exported(make_folder, tmp_path):
    files = {**five("a", 0), "b/1.png": 10, "b/2.png": 11, "b/again.png": 11}
    assert write(make_folder(files), tmp_path / "out").card["pictures"] == 7
    files = {**five("a", 0), "b/1.png": 10, "b/again.png": 10}
    with pytest.raises(DataError, match=r"export: without exact copies .* b has no picture to train on, or only one\."):
        write(make_folder(files, name="fewer"), tmp_path / "fewer out", held_out="none")


def test_a_class_that_would_be_left_with_nothing_is_refused(make_folder, tmp_path):
    files = {**five("train/a", 0), **five("train/b", 10), "train/c/1.png": 20, "test/c/1.png": 20, "test/c/2.png": 21}
    with pytest.raises(DataError, match=r"export: without exact copies .* c has no picture to train on"):
        write(make_folder(files), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# places


@pytest.mark.parametrize("form", FORMS)
def test_exporting_again_replaces_an_export_that_nobody_touched(form, photos, tmp_path):
    write(photos, tmp_path / "out", form="folder" if form == "parquet" else "parquet")
    first = snapshot(write(photos, tmp_path / "out", form=form).out)
    assert snapshot(write(photos, tmp_path / "out", form=form).out) == first
    assert form == "folder" or not (tmp_path / "out/train").exists()


@pytest.mark.parametrize(
    ("meddle", "said"),
    [
        (lambda out: (out / "dataset.json").write_text("{"), r"dataset\.json \(changed since it was written\)"),
        (lambda out: (out / "dataset.json").unlink(), r"dataset\.json \(missing\)"),
        (lambda out: (out / ".thawline.json").write_text("{"), "not a marker that Thawline wrote"),
        (lambda out: (out / "train/a/mine.jpg").write_bytes(b"x"), r"mine\.jpg \(not written by Thawline\)"),
        (lambda out: (out / "mine").mkdir(), r"mine \(not written by Thawline\)"),
        (lambda out: next((out / "train/a").iterdir()).unlink(), r"\(missing\)"),
        (lambda out: (out / "README.md").write_text("My notes"), r"README\.md \(changed since it was written\)"),
    ],
)
def test_what_somebody_else_wrote_is_never_replaced(meddle: Callable[[Path], object], said, photos, tmp_path):
    out = write(photos, tmp_path / "out").out
    meddle(out)
    before = snapshot(out)
    with pytest.raises(StoreError, match=said):
        write(photos, out)
    assert snapshot(out) == before


def test_a_file_or_a_link_in_the_way(photos, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="is a file"):
        write(photos, tmp_path / "file")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert write(photos, tmp_path / "link").out == tmp_path / "real"
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("place", ["photos/out", "photos", "."])
def test_pictures_and_export_may_not_lie_inside_one_another(place, photos, tmp_path):
    before = snapshot(photos)
    with pytest.raises(DataError, match="are inside one another"):
        write(photos, tmp_path / place)
    assert snapshot(photos) == before


def test_pictures_that_a_manifest_reads_from_the_export_are_not_lost(photos, tmp_path):
    out = write(photos, tmp_path / "out").out
    rows = [f"out/{path.relative_to(out)},{path.parent.name}" for path in sorted(out.glob("train/*/*"))[1:]]
    (tmp_path / "m.csv").write_text("\n".join(["path,label", *rows]))
    before = snapshot(out)
    with pytest.raises(StoreError, match=r"holds an export of photos, and this is one of m\.csv.*--replace"):
        write(tmp_path / "m.csv", out)
    with pytest.raises(DataError, match="names pictures inside"):
        write(tmp_path / "m.csv", out, replace=True)
    assert snapshot(out) == before


class Stopping(SilentProgress):
    """Interrupts the work after a few pictures."""

    def stage(self, name, total=None, *, unit="pictures"):
        from contextlib import nullcontext

        def advance(count):
            raise KeyboardInterrupt

        return nullcontext(advance)


@pytest.mark.parametrize("form", FORMS)
def test_an_interrupted_export_leaves_what_was_there(form, photos, tmp_path):
    out = write(photos, tmp_path / "out").out
    before, around = snapshot(out), names_in(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        write(photos, out, form=form, progress=Stopping())
    assert snapshot(out) == before
    assert names_in(tmp_path) == around


def test_a_picture_that_changed_since_the_check_stops_it(photos, tmp_path):
    checked = check(photos)
    (photos / "b/2.png").write_bytes((photos / "b/3.png").read_bytes())
    with pytest.raises(DataError, match=r"b/2\.png has changed since it was checked"):
        export(*checked, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_disk_too_small_is_told_before_anything_is_written(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("thawline.core.store.shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(StoreError, match=r"export: .* MiB are needed\. Free some space .* or choose another with -o"):
        write(photos, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_ones_own_called_staging_is_left_alone(photos, tmp_path):
    (tmp_path / "staging/old").mkdir(parents=True)
    os.utime(tmp_path / "staging/old", (0, 0))
    write(photos, tmp_path / "out")
    assert (tmp_path / "staging/old").is_dir()


def test_what_a_kill_left_is_swept_by_the_next_export(photos, tmp_path):
    dying = (
        "import os, sys; from pathlib import Path; from thawline.core.store import staging_directory\n"
        "with staging_directory(Path(sys.argv[1])) as staged: (staged / 'half').touch(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", dying, tmp_path], check=True, timeout=600)
    assert list(tmp_path.glob(".thawline-staging/*/content/half"))
    write(photos, tmp_path / "out")
    assert not (tmp_path / ".thawline-staging").exists()


def test_cards_hold_nothing_that_markdown_would_obey(tmp_path):
    card = export_module.card_markdown
    counts = {"train": {"<b>|x": 1, "[a](b)": 1}}
    left = {"skipped": [{"path": "a\n# b", "reason": "<script>"}] * 30, "exact_copies": [], "conflicts": []}
    text = card({"made_from": "x`y", "pictures": 2, "class_names": list(counts["train"]), "thawline": "1", "split": "s",
                 "counts": counts, "form": "folder", "groups_of_near_copies": 0, "held_out_near_copies": 0,
                 "images_key": "k", "renamed_folders": {}, "left_out": left, "notes": []})  # fmt: skip
    assert "| \\<b\\>\\|x | 1 |" in text
    assert "\\[a\\](b)" in text
    assert "- a \\# b: \\<script\\>" in text
    assert "… and 10 more in `dataset.json`" in text
