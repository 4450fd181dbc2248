"""Tar archives -> a Listing: WebDataset shards, in which a label is next to its picture, or an archive of folders.

The one idea: a sample is all members that share a name up to its first dot. (The `webdataset` package reads shards from
front to back only, runs commands that a shard's address may contain and unpickles members; none of that happens here.)
"""

from __future__ import annotations

import itertools
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from thawline.core.errors import DataError, first_few
from thawline.core.store import expand_user
from thawline.data.dataset import Role
from thawline.data.formats import ENDINGS
from thawline.data.sources.group_columns import NO_GROUPS, choose_group, group_of
from thawline.data.sources.headings import BY_ITSELF, Wanted
from thawline.data.sources.listing import Candidate, Listing, Skipped, display_path, refuse_untrained, settle_roles
from thawline.data.sources.members import Contents
from thawline.data.sources.parts import file_roles, name_role, name_roles
from thawline.data.sources.places import Place
from thawline.data.sources.system_files import is_picture_name
from thawline.data.sources.tars import TarSource, read_contents

__all__ = ["MAX_SHARDS", "expand_braces", "list_files", "list_shards", "list_tar", "shard_files"]


MAX_LABEL_BYTES = 1 << 20
MAX_NAME_LENGTH = 200
MAX_SHARDS = 100_000
PICTURES = {ending[1:] for ending in ENDINGS}
LABELS = ("cls", "json", "txt")


def list_tar(file: Path, *, wanted: Wanted = BY_ITSELF) -> Listing:
    """Return the pictures of one tar archive: as a shard where a label is next to a picture, else as class folders.

    Where pictures lie in several class folders, text and JSON next to them are captions, boxes or notes, and no labels;
    a `.cls` always is one, since only shards have it.

    Args:
        file: The archive.
        wanted: As in `list_shards`.

    Raises:
        DataError: Not a tar archive, damaged, or as `list_folder` and `list_shards`.
    """
    contents = read_contents(file)
    labelled = [set(names) & set(LABELS) for names in _by_key(contents.files).values() if _pictures(names)]
    if not any(labelled):
        return contents.lay_out(file)
    if not any("cls" in kinds for kinds in labelled):
        try:
            listing = contents.lay_out(file)
        except DataError:  # no class folders
            return _list_shards(Place.of(file), [(file, None)], wanted, read=lambda _: contents)
        if len({item.label for item in listing.candidates if is_picture_name(item.path)}) > 1:
            note = "text and JSON next to pictures in class folders are no labels; webdataset: reads them as labels"
            return replace(listing, notes=(*listing.notes, note))
    return _list_shards(Place.of(file), [(file, None)], wanted, read=lambda _: contents)


def list_shards(place: Place, *, wanted: Wanted = BY_ITSELF) -> Listing:
    """Return the samples of WebDataset shards as candidates.

    A sample is the members of one name up to its first dot: a picture, and its class in `.cls`, in `.json` under
    `label`, or in `.txt`. A number is looked up in `classnames.txt` (a name a line) or `classes.json` next to the
    shards. A shard named `train-…`, `val-…` or `test-…`, or in a folder of that name, belongs to that part.

    Args:
        place: `webdataset:` and a folder of shards, a shard, or several with braces: `shards/train-{000..003}.tar`.
        wanted: Which key of a `.json` says what pictures belong together.

    Raises:
        DataError: A shard is missing or damaged, there are none, or names leave the part of the data unclear.
    """
    return list_files(place, shard_files(place), wanted=wanted)


def list_files(place: Place, files: Sequence[Path], *, wanted: Wanted = BY_ITSELF) -> Listing:
    """Return the samples of the shards that these files are, as `list_shards`.

    Args:
        place: What they are called together; where it is a folder, its name is that of no part.
        files: In order.
        wanted: As in `list_shards`.
    """
    return _list_shards(place, _with_roles(files, place.path), wanted)


def shard_files(place: Place) -> list[Path]:
    """Return the shards that a place names.

    Args:
        place: As in `list_shards`.

    Raises:
        DataError: One is missing, or there are none.
    """
    root = place.path
    if root is None:
        raise DataError(
            f"list: {place}: shards are read from a disk, or from an address such as s3://bucket/a.tar. Download "
            "them first."
        )
    if root.is_dir():
        folders = [folder for folder in sorted(root.iterdir()) if folder.is_dir()]
        roles = name_roles(folder.name for folder in folders)
        inside = [folder for folder in folders if roles[folder.name]]
        files = [file for folder in (root, *inside) for file in sorted(folder.glob("*.tar"))]
        if not files:
            raise DataError(f"list: {display_path(root)} holds no .tar files, nor do train/, val/ and test/ in it.")
    else:
        files = [expand_user(text) for text in expand_braces(place.rest)]
        missing = [display_path(file) for file in files if not file.is_file()]
        if missing:
            raise DataError(
                f"list: {place}: {len(missing):,} of {len(files):,} shards do not exist: {first_few(missing)}. "
                "Check the spelling; put braces in quotes: 'webdataset:shards/train-{000..003}.tar'."
            )
    return files


def expand_braces(text: str) -> list[str]:
    """Return the texts that a pattern with braces stands for, in order; leading zeros are kept.

    >>> expand_braces("a-{08..10}.tar")
    ['a-08.tar', 'a-09.tar', 'a-10.tar']
    >>> expand_braces("{train,test}.tar")
    ['train.tar', 'test.tar']

    Raises:
        DataError: It stands for more than 100,000.
    """
    pieces, number = [], 1
    for piece in re.split(r"(\{[^{}]*\})", text):
        span = re.fullmatch(r"\{(\d{1,9})\.\.(\d{1,9})\}", piece)
        if span:
            first, last = (int(end) for end in span.groups())
            number *= abs(last - first) + 1
            step, width = (1 if first <= last else -1), len(span[1]) if span[1].startswith("0") else 0
            choices: Sequence[int | str] = range(first, last + step, step)
            pieces.append((choices, width))
        else:
            choices = piece[1:-1].split(",") if piece.startswith("{") and "," in piece else [piece]
            number *= len(choices)
            pieces.append((choices, 0))
        if number > MAX_SHARDS:
            raise DataError(f"list: {text} stands for more than {MAX_SHARDS:,} shards. Check the braces.")
    parts = [[f"{choice:0{width}d}" if width else str(choice) for choice in choices] for choices, width in pieces]
    return ["".join(choice) for choice in itertools.product(*parts)]


def _list_shards(
    place: Place,
    shards: Sequence[tuple[Path, Role | None]],
    wanted: Wanted,
    *,
    read: Callable[[Path], Contents[TarSource]] = read_contents,
) -> Listing:
    """Return the samples of shards whose part of the data is known."""
    roles = {role for _, role in shards}
    shown = display_path(place)
    if None in roles and len(roles) > 1:
        odd = [file.name for file, role in shards if role is None]
        raise DataError(
            f"list: {shown} holds shards named after parts of the data and others that are not: {first_few(odd)}. "
            "Name each train-…, val-… or test-…, or move the others away."
        )
    if None not in roles and "train" not in roles:
        refuse_untrained(f"list: {shown} holds no training shard. Add train-….tar.")
    common = {file.parent for file, _ in shards}
    candidates: list[Candidate] = []
    skipped: list[Skipped] = []
    keys: set[str] = set()
    for file, role in shards:
        prefix = f"{display_path(file.parent.name)}/{file.name}" if len(common) > 1 else display_path(file.name)
        names = _class_names(file.parent) or (
            _class_names(file.parent.parent) if name_role(file.parent.name) or len(common) > 1 else {}
        )
        contents = read(file)
        skipped += [Skipped(f"{prefix}/{item.path}", item.reason) for item in contents.skipped]
        samples = _by_key(contents.files)
        inside = _roles_inside(samples) if role is None else {}
        for key, members in samples.items():
            item = _sample(key, members, names)
            path = f"{prefix}/{display_path(item.path)}"
            if isinstance(item, Skipped):
                skipped.append(Skipped(path, item.reason))
            else:
                grouped_by, group = _group(members, wanted)
                keys |= {grouped_by} if group else set()
                candidates.append(Candidate(path, item.label, role or inside.get(key), item.source, group))
    if not candidates:
        hint = f": {first_few([f'{item.path} ({item.reason})' for item in skipped], 3)}" if skipped else ""
        raise DataError(
            f"list: {shown} holds no picture with a label next to it{hint}. "
            "A shard has members 0001.jpg and 0001.cls, or 0001.json with a label."
        )
    class_names = tuple(sorted({candidate.label for candidate in candidates}))
    by = f"{' and '.join(sorted(keys))} in .json" if keys else ""
    return Listing(place, class_names, settle_roles(candidates), tuple(skipped), grouped_by=by)


def _group(members: dict[str, TarSource], wanted: Wanted) -> tuple[str, str]:
    """Return the key of a sample's `.json` that says what belongs together, and the group; empty texts without one."""
    if "json" not in members or wanted.group_column == NO_GROUPS or members["json"].size_bytes > MAX_LABEL_BYTES:
        return "", ""
    try:
        value = json.loads(members["json"].read().decode("utf-8-sig"))
        plain = {
            str(key): cell for key, cell in value.items() if isinstance(cell, str | int | float) and key != "label"
        }
        chosen, _ = choose_group(list(plain), where="a .json", wanted=wanted)
        return (chosen, group_of(plain[chosen])) if chosen else ("", "")
    except (DataError, ValueError, RecursionError, AttributeError):
        return "", ""


def _sample(key: str, members: dict[str, TarSource], class_names: dict[int, str]) -> Candidate | Skipped:
    """Return a sample's picture with its class, or why there is none; the path is the one inside the shard."""
    pictures = _pictures(members)
    if len(pictures) != 1:
        endings = ", ".join(pictures or members)
        return Skipped(f"{key}.{next(iter(members))}", f"{len(pictures)} pictures under one name ({endings})")
    path = f"{key}.{pictures[0]}"
    kind = next((kind for kind in LABELS if kind in members), None)
    if kind is None:
        return Skipped(path, "no label next to it (.cls, .json or .txt)")
    try:
        if members[kind].size_bytes > MAX_LABEL_BYTES:
            raise DataError(f"{members[kind].size_bytes:,} bytes are too long")
        label = _label(members[kind].read(), kind)
    except (DataError, ValueError, RecursionError) as error:
        return Skipped(path, f"its .{kind} holds no label: {str(error)[:80]}")
    if label.isdecimal() and class_names:
        if int(label) not in class_names:
            return Skipped(path, f"label {label} has no name")
        label = class_names[int(label)]
    return Candidate(path, label, None, members[pictures[0]])


def _label(data: bytes, kind: str) -> str:
    """Return the label that a member holds, a number as text."""
    text = data.decode("utf-8-sig").strip()
    if kind == "json":
        value = json.loads(text)
        label = value.get("label") if isinstance(value, dict) else None
        if isinstance(label, bool) or not isinstance(label, str | int):
            raise DataError("`label` must be a text or a whole number")
        text = str(label).strip()
    if not text or len(text) > MAX_NAME_LENGTH or not text.isprintable():
        raise DataError("a class name is one line of at most 200 letters" if text else "empty")
    return unicodedata.normalize("NFC", text)


def _class_names(folder: Path) -> dict[int, str]:
    """Return the names of numbered classes from `classnames.txt` or `classes.json` next to the shards; else none."""
    text_file, json_file = folder / "classnames.txt", folder / "classes.json"
    try:
        if text_file.is_file():
            return dict(enumerate(line.strip() for line in text_file.read_text("utf-8-sig").splitlines()))
        if not json_file.is_file():
            return {}
        names = json.loads(json_file.read_text("utf-8-sig"))
        pairs = enumerate(names) if isinstance(names, list) else ((int(key), name) for key, name in names.items())
        return {number: str(name) for number, name in pairs}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        culprit = text_file if text_file.is_file() else json_file
        raise DataError(
            f"list: {display_path(culprit)} names no classes: {str(error)[:80]}. Required is a name a line, or JSON: "
            'a list of names, or {"0": "cat", …}.'
        ) from None


def _by_key(files: dict[tuple[str, ...], TarSource]) -> dict[str, dict[str, TarSource]]:
    """Return the members of every sample by what their names end in: {key: {ending: source}}."""
    samples: dict[str, dict[str, TarSource]] = defaultdict(dict)
    for parts, source in files.items():
        stem, _, ending = parts[-1].partition(".")
        samples["/".join((*parts[:-1], stem))][ending.lower()] = source
    return samples


def _pictures(endings: dict[str, TarSource]) -> list[str]:
    """Return which endings are pictures: `jpg` and its like, or, where none is, such as `image.jpg`."""
    plain = [ending for ending in endings if ending in PICTURES]
    return plain or [ending for ending in endings if ending.rpartition(".")[2] in PICTURES]


def _roles_inside(keys: Iterable[str]) -> dict[str, Role]:
    """Return the part that every sample's first folder inside the shard names; nothing where one names none."""
    folders = {key: key.partition("/")[0] for key in keys if "/" in key}
    roles = name_roles(folders.values())
    found = {key: role for key, folder in folders.items() if (role := roles[folder]) is not None}
    return found if len(found) == len(set(keys)) and "train" in found.values() else {}


def _with_roles(files: Sequence[Path], root: Path | None) -> list[tuple[Path, Role | None]]:
    """Return every shard with the part of the data that its name says, or its folder's; none where all say the same."""
    folders = {file.parent for file in files}
    of_folder = name_roles(folder.name for folder in folders if folder != root) if len(folders) > 1 else {}
    of_file = file_roles(file.name for file in files)
    roles = [of_file[file.name] or of_folder.get(file.parent.name) for file in files]
    return [(file, role if len(set(roles)) > 1 else None) for file, role in zip(files, roles, strict=True)]
