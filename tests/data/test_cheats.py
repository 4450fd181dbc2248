"""A fact that alone tells a class is found, named and graded; where there is none, nothing is said."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from thawline.data import cheats as module
from thawline.data.cheats import find_cheats
from thawline.data.check import check
from thawline.data.facts import FACTS


@pytest.fixture
def plain(make_folder, encode, draw):
    """Return a function that lays out three classes of fifteen pictures, of the same size and format, but for some."""

    def make(num=15, **of_class):
        files = {}
        for number, name in enumerate(("ant", "bee", "cat")):
            for seed in range(num):
                picture = draw(100 * number + seed, (64, 64))
                kind, options = of_class.get(name, ("JPEG", {"quality": 90}))
                files[f"{name}/{seed}.bin"] = encode(picture, kind, **options)
        return check(make_folder(files))

    return make


def test_nothing_is_found_where_nothing_differs(plain):
    assert plain()[1].cheats == ()


def test_a_class_in_another_format_is_found_alone(plain):
    _, report = plain(bee=("PNG", {}))
    assert {cheat.class_name for cheat in report.cheats} == {"bee"}
    cheat = next(cheat for cheat in report.cheats if cheat.fact == "format")
    assert (cheat.accuracy, cheat.auroc, cheat.chance, cheat.high) == (1, 1, 0.5, 1)
    assert 0.7 < cheat.low < 1
    assert cheat.is_technical
    assert cheat.words == (
        f"The file format alone tells `bee` from the others in 100 % [{100 * cheat.low:.0f}, 100] where chance is "
        "50 %: 100 % of its pictures are PNG, of the others 0 %. They may have been taken, edited or saved in another "
        "way, and a model may learn that instead."
    )


def test_a_class_of_another_quality_is_found(plain):
    _, report = plain(cat=("JPEG", {"quality": 60}))
    assert ("compression", "cat") in {(cheat.fact, cheat.class_name) for cheat in report.cheats if cheat.is_technical}


def test_scripts_find_the_promised_keys(plain):
    _, report = plain(bee=("PNG", {}))
    first = json.loads(json.dumps(report.to_json()))["cheats"][0]
    assert list(first)[:2] == ["fact", "class"]
    assert {"accuracy", "low", "high", "chance", "words", "auroc", "p_value", "is_technical"} < set(first)


def of_values(dataset, **columns):
    """Return the facts of a data set, some columns as given."""
    facts = dataset.facts.of([sample.path for sample in dataset.samples])
    values = facts.values.copy()
    for name, column in columns.items():
        values[:, FACTS.index(name)] = column
    return replace(facts, values=values)


def test_light_must_nearly_give_the_class_away(plain):
    dataset, _ = plain(30)
    light = np.random.default_rng(0).normal(100, 20, len(dataset))
    is_ant = dataset.labels == 0
    assert find_cheats(dataset, of_values(dataset, brightness=light + 35 * is_ant)) == ()
    (found,) = find_cheats(dataset, of_values(dataset, brightness=light + 200 * is_ant))
    assert (found.fact, found.class_name, found.is_technical) == ("brightness", "ant", False)
    assert "It may be what these pictures show" in found.words
    assert re.search("half of its pictures have more than a mean level of (29|30|31).,", found.words)


def test_two_classes_are_one_finding(plain):
    dataset, _ = plain()
    both = replace(dataset, class_names=("ant", "bee"), samples=dataset.samples[:30])
    (found,) = find_cheats(both, of_values(both, aspect=1.0 + (both.labels == 1)))
    assert (found.fact, found.class_name) == ("aspect", "ant")
    assert "from `bee` in 100 %" in found.words


def test_each_class_that_differs_is_found_and_none_for_another_ones_sake(plain):
    dataset, _ = plain()
    shapes = np.array([1.0, 2.0, 1.0])[dataset.labels]
    assert [one.class_name for one in find_cheats(dataset, of_values(dataset, aspect=shapes))] == ["bee"]
    shapes = np.array([1.0, 2.0, 3.0])[dataset.labels]
    found = find_cheats(dataset, of_values(dataset, aspect=shapes))
    assert [(one.fact, one.class_name) for one in found] == [("aspect", "ant"), ("aspect", "bee")]


def of_tops(dataset, tops):
    """Return the facts of a data set with (3, 4) shares of the brightest levels, one row a class."""
    return replace(of_values(dataset), tops=np.array(tops, dtype=np.float32)[dataset.labels])


def test_brightest_levels_count_where_there_are_highlights_and_no_white_ground(plain):
    dataset, _ = plain()
    sky, edited = [0.05, 0.02, 0.01, 0.005], [0.05, 0.05, 0.05, 0.05]
    (found,) = find_cheats(dataset, of_tops(dataset, [edited, sky, sky]))
    assert (found.fact, found.class_name) == ("brightness", "ant")
    assert found.words.startswith("How full the very brightest levels are alone tells `ant` from the others in 100 % [")
    white, dark = [0.5, 0.5, 0.5, 0.5], [0.001, 0.001, 0.001, 0.001]
    assert find_cheats(dataset, of_tops(dataset, [white, sky, sky])) == ()
    assert find_cheats(dataset, of_tops(dataset, [dark, sky, sky])) == ()


def test_chance_is_ruled_out_for_all_that_is_tried_together(plain, monkeypatch):
    dataset, _ = plain()
    facts = of_values(dataset, aspect=1.0 + (dataset.labels == 1))
    assert find_cheats(dataset, facts)
    monkeypatch.setattr(module, "FAMILY_ERROR", 1e-12)
    assert find_cheats(dataset, facts) == ()


def test_copies_are_asked_once(plain):
    dataset, _ = plain()
    samples = tuple(
        replace(sample, group=sample.label, copy_group=sample.label) if sample.label == 0 else sample
        for sample in dataset.samples
    )
    copied = replace(dataset, samples=samples)
    assert module._asked(copied).tolist() == [0, *range(15, 45)]
    assert find_cheats(copied, of_values(copied, aspect=1.0 + (copied.labels == 0))) == ()


def test_of_very_many_pictures_each_class_keeps_its_share(plain, monkeypatch):
    dataset, _ = plain()
    samples = dataset.samples[:15] + dataset.samples[30:]
    monkeypatch.setattr(module, "MAX_ROWS", 24)
    rows = module._asked(replace(dataset, samples=samples))
    assert np.bincount(dataset.labels[:15].tolist() + dataset.labels[30:].tolist())[[0, 2]].tolist() == [15, 15]
    assert np.bincount([samples[row].label for row in rows])[[0, 2]].tolist() == [12, 12]


@pytest.mark.parametrize("num_pictures", [2, 5])
def test_few_pictures_a_class_say_nothing(make_folder, encode, draw, num_pictures):
    files = {f"a/{k}.png": k for k in range(num_pictures)}
    files |= {f"b/{k}.jpg": encode(draw(50 + k), "JPEG") for k in range(num_pictures)}
    assert check(make_folder(files))[1].cheats == ()


def test_one_class_says_nothing(make_folder):
    assert check(make_folder({f"a/{k}.png": k for k in range(12)}), for_training=False)[1].cheats == ()


@pytest.mark.pictures
def test_a_class_of_real_pictures_that_was_made_brighter_is_found(shared_data, make_folder):
    def files(brighter):
        for name in ("n2", "n5", "n6"):
            for path in sorted((shared_data / "monkeys" / "training" / name).iterdir())[:70]:
                picture, buffer = Image.open(path).convert("RGB"), io.BytesIO()
                picture = ImageEnhance.Brightness(picture).enhance(1.08) if name == brighter else picture
                picture.save(buffer, "JPEG", quality=90)
                yield f"{name}/{path.name}", buffer.getvalue()

    assert check(make_folder(dict(files(None)), "plain"))[1].cheats == ()
    (found,) = check(make_folder(dict(files("n5")), "brighter"))[1].cheats
    assert (found.fact, found.class_name, found.is_technical) == ("brightness", "n5", True)
