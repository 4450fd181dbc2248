"""A shadow has shapes and no numbers."""

from __future__ import annotations

import torch
from torch import nn

from thawline.features.scratch_cnn import ScratchCNN
from thawline.features.shadow import shadow_of


def test_a_shadow_has_shapes_and_no_numbers_and_leaves_the_model_alone():
    model = ScratchCNN((nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), 4, 10)
    shadow = shadow_of(model)
    tensors = [*shadow.parameters(), *shadow.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert [t.shape for t in tensors] == [t.shape for t in (*model.parameters(), *model.buffers())]
    assert {tensor.device.type for tensor in (*model.parameters(), *model.buffers())} == {"cpu"}
    assert shadow(torch.empty(1, 3, 8, 8, device="meta")).shape == (1, 10)
