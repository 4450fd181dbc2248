"""The map of pictures: near means alike, nothing crashes on few or equal ones, large sets are shown in part."""

from dataclasses import replace

import numpy as np
import pytest

from thawline.vet import picture_map as module
from thawline.vet.answered import Answered
from thawline.vet.picture_map import picture_map, places_of
from thawline.vet.space import Space


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def crowd(num, *, groups=3, seed=0):
    """Return pictures in well separated groups, one after the other in turn."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(groups, 32))
    return unit(centres[np.arange(num) % groups] + 0.2 * rng.normal(size=(num, 32)))


def of_many(dataset, num, *, labels=None):
    """Return a data set of `num` pictures, their classes in turn."""
    labels = np.arange(num) % 2 if labels is None else labels
    samples = tuple(
        replace(dataset.samples[0], path=f"{number}.png", label=int(labels[number])) for number in range(num)
    )
    return replace(dataset, samples=samples)


def test_alike_pictures_lie_together():
    places = places_of(crowd(90))
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (apart.argmin(axis=1) % 3 == np.arange(90) % 3).all()
    assert places.min() == 0
    assert places.max() == 1


@pytest.mark.parametrize("num", range(1, 13))
def test_few_pictures_have_places_too(num):
    places = places_of(crowd(num))
    assert places.shape == (num, 2)
    assert np.isfinite(places).all()
    assert ((places >= 0) & (places <= 1)).all()
    assert len(np.unique(places, axis=0)) == num


@pytest.mark.parametrize("num", [1, 2, 20])
def test_equal_pictures_lie_in_the_middle(num):
    assert (places_of(np.repeat(crowd(1), num, axis=0)) == 0.5).all()


def test_pictures_that_are_nearly_all_equal_have_places():
    x = np.repeat(crowd(1), 30, axis=0)
    x[:2] = crowd(6)[4:]
    assert np.isfinite(places_of(x)).all()


def test_pictures_in_one_direction_and_in_none_have_places():
    assert (places_of(np.ones((3, 0), dtype=np.float32)) == 0.5).all()
    assert (places_of(np.ones((12, 1), dtype=np.float32)) == 0.5).all()
    both = np.where(np.arange(12) % 2, 1, -1).astype(np.float32)[:, None]
    assert np.isfinite(places_of(both)).all()


def test_the_same_pictures_have_the_same_map():
    assert (places_of(crowd(40)) == places_of(crowd(40))).all()


def test_a_map_names_each_picture_with_what_was_said_of_it(tiny_dataset):
    shares = np.array([[0.2, 0.8], [0.1, 0.9]], dtype=np.float32)
    answered = Answered(tiny_dataset, np.array([1, 3]), shares, np.array([0, 0]))
    drawn = picture_map(Space(crowd(4)), tiny_dataset, answered=answered)
    assert [point.path for point in drawn.points] == ["a/0.png", "a/1.png", "b/2.png", "b/3.png"]
    assert [point.label for point in drawn.points] == [0, 0, 1, 1]
    assert [point.predicted for point in drawn.points] == [None, 1, None, 1]
    assert drawn.num_left_out == 0
    assert picture_map(Space(crowd(4)), tiny_dataset).points[1].predicted is None


def test_of_very_many_pictures_all_mistakes_and_a_part_of_every_class_are_shown(tiny_dataset, monkeypatch):
    monkeypatch.setattr(module, "MOST_PICTURES", 20)
    labels = np.array([1, *([0] * 59)])
    dataset = of_many(tiny_dataset, 60, labels=labels)
    wrong = np.array([7, 8, 9])
    shares = np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (60, 1))
    shares[wrong] = shares[wrong, ::-1]
    shares[0] = [0.1, 0.9]
    answered = Answered(dataset, np.arange(60), shares, np.zeros(60, dtype=np.int64))
    drawn = picture_map(Space(crowd(60)), dataset, answered=answered)
    shown = {int(point.path.removesuffix(".png")) for point in drawn.points}
    assert len(drawn.points) == 20
    assert drawn.num_left_out == 40
    assert {0, 7, 8, 9} <= shown
    assert drawn == picture_map(Space(crowd(60)), dataset, answered=answered)


def test_mistakes_fill_half_of_a_map_at_most(tiny_dataset, monkeypatch):
    monkeypatch.setattr(module, "MOST_PICTURES", 20)
    dataset = of_many(tiny_dataset, 60)
    shares = np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (60, 1))  # every other picture is wrong
    answered = Answered(dataset, np.arange(60), shares, np.zeros(60, dtype=np.int64))
    drawn = picture_map(Space(crowd(60)), dataset, answered=answered)
    assert sum(point.predicted != point.label for point in drawn.points) < 18
    assert len(drawn.points) == 20
