"""Layers that hurt stay float, as few as need be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.use.exports.test_qdq import in_int8

from thawline.core.progress import SilentProgress
from thawline.data.load import prepare_each
from thawline.use.exports import layer_choice as module
from thawline.use.exports.layer_choice import _fewest, choose_layers, expected_turned, groups_of, moved


def test_groups_are_neighbours_and_no_fewer_than_three():
    names = [str(number) for number in range(50)]
    groups = groups_of(names)
    assert [name for group in groups for name in group] == names
    assert (len(groups), min(map(len, groups))) == (16, 3)
    assert groups_of(["a", "b"]) == [("a", "b")]


def test_what_an_answer_loses_is_counted_against_the_best_other_class():
    before = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1]], dtype=np.float32)
    after = np.array([[0.8, 0.1, 0.1], [0.2, 0.3, 0.5]], dtype=np.float32)
    np.testing.assert_allclose(moved(before, after), [0, np.log(2) + np.log(0.5 / 0.2)], atol=1e-5)
    assert expected_turned(np.array([-1.0, 0.0]), np.array([0.1, 5.0])) == 0
    assert expected_turned(np.array([3.0]), np.array([1.0, 2.0, 4.0])) == pytest.approx(2 / 3)


@pytest.mark.parametrize(("enough", "left"), [(1, 1), (3, 3), (4, 4), (9, 4)])
def test_as_few_groups_stay_float_as_need_be_and_at_most_half(enough, left):
    order = [(str(number),) for number in range(8)]
    names = [name for (name,) in order]
    chosen = _fewest(order, names, turned_with=lambda kept: 0.0 if len(names) - len(kept) >= enough else 0.5)
    assert chosen.layers == tuple(names[left:])
    assert chosen.turned == (0.0 if enough <= 4 else 0.5)


@pytest.mark.slow
def test_a_layer_that_is_rounded_wrongly_stays_float(make_model, picture, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LEAST_GROUP", 1)
    bundle = make_model(tmp_path / "model", name="deep_cnn")
    pictures = [prepare_each(picture(seed), bundle.classifier.inputs)[0] for seed in range(12)]
    model = in_int8(bundle, pictures)
    clear = np.full(10, 5.0, dtype=np.float32)
    sound = choose_layers(model, pictures=pictures, clear=clear, progress=SilentProgress())
    assert sound.layers == tuple(layer.name for layer in model.layers)
    bad = model.layers[2]
    spoilt = dict(model.weights)
    spoilt[bad.weight] = replace(spoilt[bad.weight], weights=-spoilt[bad.weight].weights)
    chosen = choose_layers(
        replace(model, weights=spoilt), pictures=pictures, clear=np.full(10, 0.05), progress=SilentProgress()
    )
    assert bad.name not in chosen.layers
    assert chosen.layers
