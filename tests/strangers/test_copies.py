"""Copies that are not copies: a fixed camera, a burst; and copies that are, whatever was done to them."""

from __future__ import annotations

import thawline


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
