"""Pooled features come from the run's own bank where it has them, and are the bank's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thawline.core.progress import SilentProgress
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
    assert pooled_spec(net, runtime, block, whole) == whole
    for bank in (None, other):
        alone = pooled_spec(net, runtime, block, bank)
        assert alone.blocks == ((*block, net.backbone.cuts[1].channels),)
        assert alone.storage == ("float16" if bank is None else "float32")
        assert num_passes(alone, bank, 3) == 3
        assert pooled_bytes(alone, bank, 10, 3) == 30 * alone.row_bytes
    assert num_passes(whole, whole, 3) == 2
    assert pooled_bytes(whole, whole, 10, 1) == 0


@pytest.mark.parametrize(("has_bank", "storage"), [(True, "float16"), (True, "float32"), (False, "float16")])
def test_features_are_those_of_the_bank_view_by_view(drawn, network, runtime, tmp_path, has_bank, storage):
    net, dataset = network("test_resnet"), drawn(7)
    rows, block = np.array([1, 2, 4, 6]), (net.backbone.cuts[1].index, "mean")
    views = view_names("flip", 2)
    filled = extract_views(dataset, net, runtime=runtime, views=views, cache=tmp_path, storage=storage)
    found = open_pooled(
        dataset,
        rows,
        net,
        runtime,
        block,
        bank=filled[0].bank.spec if has_bank else None,
        views=views,
        cache=tmp_path,
        progress=SilentProgress(),
    )
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
