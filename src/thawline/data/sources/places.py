"""What a person names the pictures by: a path, or `scheme:rest`, such as `hf:OWNER/NAME`.

The one idea: a place is text that is kept as it was given. As a `Path`, `webdataset:https://host/a.tar` would lose a
slash, so only what is known to be on this machine's disk becomes one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from thawline.core.remote_files import is_remote
from thawline.core.store import content_key, expand_user

__all__ = ["SCHEMES", "Place"]

SCHEMES = ("webdataset", "hf", "torchvision")


@dataclass(frozen=True)
class Place:
    """Where pictures are read from; `str` gives the text back unchanged.

    Attributes:
        scheme: One of `SCHEMES`, or empty for a path.
        rest: What follows the scheme and its colon; without a scheme, the path.
    """

    scheme: str
    rest: str

    @classmethod
    def of(cls, value: str | Path | Place) -> Place:
        """Return the place that a text or a path names.

        >>> Place.of("hf:beans")
        Place(scheme='hf', rest='beans')
        >>> Place.of("photos/")
        Place(scheme='', rest='photos/')
        >>> str(Place.of("webdataset:https://host/a.tar"))
        'webdataset:https://host/a.tar'
        """
        if isinstance(value, Place):
            return value
        scheme, colon, rest = str(value).partition(":")
        return cls(scheme, rest) if colon and scheme in SCHEMES else cls("", str(value))

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}" if self.scheme else self.rest

    @property
    def is_far(self) -> bool:
        """Whether it is an address that fsspec reads, such as `s3://bucket/train-000.tar`."""
        return self.scheme in {"", "webdataset"} and is_remote(self.rest)

    @property
    def path(self) -> Path | None:
        """The path on this machine, whether or not it exists; None for an address or a name that a service knows.

        Shards are always files, a data set for `datasets` only where its name begins like a path.
        """
        if self.is_far:
            return None
        if not self.scheme:
            return Path(self.rest)
        if self.scheme == "webdataset":
            is_path = "://" not in self.rest and not self.rest.startswith("pipe:")  # an address, or a command
        else:
            is_path = self.scheme == "hf" and self.rest.startswith((".", "/", "~"))
        return expand_user(self.rest) if is_path else None

    @property
    def folder(self) -> Path | None:
        """The existing folder that holds the pictures, or None where it is no folder of this machine."""
        path = self.path
        if path is not None and self.scheme == "hf" and not path.exists():  # `hf:./birds:train` names a split too
            path = path.with_name(path.name.rpartition(":")[0] or path.name)
        return path if path is not None and path.is_dir() else None

    @property
    def title(self) -> str:
        """A short name for people: the last part of a path, else the rest as it is."""
        return self.rest if self.path is None else self.path.resolve().name

    @property
    def key(self) -> str:
        """What tells the place from any other, from any folder and through links: 12 hex digits."""
        where = self.rest if self.path is None else os.path.realpath(self.path)
        return content_key([self.scheme, where])[:12]

    def absolute(self) -> Place:
        """Return the place that means the same from any folder."""
        return self if self.path is None else Place(self.scheme, str(self.path.absolute()))

    def beside(self, folder: Path) -> Place:
        """Return the place that a file in `folder` names by this text: relative paths start at that folder."""
        return self if self.path is None else Place(self.scheme, str((folder / self.path).absolute()))
