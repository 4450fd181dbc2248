"""Golden pictures lie near borders, are of every class, odd in shape and file, and none is of the test."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from thawline.data.dataset import Dataset, LedgerRow, Sample
from thawline.work import hard_pictures as module
from thawline.work.hard_pictures import GOLDEN_PICTURES, file_kind, hard_rows


def png(mode="RGB", size=(8, 8)):
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def compared(monkeypatch):
    """Return a comparison of 60 pictures in 3 classes: 7 is grey, 8 has layers, 20 is flat, 30 is tall."""
    files = [png("L" if row == 7 else "RGBA" if row == 8 else "RGB") for row in range(60)]
    sizes = {20: (900, 30), 30: (30, 900)}
    samples = [Sample(str(row), row % 3, f"{row:064}", None, row, None) for row in range(60)]
    ledger = [
        LedgerRow(str(row), "used", "", f"{row:064}", 9, *sizes.get(row, (50 + row, 60)), "PNG", "a", "", row)
        for row in range(60)
    ]
    dataset = Dataset(None, ("a", "b", "c"), tuple(samples), tuple(ledger))
    monkeypatch.setattr(module, "read_checked", lambda sample: files[int(sample.path)])
    return SimpleNamespace(dataset=dataset, sample=None)


def test_odd_files_odd_shapes_every_class_and_then_the_least_margin(compared, monkeypatch):
    margins = np.linspace(1, 0.01, 60)  # the last are the hardest
    monkeypatch.setattr(module, "_margins", lambda compared, classifier, *, rows: margins[rows])
    rows = np.arange(58)
    hard = hard_rows(compared, None, rows=rows)
    assert len(hard) == len(set(hard.tolist())) == GOLDEN_PICTURES
    assert {7, 8, 20, 30} <= set(hard.tolist())
    assert {57, 56, 55} <= set(hard.tolist())
    assert not {58, 59} & set(hard.tolist())
    assert hard.tolist() == sorted(hard.tolist(), reverse=True)  # the hardest border first
    assert set((hard % 3).tolist()) == {0, 1, 2}
    assert hard_rows(compared, None, rows=rows).tolist() == hard.tolist()


def test_of_a_small_set_every_picture_is_kept(compared):
    assert sorted(hard_rows(compared, None, rows=np.array([1, 4, 9])).tolist()) == [1, 4, 9]


def test_a_class_that_is_never_near_a_border_is_there_too(compared, monkeypatch):
    easy = np.where(np.arange(60) % 3 == 2, 1.0, 0.1)
    samples = [
        replace(sample, label=2 if row == 59 else row % 2) for row, sample in enumerate(compared.dataset.samples)
    ]
    compared.dataset = replace(compared.dataset, samples=tuple(samples))
    easy[59] = 1.0
    monkeypatch.setattr(module, "_margins", lambda compared, classifier, *, rows: easy[rows])
    assert 59 in hard_rows(compared, None, rows=np.arange(60)).tolist()


def test_a_file_says_what_is_odd_about_it():
    assert file_kind(png()) == ("PNG", "RGB")
    assert file_kind(png("P")) == ("PNG", "P")
    assert file_kind(b"words") == ("unknown",)
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9)).save(buffer, "GIF", save_all=True, append_images=[Image.new("RGB", (9, 9), "red")])
    assert file_kind(buffer.getvalue())[0] == "GIF"
    assert "moving" in file_kind(buffer.getvalue())
    assert file_kind(png()[:40]) == ("unknown",)


def test_where_memory_does_not_hold_all_rows_some_are_looked_at(compared, monkeypatch):
    asked = []

    def margins(compared, classifier, *, rows):
        asked.append(rows)
        return np.linspace(1, 0, len(rows))

    monkeypatch.setattr(module, "_margins", margins)
    monkeypatch.setattr(module, "MAX_DRAWN", 40)
    compared.sample = object()
    hard = hard_rows(compared, None, rows=np.arange(60))
    assert (len(asked[0]), len(hard)) == (40, GOLDEN_PICTURES)
    assert np.isin(hard, asked[0]).all()
    compared.sample = None
    hard_rows(compared, None, rows=np.arange(60))
    assert len(asked[1]) == 60
