"""What a step takes in: the same for equal seeds, whatever threads and memory do; labels blended as pictures are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thawline.core.errors import DataError
from thawline.core.types import InputSpec
from thawline.data.images import prepare
from thawline.features.reader import to_input
from thawline.train import batches
from thawline.train.batches import Activations, Batch, Pictures, epoch_batches
from thawline.train.hyperparameters import TrainOptions
from thawline.train.prefix import open_prefix

SPEC = InputSpec(size_px=32, mean=(0.5,) * 3, std=(0.25,) * 3)
SAMPLES = np.array([3, 4, 7, 8, 11, 12, 20, 21, 22, 30])
LABELS = np.array([0, 1, 0, 1, 0, 1, 0, 0, 0, 2])


def epoch(number=0, seed=5, samples=SAMPLES, labels=LABELS, **changes):
    return list(epoch_batches(samples, labels, epoch=number, training=TrainOptions(batch_size=4, **changes), seed=seed))


def same(one, other):
    return all(
        np.array_equal(a.samples, b.samples)
        and np.array_equal(a.partners, b.partners)
        and (a.share, a.box) == (b.share, b.box)
        for a, b in zip(one, other, strict=True)
    )


BLENDING = ({}, {"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 1.0}, {"sampling": "balanced"})


@pytest.mark.parametrize("changes", BLENDING)
def test_equal_arguments_give_equal_batches(changes):
    """So a training run that is resumed in the middle of an epoch takes the batches it would have taken."""
    first = epoch(3, **changes)
    np.random.seed(1)  # noqa: NPY002 - the global state must not matter
    torch.manual_seed(1)
    assert same(first, epoch(3, **changes))
    assert not same(first, epoch(4, **changes))
    assert not same(first, epoch(3, seed=6, **changes))


def test_an_epoch_takes_every_picture_once_and_the_last_batch_is_what_is_left():
    found = epoch()
    assert [len(batch) for batch in found] == [4, 4, 2]
    assert sorted(np.concatenate([batch.samples for batch in found])) == list(SAMPLES)
    assert all(batch.share == 1 and np.array_equal(batch.partners, batch.samples) for batch in found)


def test_balanced_sampling_shows_all_classes_equally_often():
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    samples = np.arange(1000) + 50
    taken = np.concatenate([b.samples for b in epoch(samples=samples, labels=labels, sampling="balanced")])
    assert len(taken) == 1000
    counts = np.bincount(labels[taken - 50], minlength=3)
    assert ((counts > 280) & (counts < 390)).all()
    shuffled = np.concatenate([b.samples for b in epoch(samples=samples, labels=labels)])
    assert np.bincount(labels[shuffled - 50]).tolist() == [900, 90, 10]


def test_balanced_sampling_does_without_a_class_that_has_no_rows():
    found = epoch(labels=np.where(LABELS == 1, 3, LABELS), sampling="balanced")
    assert sum(len(batch) for batch in found) == 10


@pytest.mark.parametrize("changes", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_partners_are_the_batch_in_another_order(changes):
    for batch in epoch(**changes):
        assert sorted(batch.partners) == sorted(batch.samples)
        assert 0 <= batch.share < 1
        assert (batch.box is None) is ("mixup" in changes)


def test_with_both_a_coin_decides():
    kinds = [batch.box is None for n in range(40) for batch in epoch(n, mixup=0.4, cutmix=1.0)]
    assert 30 < sum(kinds) < 90


def test_a_strength_of_one_draws_every_share_alike():
    shares = [batch.share for n in range(100) for batch in epoch(n, mixup=1.0)]
    assert abs(np.mean(shares) - 0.5) < 0.06
    assert abs(np.std(shares) - 12**-0.5) < 0.03
    extreme = [batch.share for n in range(100) for batch in epoch(n, mixup=0.1)]
    assert np.std(extreme) > 0.4


@dataclass(frozen=True)
class Constant:
    """Every sample is its own number everywhere, so that what is blended can be read off."""

    shape: tuple[int, ...] = (3, 40, 30)

    def read(self, samples, epoch):
        numbers = torch.from_numpy(np.asarray(samples, dtype=np.float32))
        return numbers.view(-1, *[1] * len(self.shape)).expand(-1, *self.shape).clone()


@given(st.integers(0, 500))
def test_a_pasted_rectangle_takes_the_share_of_the_label_that_it_takes_of_the_area(number):
    for batch in epoch(number, samples=np.arange(10) + 1, cutmix=1.0):
        x, share = batch.inputs(Constant(), number)
        for shown, own, other in zip(x, batch.samples, batch.partners, strict=True):
            seen = shown.unique()
            assert set(seen.tolist()) <= {own, other}
            if own != other:
                assert float((shown == own).float().mean()) == pytest.approx(share, abs=1e-6)
                pasted = (shown[0] == other).nonzero()
                if len(pasted):  # one rectangle, the same in every channel
                    sides = pasted.max(0).values - pasted.min(0).values + 1
                    assert int(sides.prod()) == len(pasted)
                    assert torch.equal(shown[0], shown[1])


def test_the_areas_of_rectangles_are_one_less_the_drawn_share_where_they_fit():
    for number in range(60):
        for batch in epoch(number, cutmix=1.0):
            top, bottom, left, right = batch.box
            area = (bottom - top) * (right - left)
            assert 0 <= top <= bottom <= 1
            assert 0 <= left <= right <= 1
            assert area <= 1 - batch.share + 1e-6
            if min(top, left) > 0 and max(bottom, right) < 1:
                assert area == pytest.approx(1 - batch.share, abs=1e-5)


@pytest.mark.parametrize("shape", [(3, 8, 8), (17, 6)])
def test_mixing_adds_pictures_by_the_share_of_their_labels(shape):
    """Maps and tokens alike."""
    for batch in epoch(mixup=1.0):
        x, share = batch.inputs(Constant(shape), 0)
        assert share == batch.share
        expected = share * batch.samples + (1 - share) * batch.partners
        assert x.flatten(1).numpy() == pytest.approx(np.broadcast_to(expected[:, None], x.flatten(1).shape), rel=1e-5)


def test_tokens_have_no_area_so_they_are_mixed():
    (batch, *_) = epoch(cutmix=1.0)
    x, share = batch.inputs(Constant((17, 6)), 0)
    assert share == batch.share
    assert x[:, 0, 0].numpy() == pytest.approx(share * batch.samples + (1 - share) * batch.partners, rel=1e-5)


def test_a_part_of_a_batch_is_blended_as_the_whole_is():
    (batch, *_) = epoch(cutmix=1.0)
    whole, share = batch.inputs(Constant(), 0)
    for places in (np.array([0, 2]), np.array([3])):
        part, part_share = batch.part(places).inputs(Constant(), 0)
        assert torch.equal(part, whole[places])
        assert part_share == share
        assert len(batch.part(places)) == len(places)


@pytest.fixture
def pictures(drawn, runtime):
    """Return a function that opens twelve pictures, rows 2 to 13 of a data set."""

    def open_pictures(augment="none", seed=3):
        return Pictures(drawn(16), np.arange(2, 14), SPEC, runtime, augment=augment, seed=seed)

    return open_pictures


def test_pictures_are_the_networks_input_in_the_order_asked_for(pictures, drawn, runtime):
    x = pictures().read(np.array([9, 2, 9]), 0)
    decoded = [prepare(drawn(16).samples[row].source.data, SPEC) for row in (9, 2, 9)]
    assert torch.equal(x, to_input(np.stack(decoded), SPEC, runtime=runtime))


def test_room_in_memory_changes_nothing(pictures, monkeypatch):
    rows = np.array([13, 2, 7])
    kept = pictures("crop")
    monkeypatch.setattr(batches, "MEMORY_SHARE", 0)
    live = pictures("crop")
    assert (len(kept._kept), len(live._kept)) == (12, 0)
    for number in (None, 0, 1, 0):
        assert torch.equal(kept.read(rows, number), live.read(rows, number))


def test_kept_pictures_are_decoded_once(pictures, monkeypatch):
    counted = []
    monkeypatch.setattr(
        batches, "load_pixels", lambda sample, spec: counted.append(1) or prepare(sample.source.data, spec)
    )
    kept = pictures("flip")
    for number in range(3):
        kept.read(np.arange(2, 14), number)
    assert len(counted) == 12


def test_what_was_read_belongs_to_the_caller(pictures):
    kept, rows = pictures(), np.arange(2, 6)
    before = kept.read(rows, 0).clone()
    kept.read(rows, 0).zero_()
    assert torch.equal(kept.read(rows, 0), before)


def test_every_epoch_sees_a_picture_its_own_way_and_none_sees_it_unaltered(pictures):
    rows = np.arange(2, 14)
    cropped = pictures("crop")
    assert torch.equal(cropped.read(rows, 1), cropped.read(rows, 1))
    assert not torch.equal(cropped.read(rows, 1), cropped.read(rows, 2))
    assert not torch.equal(cropped.read(rows, 1), pictures("crop", seed=4).read(rows, 1))
    assert torch.equal(cropped.read(rows, None), pictures().read(rows, 7))


def test_neither_threads_nor_their_order_nor_torchs_own_state_matter(pictures):
    rows = np.arange(2, 14)
    expected = {(row, n): pictures("trivial").read(np.array([row]), n) for row in rows for n in range(2)}
    together, jobs = pictures("trivial"), list(expected)[::-1]

    def read(job):
        torch.rand(3)
        return together.read(np.array([job[0]]), job[1])

    with ThreadPoolExecutor(4) as pool:
        for job, found in zip(jobs, pool.map(read, jobs), strict=True):
            assert torch.equal(found, expected[job])


def test_a_picture_that_changed_since_the_check_is_named(drawn, runtime):
    dataset = drawn(3)
    broken = dataset.samples[1]
    object.__setattr__(broken, "source", SimpleNamespace(read=lambda: b"another"))
    with pytest.raises(DataError, match=r"1\.png has changed since it was checked"):
        Pictures(dataset, np.arange(3), SPEC, runtime, augment="none", seed=0).read(np.arange(3), 0)


@pytest.fixture
def cached(drawn, network, runtime, make_context, own_cache):
    """Return a function that opens activations of eight pictures in so many views."""

    def open_activations(policy, views):
        net = network("test_efficientnet")
        context = make_context(drawn(8), net, runtime=runtime, cache=own_cache, augment=policy, views=views)
        cache = open_prefix(context, np.arange(8), network=net, cut=2)
        return Activations(cache, "cpu")

    return open_activations


def test_epochs_take_turns_through_the_views(cached):
    rows, samples = cached("crop", 3), np.array([5, 0, 4, 4, 1])
    for number in range(4):
        found = rows.read(samples, number)
        for row, h in zip(samples, found, strict=True):
            assert torch.equal(h, rows.cache.read((row + number) % 3, np.array([row]))[0])
    seen = {rows.read(np.array([5]), number).numpy().tobytes() for number in range(6)}
    assert len(seen) == 3
    assert torch.equal(rows.read(samples, 0), rows.read(samples, 3))


def test_unaltered_activations_are_those_of_the_plain_view(cached):
    rows, samples = cached("flip", 2), np.array([5, 0, 4])
    assert torch.equal(rows.read(samples, None), rows.cache.read(0, samples))
    single = cached("none", 1)
    for number in (None, 0, 1):
        assert torch.equal(single.read(samples, number), rows.cache.read(0, samples))


def test_activations_are_blended_like_pictures(cached):
    rows, batch = cached("none", 1), Batch(np.array([1, 2]), np.array([2, 1]), 0.25)
    x, share = batch.inputs(rows, 0)
    one, two = rows.cache.read(0, np.array([1])), rows.cache.read(0, np.array([2]))
    assert share == 0.25
    assert torch.allclose(x, torch.cat([0.25 * one + 0.75 * two, 0.25 * two + 0.75 * one]), atol=1e-6)
    pasted, _ = Batch(np.array([1]), np.array([2]), 0.5, (0.0, 0.5, 0.0, 1.0)).inputs(rows, 0)
    half = one.shape[2] // 2
    assert torch.equal(pasted[:, :, :half], two[:, :, :half])
    assert torch.equal(pasted[:, :, half:], one[:, :, half:])
    assert torch.equal(rows.read(np.array([1]), 0), one)
