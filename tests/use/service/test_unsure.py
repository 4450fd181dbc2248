"""Pictures that are kept: once, by their content, few enough, next to a table that `fit` reads, and nothing is lost."""

from __future__ import annotations

import os
import stat

import pytest

from thawline import api
from thawline.core.errors import UsageError
from thawline.core.types import Prediction
from thawline.use.service import unsure as unsure_module
from thawline.use.service.unsure import TABLE, UnsureFolder


def row(label="cat", doubt="not sure"):
    return Prediction("a.jpg", label, 0.41, {label: 0.41}, doubt=doubt)


def keep(folder, *pairs, notes=None):
    """Keep pictures and return how many were."""
    kept = []
    opened = UnsureFolder(folder, note=(notes if notes is not None else []).append)
    for told, data in pairs:
        opened.add(told, data, kept=lambda: kept.append(1))
    opened.close()
    return len(kept)


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != TABLE)


def test_what_is_kept_can_be_learned_once_it_is_labelled(tmp_path, picture):
    folder = tmp_path / "unsure"
    pictures = [picture(seed) for seed in range(6)]
    pairs = [(row("=cat" if seed % 2 else "dog"), data) for seed, data in enumerate(pictures)]
    assert keep(folder, *pairs, *pairs, (row(doubt=None), picture(9)), (Prediction.failed("a", "no"), b"x")) == 6
    names = files(folder)
    assert len(names) == 6
    assert all(name.endswith(".jpg") and len(name) == 36 for name in names)
    assert sorted((folder / name).read_bytes() for name in names) == sorted(pictures)
    dataset, _ = api.check(folder / TABLE)
    assert sorted(dataset.class_names) == ["=cat", "dog"]
    assert len(dataset.samples) == 6
    lines = (folder / TABLE).read_text().splitlines()
    assert lines[0] == "path,label,probability,doubt"
    assert lines[1].endswith(",dog,0.4100,not sure")


def test_the_folder_is_closed_to_others(tmp_path, picture):
    keep(tmp_path / "a" / "unsure", (row(), picture(1)))
    assert stat.S_IMODE((tmp_path / "a" / "unsure").stat().st_mode) == 0o700


def test_a_later_service_goes_on_and_changes_nothing(tmp_path, picture):
    keep(tmp_path, (row(), picture(1)))
    table = (tmp_path / TABLE).read_text().replace("cat", "corrected by a person")
    (tmp_path / TABLE).write_text(table)
    (tmp_path / "notes.txt").write_text("mine")
    assert keep(tmp_path, (row(), picture(1)), (row(), picture(2))) == 1
    assert (tmp_path / TABLE).read_text().startswith(table)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert len(files(tmp_path)) == 3


@pytest.mark.parametrize("limit", ["MAX_PICTURES", "MAX_BYTES"])
def test_there_is_a_most_that_counts_what_is_there_already(tmp_path, picture, monkeypatch, limit):
    keep(tmp_path, (row(), picture(1)))
    size = sum((tmp_path / name).stat().st_size for name in files(tmp_path))
    monkeypatch.setattr(unsure_module, limit, 2 if limit == "MAX_PICTURES" else int(2.5 * size))
    notes = []
    assert keep(tmp_path, *[(row(), picture(seed)) for seed in range(2, 9)], notes=notes) == 1
    assert len(notes) == 1
    assert notes[0].startswith("no more pictures are kept: ")


def test_a_disk_that_refuses_ends_the_keeping_with_a_sentence(tmp_path, picture, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    folder, notes, kept = UnsureFolder(tmp_path, note=(notes := []).append), notes, []
    monkeypatch.setattr(unsure_module, "write_bytes", full)
    for seed in range(3):
        folder.add(row(), picture(seed), kept=lambda: kept.append(1))
    folder.close()
    assert len(notes) == 1
    assert "No space left" in notes[0]
    assert folder.problem == notes[0]
    assert kept == []


def test_a_slow_disk_holds_up_nothing(tmp_path, picture, monkeypatch):
    monkeypatch.setattr(unsure_module, "MAX_QUEUED", 0)
    assert keep(tmp_path, (row(), picture(1))) == 0


def test_a_place_that_is_not_ours_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match=r"^serve: --keep-unsure .*file is a file; a folder is required"):
        UnsureFolder(tmp_path / "file", note=print)
    (tmp_path / TABLE).write_text("path,label\nmine.jpg,cat\n")
    with pytest.raises(UsageError, match=r"holds a unsure\.csv that `serve` did not write: its first line is not"):
        UnsureFolder(tmp_path, note=print)
    assert (tmp_path / TABLE).read_text() == "path,label\nmine.jpg,cat\n"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_refused_at_once(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(Exception, match="permission denied"):
        UnsureFolder(tmp_path / "new", note=print)
    tmp_path.chmod(0o700)
