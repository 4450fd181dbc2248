"""Networks, pictures and a time -> further networks to read: other backbones, larger sizes, another fit.

One idea: what reads a picture is chosen as everything else is, by held-out pictures, and nothing is read twice. Where
the pictures are few, every network that the time allows reads all of them, and the folds choose among the strategies of
all. Where they are many, the networks race on a sample of the rows of choosing: the better half goes on to a sample
four times as large, and so on (Jamieson & Talwalkar, AISTATS 2016), until those left read everything; what was read of
a sample is kept. Test pictures are never in a sample, so their labels decide nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thawline.core.counting import counted
from thawline.core.rendering import Fit
from thawline.core.runtime import num_workers
from thawline.core.types import Ints
from thawline.data.dataset import Dataset
from thawline.data.split import make_split
from thawline.features.bank import FeatureBank, open_bank
from thawline.features.extract import Extraction, bank_spec, extract
from thawline.features.network import Network, rendering_as
from thawline.features.reader import measure_pass_ms
from thawline.search.frozen import CompareOptions, answer_frozen
from thawline.search.side_by_side import strategies_of
from thawline.train.context import Context
from thawline.work.networks import load_at

__all__ = ["PASSES_WITHOUT_BUDGET", "READING_SHARE", "Entrant", "Raced", "entrants", "pace_of", "race", "race_words"]

READING_SHARE = 0.5
"""Of a budget, what reading may take, counted from the start of the run; the rest is for training networks."""

PASSES_WITHOUT_BUDGET = 12.0
"""Passes of the first network that `auto` may spend where there is no budget."""

FACTORS = (1.5, 1.25)
"""Sizes that are tried, as factors of a network's own, up to the next multiple of 32."""

LEAST_SHOWN = 0.8
"""A larger size is tried where half of the pictures have at least this share of its pixels on their shorter side."""

LONG = 1.25
"""A fit that shows the whole picture is tried where half of the pictures are at least so much longer than wide."""

OTHER_FITS: tuple[Fit, ...] = ("letterbox", "stretch")
SAMPLE, LEAST_A_CLASS, GROWTH = 768, 6, 4
MOST_READ = 3
"""Further networks that are read whole: each is a pass more for the predictions that use it, and one more chance for a
lucky winner."""

WHOLE = "read whole"
DECODING = 1.5
"""What reading takes as a multiple of the passes alone, where it was not measured: decoding, pooling, writing."""


@dataclass(frozen=True)
class Entrant:
    """A network that may be read.

    Attributes:
        name: As it is called on the leaderboard, with its size or fit where these are not its own.
        backbone: Name of its backbone.
        size_px: Side of its input in pixels; None: its own.
        fit: How a picture meets the square.
        loaded: The network, where it is loaded already.
    """

    name: str
    backbone: str
    size_px: int | None
    fit: Fit
    loaded: Network | None = None


@dataclass
class Raced:
    """What came of an entrant.

    Attributes:
        entrant: Which.
        network: Loaded; None where there was no time for it.
        pictures: That were extracted for it in this run.
        seconds: That this took.
        score: Held-out accuracy on the last sample, or None where it raced on none.
        outcome: In words; empty for what reads all pictures.
        bank: What it has read, once it has read anything.
    """

    entrant: Entrant
    network: Network | None = None
    pictures: int = 0
    seconds: float = 0.0
    score: float | None = None
    outcome: str = ""
    bank: FeatureBank | None = None

    @property
    def reads_all(self) -> bool:
        """Whether it came through and has read every picture."""
        return self.network is not None and not self.outcome

    def to_json(self) -> dict[str, Any]:
        """Return what `run.json` says of it."""
        facts = {"network": self.entrant.name, "pictures": self.pictures, "seconds": round(self.seconds, 3)}
        return {**facts, "score": self.score, "outcome": self.outcome or WHOLE}


def entrants(
    networks: Sequence[Network], dataset: Dataset, *, fit: Fit, is_auto: bool, keeps_size: bool = False
) -> tuple[Entrant, ...]:
    """Return what may be read, in the order in which it is where time is short.

    The larger size comes first, since a larger input was worth more than a larger network; then the other networks as
    they are, then what lies between, then fits that show the whole picture.

    Args:
        networks: Each at its own size; the first is read in any case.
        dataset: Its pictures say which sizes would only enlarge them.
        fit: Of the run.
        is_auto: Whether the others race as well; else they were named, and are read in any case.
        keeps_size: Whether size and fit were named: then no other is tried.
    """
    shorter, longer = _sides(dataset)
    first, *others = networks
    found = [] if keeps_size else list(_larger(networks, FACTORS[0], fit, shorter))
    if is_auto:
        found += [Entrant(one.backbone.name, one.backbone.name, None, fit, one) for one in reversed(others)]
    if keeps_size:
        return tuple(found)
    found += _larger(networks, FACTORS[1], fit, shorter)
    if fit == "crop" and np.median(longer / shorter) >= LONG:
        name = first.backbone.name
        found += [Entrant(f"{name} {other}", name, None, other) for other in OTHER_FITS]
    by_name: dict[str, Entrant] = {}
    for entrant in found:
        by_name.setdefault(entrant.name, entrant)  # of a small network both factors may end at the same size
    return tuple(by_name.values())


def _larger(networks: Sequence[Network], factor: float, fit: Fit, shorter: Ints) -> Iterator[Entrant]:
    """Yield the networks at a larger size, the first one first and then from the largest down."""
    first, *others = networks
    for network in (first, *reversed(others)):
        name = network.backbone.name
        size_px = -(-round(network.backbone.input.size_px * factor) // 32) * 32
        if np.median(shorter) >= LEAST_SHOWN * size_px:
            yield Entrant(f"{name} {size_px} px", name, size_px, fit)


def _sides(dataset: Dataset) -> tuple[Ints, Ints]:
    """Return (N,) shorter and (N,) longer sides in pixels of the pictures that take part."""
    sides = [(row.width_px, row.height_px) for row in dataset.ledger if row.status != "skipped" and row.width_px]
    both = np.array(sides or [(1, 1)], dtype=np.int64)
    return both.min(axis=1), both.max(axis=1)


def pace_of(context: Context, extraction: Extraction) -> float:
    """Return the seconds that a multiply-add takes here, decoding and the rest included.

    Args:
        context: With the first network.
        extraction: Of it; where it found nearly everything in the cache, a pass is measured instead.
    """
    macs = max(1, context.network.backbone.num_macs)
    if extraction.num_extracted >= context.runtime.batch_size:
        return extraction.seconds / extraction.num_extracted / macs
    return DECODING * measure_pass_ms(context.network, context.runtime) / 1000 / num_workers() / macs


def race_words(raced: Sequence[Raced]) -> str:
    """Return what came of every entrant, in a sentence."""
    each = [f"{one.entrant.name} ({one.outcome or WHOLE})" for one in raced]
    return f"Networks that raced for the time: {', '.join(each)}."


def race(
    context: Context, found: Sequence[Entrant], *, pool: Ints, pace_s: float, deadline: float
) -> tuple[Raced, ...]:
    """Return what came of every entrant; those that read all pictures are in the cache, every picture of them.

    Args:
        context: Pictures and machine.
        found: From `entrants`.
        pool: Rows of choosing; samples are drawn from these.
        pace_s: From `pace_of`.
        deadline: `time.perf_counter` at which reading ends; what is forecast to take longer is left out.
    """
    raced = [Raced(entrant) for entrant in found]
    going = list(raced)
    for rows, is_last in _rounds(context, pool):
        num_read = 0
        for entry in going:
            if is_last and num_read == MOST_READ:
                entry.outcome = f"left out: {MOST_READ} others came before it"
                continue
            pace_s = _read(entry, context, rows, pace_s=pace_s, deadline=deadline)
            num_read += not entry.outcome
            if not is_last and not entry.outcome:
                entry.score = _score(entry, context, rows)
        going = [entry for entry in going if not entry.outcome]
        if not is_last:
            going.sort(key=lambda entry: -(entry.score or 0.0))
            half = -(-len(going) // 2)
            for entry in going[half:]:
                entry.outcome = f"left out: {entry.score:.3f} on a sample of {len(rows):,} pictures"
            going = going[:half]
    return tuple(raced)


def _rounds(context: Context, pool: Ints) -> Iterator[tuple[Ints, bool]]:
    """Yield the rows that are read in each round, every sample within the next, and whether it is the last."""
    dataset = context.dataset
    count = max(SAMPLE, LEAST_A_CLASS * len(dataset.class_names))
    order = _dealt(dataset.labels[pool], context.seed)
    while count < len(pool):
        yield np.sort(pool[order[:count]]), False
        count *= GROWTH
    yield np.arange(len(dataset)), True


def _dealt(labels: Ints, seed: int) -> Ints:
    """Return an order in which every class has its share of any beginning."""
    rng = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.argsort(place, kind="stable")


def _read(entry: Raced, context: Context, rows: Ints, *, pace_s: float, deadline: float) -> float:
    """Let an entrant read some rows where the time allows it, and return the pace, measured again where it did."""
    if entry.network is None:
        entry.network = _loaded(entry.entrant, context)
    macs, part = entry.network.backbone.num_macs, _part(context.dataset, rows)
    num_missing = _missing(entry.network, context, part)
    expected_s = pace_s * macs * num_missing
    if num_missing and time.perf_counter() + expected_s > deadline:
        entry.outcome = f"left out: {counted(num_missing, 'pictures')} would have taken {expected_s:,.0f} s"
        return pace_s
    done = extract(
        part,
        entry.network,
        runtime=context.runtime,
        cache=context.cache,
        poolings=context.options.pooling,
        storage=context.options.storage,
        progress=context.machine.progress,
    )
    entry.bank = done.bank
    entry.pictures += done.num_extracted
    entry.seconds += done.seconds
    return done.seconds / done.num_extracted / macs if done.num_extracted >= context.runtime.batch_size else pace_s


def _missing(network: Network, context: Context, part: Dataset) -> int:
    """Return how many pictures a network has not read yet, in this run or an earlier one."""
    options = context.options
    spec = bank_spec(network.backbone, context.runtime, poolings=options.pooling, storage=options.storage)
    return len(open_bank(context.cache, spec).missing([sample.sha256 for sample in part.samples]))


def _loaded(entrant: Entrant, context: Context) -> Network:
    """Return the network of an entrant, under its name and for the pictures of the set."""
    options = replace(context.options, size=entrant.size_px, fit=entrant.fit)
    network = entrant.loaded or load_at(options, entrant.backbone)
    named = Network(replace(network.backbone, name=entrant.name), network.model)
    return rendering_as(named, context.dataset.rendering)


def _part(dataset: Dataset, rows: Ints) -> Dataset:
    return replace(dataset, samples=tuple(dataset.samples[row] for row in rows))


def _score(entry: Raced, context: Context, rows: Ints) -> float:
    """Return the held-out accuracy of the best fused linear head on a sample, by three folds."""
    if entry.network is None or entry.bank is None:
        raise ValueError(f"race: {entry.entrant.name} has read nothing.")
    part, backbone, bank = _part(context.dataset, rows), entry.network.backbone, entry.bank
    split = make_split(_without_parts(part), num_folds=3, num_repeats=1, seed=context.seed, hold_out=False)
    strategies = strategies_of([bank.spec], backbone, num_classes=len(part.class_names), num_rows=len(rows))
    names = {head.name for heads in strategies for head in heads if head.head == "linear" and head.is_fused}
    options = CompareOptions("accuracy", only=frozenset(names) or None)
    answers = answer_frozen(bank, backbone, dataset=_without_parts(part), split=split, options=options).answers
    return max(float(one.scores.mean()) for one in answers)


def _without_parts(dataset: Dataset) -> Dataset:
    """Return a sample as pictures that came in no parts: it lies within the rows of choosing."""
    return replace(dataset, samples=tuple(replace(sample, split=None) for sample in dataset.samples))
