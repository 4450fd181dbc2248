"""The layers that train on pooled features: where they start, what dropout drops, and the head that they become."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thawline.core.errors import BackboneError
from thawline.heads.dense import DenseHead
from thawline.heads.linear import LinearHead
from thawline.train.new_head import HEAD_NAMES, head_block, new_head, trained_head


def tensors_of(head):
    return {f"head.{name}": parameter.detach() for name, parameter in head.named_parameters()}


def test_it_reads_a_cut_by_its_class_token_where_there_is_one_else_by_its_mean(network):
    for name, pooling in (
        ("test_vit", "token"),
        ("resnet18", "mean"),
        ("test_convnext", "mean"),
        ("dla34", "mean"),
    ):
        cuts = network(name).backbone.cuts
        assert head_block(network(name)) == (cuts[-1].index, pooling)
        for cut in (cuts[-1], *(cut for cut in cuts if cut.blocks_removed)):
            assert head_block(network(name), cut.blocks_removed) == (cut.index, pooling)
            assert new_head(network(name), 3, blocks_cut=cut.blocks_removed).in_features == cut.channels
    with pytest.raises(BackboneError, match=r"resnet18: no cut removes 99 blocks; its cuts remove 0, 1, 2"):
        head_block(network("resnet18"), 99)


@pytest.mark.parametrize("num_hidden", [0, 512])
def test_it_starts_where_it_can_learn(network, num_hidden):
    """A linear head prefers no class; hidden units differ, and keep the size of what they are given."""
    net = network("resnet18")
    head = new_head(net, 5, num_hidden=num_hidden, seed=3)
    features = torch.randn(200, 512, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = head(features)
    if not num_hidden:
        assert logits.eq(0).all()
        return
    assert 0.3 < float(logits.std()) < 3
    for parameter in (head.bias, head.hidden.bias):
        assert parameter.eq(0).all()
    again, other = (new_head(net, 5, num_hidden=num_hidden, seed=seed) for seed in (3, 4))
    assert all(torch.equal(one, two) for one, two in zip(head.parameters(), again.parameters(), strict=True))
    assert not torch.equal(head.hidden.weight, other.hidden.weight)
    torch.manual_seed(99)  # what the program drew before plays no part
    assert torch.equal(new_head(net, 5, num_hidden=num_hidden, seed=3).weight, head.weight)


def test_dropout_looks_at_the_features_and_at_the_hidden_units(network):
    head = new_head(network("resnet18"), 5, num_hidden=16, seed=1)
    assert head.num_factors == 512 + 16
    features = torch.randn(3, 512)
    with torch.no_grad():
        head.bias.normal_()
        assert torch.equal(head(features, torch.ones(3, 528)), head(features))
        no_units = torch.cat([torch.ones(3, 512), torch.zeros(3, 16)], 1)
        assert torch.allclose(head(features, no_units), head.bias.expand(3, 5))
        no_features = torch.cat([torch.zeros(3, 512), torch.ones(3, 16)], 1)
        assert torch.allclose(head(features, no_features), head(torch.zeros_like(features)))
        one_unit = torch.cat([torch.ones(3, 512), 2 * torch.eye(16)[:1].expand(3, 16)], 1)
        unit = (features @ head.hidden.weight[0] + head.hidden.bias[0]).relu()
        assert torch.allclose(head(features, one_unit), 2 * unit[:, None] * head.weight[:, 0] + head.bias, atol=1e-5)


@pytest.mark.parametrize("num_hidden", [0, 16])
def test_what_trained_is_what_predicts(network, num_hidden):
    head = new_head(network("resnet18"), 5, num_hidden=num_hidden)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_()
    tensors = tensors_of(head)
    assert set(tensors) <= set(HEAD_NAMES)
    assert len(tensors) == (4 if num_hidden else 2)
    found = trained_head({**tensors, "blocks.0.weight": torch.ones(3)})
    assert isinstance(found, DenseHead if num_hidden else LinearHead)
    features = torch.randn(7, 512)
    with torch.no_grad():
        np.testing.assert_allclose(found.logits(features.numpy()), head(features).numpy(), rtol=1e-4, atol=1e-3)
