"""The album of a report: mistakes first, then what is named, then samples, each once and within a budget of bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

import thawline.work.shown as shown_module
from thawline.data.findings import Scene
from thawline.vet.advice import Advice
from thawline.vet.answered import TEST, Answered
from thawline.vet.space import Space
from thawline.vet.suspects import Suspect, Suspects
from thawline.view.album import TEST_PART, TRAINING_PART
from thawline.work.shown import (
    LARGE_PX,
    PICTURES_A_CLASS,
    SMALL_PX,
    TILE_PX,
    alike_pictures,
    further_paths,
    make_album,
    paths_named,
    prominent_paths,
    sample_grid,
)


@pytest.fixture
def answered(compared):
    """Answers to all but the first picture: every second of the test is wrong, and one of the folds is, most surely."""
    dataset = compared.dataset
    rows = np.arange(1, len(dataset))
    fold = np.where(np.isin(rows, compared.split.test), TEST, 2)
    right = np.linspace(0.6, 0.9, len(rows))
    wrong = (fold == TEST) & (np.arange(len(rows)) % 2 == 0)
    surest = int(np.flatnonzero(fold != TEST)[0])
    right[surest], wrong[surest] = 0.99, True
    said = np.where(wrong, 1 - dataset.labels[rows], dataset.labels[rows])
    shares = np.full((len(rows), 2), 0.0)
    shares[np.arange(len(rows)), said], shares[np.arange(len(rows)), 1 - said] = right, 1 - right
    return Answered(dataset, rows, shares.astype(np.float32), fold)


@pytest.fixture
def space(compared):
    """A space in which picture n is most like n + 1."""
    angles = np.arange(len(compared.dataset)) ** 1.5 / 100
    return Space(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))


def roles_of(compared):
    return {"train": compared.split.pool, "test": compared.split.test}


def test_a_few_pictures_of_each_class_are_shown(compared):
    pictures = list(sample_grid(compared, roles_of(compared)))
    names = compared.dataset.class_names
    labels = compared.dataset.labels[compared.split.pool]
    counts = [min(PICTURES_A_CLASS, int((labels == label).sum())) for label in range(len(names))]
    assert [sum(picture.class_name == name for picture in pictures) for name in names] == counts
    assert {picture.role for picture in pictures} == {"train"}


def test_the_first_pictures_of_a_scene_are_shown_under_their_own_classes(compared):
    samples = compared.dataset.samples
    paths = tuple(sample.path for sample in reversed(samples))
    scene = Scene(paths, {}, len(paths))
    report = replace(compared.session.report, scenes=(scene,))
    seen = replace(compared, session=replace(compared.session, report=report))
    shown = list(alike_pictures(seen))
    assert [picture.path for picture in shown] == list(paths[:PICTURES_A_CLASS])
    name_of = {sample.path: compared.dataset.class_names[sample.label] for sample in samples}
    assert all((picture.class_name, picture.role) == (name_of[picture.path], "alike") for picture in shown)
    assert list(alike_pictures(compared)) == []


def test_mistakes_come_surest_first_behind_a_picture_of_each_class_with_what_was_said(compared, answered, space):
    album = make_album(answered, space, samples=list(sample_grid(compared, roles_of(compared))))
    wrong = np.flatnonzero(~answered.is_right)
    assert (album.num_mistakes, album.num_answered, album.num_test) == (
        len(wrong), len(answered), int(answered.is_test.sum())
    )  # fmt: skip
    faces, first = album.pictures[:2], [shown for shown in album.pictures if shown.is_mistake]
    assert [shown.label for shown in faces] == [0, 1]
    assert first[-1] in album.pictures[: len(wrong) + 2]
    assert [shown.confidence for shown in first] == sorted((shown.confidence for shown in first), reverse=True)
    assert tuple(first) == album.mistakes
    assert (first[0].fold, first[0].top) == (2, ((1 - first[0].label, 0.99), (first[0].label, 0.01)))
    assert {shown.fold for shown in first[1:]} == {TEST_PART}
    assert int(np.trace(album.confusion)) == len(answered) - len(wrong)
    assert album.confusion.sum() == len(answered)


def test_each_picture_is_there_once_and_mistakes_are_larger(compared, answered, space):
    samples = list(sample_grid(compared, roles_of(compared)))
    album = make_album(answered, space, samples=[*samples, *samples], prominent=[samples[0].path, "no such picture"])
    paths = [shown.path for shown in album.pictures]
    assert len(paths) == len(set(paths))
    assert {picture.path for picture in samples} <= set(paths)
    for shown in album.pictures:
        size = Image.open(io.BytesIO(shown.jpeg)).size
        assert size == (shown.width_px, shown.height_px)
        assert max(size) <= (LARGE_PX if shown.is_mistake or shown.path == samples[0].path else SMALL_PX)


def test_a_picture_that_no_model_was_asked_about_says_so(compared, answered, space):
    path = compared.dataset.samples[0].path
    album = make_album(answered, space, samples=(), further=[path])
    shown = album.pictures[album.place_of[path]]
    assert (shown.fold, shown.top, shown.is_mistake) == (TRAINING_PART, (), False)


def test_the_label_is_among_what_is_said_of_a_picture(compared, answered, space):
    shares = np.full((len(answered), 9), 0.0, dtype=np.float32)
    shares[:, 2:] = np.linspace(0.3, 0.05, 7)
    dataset = replace(compared.dataset, class_names=tuple("abcdefghi"))
    album = make_album(replace(answered, dataset=dataset, probabilities=shares), space, samples=())
    assert [[k for k, _ in shown.top] for shown in album.pictures[:1]] == [[2, 3, 4, album.pictures[0].label]]


def test_the_pictures_most_like_a_mistake_are_shown_too(compared, answered, space):
    album = make_album(answered, space, samples=())
    paths = [sample.path for sample in compared.dataset.samples]
    row_of = {path: row for row, path in enumerate(paths)}
    for mistake in album.mistakes:
        near, _ = space.nearest(np.array([row_of[mistake.path]]), np.arange(len(paths)), k=4)
        assert mistake.near == tuple(paths[row] for row in near[0])
        assert set(mistake.near) <= set(album.place_of)


def test_the_bytes_are_bounded_and_the_least_wanted_are_left_out(compared, answered, space, monkeypatch):
    samples = list(sample_grid(compared, roles_of(compared)))
    whole = make_album(answered, space, samples=samples)
    most = sum(len(shown.jpeg) for shown in whole.pictures[:3])
    monkeypatch.setattr(shown_module, "ALBUM_BYTES", most)
    assert make_album(answered, space, samples=samples).pictures == whole.pictures[:3]
    monkeypatch.setattr(shown_module, "SHOWN_MISTAKES", 2)
    few = make_album(answered, space, samples=())
    assert (len(few.mistakes), few.num_mistakes) == (2, whole.num_mistakes)


def test_a_map_has_a_tile_for_every_picture(compared, answered, space, monkeypatch):
    paths = [sample.path for sample in compared.dataset.samples]
    monkeypatch.setattr(shown_module, "SHEET_TILES", 20)
    monkeypatch.setattr(shown_module, "SHEET_COLUMNS", 8)
    sheets = make_album(answered, space, samples=(), mapped=[*paths, "no such picture"]).sheets
    assert [path for sheet in sheets for path in sheet.paths] == paths
    assert Image.open(io.BytesIO(sheets[0].jpeg)).size == (8 * TILE_PX, 3 * TILE_PX)
    monkeypatch.setattr(shown_module, "SHEET_BYTES", len(sheets[0].jpeg))
    assert make_album(answered, space, samples=(), mapped=paths).sheets == sheets[:1]


def test_texts_are_found_in_plain_data():
    @dataclass(frozen=True)
    class Pair:
        first: str
        others: tuple[str, ...]
        share: float = 0.5

    found = paths_named((Pair("a", ("b", "c")), {"k": [Pair("d", ())]}, None, 3, b"e"))
    assert list(found) == ["a", "b", "c", "d"]


def test_what_is_doubtful_is_wanted_before_what_is_merely_alike(compared):
    doubtful = tuple(
        Suspect(f"{n}.jpg", "blue", "red", 0.9, "it looks like red", "ab", like_label=(f"like {n}.jpg",))
        for n in range(99)
    )
    advice = Advice(5, suspects=Suspects(99, 99, 0, 5, doubtful))
    copies = tuple((f"copy {n}.jpg", f"other {n}.jpg", "third.jpg") for n in range(50))
    report = replace(
        compared.session.report, exact_copies=copies, near_copies=(), leaks=(),
        conflicts=(("a.jpg", "blue", "b.jpg", "red"),),
    )  # fmt: skip
    large, small = list(prominent_paths(advice, report)), list(further_paths(advice, report))
    assert large == ["a.jpg", "b.jpg", *(f"{n}.jpg" for n in range(60))]
    assert "like 11.jpg" in small
    assert "like 12.jpg" not in small
    assert small[-2:] == ["copy 11.jpg", "other 11.jpg"]
    assert list(prominent_paths(None, report)) == ["a.jpg", "b.jpg"]
