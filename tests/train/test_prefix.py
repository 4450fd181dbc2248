"""Cached activations are what the frozen prefix says of a view, and the suffix cannot tell them from it."""

from __future__ import annotations

import hashlib
import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image

from thawline.core import store
from thawline.core.cache import cache_entries
from thawline.core.errors import BackboneError
from thawline.core.progress import SilentProgress
from thawline.core.runtime import Runtime
from thawline.data.augment import seen_as, view_names
from thawline.data.dataset import Dataset, Sample
from thawline.data.images import prepare
from thawline.features.network import frozen_for_inference, load_backbone
from thawline.features.reader import to_input
from thawline.train.prefix import activation_shape, open_prefix, prefix_bytes

RUNTIME = Runtime("cpu", "float32", 4)
AMPLE = 1 << 30


@dataclass(frozen=True)
class Memory:
    """A picture that is held in memory."""

    data: bytes

    def read(self) -> bytes:
        return self.data


class Noted(SilentProgress):
    """Remembers what was said."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def dataset_of(count):
    """Return a checked data set of pictures that are all different."""
    samples = []
    for seed in range(count):
        coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(coarse).resize((40, 36), Image.Resampling.BICUBIC).save(buffer, "PNG")
        data = buffer.getvalue()
        samples.append(Sample(f"{seed}.png", seed % 2, hashlib.sha256(data).hexdigest(), None, seed, Memory(data)))
    return Dataset(None, ("a", "b"), tuple(samples), ())


def inputs(dataset, samples, view, network, runtime=RUNTIME):
    """Return what the network sees of a view of some samples."""
    chosen, spec = [dataset.samples[sample] for sample in samples], network.backbone.input
    pixels = [seen_as(prepare(sample.source.data, spec), view, sha256=sample.sha256) for sample in chosen]
    return to_input(np.stack(pixels), spec, runtime=runtime)


NETWORKS = {
    "lite0": {"size_px": 64},
    "test_resnet": {"size_px": 64, "pretrained": False},
    "test_convnext": {"size_px": 64, "pretrained": False},
    "test_vit": {"pretrained": False},
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    options = NETWORKS[request.param]
    return load_backbone(**options) if request.param == "lite0" else load_backbone(request.param, **options)


@pytest.fixture(scope="module")
def tiny():
    return load_backbone("test_efficientnet", pretrained=False, size_px=32)


def size_text(count):
    """Return so many bytes as an option says them."""
    return f"{count / 1000 + 1e-4:.4f}kB"


@pytest.fixture
def cache(own_cache):
    return store.cache_root(own_cache)


@pytest.fixture
def open_at(make_context, cache):
    """Return a function that opens the activations of pictures at a cut."""

    def open_at(dataset, network, cut, *, rows=None, **options):
        context = make_context(dataset, network, cache=cache, **({"augment": "none"} | options))
        return open_prefix(context, np.arange(len(dataset)) if rows is None else rows, network=network, cut=cut)

    return open_at


def test_the_shape_is_that_of_the_activation(network):
    x = torch.zeros(1, 3, network.backbone.input.size_px, network.backbone.input.size_px)
    for cut in network.backbone.cuts:
        h = network.prefix(x, cut.index)
        expected = h.permute(0, 2, 3, 1) if h.ndim == 4 else h
        assert activation_shape(network, cut.index) == expected.shape[1:]
    with pytest.raises(BackboneError, match="there is no cut 99"):
        activation_shape(network, 99)


def test_what_is_read_is_what_the_prefix_says_and_the_suffix_goes_on_from_it(open_at, network):
    dataset, views = dataset_of(6), view_names("crop", 2)
    cut = len(network.backbone.cuts) // 2
    opened = open_at(dataset, network, cut, augment="crop", views=2)
    assert (opened.num_views, opened.num_extracted) == (2, 12)
    samples = np.array([4, 0, 5, 4])
    for number, view in enumerate(views):
        h = opened.read(number, samples)
        x = inputs(dataset, samples, view, network)
        with torch.no_grad():
            live = network.prefix(x, cut)
            assert h.shape == live.shape
            assert h.dtype == torch.float32
            assert torch.allclose(h, live, rtol=2e-3, atol=1e-3 * float(live.abs().max()))
            logits = network.forward(x)
            scale = float(logits.abs().max())
            assert torch.allclose(network.suffix(h, cut), logits, rtol=5e-3, atol=5e-3 * scale)
        if h.ndim == 4:
            assert h.is_contiguous(memory_format=torch.channels_last)


def test_float16_holds_bfloat16_without_loss(open_at, tiny):
    """All but the numbers below float16's smallest, which count as zero."""
    dataset, runtime = dataset_of(4), Runtime("cpu", "bfloat16", 4)
    h = open_at(dataset, tiny, 2, runtime=runtime).read(0, np.arange(4))
    assert h.dtype == torch.bfloat16
    frozen = frozen_for_inference(tiny, runtime)
    with torch.inference_mode():
        live = frozen.prefix(inputs(dataset, range(4), "plain", tiny, runtime), 2)
    normal = live.abs() > 2.0**-14
    assert normal.float().mean() > 0.9
    assert torch.equal(h[normal], live[normal])


def test_a_batch_is_its_own_and_its_order_that_asked_for(open_at, tiny):
    opened = open_at(dataset_of(6), tiny, 3)
    whole = opened.read(0, np.arange(6))
    taken = opened.read(0, np.array([3, 1, 3]))
    assert torch.equal(taken, whole[[3, 1, 3]])
    taken.zero_()
    assert torch.equal(opened.read(0, np.array([3])), whole[[3]])
    with ThreadPoolExecutor(4) as pool:
        for at, one in zip(range(6), pool.map(lambda row: opened.read(0, np.array([row])), range(6)), strict=True):
            assert torch.equal(one, whole[[at]])


def test_twenty_more_pictures_extract_twenty(open_at, tiny):
    def extracted(count):
        opened = open_at(dataset_of(count), tiny, 3)
        return opened.num_extracted, opened.read(0, np.arange(10))

    first, before = extracted(10)
    second, after = extracted(30)
    assert (first, second, extracted(30)[0]) == (10, 20, 0)
    assert torch.equal(before, after)


def test_only_the_rows_asked_for_run_and_others_are_refused(open_at, tiny):
    dataset = dataset_of(6)
    opened = open_at(dataset, tiny, 3, rows=np.array([4, 1]))
    assert opened.num_extracted == 2
    whole = open_at(dataset, tiny, 3)
    assert whole.num_extracted == 4
    assert torch.equal(opened.read(0, np.array([1, 4])), whole.read(0, np.array([1, 4])))
    with pytest.raises(
        ValueError, match=r"^read prefix: sample 2 is none of those that it was opened for\. Name it in"
    ):
        opened.read(0, np.array([1, 2]))


def test_another_cut_is_another_store(open_at, tiny, cache):
    for cut in (2, 3):
        opened = open_at(dataset_of(3), tiny, cut)
        assert opened.num_extracted == 3
    assert len(cache_entries(cache)) == 2


def test_the_forecast_is_what_is_written(open_at, tiny, cache):
    forecast = prefix_bytes(tiny, 3, num_pictures=6, num_views=2, runtime=RUNTIME)
    open_at(dataset_of(6), tiny, 3, augment="trivial", views=2, disk_budget=size_text(forecast))
    files = list(cache.glob("banks/*/segments/*/*.npy"))
    assert sum(file.stat().st_size for file in files) == forecast + 128 * len(files)


@pytest.mark.parametrize("short_of", ["budget", "disk"])
def test_what_does_not_fit_is_not_cached_and_the_note_says_why(open_at, tiny, cache, monkeypatch, short_of):
    dataset, noted = dataset_of(6), Noted()
    needed = prefix_bytes(tiny, 3, num_pictures=6, num_views=2, runtime=RUNTIME)
    budget = needed - 1 if short_of == "budget" else AMPLE
    if short_of == "disk":
        usage = shutil.disk_usage(cache)
        monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    opened = open_at(dataset, tiny, 3, progress=noted, augment="flip", views=2, disk_budget=size_text(budget))
    assert opened is None
    assert not list(cache.glob("banks/*/segments/*"))
    (note,) = noted.notes
    assert note.startswith("prefix: not cached, it runs live in every epoch. extract: ")
    assert ("2 views of 6 pictures would take" in note and "the budget is" in note) == (short_of == "budget")


def test_activations_beyond_float16_are_kept_in_float32(open_at):
    network = load_backbone("test_efficientnet", pretrained=False, size_px=32)
    with torch.no_grad():
        network.model.bn2.weight.mul_(1e7)
    dataset, noted, last = dataset_of(4), Noted(), len(network.backbone.cuts) - 1
    opened = open_at(dataset, network, last, progress=noted)
    with torch.no_grad():
        live = network.prefix(inputs(dataset, range(4), "plain", network), last)
    assert float(live.max()) > 65504
    assert torch.allclose(opened.read(0, np.arange(4)), live, rtol=1e-4, atol=1e-4 * float(live.max()))
    assert "prefix: an activation exceeds what float16 can hold (65,504); all are kept in float32." in noted.notes
