"""A policy is made of torchvision's transforms at the strengths of their authors; draws come from the seed alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from thawline.data.augment import POLICIES
from thawline.data.transforms import _transforms, transformed

NAMES = {
    "flip": ["RandomHorizontalFlip"],
    "crop": ["RandomResizedCrop", "RandomHorizontalFlip"],
    "trivial": ["RandomHorizontalFlip", "TrivialAugmentWide"],
    "rand": ["RandomHorizontalFlip", "RandAugment"],
    "augmix": ["RandomHorizontalFlip", "AugMix"],
}


@pytest.mark.parametrize("policy", [name for name in POLICIES if name != "none"])
def test_a_policy_is_made_of_the_transforms_that_it_names(policy):
    base, _, ending = policy.partition("+")
    transforms = _transforms(policy, 32, 48)
    names = [type(item).__name__ for item in transforms]
    assert names == NAMES[base] + (["RandomErasing"] if ending else [])
    flip = next(item for item in transforms if isinstance(item, v2.RandomHorizontalFlip))
    assert flip.p == 0.5
    if ending:
        assert (transforms[-1].p, transforms[-1].value) == (0.25, [128])
    for item in transforms:
        if hasattr(item, "fill"):
            assert item.fill == 128
            assert item.interpolation == v2.InterpolationMode.BILINEAR
    if base == "crop":
        crop = transforms[0]
        assert (crop.size, crop.scale, crop.ratio) == ((32, 48), (0.35, 1), (3 / 4, 4 / 3))
        assert crop.interpolation == v2.InterpolationMode.BICUBIC


@pytest.mark.parametrize("policy", ["crop+erase", "trivial", "rand", "augmix"])
def test_draws_depend_on_the_seed_and_on_nothing_else(policy):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = [transformed(pixels, policy, seed=seed) for seed in range(6)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again = [transformed(pixels, policy, seed=seed) for seed in range(6)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({item.tobytes() for item in first}) > 1
    assert {(item.shape, item.dtype) for item in first} == {((24, 32, 3), np.dtype(np.uint8))}
