"""Options -> the networks whose frozen strategies are compared, the first of which training runs start from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from thawline.core.errors import BackboneError
from thawline.core.options import Options
from thawline.core.progress import Progress, SilentProgress
from thawline.features.network import Network, load_backbone
from thawline.features.shortlist import AUTO, auto_names, auto_words

__all__ = ["load_at", "load_networks"]

OFFLINE_BACKBONE = "efficientnet_lite0"


def load_at(options: Options, name: str) -> Network:
    """Return a network at the size and fit of the options.

    Raises:
        BackboneError: There is no such backbone, or its weights are not there.
    """
    return load_backbone(
        name,
        weights=options.weights,
        fit=options.fit,
        crop_share=options.crop_share,
        size_px=options.size,
        seed=options.seed,
    )


def load_networks(options: Options, *, where: str = "", progress: Progress | None = None) -> tuple[Network, ...]:
    """Return the networks that the options name, in their order.

    By `auto` these are the ones at hand and those of the short list whose weights can be had; one that then cannot be
    loaded is left out and told.

    Args:
        options: Of the run.
        where: Names a recipe whose backbone may need the network: then the error names one that needs none.
        progress: Where it is told what `auto` stands for.

    Raises:
        BackboneError: There is no such backbone, or its weights are not there.
    """
    load = partial(load_at, options)
    if options.backbone == (AUTO,):
        return _loaded_auto(load, progress or SilentProgress())
    try:
        return tuple(load(name) for name in options.backbone)
    except BackboneError as error:
        if not where or options.backbone == (OFFLINE_BACKBONE,):
            raise
        raise BackboneError(
            f"{where}: {error} Or run it with --backbone {OFFLINE_BACKBONE}, which needs no network."
        ) from None


def _loaded_auto(load: Callable[[str], Network], progress: Progress) -> tuple[Network, ...]:
    """Return the networks of `auto` that can be loaded, the bundled one first."""
    first, *others = auto_names()
    networks = [load(first)]
    for name in others:
        try:
            networks.append(load(name))
        except BackboneError as error:
            progress.note(f"auto: {error}")
    progress.note(auto_words([network.backbone.name for network in networks]))
    return tuple(networks)
