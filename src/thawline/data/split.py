"""A Dataset -> a Split: which pictures choose the strategy, fold by fold, and which judge the choice once.

The one idea: groups of copies are dealt out, never single pictures, but where a class is hardly more than one group
(`parting.py`). Test labels play no part in the folds. The dealing is written here because scikit-learn's
`StratifiedGroupKFold` walks through all groups in Python: 4.8 s a repeat for the 50,000 training pictures of CIFAR-10,
nearly all groups of one, and half a second for its import. Here only groups of several pictures are walked through, and
the single pictures of a class are dealt out at once: 0.05 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from thawline.core.errors import DataError, UsageError, first_few
from thawline.core.types import Ints
from thawline.data.dataset import Dataset
from thawline.data.parting import Whole, lies_in, part_across_classes, way_out, whole_groups

__all__ = ["Split", "leaked", "make_split", "too_small"]

_TEST_PARTS = 5
_ATTEMPTS = 20


@dataclass(frozen=True, repr=False)
class Split:
    """Folds for choosing and rows for testing; all arrays are sorted, int64, read-only indices of samples.

    Attributes:
        folds: (train, validation) of every fold, all folds of the first repeat first. Within a repeat the validation
            parts are disjoint and together are all rows that are not for testing.
        test: Rows that are read once, after every choice is made.
        seed: Seed of the random draw.
        num_folds: Folds in a repeat; 1 where there is a validation part.
        num_repeats: Repeats.
        rule: How the choice is made, in words: `5 folds × 2`, `the validation folder`.
        warning: In words, which copies had to be parted and what that means; empty where none were.
    """

    folds: tuple[tuple[Ints, Ints], ...]
    test: Ints
    seed: int
    num_folds: int
    num_repeats: int
    rule: str
    warning: str = ""

    def __repr__(self) -> str:
        return f"<Split {self.rule}: {len(self.pool):,} pictures, {len(self.test):,} for the test, seed {self.seed}>"

    @property
    def pool(self) -> Ints:
        """Rows that are not for testing, sorted: what the winner is finally trained on."""
        return _frozen(np.union1d(*self.folds[0]))


def make_split(
    dataset: Dataset, *, num_folds: int = 5, num_repeats: int = 2, seed: int = 0, hold_out: bool = True
) -> Split:
    """Return folds and test rows; groups of copies never straddle a boundary that is drawn here.

    Parts that the pictures came in are kept: their test is the test; their validation, where there is a test too, is
    the one fold. Otherwise stratified folds are drawn, and without a test a stratified fifth is held out first.

    Args:
        dataset: Checked pictures.
        num_folds: Folds a repeat; fewer are drawn where the smallest class has fewer distinct pictures, which `rule`
            then says.
        num_repeats: How many times folds are drawn.
        seed: The same seed and data give the same split.
        hold_out: Where the pictures came without a test, hold a fifth out. False where nothing will be evaluated:
            every picture serves the choice and `test` is empty.

    Raises:
        UsageError: Fewer than two folds, or no repeat.
        DataError: A class has only test or validation pictures, none to train on; or folds are drawn and a class has
            fewer than two distinct pictures outside the test.
    """
    if num_folds < 2 or num_repeats < 1:
        raise UsageError(f"split: {num_folds} folds × {num_repeats}: at least 2 folds and 1 repeat are needed.")
    parts = np.array([sample.split or "" for sample in dataset.samples])
    if (parts == "validation").any():
        train, validation = (_frozen(np.flatnonzero(parts == name)) for name in ("train", "validation"))
        test = _frozen(np.flatnonzero(parts == "test"))
        _refuse_untrained(dataset, train)
        return Split(((train, validation),), test, seed, 1, 1, "the validation folder")
    in_test = parts == "test"
    draws_test = hold_out and not in_test.any()
    candidates = np.flatnonzero(~in_test)
    _refuse_untrained(dataset, candidates)
    whole = whole_groups(dataset, needed=3 if draws_test else 2, rows=candidates)
    numbers = (num_folds, num_repeats, seed)
    drawn = _draw(dataset, whole, candidates, numbers, draws_test=draws_test)
    if isinstance(drawn, DataError):
        drawn = _draw(dataset, part_across_classes(dataset, whole), candidates, numbers, draws_test=draws_test)
    if isinstance(drawn, DataError):
        raise drawn
    return drawn


def _draw(
    dataset: Dataset, whole: Whole, candidates: Ints, numbers: tuple[int, int, int], *, draws_test: bool
) -> Split | DataError:
    """Return the split of some rows into test and folds, or what stands in the way, which parting more copies may end.

    Raises:
        DataError: A class has fewer than two groups, whatever copies are parted.
    """
    num_folds, num_repeats, seed = numbers
    in_test = np.ones(len(dataset), dtype=bool)
    in_test[candidates] = False
    if draws_test:
        held_out = _hold_out(dataset, whole.groups, seed)
        if isinstance(held_out, DataError):
            return held_out
        in_test |= held_out
    pool = np.flatnonzero(~in_test)
    rarest, fewest = _rarest_class(dataset.labels[pool], whole.groups[pool])
    if fewest < 2:
        raise DataError(
            f"split: {lies_in(dataset, pool, label=rarest)}; folds need two or more of each class. {way_out(dataset)}"
        )
    num_drawn = min(num_folds, fewest)
    rule = f"{num_drawn} folds × {num_repeats}"
    if num_drawn < num_folds:
        kind = "groups" if dataset.has_named_groups else "distinct pictures"
        rule += f" (fewer than {num_folds}: {dataset.class_names[rarest]} has {fewest} {kind})"
    warning = ""
    if whole.parted.any():
        rule += f", copies parted in {first_few(whole.classes(dataset), 3)}"
        warning = whole.warning(dataset)
    folds: list[tuple[Ints, Ints]] = []
    for repeat in range(num_repeats):
        dealt = _deal_safely(dataset, whole.groups, pool, num_drawn, seed=(seed, 1 + repeat))
        if isinstance(dealt, DataError):
            return dealt
        folds += [(_frozen(pool[dealt != fold]), _frozen(pool[dealt == fold])) for fold in range(num_drawn)]
    return Split(tuple(folds), _frozen(np.flatnonzero(in_test)), seed, num_drawn, num_repeats, rule, warning)


def leaked(dataset: Dataset, split: Split) -> npt.NDArray[np.bool_]:
    """Return for every row of `split.test` whether a copy of it, or its group, lies outside the test too: (n,) bool."""
    return np.isin(dataset.groups[split.test], dataset.groups[split.pool])


def too_small(names: Sequence[str], groups: Ints, *, parts: Sequence[str]) -> dict[str, int]:
    """Return the classes that have too few distinct pictures to fold and test, with how many those are.

    A class needs one to train on and one to be folded against it; one more where the test is still to be held out.

    Args:
        names: N names of classes.
        groups: (N,) groups; pictures of one group count as one.
        parts: N parts that the pictures came in: `train`, `validation`, `test`, or empty.
    """
    has_validation, has_test = "validation" in parts, "test" in parts
    needed = 1 if has_validation else 2 if has_test else 3
    own: dict[str, set[int]] = {name: set() for name in names}
    for name, group, part in zip(names, groups.tolist(), parts, strict=True):
        if part in {"train", ""}:
            own[name].add(group)
    return {name: len(found) for name, found in own.items() if len(found) < needed}


def _refuse_untrained(dataset: Dataset, training: Ints) -> None:
    """Refuse classes without a training row: a head would never predict them."""
    labels = dataset.labels
    lost = np.setdiff1d(labels, labels[training])
    if len(lost):
        counts = np.bincount(labels)
        names = first_few([f"{dataset.class_names[label]} (all {counts[label]:,})" for label in lost])
        raise DataError(
            f"split: pictures of {names} are for test or validation only; a class needs some to train on. Put some "
            "of them under train, or remove the class."
        )


def _hold_out(dataset: Dataset, whole: Ints, seed: int) -> npt.NDArray[np.bool_] | DataError:
    """Return which rows are the held-out fifth, (N,) bool, or why there are none.

    None are of classes with fewer than three groups.

    Where few groups hold many pictures each, the fifth that was drawn may be empty: then it is the smallest other one.
    """
    labels = dataset.labels
    _, groups = np.unique(whole, return_inverse=True)
    pairs = np.unique(np.stack([labels, groups], axis=1), axis=0)
    num_groups = np.bincount(pairs[:, 0])
    rare = num_groups < 3
    kept_groups = np.unique(pairs[rare[pairs[:, 0]], 1])
    eligible = np.flatnonzero(~np.isin(groups, kept_groups))
    in_test = np.zeros(len(labels), dtype=bool)
    if len(eligible):
        dealt = _deal(labels[eligible], groups[eligible], _TEST_PARTS, np.random.default_rng((seed, 0)))
        sizes = np.bincount(dealt, minlength=_TEST_PARTS)
        part = 0 if sizes[0] else int(np.argmin(np.where(sizes > 0, sizes, len(labels))))
        in_test[eligible[dealt == part]] = True
        return in_test
    rarest = int(np.argmin(num_groups))
    all_rows = np.arange(len(labels))
    return DataError(
        f"split: {len(labels):,} pictures in {len(np.unique(labels)):,} classes are too few to hold a fifth out "
        f"for the test: {lies_in(dataset, all_rows, label=rarest)}; three or more are needed. {way_out(dataset)}"
    )


def _rarest_class(labels: Ints, groups: Ints) -> tuple[int, int]:
    """Return the class with the fewest groups among those present, and how many it has."""
    pairs = np.unique(np.stack([labels, groups], axis=1), axis=0)
    names, counts = np.unique(pairs[:, 0], return_counts=True)
    at = int(np.argmin(counts))
    return int(names[at]), int(counts[at])


def _deal_safely(
    dataset: Dataset, whole: Ints, rows: Ints, num_parts: int, *, seed: tuple[int, int]
) -> Ints | DataError:
    """Return `_deal`'s parts such that every fold trains every class, or which groups of several labels prevent it."""
    labels, groups = dataset.labels[rows], whole[rows]
    for attempt in range(_ATTEMPTS):
        dealt = _deal(labels, groups, num_parts, np.random.default_rng((*seed, attempt)))
        counts = np.zeros((len(dataset.class_names), num_parts), dtype=np.int64)
        np.add.at(counts, (labels, dealt), 1)
        lost = np.flatnonzero((counts.max(axis=1) == counts.sum(axis=1)) & (counts.sum(axis=1) > 0))
        if len(lost) == 0:
            return dealt
    names = first_few([dataset.class_names[index] for index in lost])
    if dataset.has_named_groups:
        return DataError(
            f"split: the groups of {names} hold several classes each and cannot be spread over {num_parts} folds so "
            f"that each trains every class. Ask for fewer (--folds 2), or {_lower_first(way_out(dataset))}"
        )
    return DataError(
        f"split: the pictures of {names} are the same bytes under several labels, and cannot be spread over "
        f"{num_parts} folds. Run `thawline check` and settle the conflicts that it lists, or pass --copies ignore."
    )


def _lower_first(text: str) -> str:
    return text[0].lower() + text[1:]


def _deal(labels: Ints, groups: Ints, num_parts: int, rng: np.random.Generator) -> Ints:
    """Return the part of every row, (N,) int64 in [0, num_parts): stratified, groups whole, all parts about equal.

    Groups of several pictures go first, the largest ahead, each to the part that has the least of its classes; then the
    single pictures of each class fill the parts up to one level.
    """
    _, group_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    totals = np.bincount(labels)
    filled = np.zeros((num_parts, len(totals)), dtype=np.int64)
    part = np.empty(len(labels), dtype=np.int64)
    rows_by_group = np.split(np.argsort(group_of_row, kind="stable"), np.cumsum(sizes)[:-1])
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    for group in order[sizes[order] > 1]:
        rows = rows_by_group[group]
        present, count = np.unique(labels[rows], return_counts=True)
        crowding = (filled[:, present] * (count / totals[present])).sum(axis=1)
        chosen = np.lexsort((rng.random(num_parts), filled.sum(axis=1), crowding))[0]
        part[rows] = chosen
        filled[chosen, present] += count
    single = sizes[group_of_row] == 1
    for label in np.flatnonzero(totals):
        rows = rng.permutation(np.flatnonzero(single & (labels == label)))
        ties = np.lexsort((rng.random(num_parts), filled.sum(axis=1))).argsort()
        # every part offers places at the levels above what it holds; the lowest places are taken
        level = filled[:, label, None] + np.arange(len(rows))
        rank = np.broadcast_to(ties[:, None], level.shape)
        places = np.lexsort((rank.ravel(), level.ravel()))[: len(rows)]
        part[rows] = places // max(len(rows), 1)
        filled[:, label] += np.bincount(part[rows], minlength=num_parts)
    return part


def _frozen(indices: npt.NDArray[np.integer]) -> Ints:
    """Return indices as read-only int64."""
    array = np.ascontiguousarray(indices, dtype=np.int64)
    array.flags.writeable = False
    return array
