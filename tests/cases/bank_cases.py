"""A small bank for tests of what is done with banks."""

from __future__ import annotations

from thawline.core.types import InputSpec
from thawline.features.bank import BankSpec


def small_spec(*, width: int, poolings: tuple[str, ...] = ("mean",)) -> BankSpec:
    """Return a bank of one cut, so many columns a pooling, of a network that there is not."""
    return BankSpec(
        backbone_name="tiny",
        weights_sha256="ab" * 32,
        input=InputSpec(size_px=32, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
        views=("plain",),
        compute="float32",
        storage="float16",
        cuts=(("stage1", width),),
        poolings=poolings,
        blocks=tuple((0, pooling, width) for pooling in poolings),
    )
