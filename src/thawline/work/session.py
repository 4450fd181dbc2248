"""An order -> its pictures checked, its network loaded, the frozen strategies compared: what its rows stand on."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from thawline.core.options import Options
from thawline.core.progress import Progress, SilentProgress
from thawline.core.remembered import facts_key, known_before, recalled
from thawline.core.runtime import choose_runtime, for_training
from thawline.core.store import content_key
from thawline.core.version import __version__
from thawline.data.augment import view_names
from thawline.data.check import CheckReport, check
from thawline.data.dataset import Dataset
from thawline.data.sources.listing import Listing
from thawline.data.split import Split, make_split
from thawline.features.backbone import Backbone, CutPoint, join_backbones
from thawline.features.extract import Extraction
from thawline.features.joined_bank import Bank, join_banks
from thawline.features.network import Network, rendering_as
from thawline.features.reader import measure_pass_ms
from thawline.search.compare import CompareOptions, Comparison, compare
from thawline.search.leaderboard import Leaderboard
from thawline.search.room import holds, ranked_split, room_of
from thawline.train.context import Context, Ground, Machine
from thawline.train.processes import join_processes
from thawline.work.determined import what_determines
from thawline.work.networks import load_networks
from thawline.work.order import BEST_FROZEN, Order
from thawline.work.race import Raced
from thawline.work.reading import Reading, read_pictures
from thawline.work.run_folder import WORK

__all__ = [
    "Clock",
    "Compared",
    "Session",
    "compare_frozen",
    "depth_names",
    "fold_numbers",
    "open_session",
    "split_of",
]

FOLDS_OF_LARGE_SETS = 3
LARGE_SET = 20_000
DRAWN_ONCE = 3_000
"""Pictures beyond which folds are drawn once: a second drawing moves a score by less than its own noise."""


@dataclass
class Clock:
    """Wall seconds of the parts of a run, and of the whole so far."""

    parts: dict[str, float] = field(default_factory=dict)
    start: float = field(default_factory=time.perf_counter)
    last: float = field(default_factory=time.perf_counter)
    opened: tuple[float, float] = field(default_factory=lambda: (time.perf_counter(), time.process_time()))

    @property
    def slowness(self) -> float:
        """Seconds of wall time for one of processor time since it was opened: 1, or more where the machine is busy."""
        wall_s, processor_s = time.perf_counter() - self.opened[0], time.process_time() - self.opened[1]
        return max(1.0, wall_s / max(1e-3, processor_s))

    def lap(self, name: str) -> None:
        """Book the time since the last lap under `name`."""
        now = time.perf_counter()
        self.parts[name], self.last = round(now - self.last, 3), now
        self.parts["total"] = round(now - self.start, 3)

    def count_in(self, seconds: float) -> None:
        """Count seconds that an earlier start of the run took, which a budget has been spent of."""
        self.start -= seconds


@dataclass(frozen=True)
class Session:
    """A run that has begun.

    Attributes:
        order: What is asked for.
        context: Pictures, networks, machine: what every step shares.
        report: What the check found.
        clock: Of the run.
    """

    order: Order
    context: Context
    report: CheckReport
    clock: Clock


@dataclass(frozen=True)
class Compared:
    """The frozen strategies of a session, compared.

    Attributes:
        session: Pictures, network, machine.
        split: Folds and test rows.
        extraction: The (first) network's bank and what filling it took.
        comparison: The leaderboard and the winner's held-out logits.
        full_pass_ms: Milliseconds that a picture takes through the whole (first) backbone here.
        view_banks: Banks of augmented views that heads learnt from too, one a view; of several networks, joined.
        further: The extraction of every further network.
        further_pass_ms: Milliseconds of a pass of each.
        raced: What came of the networks that raced for the time.
        sample: The split on some rows of choosing, where memory does not hold them all; None: all were compared.
        room: Bytes that fitting a head may take.
        key: Of everything that determines the comparison, in 32 hex digits; labels of the test are no part of it.
    """

    session: Session
    split: Split
    extraction: Extraction
    comparison: Comparison
    full_pass_ms: float
    view_banks: tuple[Bank, ...] = ()
    further: tuple[Extraction, ...] = ()
    further_pass_ms: tuple[float, ...] = ()
    raced: tuple[Raced, ...] = ()
    sample: Split | None = None
    room: int = sys.maxsize
    key: str = ""

    def __repr__(self) -> str:
        """Return one short line."""
        return f"Compared({self.leaderboard!r})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the leaderboard."""
        return self.leaderboard._repr_html_()

    @property
    def leaderboard(self) -> Leaderboard:
        """The frozen strategies, best first."""
        return self.comparison.leaderboard

    @cached_property
    def backbone(self) -> Backbone:
        """The backbone that frozen strategies read: of several networks, joined."""
        return join_backbones([network.backbone for network in self.session.context.networks])

    @property
    def extractions(self) -> tuple[Extraction, ...]:
        """The bank of every network and what filling it took."""
        return (self.extraction, *self.further)

    @cached_property
    def bank(self) -> Bank:
        """What heads are fitted on: the bank of the network, or of all of them."""
        return join_banks([extraction.bank for extraction in self.extractions])

    @property
    def cuts(self) -> tuple[CutPoint, ...]:
        """The cut points of the (first) backbone, shallow to deep."""
        return self.session.context.network.backbone.cuts

    @property
    def dataset(self) -> Dataset:
        """The checked pictures."""
        return self.session.context.dataset

    @cached_property
    def whole_key(self) -> str:
        """Of everything that determines the comparison and whatever is made of it and of all pictures and labels."""
        dataset = self.dataset
        samples = [(one.path, one.label, one.sha256, one.split, one.group, one.copies) for one in dataset.samples]
        is_held = holds(self.room, num_rows=len(samples), num_columns=sum(self.bank.spec.widths.values()))
        facts = [self.key, self.split, self.session.context.options, is_held]
        return facts_key([*facts, dataset.class_names, samples])

    @cached_property
    def ground(self) -> Ground:
        """What training runs start from."""
        return Ground(self.session.context, self.ranked, self.extraction.bank, self.comparison.frozen)

    @property
    def ranked(self) -> Split:
        """The folds that strategies were compared by, with the test of the whole."""
        return self.sample or self.split


def open_session(
    order: Order,
    out: Path,
    *,
    progress: Progress | None = None,
    clock: Clock | None = None,
    key: str | None = None,
    listing: Listing | None = None,
) -> Session:
    """Return checked pictures, the network and the machine; several processes join each other here.

    Args:
        order: What is asked for.
        out: Folder of the run.
        progress: Where to report to; silent in all processes but the first.
        clock: Of the run; None: it begins here.
        key: Name of the folder that training runs of an earlier start are kept in; None: by order, pictures and
            labels, so that the same order goes on with them and no other.
        listing: The pictures, where they were listed already; None: those that the order names.

    Raises:
        BackboneError: The weights are not there; says so before the pictures are read, and what works without.
        DataError: There is nothing to learn from.
    """
    clock, options = clock or Clock(), order.options
    runtime = choose_runtime(options.device, options.dtype, engine=options.engine)
    processes = join_processes(runtime.device)
    if processes.state is not None:
        runtime = replace(runtime, device=str(processes.state.device))
    progress = progress if progress is not None and processes.is_first else SilentProgress()
    networks = load_networks(options, where=order.expectations.name and order.where, progress=progress)
    clock.lap("load")
    dataset, report = check(listing or order.photos, options, progress=progress)
    if order.protocol == "folds":  # every picture is held out once: the person's own parts are pooled
        dataset = replace(dataset, samples=tuple(replace(sample, split=None) for sample in dataset.samples))
    network, *further = (rendering_as(network, dataset.rendering) for network in networks)
    clock.lap("check")
    facts = [__version__, order.key, network.backbone.weights_sha256, dataset.labelled_key]
    facts += [dataset.groups.tolist()] if dataset.has_named_groups else []
    key = key or content_key(facts)[:12]
    context = Context(
        dataset=dataset,
        network=network,
        options=options,
        training=order.training,
        machine=Machine(runtime, processes, progress, training=for_training(runtime, options.dtype)),
        folder=out / WORK / key,
        further=tuple(further),
    )
    return Session(order, context, report, clock)


def split_of(session: Session, *, hold_out: bool) -> Split:
    """Return folds and test rows."""
    options, dataset = session.order.options, session.context.dataset
    num_folds, num_repeats = fold_numbers(options, len(dataset))
    return make_split(dataset, num_folds=num_folds, num_repeats=num_repeats, seed=options.seed, hold_out=hold_out)


def fold_numbers(options: Options, num_pictures: int) -> tuple[int, int]:
    """Return how many folds are drawn, and how often: what is asked for, but three of more than 20,000 pictures."""
    num_folds = min(options.folds, FOLDS_OF_LARGE_SETS) if num_pictures > LARGE_SET else options.folds
    usual = 2 if num_pictures <= DRAWN_ONCE else 1
    return num_folds, usual if options.repeats is None else options.repeats


def compare_frozen(session: Session, *, hold_out: bool = True) -> Compared:
    """Return the comparison of the frozen strategies, and the answers that trained ones are compared with.

    Rows that are answered one by one compare by accuracy, and of the frozen strategies only those that they name and
    the single cuts of the thaw line are fitted.

    Args:
        session: Pictures and network.
        hold_out: Whether a test part is kept out of it.
    """
    order, context, clock = session.order, session.context, session.clock
    options = context.options
    is_choice = order.protocol == "choose"
    split = split_of(session, hold_out=hold_out)
    policy = (is_choice and context.training.augment) or "none"
    views = context.training.view_names if policy != "none" else view_names("none", 1)
    reading = read_pictures(context, order, pool=split.pool, views=views, started_at=clock.start)
    session = replace(session, context=reading.context)
    clock.lap("extract")
    room, specs = room_of(options.memory), [extraction.bank.spec for extraction in reading.extractions]
    num_views = 1 + len(reading.view_banks)
    ranked = ranked_split(context.dataset, split, specs=specs, num_views=num_views, room=room)
    only = None if is_choice else _frozen_names(session)
    asked = CompareOptions(
        options.metric if is_choice else "accuracy", options.class_weights, seed=options.seed, only=only
    )
    facts = what_determines(context.dataset, reading, split=ranked, asked=asked, policy=policy)
    if known_before("comparison", facts):
        context.machine.progress.note("compare: the same was compared before, and is remembered")
    computed = partial(_computed, reading, split=ranked, asked=asked, policy=policy)
    comparison, passes = recalled("comparison", facts, make=computed)
    clock.lap("compare")
    extraction, *further = reading.extractions
    return Compared(
        session,
        split,
        extraction,
        comparison,
        passes[0],
        reading.view_banks,
        further=tuple(further),
        further_pass_ms=passes[1:],
        raced=reading.raced,
        sample=None if ranked is split else ranked,
        room=room,
        key=facts_key(facts),
    )


def _computed(
    reading: Reading, *, split: Split, asked: CompareOptions, policy: str
) -> tuple[Comparison, tuple[float, ...]]:
    """Return a comparison, and the milliseconds of a pass through each network here."""
    context = reading.context
    passes = tuple(measure_pass_ms(network, context.runtime) for network in context.networks)
    comparison = compare(
        join_banks([extraction.bank for extraction in reading.extractions]),
        join_backbones([network.backbone for network in context.networks]),
        dataset=context.dataset,
        split=split,
        options=asked,
        view_banks=reading.view_banks,
        view_policy=policy,
        full_pass_ms=passes[0],
        further_pass_ms=passes[1:],
        progress=context.machine.progress,
    )
    return comparison, passes


def depth_names(network: Network) -> list[str]:
    """Return the depths at which a solved head can read a backbone, as the leaderboard names them, deepest first."""
    removed = sorted({cut.blocks_removed for cut in network.backbone.cuts} - {0})
    return ["whole", *(f"{number} block{'s' if number > 1 else ''} cut" for number in removed)]


def _frozen_names(session: Session) -> frozenset[str] | None:
    """Return the frozen strategies that the rows need compared; None: all, since a row takes the best of them.

    The single cuts make the thaw line; of large sets only what rows name is fitted. A head on the whole backbone is
    always among them: training runs whose head comes first start from it.
    """
    network = session.context.network
    wanted = {row.frozen for row in session.order.rows if row.frozen is not None}
    if BEST_FROZEN in wanted:
        return None
    depths: Iterable[str] = depth_names(network) if len(session.context.dataset) <= LARGE_SET else ("whole", *wanted)
    return frozenset(f"{network.backbone.name} · {depth} · linear" for depth in depths)
