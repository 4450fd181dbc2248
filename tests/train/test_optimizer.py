"""Every group of parameters takes its own step, under every schedule; biases keep their size; moments come back."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from thawline.features.layers import layer_scales, weight_layers
from thawline.train.hyperparameters import TrainOptions
from thawline.train.new_head import HEAD_BIAS, HEAD_WEIGHT, new_head
from thawline.train.optimizer import load_moments, make_optimizer, moments, set_rate
from thawline.train.schedule import schedule_factor
from thawline.train.thawed import Thawed, working_copy

SCHEDULES = ("cosine", "one-cycle", "plateau", "constant")


def thawed_and_scales(network, decay):
    """Return everything thawed with a head of three classes, and the factors on its step sizes."""
    thawed = Thawed(working_copy(network, keeps_norms=False), None, weight_layers(network), new_head(network, 3))
    own = [name for name in thawed.trained() if name not in (HEAD_WEIGHT, HEAD_BIAS)]
    return thawed, {**layer_scales(thawed.model, own, decay=decay), HEAD_WEIGHT: 1.0, HEAD_BIAS: 1.0}


def draw_gradients(weights, seed):
    generator = torch.Generator().manual_seed(seed)
    for weight in weights.values():
        weight.grad = torch.randn(weight.shape, generator=generator)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_layer_decay_shortens_the_steps_of_deep_layers_under_every_schedule(schedule, network):
    """Two steps by hand: without momentum a step is rate × factor × scale × gradient, and nothing else."""
    options = TrainOptions(optimizer="sgd", momentum=0, weight_decay=0, layer_decay=0.5, schedule=schedule)
    thawed, scales = thawed_and_scales(network("test_vit"), options.layer_decay)
    weights = thawed.trained()
    optimizer = make_optimizer(weights, options, scales=scales)
    assert len(set(scales.values())) >= 4
    for step in range(2):
        factor = schedule_factor(schedule, step / 4, num_epochs=2, warmup=options.warmup)
        set_rate(optimizer, 0.1 * factor)
        draw_gradients(weights, step)
        before = {name: weight.detach().clone() for name, weight in weights.items()}
        optimizer.step()
        for name, weight in weights.items():
            expected = before[name] - 0.1 * factor * scales[name] * weight.grad
            assert torch.allclose(weight, expected, rtol=1e-5, atol=1e-7), name


@pytest.mark.parametrize("optimizer_name", ["adamw", "adam"])
def test_an_adaptive_step_is_as_long_as_its_groups_rate(optimizer_name, network):
    """The first step of Adam is the rate's sign-wise, so the scale is read off the weights."""
    options = TrainOptions(optimizer=optimizer_name, weight_decay=0, layer_decay=0.5)
    thawed, scales = thawed_and_scales(network("resnet10t"), options.layer_decay)
    weights = thawed.trained()
    optimizer = make_optimizer(weights, options, scales=scales)
    set_rate(optimizer, 0.01)
    draw_gradients(weights, 0)
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    optimizer.step()
    lengths = {name: float((weight.detach() - before[name]).abs().median()) for name, weight in weights.items()}
    assert lengths == pytest.approx({name: 0.01 * scale for name, scale in scales.items()}, rel=1e-2)
    assert lengths["conv1.0.weight"] < 0.2 * lengths["layer4.0.conv2.weight"]


@pytest.mark.parametrize("optimizer_name", ["adamw", "adam", "sgd"])
def test_weights_are_pulled_to_zero_and_biases_are_not(optimizer_name, network):
    options = TrainOptions(optimizer=optimizer_name, weight_decay=0.1)
    thawed, scales = thawed_and_scales(network("mobilenetv3_small_050"), 1.0)
    weights = thawed.trained()
    with torch.no_grad():
        for weight in weights.values():
            weight.fill_(1.0)
    optimizer = make_optimizer(weights, options, scales=scales)
    set_rate(optimizer, 0.01)
    for weight in weights.values():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    assert any(weight.ndim == 1 for weight in weights.values())
    for name, weight in weights.items():
        moved = weight.ndim > 1
        assert bool((weight < 1).all()) is moved, name
        assert bool((weight == 1).all()) is not moved, name


def test_a_group_holds_one_scale_and_one_decay(network):
    thawed, scales = thawed_and_scales(network("test_vit"), 0.5)
    weights = thawed.trained()
    optimizer = make_optimizer(weights, TrainOptions(weight_decay=0.1), scales=scales)
    set_rate(optimizer, 2.0)
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert {id(parameter) for parameter in held} == {id(weight) for weight in weights.values()}
    assert len(held) == len(weights)
    kinds = [(group["scale"], group["weight_decay"]) for group in optimizer.param_groups]
    assert len(set(kinds)) == len(kinds) <= 2 * len(set(scales.values()))
    assert all(group["lr"] == 2 * group["scale"] for group in optimizer.param_groups)


@pytest.mark.parametrize(
    "changes",
    [{"optimizer": "adamw"}, {"optimizer": "adam"}, {"optimizer": "sgd"}, {"optimizer": "sgd", "momentum": 0}],
)
def test_with_its_moments_back_an_optimiser_takes_the_same_step(changes):
    options = TrainOptions(**changes)

    def start():
        weights = {"a.weight": nn.Parameter(torch.ones(3, 2)), "a.bias": nn.Parameter(torch.zeros(3))}
        return weights, make_optimizer(weights, options, scales={"a.weight": 0.5, "a.bias": 1.0})

    def step(weights, optimizer, seed):
        set_rate(optimizer, 0.1)
        draw_gradients(weights, seed)
        optimizer.step()

    weights, optimizer = start()
    for seed in range(3):
        step(weights, optimizer, seed)
    held = {name: tensor.clone() for name, tensor in moments(optimizer).items()}
    again, other = start()
    with torch.no_grad():
        for name, weight in again.items():
            weight.copy_(weights[name])
    load_moments(other, held)
    step(weights, optimizer, 3)
    step(again, other, 3)
    assert all(torch.equal(again[name], weight) for name, weight in weights.items())
    assert bool(held) is (options.optimizer != "sgd" or options.momentum > 0)


def test_an_optimiser_that_took_no_step_remembers_nothing():
    weights = {"a.weight": nn.Parameter(torch.ones(3, 2))}
    optimizer = make_optimizer(weights, TrainOptions(), scales={"a.weight": 1.0})
    assert moments(optimizer) == {}
    load_moments(optimizer, {})
    assert moments(optimizer) == {}


@pytest.mark.parametrize(("optimizer_name", "expected"), [("adamw", 0.01), ("adam", 0.0), ("sgd", 0.0)])
def test_only_decoupled_decay_is_on_unless_it_is_asked_for(optimizer_name, expected, network):
    thawed, scales = thawed_and_scales(network("mobilenetv3_small_050"), 1.0)
    for options, decay in ((TrainOptions(optimizer=optimizer_name), expected), (TrainOptions(weight_decay=0.2), 0.2)):
        groups = make_optimizer(thawed.trained(), options, scales=scales).param_groups
        assert {group["weight_decay"] for group in groups} == {0.0, decay}


def test_the_compiler_is_loaded_before_a_step_is_measured():
    code = """
import sys, torch
from thawline.train.hyperparameters import TrainOptions
from thawline.train.optimizer import make_optimizer
make_optimizer({"w": torch.nn.Parameter(torch.ones(2, 2))}, TrainOptions(), scales={"w": 1.0})
print("torch._dynamo" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True"
