"""The report of a check: copies, leaks, conflicts and odd classes, with paths as in the ledger."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from thawline.data.check import check


def five(name: str, start: int) -> dict[str, int]:
    return {f"{name}/{number}.png": start + number for number in range(5)}


def test_report_as_json_has_the_promised_keys(make_folder):
    files = {**five("train/a", 0), **five("train/b", 10), "test/a/copy.png": 3, "test/b/x": 30, "test/b/bad": b""}
    _, report = check(make_folder(files))
    data = json.loads(json.dumps(report.to_json()))
    assert data["used"] == 12
    assert data["skipped"] == [{"path": "test/b/bad", "reason": "the file is empty"}]
    assert data["leaks"] == [{"path": "test/a/copy.png", "of": "train/a/3.png"}]
    assert data["exact_copies"] == [["test/a/copy.png", "train/a/3.png"]]
    assert data["near_copies"] == []
    assert data["remarks"] == []
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


def frame(draw, encode, seed, *, spot=None):
    """Return what a fixed camera sees: one scene with the noise of its sensor, and perhaps a spot somewhere."""
    levels = np.asarray(draw(7, (96, 96))) + np.random.default_rng(seed).normal(0, 3, (96, 96, 3))
    if spot is not None:
        levels[spot[0] : spot[0] + 4, spot[1] : spot[1] + 4] = 250
    return encode(Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)))


def test_many_alike_pictures_of_a_class_are_a_scene(make_folder, draw, encode):
    files = {f"good/{k}.png": frame(draw, encode, k) for k in range(6)}
    files |= {
        f"spot/{k}.png": frame(draw, encode, 10 + k, spot=(10 + 25 * (k // 3), 10 + 30 * (k % 3))) for k in range(6)
    }
    _, report = check(make_folder({**files, **five("other", 0)}))
    (scene,) = report.scenes
    assert (scene.classes, scene.distinct, len(scene.pictures)) == ({"good": 6, "spot": 6}, 7, 12)
    assert sorted(scene.pictures[:7]) == ["good/0.png", *(f"spot/{k}.png" for k in range(6))]
    assert report.near_copies == (tuple(f"good/{k}.png" for k in range(6)),)
    assert report.conflicts == ()
    facts = json.loads(json.dumps(report.to_json()))["scenes"]
    assert facts == [{"pictures": list(scene.pictures), "classes": {"good": 6, "spot": 6}, "distinct": 7}]


def test_a_few_copies_are_no_scene(make_folder, draw, encode):
    files = {f"a/{k}.png": frame(draw, encode, k) for k in range(4)}
    _, report = check(make_folder({**files, "a/x": 1, **five("b", 10)}))
    assert (len(report.near_copies), report.scenes) == (1, ())


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
