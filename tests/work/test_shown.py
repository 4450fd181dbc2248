"""The small pictures of a report: some of each class, some of each scene, and the surest mistakes."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from thawline.data.findings import Scene
from thawline.work.model import evaluate_test
from thawline.work.shown import PICTURES_A_CLASS, THUMBNAIL_PX, alike_pictures, sample_grid, surest_mistakes


def test_a_few_pictures_of_each_class_are_shown(compared):
    pictures = list(sample_grid(compared, {"train": compared.split.pool, "test": compared.split.test}))
    names = compared.dataset.class_names
    labels = compared.dataset.labels[compared.split.pool]
    counts = [min(PICTURES_A_CLASS, int((labels == label).sum())) for label in range(len(names))]
    assert [sum(picture.class_name == name for picture in pictures) for name in names] == counts
    assert {picture.role for picture in pictures} == {"train"}
    assert all(max(Image.open(io.BytesIO(picture.jpeg)).size) <= THUMBNAIL_PX for picture in pictures)


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


def test_mistakes_are_wrong_answers_surest_first(compared):
    test = compared.split.test
    shares = np.full((len(test), 2), 0.0)
    shares[:, 0] = np.linspace(0.6, 0.9, len(test))
    shares[:, 1] = 1 - shares[:, 0]
    mistakes = surest_mistakes(compared.dataset, evaluate_test(compared, shares, name="mine"))
    wrong = [row for row in test if compared.dataset.labels[row] == 1]
    assert [mistake.path for mistake in mistakes] == [compared.dataset.samples[row].path for row in reversed(wrong)]
    expected = sorted(shares[np.isin(test, wrong), 0].tolist(), reverse=True)
    assert [mistake.probability for mistake in mistakes] == pytest.approx(expected)
