"""Pictures are found by their bytes: where the run says, where the person says, under other names; or refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from thawline.core.errors import BundleError, UsageError
from thawline.use.exports.known_pictures import learnt_pictures, yardstick_of

FOLDERS = ("cross", 'stripe, "wide"', "träne 🦜")


@pytest.fixture
def photos(picture, tmp_path):
    """Return a folder of twelve pictures of each class."""
    for place, name in enumerate(FOLDERS):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            (tmp_path / "photos" / name / f"{number}.jpg").write_bytes(picture(1000 + 12 * place + number))
    return tmp_path / "photos"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def run(photos, tmp_path):
    """Return the folder of a run that held the last two pictures of each class out."""
    folder = tmp_path / "run"
    folder.mkdir()
    ledger = ["path,status,reason,sha256,label,group"]
    answers = ["path,part,label,predicted,probability,abstained,suspect,a,b,c"]
    for group, path in enumerate(sorted(photos.rglob("*.jpg"))):
        name, label = path.relative_to(photos).as_posix(), path.parent.name
        quoted, cell = (f'"{text.replace(chr(34), chr(34) * 2)}"' for text in (name, label))
        ledger.append(f"{quoted},used,,{digest(path)},{cell},{group}")
        part = "test" if path.stem in ("10", "11") else "fold 1"
        answers.append(f"{quoted},{part},{cell},{cell},0.8,false,false,0.8,0.1,0.1")
    (folder / "ledger.csv").write_text("\n".join(ledger), encoding="utf-8")
    (folder / "predictions.csv").write_text("\n".join(answers), encoding="utf-8")
    (folder / "run.json").write_text(json.dumps({"photos": str(photos), "options": {}}))
    return folder


@pytest.fixture
def bundle(drawn_model, photos):
    """Return the small model as one that has learnt from all that the run did not hold out."""
    learnt = frozenset(digest(path) for path in photos.rglob("*.jpg") if path.stem not in ("10", "11"))
    return replace(drawn_model, training_digests=learnt)


def check_found(yardstick):
    assert (len(yardstick.training), len(yardstick.held_out)) == (30, 6)
    assert {one.path.rpartition("/")[2] for one in yardstick.held_out} == {"10.jpg", "11.jpg"}
    assert all(FOLDERS[one.label] == one.path.partition("/")[0] for one in yardstick.held_out)
    for one in (*yardstick.training, *yardstick.held_out):
        assert hashlib.sha256(one.source.read()).hexdigest() == one.sha256


def test_a_run_says_where_its_pictures_are_and_which_were_held_out(bundle, run):
    yardstick = yardstick_of(bundle, run)
    check_found(yardstick)
    np.testing.assert_allclose(yardstick.clear, np.log(8), atol=1e-4)
    assert len(yardstick.clear) == 30
    assert yardstick.learnt == bundle.training_digests


def test_held_out_pictures_that_were_learnt_afterwards_stay_held_out(bundle, run, photos):
    everything = replace(bundle, training_digests=frozenset(map(digest, photos.rglob("*.jpg"))))
    yardstick = yardstick_of(everything, run)
    check_found(yardstick)
    assert all(one.sha256 in yardstick.learnt for one in yardstick.held_out)


def test_pictures_that_moved_are_found_under_other_names(bundle, run, photos, tmp_path):
    photos.rename(tmp_path / "moved")
    with pytest.raises(
        UsageError, match=r"no picture that the model learnt from, .* was found in .*photos\. Pass --photos"
    ):
        yardstick_of(bundle, run)
    check_found(yardstick_of(bundle, run, photos=tmp_path / "moved"))
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, path in enumerate(sorted((tmp_path / "moved").rglob("*.jpg"))):
        shutil.copy(path, flat / f"renamed{number}.jpg")
    check_found(yardstick_of(bundle, run, photos=flat))


def test_a_changed_picture_is_not_taken(bundle, run, photos, picture):
    (photos / "cross" / "10.jpg").write_bytes(picture(5))
    assert len(yardstick_of(bundle, run).held_out) == 5


def test_a_model_folder_alone_needs_labelled_pictures(bundle, photos):
    with pytest.raises(
        UsageError, match=r"nothing says where they are.*--photos PATH.*Golden pictures alone are too few"
    ):
        yardstick_of(bundle, None)
    yardstick = yardstick_of(bundle, None, photos=photos)
    check_found(yardstick)
    assert yardstick.clear is None


def test_pictures_that_were_all_learnt_hold_none_out(bundle, photos):
    everything = replace(bundle, training_digests=frozenset(map(digest, photos.rglob("*.jpg"))))
    with pytest.raises(UsageError, match=r"no picture that was held out, by which 8 bits are measured, was found in"):
        yardstick_of(everything, None, photos=photos)


def test_new_pictures_are_held_out_where_the_run_held_none_out(bundle, run, photos, picture, tmp_path):
    text = (run / "predictions.csv").read_text(encoding="utf-8").replace(",test,", ",fold 2,")
    (run / "predictions.csv").write_text(text, encoding="utf-8")
    everything = replace(bundle, training_digests=frozenset(map(digest, photos.rglob("*.jpg"))))
    with pytest.raises(UsageError, match="no picture that was held out"):
        yardstick_of(everything, run)
    for place, name in enumerate(FOLDERS):
        (tmp_path / "new" / name).mkdir(parents=True)
        (tmp_path / "new" / name / "x.jpg").write_bytes(picture(3000 + place))
    yardstick = yardstick_of(everything, run, photos=tmp_path / "new")
    assert (len(yardstick.training), len(yardstick.held_out)) == (36, 3)


def test_an_older_run_that_says_no_place_is_told_what_to_pass(bundle, run, photos):
    (run / "run.json").write_text("{}")
    with pytest.raises(UsageError, match="--photos PATH"):
        yardstick_of(bundle, run)
    check_found(yardstick_of(bundle, run, photos=photos))


@pytest.mark.parametrize("name", ["run.json", "ledger.csv", "predictions.csv"])
def test_a_damaged_run_is_named(bundle, run, name):
    (run / name).write_text("?")
    with pytest.raises(BundleError, match=r"run.json, ledger.csv or predictions.csv is missing or damaged.*run/model"):
        yardstick_of(bundle, run)


def test_pictures_that_were_learnt_are_found_alone_and_drawn_from_every_class(bundle, run, photos, tmp_path):
    found = learnt_pictures(bundle, run, count=100)
    assert {one.sha256 for one in found} == bundle.training_digests
    assert all(FOLDERS[one.label] == one.path.partition("/")[0] for one in found)
    shutil.copy(photos / "cross" / "0.jpg", photos / "cross" / "copy.jpg")
    few = learnt_pictures(bundle, run, count=7)
    assert sorted(np.bincount([one.label for one in few]).tolist()) == [2, 2, 3]
    assert {one.sha256 for one in few} < bundle.training_digests
    alone = learnt_pictures(bundle, None, photos=photos, count=100)
    assert sorted(one.sha256 for one in alone) == sorted(bundle.training_digests), "each once"
    photos.rename(tmp_path / "moved")
    with pytest.raises(UsageError, match=r"--with-neighbours: .* not found in .*photos\. Pass --photos PATH"):
        learnt_pictures(bundle, run, count=100)
    assert len(learnt_pictures(bundle, run, photos=tmp_path / "moved", count=100)) == 30
    with pytest.raises(UsageError, match="nothing says where they are"):
        learnt_pictures(bundle, None, count=100)
