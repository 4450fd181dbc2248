"""What a person names the pictures by: a path, or `scheme:rest` -> its parts, its title, the same from any folder.

A place travels as a `Path` like any other (`Path("hf:beans")` keeps its text); whoever wants more of it than its text
asks here.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["SCHEMES", "absolute_place", "folder_of", "place_beside", "place_title", "split_place"]

SCHEMES = ("webdataset", "hf", "torchvision")


def split_place(place: str | Path) -> tuple[str, str]:
    """Return the scheme, empty for a path, and the rest.

    >>> split_place("hf:beans")
    ('hf', 'beans')
    >>> split_place("photos/")
    ('', 'photos/')
    """
    scheme, colon, rest = str(place).partition(":")
    return (scheme, rest) if colon and scheme in SCHEMES else ("", str(place))


def absolute_place(place: str | Path) -> Path:
    """Return a place that means the same from any folder."""
    scheme, rest = split_place(place)
    if not scheme:
        return Path(place).resolve()
    if _is_local(scheme, rest):
        return Path(f"{scheme}:{Path(rest).expanduser().absolute()}")
    return Path(place)


def place_beside(folder: Path, place: str) -> Path:
    """Return a place that a file in `folder` names: a path there is relative to the file."""
    scheme, rest = split_place(place)
    if not scheme:
        return folder / place
    if _is_local(scheme, rest):
        return Path(f"{scheme}:{(folder / Path(rest).expanduser()).absolute()}")
    return Path(place)


def place_title(place: str | Path) -> str:
    """Return a short name for people: a folder's or file's own, a data set's own."""
    scheme, rest = split_place(place)
    if not scheme:
        return Path(place).resolve().name
    return Path(rest).absolute().name if _is_local(scheme, rest) else rest


def folder_of(place: str | Path) -> Path | None:
    """Return the folder whose pictures a place stands for, or None where it is no folder of this machine."""
    scheme, rest = split_place(place)
    if scheme and not _is_local(scheme, rest):
        return None
    folder = Path(rest).expanduser() if scheme else Path(place)
    return folder if folder.is_dir() else None


def _is_local(scheme: str, rest: str) -> bool:
    """Whether the rest is a path: shards always are, a data set's name only where it begins like one."""
    return scheme == "webdataset" or (scheme == "hf" and rest.startswith(("./", "../", "/", "~")))
