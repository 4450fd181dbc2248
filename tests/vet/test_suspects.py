"""Suspects: which labels are doubted, in which order, and with whom they are shown."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from thawline.data.dataset import Dataset, Sample
from thawline.data.sources.listing import FileSource
from thawline.data.sources.places import Place
from thawline.vet.answered import TEST, Answered
from thawline.vet.space import Space
from thawline.vet.suspects import COLUMNS, COPY, LISTED, find_suspects, suspects_csv, suspects_of


def dataset_of(labels, *, copies=None, sha=None, names=("cat", "dog", "owl")):
    """Return pictures that exist in memory alone, with their labels, groups of copies and digests."""
    copies = range(len(labels)) if copies is None else copies
    sha = [f"{number:064x}" for number in range(len(labels))] if sha is None else sha
    samples = tuple(
        Sample(f"{names[label]}/{row}.png", label, digest, None, group, FileSource(Path(f"{row}.png")))
        for row, (label, group, digest) in enumerate(zip(labels, copies, sha, strict=True))
    )
    return Dataset(Place.of("photos"), tuple(names), samples, ())


def sure_of(classes, *, num_classes=3, share=0.9):
    """Return (N, K) probabilities that put `share` on a class each."""
    shares = np.full((len(classes), num_classes), (1 - share) / (num_classes - 1), dtype=np.float32)
    shares[np.arange(len(classes)), classes] = share
    return shares


def space_on_a_line(places):
    """Return a space in which pictures with near numbers are alike."""
    angle = np.asarray(places, dtype=np.float32) / 10
    return Space(np.stack([np.cos(angle), np.sin(angle)], axis=1))


def answered_all(dataset, shares, fold=None):
    rows = np.arange(len(dataset))
    return Answered(dataset, rows, shares, rows % 3 if fold is None else np.asarray(fold))


def test_the_least_probable_labels_come_first_each_with_what_it_looks_like():
    labels = [0] * 6 + [1] * 6
    dataset = dataset_of(labels)
    shares = sure_of(labels)
    shares[2] = [0.2, 0.7, 0.1]
    shares[9] = [0.98, 0.005, 0.015]
    shares[4] = [0.45, 0.44, 0.11]  # unsure, but not another class
    answered = answered_all(dataset, shares)
    first, second = find_suspects(answered, space_on_a_line(range(12)))
    assert (first.path, first.label, first.suggested) == ("dog/9.png", "dog", "cat")
    assert first.probability == pytest.approx(0.98)
    assert first.reason == "a model that never saw it takes it for cat (98 %), not for dog (under 1 %)"
    assert first.sha256 == dataset.samples[9].sha256
    assert first.like_label == ("dog/8.png", "dog/10.png", "dog/7.png")  # of equally alike ones the earlier
    assert first.like_suggested == ("cat/5.png", "cat/4.png", "cat/3.png")
    assert (second.path, second.suggested, second.copy) == ("cat/2.png", "dog", "")
    shown = suspects_of((first, second), answered)
    assert (shown.num_asked, shown.num_found, shown.num_copies, shown.listed) == (12, 2, 0, (first, second))


def test_an_improbable_label_comes_before_a_sure_other_class():
    labels = [0] * 6 + [1] * 6
    shares = sure_of(labels)
    shares[1], shares[3] = [0.2, 0.8, 0.0], [0.1, 0.5, 0.4]
    found = find_suspects(answered_all(dataset_of(labels), shares), space_on_a_line(range(12)))
    assert [suspect.path for suspect in found] == ["cat/3.png", "cat/1.png"]


def test_of_equally_improbable_labels_the_surest_other_class_comes_first():
    labels = [0] * 6 + [1] * 6
    shares = sure_of(labels)
    shares[1], shares[3] = [0.25, 0.4, 0.35], [0.25, 0.7, 0.05]
    found = find_suspects(answered_all(dataset_of(labels), shares), space_on_a_line(range(12)))
    assert [suspect.path for suspect in found] == ["cat/3.png", "cat/1.png"]


def test_how_many_are_likely_wrong_leaves_out_copies_and_those_that_the_model_is_unsure_of():
    labels = [0] * 8 + [1] * 8
    shares = sure_of(labels)
    shares[[1, 2]], shares[3] = [0.02, 0.96, 0.02], [0.45, 0.5, 0.05]
    dataset = dataset_of(labels, copies=[0, 8, *range(2, 16)])  # 1 (cat) is a copy of 8 (dog)
    answered = answered_all(dataset, shares)
    found = find_suspects(answered, space_on_a_line(range(16)))
    assert [suspect.path for suspect in found] == ["cat/1.png", "cat/2.png", "cat/3.png"]
    shown = suspects_of(found, answered)
    assert (shown.num_found, shown.num_copies, shown.num_likely) == (3, 1, 1)


def test_copies_under_two_labels_come_before_everything_else():
    labels = [0, 0, 0, 1, 1, 1, 1, 0]
    copies = [0, 1, 2, 3, 4, 5, 1, 4]  # 6 (dog) is a copy of 1 (cat), 7 (cat) of 4 (dog)
    sha = [f"{number:064x}" for number in (0, 1, 2, 3, 4, 5, 1, 7)]
    dataset = dataset_of(labels, copies=copies, sha=sha)
    shares = sure_of([0, 0, 0, 1, 1, 0, 0, 1], share=0.8)
    shares[5] = [0.99, 0.005, 0.005]
    shares[[1, 6]] = [0.7, 0.2, 0.1]
    answered = answered_all(dataset, shares)
    near, exact, judged = find_suspects(answered, space_on_a_line(range(8)))
    assert (near.path, near.suggested, near.copy) == ("cat/7.png", "dog", "dog/4.png")
    assert near.reason == f"{COPY}: it looks the same as dog/4.png, which is called dog"
    assert (exact.path, exact.suggested, exact.copy) == ("dog/6.png", "cat", "cat/1.png")
    assert exact.reason == f"{COPY}: the same file as cat/1.png, which is called cat"
    assert exact.probability == pytest.approx(0.7)
    assert judged.path == "dog/5.png"
    assert suspects_of((near, exact, judged), answered).num_copies == 2


def test_what_a_person_has_decided_is_not_doubted_again_and_is_right_among_copies():
    labels = [0, 0, 0, 0, 1, 1, 1, 1]
    dataset = dataset_of(labels, copies=[0, 1, 2, 3, 0, 5, 6, 7])
    shares = sure_of([0, 1, 0, 0, 0, 0, 1, 1])
    answered, space = answered_all(dataset, shares), space_on_a_line(range(8))
    assert [one.path for one in find_suspects(answered, space)] == ["dog/4.png", "cat/1.png", "dog/5.png"]
    settled = {dataset.samples[4].sha256, dataset.samples[5].sha256}
    copy, judged = find_suspects(answered, space, settled=settled)
    assert (copy.path, copy.suggested, judged.path) == ("cat/0.png", "dog", "cat/1.png")


def test_copies_that_nobody_answered_are_listed_by_the_more_frequent_label():
    dataset = dataset_of([0, 1, 1, 0, 1], copies=[0, 0, 0, 3, 4])
    answered = Answered(dataset, np.array([3, 4]), sure_of([0, 1]), np.array([TEST, TEST]))
    (suspect,) = find_suspects(answered, space_on_a_line(range(5)))
    assert (suspect.path, suspect.suggested, suspect.probability) == ("cat/0.png", "dog", None)
    assert suspects_of((suspect,), answered).num_asked == 5
    row = next(csv.DictReader(io.StringIO(suspects_csv((suspect,)))))
    assert row["probability"] == ""


def test_no_class_is_doubted_that_the_model_had_not_met():
    labels = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]  # both owls were held out at once
    shares = sure_of([0, 0, 0, 0, 1, 1, 1, 1, 0, 1])
    fold = [0, 1, 0, 1, 0, 1, 0, 1, 0, 0]
    answered = answered_all(dataset_of(labels), shares, fold=fold)
    assert find_suspects(answered, space_on_a_line(range(10))) == ()
    split = replace(answered, fold=np.array([*fold[:8], 0, 1]))
    assert [one.path for one in find_suspects(split, space_on_a_line(range(10)))] == ["owl/9.png", "owl/8.png"][::-1]


def test_a_class_that_only_the_test_has_is_not_doubted():
    shares = sure_of([0, 0, 1, 1, 0])
    answered = answered_all(dataset_of([0, 0, 1, 1, 2]), shares, fold=[0, 1, 0, 1, TEST])
    assert find_suspects(answered, space_on_a_line(range(5))) == ()


@pytest.mark.parametrize(
    ("labels", "answers"),
    [
        ([0, 1, 2], [1, 2, 0]),  # one picture a class
        ([0, 1], [0, 0]),
        ([0] * 4 + [1] * 4, [0] * 8),  # all answers are one class
        ([0] * 5, [0] * 5),
        ([1] * 5, [2] * 5),
    ],
)
def test_little_to_go_by_is_no_failure(labels, answers):
    answered = answered_all(dataset_of(labels), sure_of(answers, share=1.0))
    found = find_suspects(answered, space_on_a_line(range(len(labels))))
    shown = suspects_of(found, answered)
    assert shown.num_found == len(found)
    assert 0 <= shown.num_likely <= len(labels)
    assert all(0 <= suspect.probability <= 1 for suspect in found)
    assert "nan" not in suspects_csv(found)


def test_equal_probabilities_are_no_doubt():
    shares = np.full((6, 3), 1 / 3, dtype=np.float32)
    answered = answered_all(dataset_of([0, 0, 1, 1, 2, 2]), shares)
    assert find_suspects(answered, space_on_a_line(range(6))) == ()
    assert suspects_of((), answered).num_likely == 0


def test_nobody_answered_nothing_is_found():
    dataset = dataset_of([0, 1])
    answered = Answered(dataset, np.empty(0, np.int64), np.empty((0, 3), np.float32), np.empty(0, np.int64))
    assert find_suspects(answered, space_on_a_line(range(2))) == ()
    assert suspects_of((), answered).num_asked == 0


def test_the_report_shows_the_surest_and_the_table_has_all():
    count = LISTED + 30
    labels = [0] * count + [1] * count
    shares = sure_of([1] * count + [1] * count)
    answered = answered_all(dataset_of(labels), shares)
    found = find_suspects(answered, space_on_a_line(range(2 * count)))
    assert len(found) == count
    assert len(suspects_of(found, answered).listed) == LISTED
    assert len(list(csv.DictReader(io.StringIO(suspects_csv(found))))) == count


def test_the_table_has_the_columns_that_scripts_rely_on_and_no_cell_that_a_spreadsheet_runs():
    labels = [0] * 4 + [1] * 4
    dataset = dataset_of(labels, names=("=cmd()", "<script>alert(1)</script>", "owl"))
    found = find_suspects(answered_all(dataset, sure_of([1, 0, 0, 0, 1, 1, 1, 1])), space_on_a_line(range(8)))
    text = suspects_csv(found)
    assert text.splitlines()[0] == "path,label,suggested,probability,reason,sha256"
    assert COLUMNS[:5] == ("path", "label", "suggested", "probability", "reason")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["path"], row["label"]) == ("'=cmd()/0.png", "'=cmd()")
    assert (row["suggested"], row["probability"]) == ("<script>alert(1)</script>", "0.9000")
