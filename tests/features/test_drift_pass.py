"""How far a network has moved: nothing where nothing changed, much where all did, and what of the old head is left."""

from __future__ import annotations

import copy
import hashlib
import io
from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image

from thawline.core.errors import BackboneError, DataError, UsageError
from thawline.core.runtime import Runtime
from thawline.data.check import check
from thawline.data.dataset import Sample
from thawline.features import drift_pass
from thawline.features.drift_pass import measure_drift
from thawline.features.network import Network, load_backbone

FLOAT32 = Runtime("cpu", "float32", 8)
CLASSES = ("a", "b")
MONKEYS = {"n0": [379], "n1": [371], "n3": [373], "n4": [377], "n5": [378], "n6": [377], "n7": [382], "n9": [374]}


@dataclass(frozen=True)
class Memory:
    """A picture that is held in memory."""

    data: bytes

    def read(self) -> bytes:
        return self.data


def drawn(seed):
    """Return a smooth random picture as a sample of its own group; classes take turns."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((40, 36), Image.Resampling.BICUBIC).save(buffer, "PNG")
    data = buffer.getvalue()
    return Sample(f"{seed}.png", seed % 2, hashlib.sha256(data).hexdigest(), None, seed, Memory(data))


PICTURES = tuple(drawn(seed) for seed in range(40))


def measure(pretrained, tuned, samples=PICTURES, runtime=FLOAT32, **changes):
    given = {
        "labels": np.array([sample.label for sample in samples], dtype=np.int64),
        "groups": np.array([sample.group for sample in samples], dtype=np.int64),
        "class_names": CLASSES,
    }
    return measure_drift(pretrained, tuned, runtime=runtime, samples=samples, **(given | changes))


def moved(network, from_cut, amount, seed=0):
    """Return a copy whose weights above a cut have random steps added to them."""
    model = copy.deepcopy(network.model)
    other = Network(network.backbone, model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, module in other.suffix_modules(from_cut)[:-1]:
            for parameter in module.parameters():
                if parameter.ndim > 1:
                    noise = torch.randn(parameter.shape, generator=generator)
                    parameter += amount * parameter.std() * noise
    return other


@pytest.fixture(scope="module")
def lite0():
    return load_backbone(size_px=64)


@pytest.fixture(scope="module")
def tiny():
    """Return a function from a name to a tiny network whose weights count as pretrained."""

    def get(name, seed=1, origin="hub"):
        random = load_backbone(name, pretrained=False, seed=seed, size_px=None if name == "test_vit" else 64)
        return Network(replace(random.backbone, weights_origin=origin), random.model)

    return get


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "test_vit", "dla34"])
def test_a_network_that_did_not_move_is_unchanged_at_every_cut(tiny, name):
    network = tiny(name)
    found = measure(network, copy.deepcopy(network))
    assert [cut.label for cut in found.cuts] == [cut.label for cut in network.backbone.cuts]
    assert [cut.cost_fraction for cut in found.cuts] == [cut.cost_fraction for cut in network.backbone.cuts]
    for cut in found.cuts:
        assert (cut.cka, cut.low, cut.high, cut.unpooled_cka) == (1.0, 1.0, 1.0, 1.0)
    stages = [cut.stage for cut in found.cuts]
    assert stages == sorted(stages)
    assert found.num_pictures == 40


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "test_vit"])
def test_only_what_was_trained_moves(tiny, name):
    network = tiny(name)
    before = {key: value.clone() for key, value in network.model.state_dict().items()}
    thaw = len(network.backbone.cuts) // 2
    found = measure(network, moved(network, thaw, 0.5))
    assert all(cut.cka == cut.unpooled_cka == 1.0 for cut in found.cuts[: thaw + 1])
    assert all(0 < cut.cka < 1 and cut.unpooled_cka < 1 for cut in found.cuts[thaw + 1 :])
    assert all(cut.low <= cut.cka <= cut.high for cut in found.cuts)
    assert all(torch.equal(value, before[key]) for key, value in network.model.state_dict().items())


def test_the_further_it_moves_the_less_is_left(tiny):
    network = tiny("test_efficientnet")
    steps = [measure(network, moved(network, 0, amount)).cuts[-1] for amount in (0.1, 0.5, 1.5)]
    assert 0.9 < steps[0].cka < 1
    assert steps[0].cka > steps[1].cka > steps[2].cka
    assert steps[0].unpooled_cka > steps[1].unpooled_cka > steps[2].unpooled_cka


@pytest.mark.slow
def test_random_weights_are_far_from_pretrained_ones(lite0):
    random = load_backbone(size_px=64, pretrained=False)
    last = measure(lite0, random).cuts[-1]
    assert last.high < 0.5
    assert last.unpooled_cka < 0.5


def test_channels_in_another_order_are_alike_and_only_the_head_sees_it(lite0):
    model = copy.deepcopy(lite0.model)
    order = torch.randperm(1280, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for tensor in (model.conv_head.weight, *(getattr(model.bn2, name) for name in ("weight", "bias"))):
            tensor.copy_(tensor[order])
        for tensor in (model.bn2.running_mean, model.bn2.running_var):
            tensor.copy_(tensor[order])
    shuffled = Network(lite0.backbone, model)
    own = top1(lite0)
    found = measure(lite0, shuffled, labels=np.arange(40), class_names=names(40), imagenet=mapping(own))
    assert found.cuts[-1].cka == pytest.approx(1.0, abs=1e-4)
    assert (found.head.before, found.head.num_pictures) == (1.0, 40)
    assert found.head.after < 0.2


def names(count):
    return tuple(f"class {number}" for number in range(count))


def mapping(indices):
    """Return a mapping that allows each class just one index."""
    return {name: [int(index)] for name, index in zip(names(len(indices)), indices, strict=True)}


def top1(network):
    """Return what the network itself says of the pictures, read one by one."""
    from thawline.data.load import load_pixels
    from thawline.features.reader import to_input

    spec = network.backbone.input
    with torch.inference_mode():
        x = to_input(np.stack([load_pixels(sample, spec) for sample in PICTURES]), spec, runtime=FLOAT32)
        return network.forward(x).argmax(dim=1).numpy()


def test_the_head_is_scored_on_the_classes_that_it_knows(tiny):
    network = tiny("test_resnet")
    own = top1(network)
    wrong = np.where(np.arange(40) < 10, (own + 1) % 1000, own)
    found = measure(network, network, labels=np.arange(40), class_names=names(40), imagenet=mapping(wrong))
    assert found.head.before == found.head.after == 0.75
    assert found.head.before_low < 0.75 < found.head.before_high < 0.9
    assert found.no_head == ""
    some = {"class 3": [int(own[3])], "class 4": [], "class 5": [(int(own[5]) + 1) % 1000, int(own[5])]}
    found = measure(network, network, labels=np.arange(40), class_names=names(40), imagenet=some)
    assert (found.head.before, found.head.num_pictures) == (1.0, 2)
    assert found.head.class_names == ("class 3", "class 5")


def test_without_a_head_the_reason_is_told(tiny):
    network = tiny("test_resnet")
    unmapped = "no picture's class is mapped to classes of ImageNet"
    assert measure(network, network).no_head == unmapped
    assert measure(network, network, imagenet={"a": []}).no_head == unmapped
    random = tiny("test_resnet", origin="random, seed 1")
    found = measure(random, random, imagenet={"a": [1]})
    assert found.head is None
    assert "test_resnet started from nothing" in found.no_head
    staged = tiny("dla34")
    assert "not continued" in measure(staged, staged, imagenet={"a": [1]}).no_head


def test_neither_order_nor_batches_change_what_is_found(tiny):
    old = tiny("test_resnet")
    new = moved(old, 0, 0.3)
    first = measure(old, new)
    assert asdict(measure(old, new, PICTURES[::-1])) == asdict(first)
    other = measure(old, new, runtime=Runtime("cpu", "float32", 3))
    assert [cut.cka for cut in other.cuts] == pytest.approx([cut.cka for cut in first.cuts], abs=1e-4)
    assert [cut.unpooled_cka for cut in other.cuts] == pytest.approx([cut.unpooled_cka for cut in first.cuts], abs=1e-4)


def test_copies_are_compared_once(tiny):
    old = tiny("test_resnet")
    new = moved(old, 0, 0.3)
    copies = tuple(replace(sample, path=f"copy of {sample.path}") for sample in PICTURES[:30])
    found = measure(old, new, PICTURES + copies)
    assert found.num_pictures == 40
    assert [cut.cka for cut in found.cuts] == pytest.approx([cut.cka for cut in measure(old, new).cuts], abs=1e-4)


def test_of_many_pictures_those_with_the_lowest_hashes_are_read_and_copies_last(tiny, monkeypatch):
    monkeypatch.setattr(drift_pass, "MAX_PICTURES", 12)
    monkeypatch.setattr(drift_pass, "MAX_UNPOOLED", 9)
    old = tiny("test_resnet")
    new = moved(old, 0, 0.3)
    chosen = sorted(PICTURES, key=lambda sample: sample.sha256)[:12]
    copies = tuple(replace(sample, path="copy") for sample in PICTURES)
    found = measure(old, new, copies + PICTURES)
    assert found.num_pictures == 12
    assert asdict(found) == asdict(measure(old, new, tuple(chosen)))
    monkeypatch.setattr(drift_pass, "MAX_UNPOOLED", 12)
    whole = measure(old, new, tuple(chosen))
    assert [cut.cka for cut in whole.cuts] == pytest.approx([cut.cka for cut in found.cuts], abs=1e-4)
    assert whole.cuts[-1].unpooled_cka != found.cuts[-1].unpooled_cka


def test_what_cannot_be_compared_is_refused_before_a_picture_is_read(tiny):
    old = tiny("test_resnet")

    class Unread:
        def read(self):
            raise AssertionError("read")

    unread = tuple(replace(sample, source=Unread()) for sample in PICTURES)
    with pytest.raises(BackboneError, match="drift: the 10 cuts of test_convnext are not the 4 of test_resnet"):
        measure(old, tiny("test_convnext"), unread)
    narrow = Network(replace(old.backbone, input=replace(old.backbone.input, fit="stretch")), old.model)
    with pytest.raises(
        BackboneError, match=r"another input .*fit='stretch'.* Load the pretrained network with the same"
    ):
        measure(old, narrow, unread)
    with pytest.raises(DataError, match="drift: 7 pictures without copies, at least 8 are required"):
        measure(old, old, unread[:7] + unread[:7])
    with pytest.raises(DataError, match="drift: 0 pictures"):
        measure(old, old, ())
    with pytest.raises(UsageError, match="names 'c', which the data does not have"):
        measure(old, old, unread, imagenet={"c": [1]})


def test_near_copies_alone_are_measured_by_their_bytes(tiny):
    """Frames of one burst are all copies of one another; drift still has a number, of as many pictures as there are."""
    old = tiny("test_resnet")
    burst = PICTURES[:10]
    found = measure(old, moved(old, 0, 0.1), burst + burst[:2], copies=np.zeros(12, dtype=np.int64))
    assert found.num_pictures == 10


def test_a_network_that_diverged_is_named(tiny):
    old = tiny("test_resnet")
    broken = moved(old, 0, 0.0)
    broken = Network(replace(broken.backbone, weights_origin="hub, then trained: all"), broken.model)
    with torch.no_grad():
        next(iter(broken.suffix_modules(1)[0][1].parameters())).fill_(float("nan"))
    with pytest.raises(
        BackboneError, match=r"features of test_resnet \(hub, then trained: all\) are not finite in float32"
    ):
        measure(old, broken)


@pytest.mark.slow
@pytest.mark.pictures
def test_the_bundled_head_knows_monkeys_and_loses_them(shared_data):
    dataset = check(shared_data / "monkeys" / "validation")[0]
    rows = np.concatenate([np.flatnonzero(dataset.labels == label)[:5] for label in range(10)])
    network = load_backbone()
    found = measure(
        network,
        moved(network, 12, 1.0),
        [dataset.samples[row] for row in rows],
        labels=dataset.labels[rows],
        groups=dataset.groups[rows],
        class_names=dataset.class_names,
        imagenet=MONKEYS,
    )
    assert found.head.num_pictures == 40
    assert found.head.class_names == tuple(MONKEYS)
    assert found.head.before > 0.8
    assert found.head.after < found.head.before - 0.2
    assert [cut.cka == 1 for cut in found.cuts] == [True] * 13 + [False] * 4
