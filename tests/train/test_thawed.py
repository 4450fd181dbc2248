"""Frozen means frozen, and what trained is what predicts: the copy that trains, and the network it goes back to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from thawline.core.errors import BackboneError
from thawline.features.layers import trained_parameters, weight_layers
from thawline.features.network import load_backbone
from thawline.train.batches import Activations, Pictures
from thawline.train.new_head import HEAD_BIAS, HEAD_WEIGHT, head_block, new_head
from thawline.train.phases import phases
from thawline.train.plan import parse_plan
from thawline.train.prefix import open_prefix
from thawline.train.thawed import Thawed, working_copy, write_back

NETWORKS = ("efficientnet_lite0", "resnet18", "mobilenetv3_small_050", "test_convnext", "test_vit")
CASES = (
    *(("efficientnet_lite0", plan) for plan in ("all", "last 20 %", "last 2 blocks", "head", "head, 2 blocks cut")),
    *((name, plan) for name in ("resnet18", "test_convnext", "test_vit") for plan in ("last 50 %", "last 2 blocks")),
    *((name, "all") for name in ("test_convnext", "test_vit")),
    *((name, "last 20 %") for name in ("mobilenetv3_small_050", "dla34")),
)


def pictures_for(network, count=3):
    size = network.backbone.input.size_px
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def thawed_by(network, plan, *, keeps_norms=False, hidden=0):
    """Return the working copy of a network under a plan of one phase, with a head of three classes."""
    copy = working_copy(network, keeps_norms=keeps_norms)
    parsed = parse_plan(plan)
    (phase,) = phases(parsed, copy, epochs=1)
    return Thawed(copy, None, phase.layers, new_head(copy, 3, blocks_cut=parsed.blocks_cut, num_hidden=hidden)), phase


def shake(thawed, seed=0):
    """Change every parameter that trains at random, by a few per cent of its size, and return them all."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in thawed.trained().values():
            size = float(parameter.abs().mean()) + 0.01
            parameter.add_(0.1 * size * torch.randn(parameter.shape, generator=generator))
    return {name: parameter.detach().clone() for name, parameter in thawed.trained().items()}


def tensors(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(one, other):
    """Whether two tensors agree to the rounding of a forward pass in float32."""
    return torch.allclose(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))


@pytest.mark.parametrize(("name", "plan"), CASES)
def test_what_trained_is_what_predicts_and_what_was_frozen_is_the_same_to_the_bit(name, plan, network):
    net, x = network(name), pictures_for(network(name))
    before = tensors(net.model)
    thawed, phase = thawed_by(net, plan)
    written = write_back(net, shake(thawed), plan=plan, keeps_norms=False)
    after = tensors(written.model)

    assert all(torch.equal(tensor, before[key]) for key, tensor in tensors(net.model).items())
    assert list(after) == list(before)
    owners = {key.rpartition(".")[0] for key in trained_parameters(net, phase.layers)}
    changed = {key for key in after if not torch.equal(after[key], before[key])}
    assert {key.rpartition(".")[0] for key in changed} <= owners
    assert {f"{layer}.weight" for layer in phase.layers} <= changed

    with torch.no_grad():
        for (_, one), (_, other) in zip(
            written.features(x, range(len(net.backbone.cuts))),
            thawed.network.features(x, range(len(net.backbone.cuts))),
            strict=True,
        ):
            assert same(one, other)
        last = net.backbone.cuts[-1].index
        assert same(written.prefix(x, last), net.prefix(x, last)) is plan.startswith("head")
        if phase.cut is not None:
            assert torch.equal(written.prefix(x, phase.cut), net.prefix(x, phase.cut))
    assert not written.model.training
    assert not any(parameter.requires_grad for parameter in written.model.parameters())


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18", "test_convnext", "test_vit", "dla34"])
def test_a_written_network_is_another_and_loads_from_a_file_under_its_own_digest(name, network, tmp_path):
    net = network(name)
    thawed, _ = thawed_by(net, "last 20 %")
    written = write_back(net, shake(thawed), plan="last 20 %", keeps_norms=False)
    assert written.backbone.weights_sha256 != net.backbone.weights_sha256
    assert written.backbone.weights_origin == "random, seed 1, then trained: last 20 %"
    assert written.backbone.cuts == net.backbone.cuts
    save_file(tensors(written.model), tmp_path / "w.safetensors")
    size_px = net.backbone.input.size_px
    loaded = load_backbone(net.backbone.architecture, weights=tmp_path / "w.safetensors", size_px=size_px)
    assert loaded.backbone.weights_sha256 == written.backbone.weights_sha256
    x = pictures_for(net)
    with torch.no_grad():
        assert torch.equal(loaded.forward(x), written.forward(x))


@pytest.mark.parametrize("name", ["simple_cnn", "resnet10t"])
def test_norms_that_learn_come_back_with_their_statistics(name, network):
    net, x = network(name), pictures_for(network(name), 8)
    thawed, _ = thawed_by(net, f"{name} from nothing", keeps_norms=True)
    trained = shake(thawed)
    thawed.model.train()
    thawed(x)
    thawed.eval()
    trained |= {key: buffer.clone() for key, buffer in thawed.model.named_buffers()}
    written = write_back(net, trained, plan="from nothing", keeps_norms=True)
    after = tensors(written.model)
    assert all(torch.equal(after[key], tensor) for key, tensor in trained.items() if not key.startswith("head."))
    with torch.no_grad():
        last = net.backbone.cuts[-1].index
        assert same(written.prefix(x, last), thawed.network.prefix(x, last))
        assert not same(written.prefix(x, last), net.prefix(x, last))


@pytest.mark.parametrize("name", [*NETWORKS, "dla34"])
def test_the_working_copy_says_what_the_network_says(name, network):
    net, x = network(name), pictures_for(network(name))
    copy = working_copy(net, keeps_norms=False)
    with torch.no_grad():
        assert same(copy.forward(x), net.forward(x))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in copy.model.modules())
    for module in copy.model.modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.is_contiguous(memory_format=torch.channels_last)
    own = {parameter.data_ptr() for parameter in net.model.parameters()}
    assert not own & {parameter.data_ptr() for parameter in copy.model.parameters()}


@pytest.mark.parametrize("name", ["efficientnet_lite0", "test_convnext", "test_vit"])
@pytest.mark.parametrize("plan", ["last 20 %", "head"])
def test_only_what_thaws_has_a_gradient_and_the_head_always_has(name, plan, network):
    net = network(name)
    thawed, phase = thawed_by(net, plan)
    nn.init.normal_(thawed.head.weight)
    thawed(pictures_for(net)).square().sum().backward()
    with_gradient = {key for key, parameter in thawed.model.named_parameters() if parameter.grad is not None}
    assert with_gradient == set(trained_parameters(thawed.network, phase.layers))
    assert set(thawed.trained()) == with_gradient | {HEAD_WEIGHT, HEAD_BIAS}
    assert list(thawed.trained())[-2:] == [HEAD_WEIGHT, HEAD_BIAS]
    assert all(float(parameter.grad.abs().max()) > 0 for parameter in (thawed.head.weight, thawed.head.bias))


@pytest.mark.parametrize(
    ("name", "plan"),
    [
        ("efficientnet_lite0", "last 2 blocks"),
        ("resnet18", "last 20 %"),
        ("test_convnext", "last 2 blocks"),
    ],
)
def test_from_cached_activations_it_answers_and_learns_as_from_pictures(
    name, plan, network, drawn, runtime, make_context, own_cache
):
    net, dataset, rows = network(name), drawn(4), np.arange(4)
    whole, phase = thawed_by(net, plan)
    nn.init.normal_(whole.head.weight)
    upper = Thawed(whole.replica(torch.float32).network, phase.cut, phase.layers, whole.replica(torch.float32).head)
    context = make_context(dataset, net, runtime=runtime, cache=own_cache, augment="none")
    cache = open_prefix(context, rows, network=net, cut=phase.cut)
    pictures = Pictures(dataset, rows, net.backbone.input, runtime, augment="none", seed=0).read(rows, None)
    logits = whole(pictures), upper(Activations(cache, "cpu").read(rows, None))
    scale = float(logits[0].detach().abs().max())
    assert torch.allclose(*logits, rtol=1e-2, atol=5e-3 * scale)  # stored in float16
    for one in logits:
        one.square().sum().backward()
    assert list(upper.trained()) == list(whole.trained())
    for key, parameter in whole.trained().items():
        error = (upper.trained()[key].grad - parameter.grad).norm()
        assert float(error) <= 0.05 * float(parameter.grad.norm()) + 1e-6, key


@pytest.mark.parametrize("name", ["efficientnet_lite0", "test_convnext", "test_vit"])
def test_from_a_cut_it_is_the_same_function_to_rounding(name, network):
    net = network(name)
    whole, phase = thawed_by(net, "last 2 blocks")
    nn.init.normal_(whole.head.weight)
    upper = Thawed(whole.network, phase.cut, phase.layers, whole.head)
    x = pictures_for(net)
    with torch.no_grad():
        assert torch.equal(upper(whole.network.prefix(x, phase.cut)), whole(x))


def test_a_vit_is_read_at_its_class_token_and_all_others_at_the_mean(network):
    assert head_block(network("test_vit"))[1] == "token"
    assert {head_block(network(name))[1] for name in ("resnet18", "test_convnext", "dla34")} == {"mean"}
    thawed, _ = thawed_by(network("test_vit"), "head")
    nn.init.normal_(thawed.head.weight)
    x = pictures_for(network("test_vit"))
    with torch.no_grad():
        tokens = thawed.network.prefix(x, network("test_vit").backbone.cuts[-1].index)
        assert torch.allclose(thawed(x), thawed.head(tokens[:, 0]), atol=1e-5)


def test_dropout_drops_what_it_is_told_to(network):
    net = network("simple_cnn")
    thawed, _ = thawed_by(net, "head")
    nn.init.normal_(thawed.head.weight)
    x = pictures_for(net)
    with torch.no_grad():
        assert torch.allclose(thawed(x, torch.ones(3, 128)), thawed(x))
        assert torch.allclose(thawed(x, torch.zeros(3, 128)), thawed.head.bias.expand(3, 3))
        first = torch.zeros(3, 128)
        first[:, 0] = 2.0
        feature = thawed.network.prefix(x, net.backbone.cuts[-1].index)[:, 0].mean((1, 2))
        expected = 2 * feature[:, None] * thawed.head.weight[:, 0] + thawed.head.bias
        assert torch.allclose(thawed(x, first), expected, atol=1e-5)


def test_a_replica_has_weights_of_its_own_in_another_format_and_its_head_in_float32(network):
    thawed, _ = thawed_by(network("efficientnet_lite0"), "last 20 %")
    replica = thawed.replica(torch.bfloat16)
    assert {parameter.dtype for parameter in replica.model.parameters()} == {torch.bfloat16}
    assert replica.head.weight.dtype == torch.float32
    assert list(replica.trained()) == list(thawed.trained())
    assert all(
        one.data_ptr() != other.data_ptr()
        for one, other in zip(replica.trained().values(), thawed.trained().values(), strict=True)
    )
    x = pictures_for(network("efficientnet_lite0")).bfloat16()
    assert replica(x).dtype == torch.float32


def test_a_new_head_prefers_no_class_and_a_solved_one_is_as_it_was_solved(network):
    net = network("test_resnet")
    channels = net.backbone.cuts[-1].channels
    head = new_head(net, 4)
    assert head(torch.randn(2, channels)).eq(0).all()
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(channels, 4)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    solved = new_head(net, 4, start=(weight, bias))
    features = rng.normal(size=(5, channels)).astype(np.float32)
    with torch.no_grad():
        answers = solved(torch.from_numpy(features)).numpy()
    assert np.allclose(answers, features @ weight + bias, atol=1e-4)


def test_a_vits_own_classifier_is_not_taken_for_the_head(network):
    """Both are called `head`."""
    net = network("test_vit")
    thawed, _ = thawed_by(net, "all")
    written = write_back(net, shake(thawed), plan="all", keeps_norms=False)
    assert torch.equal(written.model.head.weight, net.model.head.weight)
    assert "head.weight" not in {key for key, p in thawed.model.named_parameters() if p.requires_grad}
    assert thawed.trained()[HEAD_WEIGHT] is thawed.head.weight


def test_layers_of_no_network_are_refused(network):
    copy = working_copy(network("simple_cnn"), keeps_norms=False)
    with pytest.raises(BackboneError, match=r"blocks\.9 cannot be thawed"):
        Thawed(copy, None, ["blocks.9"], new_head(copy, 2))
    assert len(weight_layers(copy)) == 4


@pytest.mark.slow
def test_attention_biases_that_a_network_keeps_between_calls_train_step_after_step(network):
    net = network("levit_128s")
    net.prefix(pictures_for(net), 0)  # keeps them
    before, thawed = tensors(net.model), thawed_by(net, "all")[0]
    torch.nn.init.ones_(thawed.head.weight[:1])
    optimizer, x = torch.optim.SGD(thawed.trained().values(), lr=1e-3), pictures_for(net)
    for _ in range(3):  # their layers start at zero, so the first step moves none
        optimizer.zero_grad()
        thawed(x)[:, 0].tanh().mean().backward()
        optimizer.step()
    biases = [name for name in thawed.trained() if name.endswith("attention_biases")]
    written = write_back(net, {k: v.detach() for k, v in thawed.trained().items()}, plan="all", keeps_norms=False)
    assert not all(torch.equal(written.model.state_dict()[name], before[name]) for name in biases)
    last = len(net.backbone.cuts) - 1
    with torch.no_grad():
        assert same(written.prefix(x, last), thawed.network.prefix(x, last))
