"""Held-out answers and what is alike -> the pictures whose label is doubtful, surest first.

One idea: a picture under two labels is wrong under one of them, whatever a model says, so copies come first; of all
others cleanlab decides, from the probabilities of models that never saw them, which labels to doubt and how much.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from thawline.core.spreadsheet import csv_text
from thawline.core.types import Floats, Ints
from thawline.data.dataset import Sample
from thawline.vet.answered import TEST, Answered
from thawline.vet.space import Space

__all__ = ["COLUMNS", "COPY", "Suspect", "Suspects", "doubt", "find_suspects", "suspects_csv", "suspects_of"]

COLUMNS = ("path", "label", "suggested", "probability", "reason", "sha256")
"""Columns of `suspects.csv`; the last one says which picture is meant wherever it has been moved."""

COPY = "copy under another label"
LISTED = 200
"""Suspects that the report shows; the table has all."""
NEIGHBOURS = 3


@dataclass(frozen=True)
class Suspect:
    """A picture whose label is doubtful.

    Attributes:
        path: As shown to people.
        label: What it is called.
        suggested: What it is more likely to be.
        probability: Of the suggested class, in [0, 1], by a model that never saw the picture; None where none answered.
        reason: Why it is here, in words; begins with `COPY` where a copy has another label.
        sha256: Hex digest of the picture's bytes.
        copy: Path of a copy that is called `suggested`; empty where there is none.
        like_label: Paths of the pictures called `label` that are most alike, most alike first; none beyond `LISTED`.
        like_suggested: The same of the pictures called `suggested`.
    """

    path: str
    label: str
    suggested: str
    probability: float | None
    reason: str
    sha256: str
    copy: str = ""
    like_label: tuple[str, ...] = ()
    like_suggested: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suspects:
    """What there is to look at, as the report shows it.

    Attributes:
        num_asked: Pictures whose label was questioned: answered by a model, or a copy of another.
        num_found: Doubtful ones; all of them are in `suspects.csv`.
        num_copies: How many of these have a copy under another label.
        num_likely: How many of the others are wrong by cleanlab's estimate; most of them stand at the beginning.
        listed: The surest.
    """

    num_asked: int
    num_found: int
    num_copies: int
    num_likely: int
    listed: tuple[Suspect, ...]


def find_suspects(answered: Answered, space: Space, *, settled: Collection[str] = frozenset()) -> tuple[Suspect, ...]:
    """Return every picture whose label is doubtful, surest first: those with a copy under another label, then others.

    Of copies under several labels, the label that models think most probable is taken for right, and each copy with
    another is listed. A class that the model could not have met (all its pictures were held out at once) is doubted for
    copies alone. Deterministic; of equal doubts the earlier picture comes first.

    Args:
        answered: Answers out of fold and on the test.
        space: Where all pictures of the data set lie, for the neighbours of the first `LISTED`.
        settled: Digests of pictures that a person has decided on: they are not doubted again, and of copies theirs is
            the right label.
    """
    copies = _copies(answered, settled)
    known = {suspect.path for suspect in copies}
    judged = [suspect for suspect in _judged(answered) if suspect.path not in known]
    found = tuple(suspect for suspect in (*copies, *judged) if suspect.sha256 not in settled)
    return (*_with_neighbours(found[:LISTED], answered, space), *found[LISTED:])


def suspects_of(found: tuple[Suspect, ...], answered: Answered) -> Suspects:
    """Return what the report shows of all that were found."""
    copied, likely = {row for rows in _copied(answered).values() for row in rows}, _likely(answered)
    return Suspects(
        num_asked=len(copied.union(answered.rows.tolist())),
        num_found=len(found),
        num_copies=sum(bool(suspect.copy) for suspect in found),
        num_likely=sum(not suspect.copy and suspect.path in likely for suspect in found),
        listed=found[:LISTED],
    )


def suspects_csv(found: tuple[Suspect, ...]) -> str:
    """Return all suspects as CSV that `--corrections` reads; no cell is one that a spreadsheet runs."""
    rows = []
    for one in found:
        share = None if one.probability is None else f"{one.probability:.4f}"
        rows.append((one.path, one.label, one.suggested, share, one.reason, one.sha256))
    return csv_text([COLUMNS, *rows])


def doubt(labels: Ints, probabilities: Floats) -> Floats:
    """Return how doubtful each label is, in [0, 1]: how improbable the model finds it (cleanlab's self-confidence).

    Args:
        labels: (N,) given classes.
        probabilities: (N, K) of models that never saw the picture; rows sum to 1.
    """
    from cleanlab.rank import get_label_quality_scores

    quality = get_label_quality_scores(labels, probabilities, method="self_confidence")
    return 1 - np.asarray(quality, dtype=np.float64)


def _copied(answered: Answered) -> dict[int, list[int]]:
    """Return the rows of every group of copies that has several labels."""
    members: dict[int, list[int]] = defaultdict(list)
    for row, sample in enumerate(answered.dataset.samples):
        members[sample.copies].append(row)
    labels = answered.dataset.labels
    return {group: rows for group, rows in members.items() if len(set(labels[rows].tolist())) > 1}


def _copies(answered: Answered, settled: Collection[str]) -> list[Suspect]:
    """Return the copies whose label is the less likely one of their group, surest first."""
    samples, names = answered.dataset.samples, answered.dataset.class_names
    place = {row: number for number, row in enumerate(answered.rows.tolist())}
    found: list[tuple[float, int, Suspect]] = []
    for rows in _copied(answered).values():
        shares = [answered.probabilities[place[row]] for row in rows if row in place]
        share = np.mean(shares, axis=0) if shares else None
        of = [samples[row].label for row in rows]
        known = {samples[row].label for row in rows if samples[row].sha256 in settled} or set(of)
        likely = min(known, key=lambda k: (0.0 if share is None else -float(share[k]), -of.count(k), k))
        for row in rows:
            own = samples[row].label
            if own == likely:
                continue
            of_likely = [samples[other] for other in rows if samples[other].label == likely]
            twin = next((other for other in of_likely if other.sha256 == samples[row].sha256), of_likely[0])
            suspect = _suspect(
                samples[row],
                names,
                suggested=likely,
                probability=None if share is None else float(share[likely]),
                reason=_copy_reason(samples[row], twin, names),
            )
            margin = 0.0 if share is None else float(share[own] - share[likely])
            found.append((margin, row, replace(suspect, copy=twin.path)))
    return [suspect for *_, suspect in sorted(found, key=lambda one: one[:2])]


def _copy_reason(sample: Sample, twin: Sample, names: tuple[str, ...]) -> str:
    """Return in words what a picture is a copy of."""
    how = "the same file as" if sample.sha256 == twin.sha256 else "it looks the same as"
    return f"{COPY}: {how} {twin.path}, which is called {names[twin.label]}"


def _judged(answered: Answered) -> list[Suspect]:
    """Return the pictures whose answer is another class than their label, surest first."""
    rows, labels, shares = _judgeable(answered)
    samples, names, found = answered.dataset.samples, answered.dataset.class_names, []
    if not len(rows):
        return []
    doubts, suggested = doubt(labels, shares), shares.argmax(axis=1)
    likely = shares.max(axis=1)
    for place in np.lexsort((-likely, -doubts)).tolist():
        own, other = int(labels[place]), int(suggested[place])
        if shares[place, own] == likely[place]:
            continue
        reason = (
            f"a model that never saw it takes it for {names[other]} ({_percent(likely[place])}), not for {names[own]} "
            f"({_percent(shares[place, own])})"
        )
        probability = float(likely[place])
        found.append(_suspect(samples[rows[place]], names, suggested=other, probability=probability, reason=reason))
    return found


def _judgeable(answered: Answered) -> tuple[Ints, Ints, Floats]:
    """Return the (n,) rows, (n,) labels and (n, K) probabilities of pictures whose class their model had met."""
    met = _met(answered)
    return answered.rows[met], answered.labels[met], answered.probabilities[met]


def _met(answered: Answered) -> Ints:
    """Return (N,) bool: whether the model that answered a picture had learnt its class from any other."""
    num_classes = len(answered.dataset.class_names)
    fold = np.full(len(answered.dataset), TEST - 1, dtype=np.int64)  # neither answered nor of the test: learnt from
    fold[answered.rows] = answered.fold
    taught = np.bincount(answered.dataset.labels[fold != TEST], minlength=num_classes)[answered.labels]
    num_folds = int(answered.fold.max(initial=TEST)) + 1
    in_fold = np.zeros((num_classes, num_folds + 1), dtype=np.int64)
    np.add.at(in_fold, (answered.labels, answered.fold), ~answered.is_test)  # the test, -1, is the last column
    met: Ints = np.greater(taught, in_fold[answered.labels, answered.fold])
    return met


def _likely(answered: Answered) -> frozenset[str]:
    """Return the paths of pictures whose label is wrong by cleanlab's confident learning (Northcutt et al., 2021)."""
    from cleanlab.filter import find_label_issues

    rows, labels, shares = _judgeable(answered)
    if len(np.unique(labels)) < 2:
        return frozenset()
    wrong = find_label_issues(labels, shares, filter_by="confident_learning", n_jobs=1)
    return frozenset(answered.dataset.samples[row].path for row in rows[wrong].tolist())


def _suspect(
    sample: Sample, names: tuple[str, ...], *, suggested: int, probability: float | None, reason: str
) -> Suspect:
    return Suspect(sample.path, names[sample.label], names[suggested], probability, reason, sample.sha256)


def _percent(share: float) -> str:
    """Return a share in words, never rounded to nothing or to all."""
    return "under 1 %" if share < 0.01 else "over 99 %" if share > 0.99 else f"{100 * share:.0f} %"


def _with_neighbours(found: tuple[Suspect, ...], answered: Answered, space: Space) -> tuple[Suspect, ...]:
    """Return suspects with the pictures most alike that are called what they are, and what they might be."""
    dataset = answered.dataset
    number_of = {name: number for number, name in enumerate(dataset.class_names)}
    found_by_pair: dict[str, list[Suspect]] = defaultdict(list)
    like: dict[tuple[str, str], tuple[str, ...]] = {}
    for suspect in found:
        for name in (suspect.label, suspect.suggested):
            found_by_pair[name].append(suspect)
    for name, suspects in found_by_pair.items():
        rows = np.array([dataset.row_of[suspect.path] for suspect in suspects], dtype=np.int64)
        among = np.flatnonzero(dataset.labels == number_of[name])
        places, _ = space.nearest(rows, among, k=NEIGHBOURS)
        for suspect, near in zip(suspects, places.tolist(), strict=True):
            like[suspect.path, name] = tuple(dataset.samples[row].path for row in near if row >= 0)
    return tuple(
        replace(one, like_label=like[one.path, one.label], like_suggested=like[one.path, one.suggested])
        for one in found
    )
