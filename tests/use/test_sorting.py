"""Pictures are sorted into class folders: nothing overwritten, nothing lost, all of it undone."""

from __future__ import annotations

import csv
import io

import pytest
from PIL import Image

from thawline.core.errors import DataError, StoreError
from thawline.core.types import Prediction
from thawline.data.dataset import Source
from thawline.data.sources.listing import FileSource
from thawline.use import sorting
from thawline.use.sorting import LIST, SortedFolder, Undone, require_apart, undo


def png(shade):
    buffer = io.BytesIO()
    Image.new("L", (4, 4), shade).save(buffer, "PNG")
    return buffer.getvalue()


class Member(Source):
    """A picture in an archive."""

    def read(self):
        return png(9)


def answer(path, label="cat", doubt=None):
    return Prediction(str(path), label, 0.9, {label: 0.9, "dog": 0.1}, doubt=doubt)


@pytest.fixture
def pictures(tmp_path):
    """Return a folder of five pictures, of which two are equal."""
    folder = tmp_path / "new"
    (folder / "deep").mkdir(parents=True)
    for name, shade in {"1.png": 1, "2.png": 2, "deep/1.png": 3, "4.png": 4, "again.png": 1}.items():
        (folder / name).write_bytes(png(shade))
    return folder


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != LIST
    }


def put(folder, pictures, *rows, how="copy"):
    place = SortedFolder(folder, how=how)
    for name, label, doubt in rows:
        place.put(answer(pictures / name, label, doubt), FileSource(pictures / name))
    return place


def test_every_picture_lies_under_its_answer_and_the_unsure_ones_apart(pictures, tmp_path):
    rows = [("1.png", "cat", None), ("2.png", "cat", "not sure"), ("deep/1.png", "cat", None)]
    place = put(tmp_path / "out", pictures, *rows, ("4.png", "dog", "none of these"))
    assert tree(tmp_path / "out") == {
        "cat/1.png": png(1), "cat/1-2.png": png(3), "not sure/2.png": png(2), "none of these/4.png": png(4),
    }  # fmt: skip
    assert place.counts == {"cat": 2, "not sure": 1, "none of these": 1}
    assert tree(pictures) == {"1.png": png(1), "2.png": png(2), "deep/1.png": png(3), "4.png": png(4),
                              "again.png": png(1)}  # fmt: skip


def test_what_stands_there_is_never_overwritten_and_survives_the_undoing(pictures, tmp_path):
    out = tmp_path / "out"
    (out / "cat").mkdir(parents=True)
    (out / "cat" / "1.png").write_bytes(b"mine")
    put(out, pictures, ("1.png", "cat", None), ("2.png", "dog", None))
    assert tree(out) == {"cat/1.png": b"mine", "cat/1-2.png": png(1), "dog/2.png": png(2)}
    assert undo(out) == Undone(2, ())
    assert tree(out) == {"cat/1.png": b"mine"}
    assert not (out / "dog").exists()
    assert not (out / LIST).exists()


def test_the_same_picture_under_the_same_answer_is_put_once_also_by_a_later_run(pictures, tmp_path):
    place = put(tmp_path / "out", pictures, ("1.png", "cat", None), ("again.png", "cat", None))
    assert (place.counts.total(), place.num_known) == (1, 1)
    place = put(tmp_path / "out", pictures, ("1.png", "cat", None), ("1.png", "dog", None))
    assert (place.counts, place.num_known) == ({"dog": 1}, 1)
    assert set(tree(tmp_path / "out")) == {"cat/1.png", "dog/1.png"}


def test_a_copy_that_was_changed_is_left_and_stays_on_the_list(pictures, tmp_path):
    out = tmp_path / "out"
    put(out, pictures, ("1.png", "cat", None), ("2.png", "cat", None))
    (out / "cat" / "2.png").write_bytes(b"retouched")
    assert undo(out) == Undone(1, ("cat/2.png",))
    assert tree(out) == {"cat/2.png": b"retouched"}
    assert undo(out) == Undone(0, ("cat/2.png",))


def test_links_lead_to_the_pictures_and_what_is_no_file_is_copied(pictures, tmp_path):
    place = put(tmp_path / "out", pictures, ("1.png", "cat", None), how="link")
    place.put(answer("a.zip/9.png"), Member())
    link = tmp_path / "out" / "cat" / "1.png"
    assert link.is_symlink()
    assert link.resolve() == (pictures / "1.png").resolve()
    assert not (tmp_path / "out" / "cat" / "9.png").is_symlink()
    (pictures / "1.png").unlink()
    assert undo(tmp_path / "out").num_removed == 2


def test_a_link_that_somebody_turned_elsewhere_is_left(pictures, tmp_path):
    put(tmp_path / "out", pictures, ("1.png", "cat", None), how="link")
    link = tmp_path / "out" / "cat" / "1.png"
    link.unlink()
    link.symlink_to(pictures / "2.png")
    assert undo(tmp_path / "out") == Undone(0, ("cat/1.png",))


def test_names_of_classes_and_pictures_are_no_paths(pictures, tmp_path):
    rows = [("1.png", "../../up", None), ("2.png", "not sure", None), ("4.png", "x", "not sure")]
    put(tmp_path / "out", pictures, *rows)
    assert set(tree(tmp_path / "out")) == {"_.._.._up/1.png", "not sure/2.png", "not sure-2/4.png"}
    put(tmp_path / "out", pictures, ("deep/1.png", "x", "not sure"))
    assert (tmp_path / "out" / "not sure-2" / "1.png").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"new", "out"}


def test_a_picture_without_an_answer_stays_where_it_is(pictures, tmp_path):
    place = SortedFolder(tmp_path / "out")
    assert place.put(Prediction.failed("x", "broken"), FileSource(pictures / "1.png")) is None
    assert place.put(answer("gone.png"), FileSource(pictures / "gone.png")) is None
    assert tree(tmp_path / "out") == {}


def test_a_kill_between_list_and_picture_loses_nothing(pictures, tmp_path, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sorting, "_stand", killed)
        with pytest.raises(KeyboardInterrupt):
            put(tmp_path / "out", pictures, ("1.png", "cat", None))
    put(tmp_path / "out", pictures, ("1.png", "cat", None))
    assert set(tree(tmp_path / "out")) == {"cat/1.png"}
    assert undo(tmp_path / "out") == Undone(1, ())


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [["x", *rows[0][1:]], *rows[1:]],
        lambda rows: [rows[0], ["../../elsewhere.png", *rows[1][1:]]],
        lambda rows: [rows[0], ["/etc/hostname", *rows[1][1:]]],
    ],
)
def test_a_list_that_names_other_places_is_refused(pictures, tmp_path, change):
    put(tmp_path / "out", pictures, ("1.png", "cat", None))
    path = tmp_path / "out" / LIST
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(change(rows))
    for work in (lambda: undo(tmp_path / "out"), lambda: SortedFolder(tmp_path / "out")):
        with pytest.raises(StoreError, match=r"sorted\.csv is not a list that sorting wrote"):
            work()


def test_a_folder_without_a_list_is_not_undone(tmp_path):
    with pytest.raises(StoreError, match=r"has no sorted\.csv that sorting wrote\. Name the folder"):
        undo(tmp_path)


def test_sorted_pictures_may_not_lie_among_those_to_be_sorted(tmp_path):
    (tmp_path / "new").mkdir()
    for inner, outer in ((tmp_path / "new" / "sorted", tmp_path / "new"), (tmp_path, tmp_path / "new")):
        with pytest.raises(DataError, match="are inside one another"):
            require_apart(inner, outer)
    require_apart(tmp_path / "sorted", tmp_path / "new")
