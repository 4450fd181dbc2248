"""A checked Dataset and its copies -> a CheckReport: everything to know before trusting a score."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from thawline.core.errors import first_few
from thawline.core.types import Ints
from thawline.data.cheats import Cheat, find_cheats
from thawline.data.copies import is_large
from thawline.data.corrections import Corrections
from thawline.data.dataset import Dataset, Role, Sample
from thawline.data.sources.listing import Listing

__all__ = ["CheckReport", "GroupFacts", "Scene", "find_all", "untaught_text"]

FEW_PICTURES = 5
_SEEN: dict[Role | None, tuple[Role, ...]] = {"test": ("train", "validation"), "validation": ("train",)}
"""Which parts a model has learnt or been chosen from before it meets a held-out one."""


@dataclass(frozen=True)
class GroupFacts:
    """The groups that the person named, which no fold parts and every interval counts once.

    Attributes:
        by: Where they come from: `the column patient`.
        groups: How many there are.
        pictures: Pictures that belong to one.
        alone: Pictures that belong to none; each is a group of its own.
        counted: Groups that intervals count: pictures on their own are some too, and groups that hold copies of one
            another are one.
    """

    by: str
    groups: int
    pictures: int
    alone: int
    counted: int


@dataclass(frozen=True)
class Scene:
    """Pictures so alike, and so many of a class, that a fixed camera or a burst is more likely than copies.

    Attributes:
        pictures: Their paths, those that stand for a group of copies, or for themselves, first.
        classes: Class name -> how many of its pictures are among them.
        distinct: How many they are when copies count once: those that differ in some place are pictures of their own.
    """

    pictures: tuple[str, ...]
    classes: dict[str, int]
    distinct: int


@dataclass(frozen=True, repr=False)
class CheckReport:
    """What `check` found; paths as in the ledger.

    Attributes:
        used: Pictures that take part, repaired ones included.
        skipped: (path, reason) of every file that does not.
        repaired: (path, what was changed or ignored).
        remarks: (path, what is odd about a file whose pixels are used as they are).
        blank: Pictures that show nothing: one colour, or nearly so.
        exact_copies: Groups of pictures with the same bytes.
        near_copies: Groups of pictures that show the same photo in different bytes; exact copies of a member are in it.
        leaks: (path, of): a held-out picture, and a copy of it in training or validation.
        group_leaks: (path, of, group): a held-out picture, and one of the same group in training or validation.
        conflicts: (path, label, other path, other label): the same picture under two labels.
        class_counts: Class name -> pictures used.
        small_classes: (class, pictures) with fewer than five.
        empty_classes: Classes whose files were all skipped; they take no part.
        imbalance: Pictures of the largest class over those of the smallest.
        similar_names: Groups of class names that differ in case or spaces only.
        notes: Remarks on the layout, such as nested class folders; each a sentence.
        groups: The groups that the person named, or None.
        scenes: Sets of many alike pictures, the largest first.
        cheats: Facts that alone tell a class from the others, technical ones first.
        corrections: What became of the person's corrections, or None where there were none.
        untaught: Class with held-out pictures alone -> how many there were; they take no part.
    """

    used: int
    skipped: tuple[tuple[str, str], ...]
    repaired: tuple[tuple[str, str], ...]
    remarks: tuple[tuple[str, str], ...]
    blank: tuple[str, ...]
    exact_copies: tuple[tuple[str, ...], ...]
    near_copies: tuple[tuple[str, ...], ...]
    leaks: tuple[tuple[str, str], ...]
    conflicts: tuple[tuple[str, str, str, str], ...]
    class_counts: dict[str, int]
    small_classes: tuple[tuple[str, int], ...]
    empty_classes: tuple[str, ...]
    imbalance: float
    similar_names: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    group_leaks: tuple[tuple[str, str, str], ...] = ()
    groups: GroupFacts | None = None
    scenes: tuple[Scene, ...] = ()
    cheats: tuple[Cheat, ...] = ()
    corrections: Corrections | None = None
    untaught: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        counts = {name: len(value) for name, value in vars(self).items() if isinstance(value, tuple) and value}
        found = "".join(f", {name.replace('_', ' ')}: {count:,}" for name, count in counts.items())
        return f"<CheckReport used: {self.used:,}{found}>"

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain lists and dictionaries, ready for `json.dumps`."""
        return {
            "used": self.used,
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            "repaired": [{"path": path, "reason": reason} for path, reason in self.repaired],
            "remarks": [{"path": path, "remark": remark} for path, remark in self.remarks],
            "blank": list(self.blank),
            "exact_copies": [list(group) for group in self.exact_copies],
            "near_copies": [list(group) for group in self.near_copies],
            "leaks": [
                *({"path": path, "of": of} for path, of in self.leaks),
                *({"path": path, "of": of, "group": group} for path, of, group in self.group_leaks),
            ],
            "conflicts": [
                {"path": path, "label": label, "other_path": other, "other_label": other_label}
                for path, label, other, other_label in self.conflicts
            ],
            "class_counts": dict(self.class_counts),
            "small_classes": [{"class": name, "pictures": count} for name, count in self.small_classes],
            "empty_classes": list(self.empty_classes),
            "imbalance": self.imbalance,
            "similar_names": [list(names) for names in self.similar_names],
            "notes": list(self.notes),
            "groups": asdict(self.groups) if self.groups else None,
            "scenes": [asdict(scene) | {"pictures": list(scene.pictures)} for scene in self.scenes],
            "cheats": [cheat.to_json() for cheat in self.cheats],
            "corrections": self.corrections.to_json() if self.corrections else None,
            "untaught": dict(self.untaught),
        }


def untaught_text(untaught: Mapping[str, int]) -> str:
    """Return the sentence on classes that only held-out pictures have."""
    count, classes = sum(untaught.values()), first_few([f"{name!r}" for name in untaught])
    return (
        f"{count:,} held-out picture{'' if count == 1 else 's'} of {classes} "
        f"{'is' if count == 1 else 'are'} left out: no training picture has the class, so no model can know it. "
        "The score does not speak of such pictures."
    )


def find_all(
    dataset: Dataset,
    listing: Listing,
    *,
    scenes: Ints,
    blank: frozenset[str] = frozenset(),
    corrections: Corrections | None = None,
    untaught: Mapping[str, int] | None = None,
) -> CheckReport:
    """Return everything that is odd about a checked data set.

    Args:
        dataset: Samples with their groups, and the ledger.
        listing: Where the data set came from, for classes that are left with nothing and for remarks on the layout.
        scenes: (N,) int64; samples with equal ones look alike, as copies do, though they may differ in some place.
        blank: Paths of pictures that show nothing.
        corrections: What became of the person's corrections.
        untaught: Class with held-out pictures alone -> how many there were.
    """
    untaught = untaught or {}
    names, samples = dataset.class_names, dataset.samples
    members: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        members[sample.copies].append(sample)
    copied = [group for group in members.values() if len(group) > 1]
    near = [group for group in copied if len({item.sha256 for item in group}) > 1]
    counts = Counter(names[sample.label] for sample in samples)
    return CheckReport(
        used=len(samples),
        skipped=tuple((row.path, row.reason) for row in dataset.ledger if row.status == "skipped"),
        repaired=tuple((row.path, row.reason) for row in dataset.ledger if row.status == "repaired"),
        remarks=tuple((row.path, row.remark) for row in dataset.ledger if row.remark),
        blank=tuple(sample.path for sample in samples if sample.path in blank),
        exact_copies=_exact_groups(samples),
        near_copies=tuple(tuple(item.path for item in group) for group in near),
        leaks=_leaks(copied),
        group_leaks=_group_leaks(samples),
        groups=_group_facts(dataset, listing.grouped_by),
        conflicts=_conflicts(copied, names),
        class_counts={name: counts[name] for name in names},
        small_classes=tuple((name, counts[name]) for name in names if counts[name] < FEW_PICTURES),
        empty_classes=tuple(name for name in listing.class_names if name not in {*counts, *untaught}),
        imbalance=max(counts.values()) / min(counts.values()),
        similar_names=_similar_names(names),
        notes=listing.notes,
        scenes=_scenes(dataset, scenes, counts),
        cheats=() if dataset.facts is None else find_cheats(dataset, dataset.facts),
        corrections=corrections,
        untaught=untaught,
    )


def _exact_groups(samples: Sequence[Sample]) -> tuple[tuple[str, ...], ...]:
    """Return the paths of pictures with the same bytes, group by group."""
    by_digest: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        by_digest[sample.sha256].append(sample.path)
    return tuple(tuple(paths) for paths in by_digest.values() if len(paths) > 1)


def _scenes(dataset: Dataset, scenes: Ints, counts: Counter[str]) -> tuple[Scene, ...]:
    """Return the sets of alike pictures that are more than a few copies, the largest first."""
    members: dict[int, list[Sample]] = defaultdict(list)
    for sample, scene in zip(dataset.samples, scenes.tolist(), strict=True):
        members[scene].append(sample)
    found = []
    for alike in members.values():
        own = Counter(dataset.class_names[sample.label] for sample in alike)
        shares = np.array([own[name] / counts[name] for name in own])
        if is_large(len({sample.sha256 for sample in alike}), shares):
            first = {sample.copies: sample.path for sample in reversed(alike)}
            standing = set(first.values())
            paths = sorted((sample.path for sample in alike), key=lambda path: path not in standing)
            found.append(Scene(tuple(paths), {name: own[name] for name in sorted(own)}, len(first)))
    return tuple(sorted(found, key=lambda scene: -len(scene.pictures)))


def _leaks(copied: Sequence[list[Sample]]) -> tuple[tuple[str, str], ...]:
    """Return every held-out picture with a copy in training (or, for the test, in validation), exact copies first."""
    leaks = []
    for group in copied:
        for sample in group:
            if seen := [other for other in group if other.split in _SEEN.get(sample.split, ())]:
                of = next((other for other in seen if other.sha256 == sample.sha256), seen[0])
                leaks.append((sample.path, of.path))
    return tuple(sorted(leaks))


def _group_leaks(samples: Sequence[Sample]) -> tuple[tuple[str, str, str], ...]:
    """Return every held-out picture whose named group has pictures in training (or, for the test, in validation).

    Those of which a copy is there are leaks already, and left out.
    """
    first: dict[tuple[str, Role | None], Sample] = {}
    copies = {(sample.copies, sample.split) for sample in samples}
    for sample in samples:
        first.setdefault((sample.named_group, sample.split), sample)
    leaks = []
    for sample in samples:
        parts = _SEEN.get(sample.split, ()) if sample.named_group else ()
        seen = [first[sample.named_group, part] for part in parts if (sample.named_group, part) in first]
        if seen and not any((sample.copies, part) in copies for part in parts):
            leaks.append((sample.path, seen[0].path, sample.named_group))
    return tuple(sorted(leaks))


def _group_facts(dataset: Dataset, grouped_by: str) -> GroupFacts | None:
    """Return how many groups the person named, or None where they named none."""
    if not dataset.has_named_groups:
        return None
    names = [sample.named_group for sample in dataset.samples]
    num_groups, alone = len(set(names) - {""}), names.count("")
    return GroupFacts(grouped_by, num_groups, len(names) - alone, alone, len(np.unique(dataset.groups)))


def _conflicts(copied: Sequence[list[Sample]], names: Sequence[str]) -> tuple[tuple[str, str, str, str], ...]:
    """Return, for every group with several labels, the first picture against the first of each other label."""
    conflicts = []
    for group in copied:
        first = group[0]
        others = {sample.label: sample for sample in reversed(group) if sample.label != first.label}
        for label in sorted(others):
            conflicts.append((first.path, names[first.label], others[label].path, names[label]))
    return tuple(conflicts)


def _similar_names(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return groups of class names that differ in case or spaces only."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike["".join(name.casefold().split())].append(name)
    return tuple(tuple(group) for group in alike.values() if len(group) > 1)
