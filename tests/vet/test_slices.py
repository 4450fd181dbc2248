"""Parts of a set on which a model is less often right: found where they are, told from hard classes, and no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from thawline.data.dataset import Dataset, Sample
from thawline.data.facts import FACTS, Facts
from thawline.data.sources.listing import FileSource
from thawline.data.sources.places import Place
from thawline.vet import slices as module
from thawline.vet.answered import Answered
from thawline.vet.slices import Slices, find_slices

CLASSES = ("ant", "bee", "cat", "dog")


def answers(num=400, *, wrong, groups=None, folders=None, named=None, formats=None, seed=0, **columns):
    """Return answers to pictures of four classes in turn, with facts that are noise but for the columns given."""
    labels = np.arange(num) % 4
    named, folders = named or [""] * num, folders or ["all"] * num
    groups = np.arange(num) if groups is None else groups
    samples = tuple(
        Sample(
            f"{folders[row]}/{CLASSES[labels[row]]}/{row}.jpg", int(labels[row]), f"{row}", None, int(groups[row]),
            FileSource(Path("x")), named[row], row,
        )
        for row in range(num)
    )  # fmt: skip
    values = np.random.default_rng(seed).normal(100, 20, (num, len(FACTS))).astype(np.float32)
    for name, column in columns.items():
        values[:, FACTS.index(name)] = column
    paths = tuple(sample.path for sample in samples)
    facts = Facts(paths, tuple(formats or ["JPEG"] * num), values, np.zeros((num, 4), dtype=np.float32))
    dataset = Dataset(Place.of("photos"), CLASSES, samples, (), facts=facts)
    shares = np.full((num, 4), 0.1, dtype=np.float32)
    shares[np.arange(num), np.where(wrong, (labels + 1) % 4, labels)] = 0.7
    return Answered(dataset, np.arange(num), shares, np.zeros(num, dtype=np.int64))


def mistakes(num=400, *, of=None, share=0.02, inside=0.4, seed=1):
    """Return (num,) which answers are wrong: more of them in a part."""
    shares = np.full(num, share)
    if of is not None:
        shares[of] = inside
    return np.random.default_rng(seed).random(num) < shares


def test_the_dark_fifth_is_found_and_told():
    light = np.random.default_rng(3).permutation(400).astype(float)
    wrong = mistakes(of=light < 80)
    found = find_slices(answers(wrong=wrong, brightness=light))
    (dark,) = found.found
    assert (dark.fact, dark.name) == ("brightness", "the 80 darkest pictures (mean level up to 79 of 255)")
    assert (dark.num_pictures, dark.num_wrong) == (80, int(wrong[light < 80].sum()))
    assert dark.low < dark.accuracy < dark.high < dark.others
    assert not dark.is_class_mix
    assert dark.expected == pytest.approx(dark.others, abs=0.01)
    assert dark.words == (
        f"Of the 80 darkest pictures (mean level up to 79 of 255) {100 * dark.accuracy:.0f} % were right "
        f"[{100 * dark.low:.0f}, {100 * dark.high:.0f}], of the others {100 * dark.others:.0f} %. "
        f"Its mix of classes alone would give {100 * dark.expected:.0f} %."
    )
    assert len(dark.wrong) == min(12, dark.num_wrong)
    assert found.num_tried == 12  # both ends of six numbers


def test_where_nothing_differs_hardly_anything_is_found():
    num_found = [len(find_slices(answers(wrong=mistakes(share=0.1, seed=k), seed=k)).found) for k in range(40)]
    assert sum(number > 0 for number in num_found) <= 3


def test_a_hard_class_is_said_to_be_one():
    is_cat = np.arange(400) % 4 == 2
    size = np.where(is_cat, 50, 200) + np.arange(400) % 40
    wrong = mistakes(of=is_cat)
    found = find_slices(answers(wrong=wrong, width_px=size, height_px=size)).found
    small = next(one for one in found if one.fact == "size")
    assert small.is_class_mix
    assert "The classes may be why: its mix of classes alone would give" in small.words
    assert small.expected == pytest.approx(small.accuracy, abs=0.12)


def test_formats_folders_and_groups_are_parts():
    in_second = np.arange(400) % 8 >= 5
    wrong = mistakes(of=in_second)
    folders = ["set/night" if second else "set/day" for second in in_second]
    formats = ["WEBP" if second else "JPEG" for second in in_second]
    named = ["camera <2>" if second else f"camera {row % 3}" for row, second in enumerate(in_second)]
    found = {one.fact: one.name for one in find_slices(answers(wrong=wrong, folders=folders, formats=formats)).found}
    assert found == {
        "format": "the 150 WEBP pictures",
        "folder": "the 150 pictures in the folder set/night",
    }
    (camera,) = find_slices(answers(wrong=wrong, named=named, groups=np.zeros(400, int))).found
    assert camera.name == "the 150 pictures of the group camera <2>"


def test_a_group_counts_once():
    light = np.arange(400).astype(float)
    wrong = (light < 80) & (np.arange(400) % 2 == 0)
    assert find_slices(answers(wrong=wrong, brightness=light)).found
    by_group = answers(wrong=wrong, brightness=light, groups=np.arange(400) // 40)
    assert all(one.fact != "brightness" for one in find_slices(by_group).found)


def test_the_surest_mistakes_come_first():
    light = np.arange(400).astype(float)
    answered = answers(wrong=light < 30, brightness=light)
    shares = answered.probabilities.copy()
    shares[7] = [0.0, 0.01, 0.0, 0.0]
    shares[7, (7 + 1) % 4] = 0.99
    (dark,) = find_slices(replace(answered, probabilities=shares)).found
    assert dark.wrong[0] == "all/dog/7.jpg"
    assert len(dark.wrong) == 12


def test_p_values_are_fishers_and_those_of_mantel_and_haenszel():
    from scipy.stats import fisher_exact, hypergeom

    rng = np.random.default_rng(5)
    inside, wrong, labels = rng.random(200) < 0.3, rng.random(200) < 0.2, rng.integers(0, 2, 200)
    table = [[(inside & wrong).sum(), (inside & ~wrong).sum()], [(~inside & wrong).sum(), (~inside & ~wrong).sum()]]
    units = (inside, wrong, labels)
    assert module._p_value(units, by_class=False) == pytest.approx(fisher_exact(table, alternative="greater")[1])
    draws = sum(
        hypergeom.rvs(own.sum(), wrong[own].sum(), inside[own].sum(), size=20_000, random_state=label)
        for label in (0, 1)
        for own in [labels == label]
    )
    simulated = (draws >= (inside & wrong).sum()).mean()
    assert module._p_value(units, by_class=True) == pytest.approx(simulated, abs=0.015)


def test_false_discoveries_are_held_to_a_share():
    assert module._false_discovery_limit(np.array([0.001, 0.02, 0.03, 0.9])) == 0.03
    assert module._false_discovery_limit(np.array([0.02, 0.9])) == 0.02
    assert module._false_discovery_limit(np.array([0.03, 0.9])) == -1
    assert module._false_discovery_limit(np.array([])) == -1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_right_or_all_wrong_says_nothing(share):
    assert find_slices(answers(wrong=np.full(400, bool(share)))).found == ()


def test_few_pictures_one_class_and_no_facts_say_nothing(tiny_dataset):
    shares = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    few = Answered(tiny_dataset, np.array([0, 2]), shares, np.zeros(2, dtype=np.int64))
    assert find_slices(few) == Slices(0, ())
    none = replace(few, rows=np.array([], dtype=np.int64), probabilities=shares[:0], fold=np.array([], dtype=np.int64))
    assert find_slices(none) == Slices(0, ())
    assert find_slices(answers(12, wrong=np.arange(12) < 3)).found == ()
