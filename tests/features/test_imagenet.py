"""The original head is the network's own, is refused where there is none, and is scored on classes that it knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from thawline.core.errors import BackboneError, UsageError
from thawline.core.intervals import wilson
from thawline.features.imagenet import allowed_classes, pretrained_classifier, score_head
from thawline.features.network import Network, load_backbone

CLASSES = ("howler", "macaque", "uakari")


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "test_vit", "resnet10t"])
def test_the_head_behind_the_last_cut_is_the_networks_own(name):
    random = load_backbone(name, pretrained=False, seed=1)
    network = Network(replace(random.backbone, weights_origin="hub"), random.model)
    size = network.backbone.input.size_px
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = pretrained_classifier(network)(network.prefix(x, network.backbone.cuts[-1].index).bfloat16().float())
        assert logits.shape == (2, 1000)
        assert torch.allclose(logits, network.forward(x), atol=0.05, rtol=0.05)
        assert logits.std() > 0


def test_the_bundled_weights_have_their_head():
    network = load_backbone()
    features = torch.randn(3, 1280, 7, 7, generator=torch.Generator().manual_seed(0)).bfloat16()
    logits = pretrained_classifier(network)(features)
    weight, bias = network.model.classifier.weight, network.model.classifier.bias
    assert torch.allclose(logits, features.float().mean((2, 3)) @ weight.T + bias, atol=1e-4)


@pytest.mark.parametrize("name", ["test_resnet", "simple_cnn"])
def test_random_weights_have_no_head(name):
    network = load_backbone(name, pretrained=False, size_px=64)
    with pytest.raises(
        BackboneError, match=rf"{name} started from nothing \(random, seed 0\): it has no ImageNet head"
    ):
        pretrained_classifier(network)
    trained = replace(network.backbone, weights_origin=network.backbone.weights_origin + ", then trained: everything")
    with pytest.raises(BackboneError, match="then trained: everything"):
        pretrained_classifier(Network(trained, network.model))


@pytest.mark.parametrize(("num_classes", "found"), [(12, "a head of 12 classes"), (0, "no head")])
def test_weights_of_other_classes_have_no_head(tmp_path, num_classes, found):
    state = load_backbone("test_resnet", pretrained=False, size_px=64).model.state_dict()
    classifier = [name for name in state if name.startswith("fc.")]
    assert len(classifier) == 2
    state |= {name: state[name][:num_classes].clone() for name in classifier}
    save_file({name: t for name, t in state.items() if num_classes or name not in classifier}, tmp_path / "mine")
    network = load_backbone("test_resnet", weights=tmp_path / "mine", size_px=64)
    with pytest.raises(
        BackboneError, match=rf"test_resnet has {found} where ImageNet's 1,000 are required \(file mine\)"
    ):
        pretrained_classifier(network)


def test_a_network_that_can_only_be_read_says_so():
    random = load_backbone("dla34", pretrained=False, size_px=64)
    with pytest.raises(BackboneError, match="DLA can be read at its stages but not continued"):
        pretrained_classifier(Network(replace(random.backbone, weights_origin="hub"), random.model))


def test_a_mapping_becomes_a_table():
    allowed = allowed_classes({"macaque": (373, 370), "uakari": []}, CLASSES)
    assert allowed.shape == (3, 1000)
    assert [tuple(pair) for pair in np.argwhere(allowed)] == [(1, 370), (1, 373)]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (
            {"macaqe": [373]},
            r"names 'macaqe', which the data does not have\. Use its classes: howler, macaque, uakari",
        ),
        ({"macaque": [373, 1000]}, r"gives class 'macaque' 1000; whole numbers from 0 to 999 are required"),
        ({"macaque": [-1]}, "gives class 'macaque' -1;"),
        ({"macaque": ["373"]}, "gives class 'macaque' 373;"),
        ({"macaque": [True]}, "gives class 'macaque' True;"),
        ({"macaque": [373.0]}, r"gives class 'macaque' 373\.0;"),
    ],
    ids=str,
)
def test_a_mapping_that_means_nothing_is_refused(mapping, message):
    with pytest.raises(UsageError, match=f"imagenet: the mapping to ImageNet {message}"):
        allowed_classes(mapping, CLASSES)


def test_the_score_counts_mapped_pictures_and_copies_once():
    allowed = allowed_classes({"howler": [379], "macaque": [373, 370]}, CLASSES)
    labels = np.array([0, 0, 1, 1, 1, 2])
    before = np.array([379, 380, 373, 370, 379, 379])
    after = np.array([1, 379, 1, 2, 3, 379])
    score = score_head(before, after, allowed=allowed, labels=labels, groups=np.arange(6), class_names=CLASSES)
    assert (score.before, score.after, score.num_pictures) == (0.6, 0.2, 5)
    assert score.class_names == ("howler", "macaque")
    assert (score.before_low, score.before_high) == pytest.approx(wilson(3, 5))
    assert (score.after_low, score.after_high) == pytest.approx(wilson(1, 5))
    copies = score_head(
        before, after, allowed=allowed, labels=labels, groups=np.array([0, 0, 1, 1, 2, 3]), class_names=CLASSES
    )
    assert copies.before == score.before
    assert copies.before_high - copies.before_low > score.before_high - score.before_low
