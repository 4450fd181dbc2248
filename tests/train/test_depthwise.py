"""Fast gradients of depthwise convolutions are autograd's, and no other convolution is touched."""

from __future__ import annotations

import threading
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from thawline.features.layers import weight_layers
from thawline.train import depthwise
from thawline.train.depthwise import FastDepthwise, depthwise_conv2d
from thawline.train.new_head import new_head
from thawline.train.thawed import Thawed, working_copy

BFLOAT16_ROUNDING = 2.0**-8


@st.composite
def convolutions(draw):
    """Draw (x, weight, bias, stride, padding) in float32, each rounded to bfloat16."""
    k, stride = draw(st.sampled_from([3, 5, 7])), draw(st.sampled_from([1, 2, 3]))
    padding = (draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1)))
    height, width = (draw(st.integers(max(1, k - 2 * pad), 14)) for pad in padding)
    batch, channels, seed = draw(st.integers(1, 3)), draw(st.integers(2, 9)), draw(st.integers(0, 999))
    generator = torch.Generator().manual_seed(seed)
    shapes = ((batch, channels, height, width), (channels, 1, k, k), (channels,))
    x, weight, bias = (torch.randn(shape, generator=generator).bfloat16().float() for shape in shapes)
    if draw(st.booleans()):
        x = x.contiguous(memory_format=torch.channels_last)
    return x, weight, bias if draw(st.booleans()) else None, (stride, stride), padding


def output_gradient(y):
    """Return the gradient of an output, drawn by its shape and rounded to bfloat16."""
    return torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).bfloat16()


def gradients(run, operands, wanted, g=None):
    """Return the output, and the gradients of those operands that want one; the output's is `g`, or drawn."""
    leaves = [
        None if tensor is None else tensor.detach().clone().requires_grad_(needs)
        for tensor, needs in zip(operands, wanted, strict=True)
    ]
    y = run(*leaves)
    y.backward((output_gradient(y) if g is None else g).to(y.dtype))
    return y.detach(), [None if leaf is None else leaf.grad for leaf in leaves]


@given(convolutions(), st.tuples(st.booleans(), st.booleans()).filter(any))
@settings(max_examples=150)
def test_in_float32_gradients_are_autograds(drawn, wanted):
    """For every stride, kernel and padding, and where input or weight is frozen."""
    *operands, stride, padding = drawn
    wanted = (*wanted, True)
    y, expected = gradients(lambda x, w, b: F.conv2d(x, w, b, stride, padding, 1, len(w)), operands, wanted)
    fast = partial(depthwise_conv2d, stride=stride, padding=padding)
    y_fast, found = gradients(lambda x, w, b: fast(x, w, bias=b), operands, wanted)
    assert torch.equal(y_fast, y)
    for one, other, operand, needs in zip(found, expected, operands, wanted, strict=True):
        assert (one is None) is (operand is None or not needs)
        if one is not None:
            assert one.shape == operand.shape
            assert torch.allclose(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()) + 1e-6)


@given(convolutions())
@settings(max_examples=150)
def test_in_bfloat16_gradients_are_exact_to_its_rounding(drawn):
    """Against float32 on the same numbers; the bound is a sum's: its terms' absolute values, rounded."""
    *operands, stride, padding = drawn

    def native(x, w, b):
        return F.conv2d(x, w, b, stride, padding, 1, len(w))

    wanted = (True, True, True)
    _, exact = gradients(native, operands, wanted)
    g = output_gradient(native(*operands)).abs()
    _, sizes = gradients(native, [None if t is None else t.abs() for t in operands], wanted, g)
    with FastDepthwise():
        _, found = gradients(native, [None if t is None else t.bfloat16() for t in operands], wanted)
    for one, other, size in zip(found, exact, sizes, strict=True):
        if one is not None:
            assert one.dtype == torch.bfloat16
            assert bool(((one.float() - other).abs() <= 2 * BFLOAT16_ROUNDING * size + 1e-6).all())


def test_a_place_of_the_kernel_that_sees_only_padding_has_no_gradient():
    """Where torch's own kernel leaves whatever lay in that memory before."""
    for _ in range(20):
        x = torch.ones(1, 16, 3, 1).bfloat16().contiguous(memory_format=torch.channels_last)
        weight = torch.ones(16, 1, 3, 3).bfloat16().requires_grad_(True)
        junk = [torch.full((size,), 3e30).bfloat16() for size in (144, 288, 576, 1152) for _ in range(10)]
        del junk
        depthwise_conv2d(x, weight, bias=None, stride=(2, 2), padding=(0, 2)).sum().backward()
        assert weight.grad[:, 0, :, 1].eq(0).all()
        assert weight.grad[:, 0, :, [0, 2]].eq(1).all()


def kind_of(x, weight, *rest, **options):
    """Return the name of the operation that made the convolution's output."""
    with FastDepthwise():
        y = F.conv2d(x.requires_grad_(True), weight, *rest, **options)
    return y.grad_fn.name()


def maps(channels=8, dtype=torch.bfloat16):
    return torch.zeros(1, channels, 12, 12, dtype=dtype)


def kernel(out, per_group, height, width=None, dtype=torch.bfloat16):
    return torch.zeros(out, per_group, height, width or height, dtype=dtype)


@pytest.mark.parametrize(
    "arguments",
    [
        (maps(), kernel(8, 1, 3), None, 2, 1, 1, 8),
        (maps(), kernel(8, 1, 5), None, (1, 1), (2, 2), (1, 1), 8),
        (maps(), kernel(8, 1, 7), None, (2, 2), 0, 1, 8),
    ],
    ids=["stride 2", "5×5", "7×7, stride 2"],
)
def test_slow_depthwise_convolutions_are_replaced(arguments):
    assert kind_of(*arguments) == "_DepthwiseBackward"
    assert F.conv2d(arguments[0], *arguments[1:]).grad_fn.name() == "ConvolutionBackward0"


@pytest.mark.parametrize(
    "arguments",
    [
        (maps(), kernel(8, 1, 3), None, 1, 1, 1, 8),
        (maps(dtype=torch.float32), kernel(8, 1, 5, dtype=torch.float32), None, 1, 2, 1, 8),
        (maps(), kernel(16, 1, 5), None, 1, 2, 1, 8),
        (maps(), kernel(8, 2, 5), None, 1, 2, 1, 4),
        (maps(), kernel(8, 8, 5), None, 1, 2, 1, 1),
        (maps(1), kernel(1, 1, 5), None, 1, 2, 1, 1),
        (maps(), kernel(8, 1, 5), None, 1, 4, 2, 8),
        (maps(), kernel(8, 1, 5, 3), None, 1, 1, 1, 8),
        (maps(), kernel(8, 1, 5), None, (1, 2), 2, 1, 8),
        (maps(), kernel(8, 1, 5), None, 1, 5, 1, 8),
        (maps(), kernel(8, 1, 5), None, 1, "same", 1, 8),
    ],
    ids=[
        "fast already",
        "float32",
        "two maps a channel",
        "groups of two",
        "all channels",
        "one channel",
        "dilated",
        "not square",
        "unequal strides",
        "wide padding",
        "padding in words",
    ],
)
def test_other_convolutions_are_untouched(arguments):
    assert kind_of(*arguments) == "ConvolutionBackward0"


def test_a_call_by_keywords_is_left_alone():
    assert kind_of(maps(), kernel(8, 1, 5), padding=2, groups=8) == "ConvolutionBackward0"


def test_other_threads_are_left_alone():
    seen = []

    def run():
        seen.append(F.conv2d(maps().requires_grad_(True), kernel(8, 1, 5), None, 1, 2, 1, 8).grad_fn.name())

    with FastDepthwise():
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert seen == ["ConvolutionBackward0"]


def step_gradients(network, dtype, *, fast):
    """Return the gradients of a whole step: every layer of the network and a head that tells classes apart."""
    generator = torch.Generator().manual_seed(0)
    head = new_head(network, 3)
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=generator))
    whole = Thawed(working_copy(network, keeps_norms=False), None, weight_layers(network), head).replica(dtype).eval()
    size = network.backbone.input.size_px
    x = torch.randn(4, 3, size, size, generator=generator).to(dtype)
    labels = torch.tensor([0, 1, 2, 0])
    if fast:
        with FastDepthwise():
            F.cross_entropy(whole(x), labels).backward()
    else:
        F.cross_entropy(whole(x), labels).backward()
    return {name: weight.grad.float() for name, weight in whole.trained().items()}


@pytest.fixture
def counted(monkeypatch):
    """Count the convolutions that were replaced in a forward pass."""
    seen = []

    def count(x, weight, **rest):
        if torch.is_grad_enabled():
            seen.append(weight.shape[-1])
        return depthwise_conv2d(x, weight, **rest)

    monkeypatch.setattr(depthwise, "depthwise_conv2d", count)
    return seen


def test_a_whole_step_of_the_bundled_backbone_has_the_same_gradients(network, monkeypatch, counted):
    """In float32, where rounding hides nothing: the rule that leaves float32 alone is lifted."""
    rule, lite0 = depthwise._is_slow_depthwise, network("efficientnet_lite0")
    monkeypatch.setattr(depthwise, "_is_slow_depthwise", lambda x, weight, **rest: rule(x.bfloat16(), weight, **rest))
    plain, fast = (step_gradients(lite0, torch.float32, fast=fast) for fast in (False, True))
    slow = [
        module
        for module in lite0.model.modules()
        if isinstance(module, nn.Conv2d) and module.groups > 1 and (module.stride[0] > 1 or module.kernel_size[0] > 3)
    ]
    assert len(counted) == len(slow) > 8
    assert plain.keys() == fast.keys()
    for name, gradient in plain.items():
        assert torch.allclose(fast[name], gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max())), name


def test_a_whole_step_in_bfloat16_is_as_close_to_float32_as_torchs_own(network):
    lite0 = network("efficientnet_lite0")
    exact = step_gradients(lite0, torch.float32, fast=False)

    def error(fast):
        found = step_gradients(lite0, torch.bfloat16, fast=fast)
        return torch.cat([(found[name] - exact[name]).flatten() for name in exact]).norm()

    assert error(True) <= 1.2 * error(False)
