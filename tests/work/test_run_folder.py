"""A run's folder keeps what is a person's, is refused before any work, and gets its results together."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import pytest

from thawline.core.errors import DataError, StoreError
from thawline.core.options import Options
from thawline.core.owned import MARKER, Marker, measure, read_marker, write_marker
from thawline.data.sources.places import Place
from thawline.train.hyperparameters import TrainOptions
from thawline.work.order import Order, Row
from thawline.work.recipe import parse_recipe
from thawline.work.run import resume
from thawline.work.run_folder import (
    FIGURES,
    MODEL,
    OLDER_RESULTS,
    WORK,
    at_work,
    commit_results,
    forget_work,
    read_order,
    require_place,
    write_order,
)

BACKBONE = ("name", "architecture", "license", "weights_origin")
KEY, NONE = "0123456789ab", "0" * 64
BIRDS, FISH = Order(Place.of("birds")), Order(Place.of("fish"))
TUNED = Order(Place.of("birds"), rows=(Row(name="all", plan="all"),))
TRAINED = """
title = "Three people"
story = "Who is it?"

[[rows]]
name = "by epochs"
plan = "head"
"""


def snapshot(folder):
    """Return {path: bytes, or None for a folder} of everything below."""
    paths = sorted(folder.rglob("*"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture
def results(tmp_path):
    """Return a function that makes finished results of a run in a folder of their own."""
    from thawline.core.store import file_sha256
    from thawline.use.manifest import Manifest

    def make(text, *, without=()):
        staged = tmp_path / f"staged {text}"
        (staged / MODEL / "golden").mkdir(parents=True)
        files = {}
        for name in ("backbone.safetensors", "head.safetensors", "pictures.safetensors", "golden/0.jpg"):
            (staged / MODEL / name).write_text(text)
            files[name] = file_sha256(staged / MODEL / name)
        facts = {
            "format": 1, "thawline": "0", "class_names": ["a", "b"], "strategy": text, "compute": "float32",
            "backbone": {**dict.fromkeys(BACKBONE, "n"), "weights_sha256": NONE},
            "input": {"size_px": 32, "mean": [0.0] * 3, "std": [1.0] * 3, "interpolation": "bilinear", "fit": "crop"},
            "storage": "float16", "blocks": [[0, "mean"]], "temperature": 1.0, "num_pictures": 1,
            "images_key": NONE, "files": files, "golden": [{"file": "golden/0.jpg", "probabilities": [0.5, 0.5]}],
            "provenance": {}, "seal": NONE,
        }  # fmt: skip
        manifest = Manifest.model_validate_json(json.dumps(facts)).sealed()
        (staged / MODEL / "manifest.json").write_text(json.dumps(manifest.model_dump()))
        for name, like in OLDER_RESULTS.items():
            if name not in without:
                (staged / name).write_text(f"{like} {text}")
        return staged

    return make


@pytest.fixture
def finished(tmp_path, results):
    """Return a function that finishes a run in a folder and returns it."""

    def finish(order, text="first", *, out=tmp_path / "out", replace=False, without=()):
        require_place(out, order, replace=replace)
        with at_work(out, order, key=KEY):
            commit_results(out, results(text, without=without), replace=replace)
            forget_work(out, KEY)
        return out

    return finish


def test_a_run_replaces_its_own_older_results_and_leaves_nothing_else(finished):
    out = finished(BIRDS)
    first = snapshot(out)
    assert set(first) >= {"report.html", "model/manifest.json", MARKER}
    assert not [name for name in first if name.startswith((".thawline-", ".model"))]
    finished(BIRDS, "second")
    assert set(snapshot(out)) == set(first)
    assert (out / "report.html").read_text().endswith("second")
    assert (out / "model/head.safetensors").read_text() == "second"


@pytest.mark.parametrize("order", [FISH, TUNED])
def test_a_run_of_other_pictures_or_another_kind_needs_a_word(finished, order):
    out = finished(BIRDS)
    before = snapshot(out)
    with pytest.raises(
        StoreError, match=r"holds a run of fit on birds, and this is (tune|fit) on (birds|fish)\. .*--replace"
    ):
        require_place(out, order)
    assert snapshot(out) == before
    finished(order, "second", replace=True, without=("comparison.csv",))
    assert (out / "report.html").read_text().endswith("second")
    assert not (out / "comparison.csv").exists()  # of the older run, and the new one has none
    with pytest.raises(StoreError, match="holds a run of"):
        require_place(out, BIRDS)


def test_the_same_pictures_are_the_same_by_whatever_path(finished, tmp_path, monkeypatch):
    (tmp_path / "birds").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "birds")
    out = finished(BIRDS)
    require_place(out, Order(Place.of(tmp_path / "birds"), options=Options(size=96)))
    require_place(out, Order(Place.of("link/")))
    with pytest.raises(StoreError, match="holds a run of fit on birds"):
        require_place(out, Order(Place.of("hf:birds")))


@pytest.mark.parametrize(
    "name",
    [*OLDER_RESULTS, "model/notes.txt", "model/src/train.py", "model/manifest.json", "model/head.safetensors", MARKER],
)
@pytest.mark.parametrize("replace", [False, True])
def test_what_somebody_changed_or_added_is_refused_with_its_name(finished, name, replace):
    out = finished(BIRDS)
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("mine")
    before = snapshot(out)
    with pytest.raises(StoreError, match=rf"{Path(name).name}.*-o"):
        require_place(out, BIRDS, replace=replace)
    assert snapshot(out) == before


@pytest.mark.parametrize("name", [*OLDER_RESULTS, "model/notes.txt", "model", "report.html/notes.txt"])
@pytest.mark.parametrize("replace", [False, True])
def test_a_person_s_own_files_in_a_new_place_are_refused(tmp_path, name, replace):
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(StoreError, match=r"not written by Thawline|no folder that Thawline made"):
        require_place(tmp_path / "out", BIRDS, replace=replace)
    assert snapshot(tmp_path) == before


def test_what_is_in_nobody_s_way_stays_as_it_is(finished, tmp_path):
    mine = ("notes.txt", "tune/notes.txt", "staging/site/a.html", ".thawline-work/thesis/a.txt", "models/m.bin", ".a/b")
    for name in mine:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text(name)
    out = finished(BIRDS)
    finished(BIRDS, "second")
    assert {name: (out / name).read_text() for name in mine} == {name: name for name in mine}


def test_a_run_of_an_older_version_needs_a_word(finished, results):
    out = finished(BIRDS)
    (out / MARKER).unlink()
    before = snapshot(out)
    with pytest.raises(StoreError, match=r"no marker proves that Thawline wrote it.*--replace if it is a run of"):
        require_place(out, BIRDS)
    assert snapshot(out) == before
    (out / "ledger.csv").write_text("mine")
    with pytest.raises(StoreError, match=r"ledger\.csv \(not written by Thawline\)"):
        require_place(out, BIRDS, replace=True)
    (out / "ledger.csv").write_text("path,older")
    finished(BIRDS, "second", replace=True)
    require_place(out, BIRDS)


def test_what_came_while_the_run_was_at_work_is_not_replaced(finished, results):
    out = finished(BIRDS)
    with at_work(out, BIRDS, key=KEY):
        (out / "report.html").write_text("mine")
        before = snapshot(out)
        with pytest.raises(StoreError, match=r"while the run was at work, report\.html \(changed since"):
            commit_results(out, results("second"))
        assert snapshot(out) == before
        (out / "report.html").unlink()
        (out / "model/notes.txt").write_text("mine")
        with pytest.raises(StoreError, match=r"model would be replaced, and holds notes\.txt"):
            commit_results(out, results("third"))
        assert (out / "model/notes.txt").read_text() == "mine"


def commit_and_die(out, staged, number):
    """Put results in their places in a child process that ends before its nth call that renames or removes."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        with at_work(out, BIRDS, key=KEY):
            calls = iter(range(1, 1000))

            def dying(real, *words, **named):
                return os._exit(9) if next(calls) == number else real(*words, **named)

            for name in ("rename", "replace", "unlink"):
                setattr(os, name, partial(dying, getattr(os, name)))
            commit_results(out, staged)
            os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a process that it forks")
def test_a_kill_between_two_renames_is_made_good_by_the_next_run(finished, results, tmp_path):
    """Whatever stands there by then is known to be ours, and the next run ends as if there had been no kill."""
    whole = snapshot(finished(BIRDS, "whole"))
    code, number = 9, 0
    while code == 9:
        number += 1
        out = finished(BIRDS, f"older {number}", out=tmp_path / f"out {number}")
        code = commit_and_die(out, results(f"killed {number}"), number)
        finished(BIRDS, f"again {number}", out=out)
        assert set(snapshot(out)) == set(whole)
        assert (out / "run.json").read_text().endswith(f"again {number}")
        assert (out / "model/head.safetensors").read_text() == f"again {number}"
    assert code == 0
    assert number > 15  # eight results, the model, two markers, and what staging removes


def test_two_runs_do_not_work_in_one_folder(tmp_path):
    with at_work(tmp_path / "out", BIRDS, key=KEY):
        with (
            pytest.raises(StoreError, match=r"another run is at work in .*out\. Wait"),
            at_work(tmp_path / "out", BIRDS, key=KEY),
        ):
            pass
        assert read_order(tmp_path / "out")[0].photos.title == "birds"
    with at_work(tmp_path / "out", BIRDS, key=KEY):
        forget_work(tmp_path / "out", KEY)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [MARKER]
    assert read_marker(tmp_path / "out").files == {}


def test_a_folder_inside_the_pictures_is_refused(tmp_path):
    (tmp_path / "birds/red").mkdir(parents=True)
    order = Order(Place.of(tmp_path / "birds"))
    with pytest.raises(DataError, match="lies inside the pictures"):
        require_place(tmp_path / "birds/red", order)
    require_place(tmp_path / "elsewhere/deep", order)
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="a file stands where a folder is needed"):
        require_place(tmp_path / "file", order)


def test_an_order_comes_back_from_the_run_s_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = Options(size=96, pooling=("mean", "grid"), weights=Path("net.safetensors"), limit=9)
    training = TrainOptions(epochs=3, schedule="one-cycle", learning_rate=1e-3, augment="augmix", clip_norm=None)
    recipe = parse_recipe(TRAINED, "mine")
    order = recipe.order("photos", options={"limit": 9}, training={"epochs": 2}, budget_s=60.0, command="thawline x")
    for asked in (order, Order(Place.of("photos"), options=options, training=training)):
        write_order(tmp_path / "run", asked, key="0123456789ab")
        assert read_order(tmp_path / "run") == (asked.from_anywhere(), "0123456789ab")


def test_a_new_order_removes_the_training_runs_of_others_and_nothing_else(tmp_path):
    for folder in ("0123456789ab/all", "ba9876543210/all", "thesis"):
        (tmp_path / WORK / folder).mkdir(parents=True)
    (tmp_path / "run.json").write_text("{}")
    write_order(tmp_path, Order(Place.of("photos")), key="0123456789ab")
    assert {path.name for path in tmp_path.iterdir()} == {WORK, "run.json"}
    assert {path.name for path in (tmp_path / WORK).iterdir()} == {"request.json", "0123456789ab", "thesis"}


def test_an_order_that_is_not_there_says_why(tmp_path):
    with pytest.raises(StoreError, match=r"request\.json does not exist: no run was started there\. Start one"):
        resume(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(StoreError, match=r"that run is done"):
        resume(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda order: order.pop("photos"),
        lambda order: order["options"].update(sise=64),
        lambda order: order["training"].update(epochs="many"),
        lambda order: order.update(rows=None),
        lambda order: order.update(protocol="luck"),
    ],
)
def test_a_damaged_order_is_refused(change, tmp_path):
    write_order(tmp_path, Order(Place.of("photos"), rows=(Row(name="all", plan="all"),)), key="0123456789ab")
    path = tmp_path / WORK / "request.json"
    request = json.loads(path.read_text())
    change(request["order"])
    path.write_text(json.dumps(request))
    with pytest.raises(StoreError, match=r"request\.json cannot be read \(\w+\)\. Start the run again"):
        read_order(tmp_path)


def test_figures_are_replaced_and_removed_with_the_run_and_those_of_others_stay(finished, results, tmp_path):
    out = tmp_path / "out"
    for text, names in (("first", ("a.svg", "b.png")), ("second", ("a.svg",))):
        require_place(out, BIRDS)
        with at_work(out, BIRDS, key=KEY):
            staged = results(text)
            (staged / FIGURES).mkdir()
            for name in names:
                (staged / FIGURES / name).write_text(text)
            commit_results(out, staged)
            forget_work(out, KEY)
        assert {path.name: path.read_text() for path in (out / FIGURES).iterdir()} == dict.fromkeys(names, text)
    (out / FIGURES / "mine.svg").write_text("mine")
    with pytest.raises(StoreError, match=r"mine\.svg"):
        require_place(out, BIRDS)
    (out / FIGURES / "mine.svg").unlink()
    finished(BIRDS, "third")
    assert not (out / FIGURES).exists()


def test_a_folder_of_figures_that_is_somebody_elses_is_refused(tmp_path):
    (tmp_path / "out" / FIGURES).mkdir(parents=True)
    (tmp_path / "out" / FIGURES / "mine.svg").write_text("mine")
    with pytest.raises(StoreError, match="figures"):
        require_place(tmp_path / "out", BIRDS, replace=True)


def test_exports_of_the_older_model_go_with_it_and_those_of_a_person_stay(finished, tmp_path):
    out = finished(BIRDS)
    mine = ("exports/model.onnx", "exports/openvino/model.xml", "exports/openvino/golden/0.jpg", "exports/changed.onnx")
    theirs = ("exports/notes.txt", "exports/openvino/mine.txt")
    for name in (*mine, *theirs):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(name)
    marker = read_marker(out)
    write_marker(out, marker.with_files(measure(out, mine)))
    (out / "exports/changed.onnx").write_text("by a person")
    assert finished(BIRDS, "second") == out  # nothing of it is in the way
    left = {path.relative_to(out).as_posix() for path in (out / "exports").rglob("*") if path.is_file()}
    assert left == {*theirs, "exports/changed.onnx"}
    assert not any(name.startswith("exports/") for name in read_marker(out).files)
    for name in left:
        (out / name).unlink()
    write_marker(out, Marker("run", read_marker(out).of, read_marker(out).files))
    (out / "exports/model.onnx").write_text("again")
    write_marker(out, read_marker(out).with_files(measure(out, ["exports/model.onnx"])))
    finished(BIRDS, "third")
    assert not (out / "exports/model.onnx").exists()


def test_exports_behind_a_link_are_left_alone(finished, tmp_path):
    out, elsewhere = finished(BIRDS), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "model.onnx").write_text("model")
    (out / "exports").symlink_to(elsewhere)
    write_marker(out, read_marker(out).with_files(measure(out, ["exports/model.onnx"])))
    finished(BIRDS, "second")
    assert (elsewhere / "model.onnx").read_text() == "model"
