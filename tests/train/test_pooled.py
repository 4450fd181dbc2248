"""Pooled features come from the run's own bank where it has them, and are the bank's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thawline.data.augment import view_names
from thawline.features.extract import bank_spec, extract_views
from thawline.train.batches import Activations
from thawline.train.pooled import num_passes, open_pooled, pooled_bytes, pooled_spec


def bank_of(net, runtime, **options):
    return bank_spec(net.backbone, runtime, **options)


def test_the_bank_of_the_run_is_read_where_it_has_the_block(network, runtime):
    net = network("test_resnet")
    block = (net.backbone.cuts[1].index, "mean")
    whole, other = bank_of(net, runtime, storage="float32"), bank_of(net, runtime, poolings=("std",), storage="float32")
    assert pooled_spec(net, block, runtime=runtime, bank=whole) == whole
    for bank in (None, other):
        alone = pooled_spec(net, block, runtime=runtime, bank=bank)
        assert alone.blocks == ((*block, net.backbone.cuts[1].channels),)
        assert alone.storage == ("float16" if bank is None else "float32")
        assert num_passes(alone, bank, num_views=3) == 3
        assert pooled_bytes(alone, bank, num_pictures=10, num_views=3) == 30 * alone.row_bytes
    assert num_passes(whole, whole, num_views=3) == 2
    assert pooled_bytes(whole, whole, num_pictures=10, num_views=1) == 0


@pytest.mark.parametrize(("has_bank", "storage"), [(True, "float16"), (True, "float32"), (False, "float16")])
def test_features_are_those_of_the_bank_view_by_view(
    drawn, network, runtime, make_context, tmp_path, has_bank, storage
):
    net, dataset = network("test_resnet"), drawn(7)
    rows, block = np.array([1, 2, 4, 6]), (net.backbone.cuts[1].index, "mean")
    filled = extract_views(dataset, net, runtime=runtime, views=view_names("flip", 2), cache=tmp_path, storage=storage)
    context = make_context(dataset, net, runtime=runtime, cache=tmp_path, augment="flip", views=2)
    bank = filled[0].bank.spec if has_bank else None
    found = open_pooled(context, rows, network=net, block=block, bank=bank)
    assert found.num_views == 2
    wanted = np.array([6, 1, 1, 4])
    sha256s = [dataset.samples[row].sha256 for row in wanted]
    for view in range(2):
        read = found.read(view, wanted)
        assert read.dtype == torch.float32
        np.testing.assert_array_equal(read.numpy(), filled[view].bank.read(sha256s, [block]))
    read.zero_()  # it was in memory of its own
    assert found.read(1, wanted).ne(0).any()
    assert not torch.equal(found.read(0, wanted), found.read(1, wanted))
    with pytest.raises(ValueError, match="sample 3 is none of those that they were opened for"):
        found.read(0, np.array([1, 3]))
    epochs = [Activations(found, "cpu").read(wanted, epoch) for epoch in (0, 1, 2, None)]
    assert torch.equal(epochs[0], epochs[2])
    assert not torch.equal(epochs[0], epochs[1])
    assert torch.equal(epochs[3], found.read(0, wanted))
