"""Heat: exact where the head is linear in means, a place for every kind of head and network, or a reason why not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from thawline.core.runtime import Runtime
from thawline.features.joined import joined_blocks
from thawline.features.network import Network, load_backbone
from thawline.heads.columns import Columns, fit_columns
from thawline.heads.dense import DenseHead
from thawline.heads.linear import LinearHead
from thawline.heads.nearest import fit_class_mean, fit_neighbours
from thawline.heads.together import Member, TogetherHead
from thawline.use.classifier import Classifier
from thawline.vet.heat import SIDE, heat_scores, place_shares, shown_input, why_no_heat

NAMES = ("dot", "no dot")
SIZE_PX = 112  # activations of 14 and 7 places a side, which are laid on 14 cells without a loss


def dotted(at, *, size_px=SIZE_PX):
    """Return a grey picture with a bright dot, centred at a place given in shares."""
    pixels = np.full((size_px, size_px, 3), 60, dtype=np.uint8)
    if at is not None:
        y, x = (round(share * size_px) for share in at)
        pixels[max(0, y - 10) : y + 10, max(0, x - 10) : x + 10] = 250
    return pixels


def classifier_of(network, blocks, head, **changes):
    kept = {"blocks": blocks, "storage": "float32", "head": head, "temperature": 1.0, "class_names": NAMES}
    networks = network if isinstance(network, list) else [network]
    return Classifier(networks, Runtime("cpu", "float32", 4), **kept | changes)


@pytest.fixture(scope="module")
def network():
    """A small network with random weights, read in maps."""
    torch.manual_seed(0)
    return load_backbone("simple_cnn", pretrained=False, size_px=SIZE_PX)


@pytest.fixture(scope="module")
def vit():
    """A small transformer with random weights, read in tokens."""
    return load_backbone("vit_tiny_patch16_224", pretrained=False, size_px=SIZE_PX)


def last_blocks(network, poolings, *, num=2):
    last = len(network.backbone.cuts)
    return tuple((cut, pooling) for cut in range(last - num, last) for pooling in poolings)


def plain_head(width, *, seed=0, rooted=False):
    """Return a linear head on columns that are left as they are, or rooted."""
    columns = Columns(np.full(width, rooted), np.zeros(width, np.float32), np.ones(width, np.float32))
    weight = np.random.default_rng(seed).normal(size=(width, 2)).astype(np.float32)
    return LinearHead(columns, weight, np.zeros(2, np.float32))


def features_of(network, blocks, pictures):
    return classifier_of(network, blocks, None).reader.read(pictures)


def learnt(network, blocks, kind):
    """Return a head that tells a dot from none, wherever it lies."""
    places = [(y, x) for y in (0.2, 0.5, 0.8) for x in (0.2, 0.5, 0.8)]
    pictures = np.stack([*map(dotted, places), *[dotted(None)] * 3])
    features, labels = features_of(network, blocks, pictures), np.array([0] * 9 + [1] * 3)
    if kind == "class mean":
        return fit_class_mean(features, labels, num_classes=2)
    if kind == "neighbours":
        return fit_neighbours(features, labels, k=3, num_classes=2)
    linear = fit_class_mean(features, labels, num_classes=2)
    if kind == "dense":
        hidden = np.eye(features.shape[1], dtype=np.float32)
        return DenseHead(fit_columns(features), hidden, np.zeros(len(hidden), np.float32), linear.weight, linear.bias)
    half = np.arange(features.shape[1]) < features.shape[1] // 2
    halves = [LinearHead(fit_columns(features[:, mask]), linear.weight[mask], linear.bias) for mask in (half, ~half)]
    members = (Member(half, halves[0], 0.5), Member(~half, halves[1], 2.0))
    return TogetherHead(members)


@pytest.mark.parametrize("pooling", ["mean", "max", "grid", "std"])
def test_of_a_head_that_is_linear_in_its_columns_the_map_adds_up_to_the_logit(network, pooling):
    blocks = last_blocks(network, (pooling,))
    pictures = np.stack([dotted((0.3, 0.6)), dotted(None) + np.arange(SIZE_PX, dtype=np.uint8)[:, None, None]])
    features = features_of(network, blocks, pictures)
    head = plain_head(features.shape[1])
    maps = place_shares(classifier_of(network, blocks, head), pictures, classes=np.array([0, 1]))
    assert maps.shape == (2, SIDE, SIDE)
    expected = head.logits(features)[[0, 1], [0, 1]]
    assert maps.mean(axis=(1, 2)) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_of_heads_together_the_map_adds_up_to_the_mean_of_their_logits(network):
    blocks = last_blocks(network, ("mean",))
    pictures = dotted((0.3, 0.6))[None]
    features = features_of(network, blocks, pictures)
    half = np.arange(features.shape[1]) % 2 == 0
    heads = [plain_head(int(mask.sum()), seed=seed) for seed, mask in enumerate((half, ~half))]
    together = TogetherHead((Member(half, heads[0], 0.5), Member(~half, heads[1], 4.0)))
    shares = place_shares(classifier_of(network, blocks, together), pictures, classes=np.array([1]))
    expected = (heads[0].logits(features[:, half]) / 0.5 + heads[1].logits(features[:, ~half]) / 4.0) / 2
    assert shares.mean() == pytest.approx(expected[0, 1], rel=1e-3, abs=1e-4)


def test_roots_halve_what_a_map_adds_up_to(network):
    blocks = last_blocks(network, ("max",), num=1)
    pictures = dotted((0.3, 0.6))[None]
    features = features_of(network, blocks, pictures)
    head = plain_head(features.shape[1], rooted=True)
    maps = place_shares(classifier_of(network, blocks, head), pictures, classes=np.array([0]))
    assert maps.mean() == pytest.approx(head.logits(features)[0, 0] / 2, rel=1e-3)


@pytest.mark.parametrize("kind", ["class mean", "dense", "together", "neighbours"])
@pytest.mark.parametrize("at", [(0.2, 0.2), (0.8, 0.2), (0.5, 0.8)])
def test_the_heat_is_where_the_dot_is(network, kind, at):
    blocks = last_blocks(network, ("mean", "std"))
    model = classifier_of(network, blocks, learnt(network, blocks, kind))
    (score,) = heat_scores(model, dotted(at)[None], classes=np.array([0]))
    assert np.isfinite(score).all()
    y, x = np.unravel_index(score.argmax(), score.shape)
    assert abs((y + 0.5) / SIDE - at[0]) < 0.25
    assert abs((x + 0.5) / SIDE - at[1]) < 0.25


def test_a_map_is_the_mean_over_mirrored_pictures_and_halves(network):
    """A mirrored picture has the mirrored map but for the halves, which are not symmetrical."""
    blocks = last_blocks(network, ("mean", "std"))
    model = classifier_of(network, blocks, learnt(network, blocks, "class mean"))
    pictures = np.stack([dotted((0.2, 0.3)), dotted((0.2, 0.3))[:, ::-1]])
    one, other = heat_scores(model, pictures, classes=np.array([0, 0]))
    shares = place_shares(model, pictures, classes=np.array([0, 0]))
    symmetrical = (shares[0] + shares[1][:, ::-1]) / 2
    kept = one - symmetrical
    assert np.abs(kept).max() > 0.1 * np.abs(symmetrical).max()
    assert np.corrcoef(one.ravel(), symmetrical.ravel())[0, 1] > 0.7
    assert np.corrcoef(one.ravel(), other[:, ::-1].ravel())[0, 1] > 0.7


def test_pictures_together_have_the_maps_that_each_has_alone(network):
    blocks = last_blocks(network, ("mean", "std"))
    model = classifier_of(network, blocks, learnt(network, blocks, "class mean"))
    pictures = np.stack([dotted((0.2, 0.3)), dotted((0.8, 0.6))])
    both = place_shares(model, pictures, classes=np.array([0, 1]))
    for place, label in enumerate((0, 1)):
        alone = place_shares(model, pictures[place : place + 1], classes=np.array([label]))
        assert both[place] == pytest.approx(alone[0], rel=1e-3, abs=1e-4)


def test_a_picture_of_one_colour_has_a_map_of_numbers(network):
    blocks = last_blocks(network, ("mean", "std", "max", "grid"))
    pictures = np.zeros((1, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    head = plain_head(features_of(network, blocks, pictures).shape[1], rooted=True)
    assert np.isfinite(heat_scores(classifier_of(network, blocks, head), pictures, classes=np.array([1]))).all()


@pytest.mark.parametrize("pooling", ["mean", "token"])
def test_a_transformer_has_a_map_of_its_patches(vit, pooling):
    blocks = last_blocks(vit, (pooling,))
    pictures = np.stack([dotted((0.2, 0.2)), dotted((0.8, 0.8))])
    features = features_of(vit, blocks, pictures)
    head = plain_head(features.shape[1])
    maps = heat_scores(classifier_of(vit, blocks, head), pictures, classes=np.array([0, 0]))
    assert np.isfinite(maps).all()
    assert maps.std(axis=(1, 2)).min() > 0
    assert np.abs(maps[0] - maps[1]).max() > 1e-6


def test_the_mean_of_patches_adds_up_to_the_logit(vit):
    blocks = last_blocks(vit, ("mean",))
    pictures = dotted((0.2, 0.2))[None]
    features = features_of(vit, blocks, pictures)
    head = plain_head(features.shape[1])
    maps = place_shares(classifier_of(vit, blocks, head), pictures, classes=np.array([1]))
    assert maps.mean() == pytest.approx(head.logits(features)[0, 1], rel=1e-3, abs=1e-3)


def test_a_class_token_is_followed_into_the_block_below(vit):
    """What a patch gives the class token is its gradient through the last block: compared with the network's own."""
    blocks = last_blocks(vit, ("token",), num=1)
    pictures = dotted((0.2, 0.8))[None]
    head = plain_head(features_of(vit, blocks, pictures).shape[1])
    (score,) = place_shares(classifier_of(vit, blocks, head), pictures, classes=np.array([0]))
    from thawline.features.reader import to_input

    cut = blocks[0][0]
    h = vit.prefix(to_input(pictures, vit.backbone.input, runtime=Runtime("cpu", "float32", 1)), cut - 1).detach()
    h.requires_grad_(True)
    above, beyond = vit.suffix_modules(cut - 1), vit.suffix_modules(cut)
    out = h
    for _, module in above[: len(above) - len(beyond)]:
        out = module(out)
    (out[0, 0] @ torch.from_numpy(head.weight[:, 0])).backward()
    shares = 49 * (h.grad * h)[0, 1:].sum(1).reshape(7, 7).detach().numpy()
    assert score.mean() == pytest.approx(shares.mean(), rel=1e-3, abs=1e-4)
    assert score[0, 0] == pytest.approx(shares[0, 0], rel=1e-3, abs=1e-4)  # the corners are what they were
    assert score[-1, 0] == pytest.approx(shares[-1, 0], rel=1e-3, abs=1e-4)


def test_several_networks_share_a_square(network):
    near = replace(network.backbone, input=replace(network.backbone.input, crop_share=0.5))
    closer = Network(near, network.model)
    own = last_blocks(network, ("mean",), num=1)
    counts = [len(network.backbone.cuts)] * 2
    blocks = joined_blocks([own, own], counts)
    width = features_of(network, own, dotted(None)[None]).shape[1]
    head = plain_head(2 * width)
    head.weight[:width] = 0  # only the network that sees the middle speaks
    model = classifier_of([network, closer], blocks, head)
    assert shown_input(model).crop_share == 1
    view = dotted((0.5, 0.5))[None]
    (score,) = place_shares(model, *[view] * len(model.inputs), classes=np.array([0]))
    assert np.abs(score[:3]).max() == 0
    assert np.abs(score[5:9, 5:9]).min() > 0


def test_what_can_only_be_read_at_its_own_pooling_has_no_map(vit):
    only_read = Network(replace(vit.backbone, has_suffix=False), vit.model)
    blocks = last_blocks(vit, ("token",), num=1)
    model = classifier_of(only_read, blocks, plain_head(vit.backbone.cuts[-1].channels))
    assert "pools its last activation in a way of its own" in why_no_heat(model)
    with pytest.raises(ValueError, match="nothing says where"):
        heat_scores(model, dotted(None)[None], classes=np.array([0]))
    assert why_no_heat(classifier_of(vit, blocks, None)) == ""


def test_no_picture_has_no_map(network):
    model = classifier_of(network, last_blocks(network, ("mean",)), None)
    assert heat_scores(model, np.empty((0, SIZE_PX, SIZE_PX, 3), np.uint8), classes=np.empty(0, int)).shape == (
        0,
        SIDE,
        SIDE,
    )


def test_the_model_is_left_as_it_was(network):
    blocks = last_blocks(network, ("mean", "std"))
    model = classifier_of(network, blocks, learnt(network, blocks, "class mean"))
    picture = dotted((0.2, 0.2))[None]
    before = model.probabilities(picture)
    heat_scores(model, picture, classes=np.array([0]))
    assert (model.probabilities(picture) == before).all()
    assert all(parameter.grad is None for parameter in network.model.parameters())
