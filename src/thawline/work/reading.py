"""Pictures and networks of a run -> a bank for each network, and perhaps further networks that raced for the time.

With a budget, and by `--backbone auto`, what reads the pictures is chosen too: see `race`. A size that the person named
is kept, and so is a network that starts from nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from thawline.core.types import Ints
from thawline.features.extract import Extraction
from thawline.features.joined_bank import Bank, join_banks
from thawline.features.network import Network
from thawline.features.shortlist import AUTO
from thawline.features.weights import is_random
from thawline.train.context import Context
from thawline.work.cluster.extraction import extract_by
from thawline.work.order import Order
from thawline.work.race import PASSES_WITHOUT_BUDGET, READING_SHARE, Raced, entrants, pace_of, race

__all__ = ["Reading", "read_pictures"]


@dataclass(frozen=True)
class Reading:
    """What was read.

    Attributes:
        context: With the networks whose frozen strategies are compared.
        extractions: The plain bank of each and what filling it took.
        view_banks: Banks of augmented views, one a view; of several networks, joined.
        raced: What came of those that raced for the time; empty where none did.
    """

    context: Context
    extractions: tuple[Extraction, ...]
    view_banks: tuple[Bank, ...]
    raced: tuple[Raced, ...] = ()


def read_pictures(context: Context, order: Order, *, pool: Ints, views: Sequence[str], started_at: float) -> Reading:
    """Return the banks of all networks that are compared, with every picture in them.

    Where rows are answered one by one, that is the first network alone.

    Args:
        context: Pictures, networks that were named, machine.
        order: Of the run.
        pool: Rows of choosing.
        views: The plain view and perhaps augmented ones.
        started_at: `time.perf_counter` at the start of the run; its budget counts from there.
    """
    raced: tuple[Raced, ...] = ()
    if order.protocol != "choose":  # rows are answered one by one, all of them on the first network
        context = replace(context, further=())
    with context.machine.processes.first_alone():
        filled = [_filled(context, context.network, views)]
        if _may_race(context, order):
            context, raced = _raced(context, order, filled[0][0], pool=pool, started_at=started_at)
        filled += [_filled(context, network, views) for network in context.further]
    plain, *others = zip(*filled, strict=True)
    banks = tuple(join_banks([one.bank for one in view]) for view in others)
    return Reading(context, plain, banks, raced)


def _may_race(context: Context, order: Order) -> bool:
    """Return whether networks race: where strategies are compared and a time is given, by one process alone."""
    is_asked = order.budget_s is not None or context.options.backbone == (AUTO,)
    is_alone = context.machine.processes.count == 1  # others would measure other times, and read other networks
    return order.protocol == "choose" and is_asked and is_alone


def _raced(
    context: Context, order: Order, first: Extraction, *, pool: Ints, started_at: float
) -> tuple[Context, tuple[Raced, ...]]:
    """Return the context with the networks that came through, and what came of all."""
    options, is_auto = context.options, context.options.backbone == (AUTO,)
    keeps_size = options.size is not None or is_random(context.network.backbone.weights_origin)
    if keeps_size and not is_auto:
        return context, ()
    pace_s = pace_of(context, first)
    found = entrants(context.networks, context.dataset, fit=options.fit, is_auto=is_auto, keeps_size=keeps_size)
    deadline = started_at + READING_SHARE * order.budget_s if order.budget_s is not None else None
    if deadline is None:
        pass_s = pace_s * context.network.backbone.num_macs * len(context.dataset)
        deadline = time.perf_counter() + PASSES_WITHOUT_BUDGET * pass_s
    raced = race(context, found, pool=pool, pace_s=pace_s, deadline=deadline)
    through: list[Network] = [one.network for one in raced if one.network is not None and one.reads_all]
    named = () if is_auto else context.further
    return replace(context, further=(*named, *through)), raced


def _filled(context: Context, network: Network, views: Sequence[str]) -> tuple[Extraction, ...]:
    """Return a network's bank for each view, with every picture in it."""
    return extract_by(
        context.options,
        context.dataset,
        network=network,
        runtime=context.runtime,
        cache=context.cache,
        views=views,
        progress=context.machine.progress,
    )
