"""The paths below a root, by their first folder -> which folders are parts of the data, and which are passed over.

The one idea: a folder counts as a part when it holds class folders; `train/` among `car/` and `bus/` is a class of
trains. A held-out part never becomes training pictures: what leaves open which pictures are for training is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from thawline.core.errors import DataError, first_few
from thawline.data.dataset import Role
from thawline.data.sources.listing import class_label, display_path, refuse_untrained
from thawline.data.sources.parts import is_unlabelled, name_roles, says_nothing

__all__ = ["Branch", "Parts", "find_branches", "lone_folder"]

Parts = tuple[str, ...]
"""The folders and the name of a file below the root."""

_DETECTION = frozenset(["images", "jpegimages", "labels", "annotations", "masks", "segmentations"])


@dataclass(frozen=True)
class Branch:
    """How the paths below some folder are read.

    Attributes:
        role: The part of the data.
        label_at: Which of the path's parts names the class.
        depth: How many folders the layout accounts for; further ones are nested.
        why_passed: Why its files take no part; empty where they do.
    """

    role: Role | None = None
    label_at: int = 0
    depth: int = 1
    why_passed: str = ""


@dataclass(frozen=True)
class _Body:
    """What a folder holds: its class folders, by their own spelling, and where they lie."""

    label_at: int
    folders: frozenset[str]

    @property
    def labels(self) -> set[str]:
        return {class_label(folder) for folder in self.folders}


def find_branches(
    where: str, paths: Mapping[str, Sequence[Parts]], *, step_if_flat: Callable[[], str]
) -> tuple[dict[Parts, Branch], list[str]]:
    """Return how to read the paths below the folders that are no classes by themselves, and remarks for people.

    Args:
        where: What errors call the root.
        paths: Every path with at least one folder, by that folder.
        step_if_flat: Says what to do where the parts hold no class folders; for the error.

    Returns:
        Branches by the first one or two parts of a path (two are looked for first), none for ordinary classes.

    Raises:
        DataError: It stays unclear which pictures are for training, or none are.
    """
    roles = name_roles(paths)
    bodies = _bodies(paths, roles)
    holding = {top: role for top, role in roles.items() if role and bodies[top].folders}
    if not holding:
        if paths and all(roles.values()):
            raise DataError(f"list: {where} holds {_names(paths)} but no class folders inside. {step_if_flat()}")
        return _parts_in_classes(where, paths), []
    outside = [top for top, role in roles.items() if role is None and not is_unlabelled(top)]
    _refuse_no_training(where, holding, roles, outside=outside)
    known = set[str]().union(*(bodies[top].labels for top, role in holding.items() if role == "train"))
    holding = {
        top: role for top, role in holding.items() if role == "train" or not _is_waiting(top, bodies[top], known)
    }
    if outside:
        _refuse_class(where, holding, roles, outside=outside)
        _refuse_unclear(where, holding, [top for top in outside if bodies[top].labels & known])
    notes = list(_refuse_doubles(where, holding))
    branches: dict[Parts, Branch] = {}
    for top, role in holding.items():
        branches[top,] = Branch(role, bodies[top].label_at, bodies[top].label_at + 1)
    for top in sorted(set(paths) - set(holding)):
        shown = display_path(top)
        what = "waits for a prediction, by its name" if is_unlabelled(top) else "holds no class folders of the parts"
        branches[top,] = Branch(why_passed=f"{shown}/ {what}, next to {_names(holding)}")
        notes.append(
            f"{shown}/ {what}: passed over (files: {len(paths[top]):,}). Classes are read from {_names(holding)}; "
            "thawline predict labels what has no label"
        )
    return branches, notes


def lone_folder(paths: Iterable[Parts], depth: int) -> str | None:
    """Return the one folder that holds all others at some depth, or None: there are several, or it holds only files."""
    names: set[str] = set()
    is_deeper = False
    for parts in paths:
        if len(parts) > depth + 1:
            names.add(parts[depth])
            is_deeper = is_deeper or len(parts) > depth + 2
    return names.pop() if len(names) == 1 and is_deeper else None


def _bodies(paths: Mapping[str, Sequence[Parts]], roles: Mapping[str, Role | None]) -> dict[str, _Body]:
    """Return what every folder holds, those for training first: a folder around their classes is looked through."""
    bodies: dict[str, _Body] = {}
    known: set[str] = set()
    for top in sorted(paths, key=lambda name: roles[name] != "train"):
        depth = 1
        while (lone := lone_folder(paths[top], depth)) is not None:
            inside = {class_label(parts[depth + 1]) for parts in paths[top] if len(parts) > depth + 2}
            is_around = roles[top] == "train" or (class_label(lone) not in known and inside & known)
            if not is_around and not _is_general(lone, top):
                break
            depth += 1
        bodies[top] = _Body(depth, frozenset(parts[depth] for parts in paths[top] if len(parts) > depth + 1))
        known |= bodies[top].labels if roles[top] == "train" else set()
    return bodies


def _is_general(folder: str, top: str) -> bool:
    """Return whether a folder's name says nothing of a class: `images`, or that of the folder around it again."""
    plain = class_label(folder).casefold()
    return plain == class_label(top).casefold() or says_nothing(folder) or plain in {"unknown", "all"}


def _is_waiting(top: str, body: _Body, known: Collection[str]) -> bool:
    """Return whether a held-out folder has no labels: `test/images/1.jpg`, next to training pictures in classes."""
    (folder, *others) = body.folders
    return not others and class_label(folder) not in known and _is_general(folder, top)


def _refuse_no_training(
    where: str, holding: Mapping[str, Role], roles: Mapping[str, Role | None], *, outside: Sequence[str]
) -> None:
    """Refuse a root without training pictures.

    Raises:
        DataError: There are held-out parts only.
    """
    if "train" in holding.values():
        return
    flat = [top for top, role in roles.items() if role == "train"]
    if flat:
        hint = f"{_names(flat)} holds no class folders. Put the pictures of each class into one, as in train/cat/1.jpg."
    elif outside:
        hint = f"If {_names(outside)} are the classes to train on, move them into train/; else move them away."
    else:
        hint = "Add a folder train/ with the same class folders, or name the folder with the classes itself."
    refuse_untrained(f"list: {where} holds {_names(holding)} but no training pictures. {hint}")


def _refuse_class(
    where: str, holding: Mapping[str, Role], roles: Mapping[str, Role | None], *, outside: Sequence[str]
) -> None:
    """Refuse a folder `train/` that may be a class, because nothing next to it is a part.

    Raises:
        DataError: It is the only folder with the name of a part.
    """
    if set(roles.values()) - {"train", None} or any(map(is_unlabelled, roles)):
        return
    raise DataError(
        f"list: {where}: {_names(holding)} holds folders and is next to {_names(outside)}, so it may be a class or "
        "hold the pictures for training. If it is a class, move its pictures out of the folders in it; if not, move "
        f"{_names(outside)} into it, or away."
    )


def _refuse_unclear(where: str, holding: Mapping[str, Role], unclear: Sequence[str]) -> None:
    """Refuse folders next to the parts that hold the same classes.

    Raises:
        DataError: There are such.
    """
    if unclear:
        raise DataError(
            f"list: {where} holds {_names(holding)} and, next to them, the same classes in {_names(unclear)}. "
            "Move these pictures into one of the parts, or away."
        )


def _refuse_doubles(where: str, holding: Mapping[str, Role]) -> Iterator[str]:
    """Yield a remark on folders of one part that differ by their numbers alone; refuse others of one part.

    Raises:
        DataError: Two folders are named after the same part.
    """
    for role in sorted(set(holding.values())):
        tops = sorted(top for top in holding if holding[top] == role)
        if len({re.sub(r"[\W\d_]+", "", top.casefold()) for top in tops}) > 1:
            raise DataError(
                f"list: {where} holds two folders for the same part of the data: {_names(tops)}. "
                "Merge them, or rename one."
            )
        if len(tops) > 1:
            yield f"{_names(tops)} were taken together, as {role}"


def _parts_in_classes(where: str, paths: Mapping[str, Sequence[Parts]]) -> dict[Parts, Branch]:
    """Return how to read `class/train/picture` next to `class/test/picture`; nothing where classes hold no parts.

    Raises:
        DataError: Only some of the classes hold parts, or they are no classes but pictures and their masks.
    """
    inside = {top: name_roles({parts[1] for parts in found if len(parts) > 2}) for top, found in paths.items()}
    parted = [
        top for top, roles in inside.items() if "train" in (found := set(roles.values())) and len(found - {None}) > 1
    ]
    if not parted:
        return {}
    if {top.casefold() for top in paths} <= _DETECTION:
        raise DataError(
            f"list: {where} holds {_names(paths)} with train and its like in each, as sets for detection or "
            "segmentation have them; a picture has no class there. Put the pictures of each class into a folder."
        )
    whole = [top for top in paths if top not in parted]
    if whole:
        raise DataError(
            f"list: {where} holds {_names(parted)} with a folder for training and one held out inside, and "
            f"{_names(whole)} without. Give every class both, or none."
        )
    lost = Branch(why_passed="not in the folder of a part, as the other pictures of its class are")
    branches: dict[Parts, Branch] = {(top,): lost for top in paths}
    for top, roles in inside.items():
        for part, role in roles.items():
            if role is not None:
                branches[top, part] = Branch(role, 0, 2)
    return branches


def _names(folders: Iterable[str]) -> str:
    """Return folders as people read them."""
    return first_few([f"{display_path(folder)}/" for folder in sorted(folders)])
