"""Copies that are not copies: a fixed camera, a burst; and copies that are, whatever was done to them."""

from __future__ import annotations

import pytest

import thawline
from thawline.core.options import CheckOptions, make_options
from thawline.data.split import make_split
from thawline.view.summary import run_text


def test_a_scratch_under_a_fixed_camera_makes_a_picture_of_its_own(make_case):
    dataset, report = thawline.check(make_case("fixed_camera"))
    (scene,) = report.scenes
    assert (scene.classes, len(scene.pictures)) == ({"good": 20, "scratch": 20}, 40)
    assert report.conflicts == ()
    groups = {label: len(set(dataset.groups[dataset.labels == label])) for label in (0, 1)}
    assert groups == {0: 1, 1: 20}


def test_the_bursts_of_a_webcam_are_named(make_case):
    dataset, report = thawline.check(make_case("webcam"))
    assert {name for scene in report.scenes for name in scene.classes} == {"hand up", "hand down", "nobody"}
    assert report.conflicts == ()
    assert len(set(dataset.groups.tolist())) < 30


@pytest.mark.parametrize("name", ["fixed_camera", "webcam"])
def test_a_fixed_camera_and_a_burst_end_with_a_model_and_a_warning(make_case, name, tmp_path):
    run = thawline.fit(make_case(name), tmp_path / "run", options=make_options(folds=2, repeats=1))
    (warning,) = run.run["warnings"]
    assert "copies kept together, but for those that were dealt out one by one." in (run.out / "report.html").read_text(
        encoding="utf-8"
    )
    assert "copies of one another" in warning
    assert "Every interval still counts a group of copies once" in warning
    assert "copies parted in" in run.run["rule"]
    assert f"Warning: {warning}" in run_text(run.data)
    assert run.run["test"]["low"] < 0.75  # a handful of scenes can tell no more
    assert (tmp_path / "run" / "model").is_dir()
    assert warning[:40] in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("copies", ["exact", "ignore"])
def test_near_copies_count_singly_on_request(make_case, copies):
    dataset, report = thawline.check(make_case("webcam"), CheckOptions(copies=copies))
    assert len(set(dataset.groups.tolist())) == len(dataset) == 90
    assert report.near_copies == ()
    assert not make_split(dataset).warning
