"""Options -> the networks whose frozen strategies are compared, the first of which training runs start from."""

from __future__ import annotations

from functools import partial

from thawline.core.errors import BackboneError
from thawline.core.options import Options
from thawline.features.network import Network, load_backbone

__all__ = ["load_networks"]

OFFLINE_BACKBONE = "efficientnet_lite0"


def load_networks(options: Options, *, where: str = "") -> tuple[Network, ...]:
    """Return the networks that the options name, in their order.

    Args:
        options: Of the run.
        where: Names a recipe whose backbone may need the network: then the error names one that needs none.

    Raises:
        BackboneError: There is no such backbone, or its weights are not there.
    """
    load = partial(
        load_backbone,
        weights=options.weights,
        fit=options.fit,
        crop_share=options.crop_share,
        size_px=options.size,
        seed=options.seed,
    )
    try:
        return tuple(load(name) for name in options.backbone)
    except BackboneError as error:
        if not where or options.backbone == (OFFLINE_BACKBONE,):
            raise
        raise BackboneError(
            f"{where}: {error} Or run it with --backbone {OFFLINE_BACKBONE}, which needs no network."
        ) from None
