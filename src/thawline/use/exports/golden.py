"""Golden pictures of a model: encoded pictures with the answers that every form of the model must give.

One idea: they travel with each export, in the metadata of a file or as files of a folder, so that any machine can
repeat what was proved when it was written.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationError

from thawline.core.errors import BundleError
from thawline.core.store import write_json
from thawline.core.types import Floats
from thawline.use.network_facts import Strict

__all__ = ["GOLDEN_FILE", "GoldenPicture", "GoldenSet", "golden_from_text", "read_golden", "write_golden"]

GOLDEN_FILE = "golden.json"


class GoldenPicture(Strict):
    """A picture and the answer that it must get.

    Attributes:
        file: Its name, below the folder that holds it where it is a file.
        probabilities: K of them, in the order of the classes.
        outside: How strange it looks; None where the model does not know.
        data: The encoded picture in base64; None where it is a file of its own.
    """

    file: Annotated[str, Field(pattern=r"^golden/[a-z0-9][a-z0-9_.-]*$", max_length=80)]
    probabilities: list[float] = Field(min_length=2)
    outside: float | None = None
    data: str | None = Field(default=None, repr=False)

    @property
    def picture(self) -> bytes:
        """The encoded picture."""
        return b64decode(self.data or "", validate=True)

    @property
    def shares(self) -> Floats:
        """The (K,) float32 probabilities."""
        return np.array(self.probabilities, dtype=np.float32)


class GoldenSet(Strict):
    """What an export proves itself by.

    Attributes:
        kind: Of the export, by its name in `KINDS`.
        manifest_seal: Of the model folder that it was made from.
        allowed: How far a probability, or how strange a picture looks, may be off; None: as far as it is.
        least_agreement: Least share of the pictures that get the class of the model folder, in [0, 1].
        pictures: One or more.
    """

    kind: str
    manifest_seal: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    allowed: Annotated[float, Field(gt=0)] | None
    least_agreement: Annotated[float, Field(ge=0, le=1)]
    pictures: list[GoldenPicture] = Field(min_length=1, repr=False)

    def with_pictures(self, read: Callable[[str], bytes]) -> GoldenSet:
        """Return the same with the pictures inside; `read` gives the content of a file by its name."""
        whole = [each.model_copy(update={"data": b64encode(read(each.file)).decode()}) for each in self.pictures]
        return self.model_copy(update={"pictures": whole})

    def text(self) -> str:
        """Return it as JSON with the pictures inside: for the metadata of a file."""
        return self.model_dump_json(exclude_none=False)


def golden_from_text(text: str, *, name: str) -> GoldenSet:
    """Return what `GoldenSet.text` wrote.

    Args:
        text: JSON with the pictures inside.
        name: Of the export, for errors.

    Raises:
        BundleError: It is something else.
    """
    return _checked(text, name=name, read=None)


def write_golden(folder: Path, golden: GoldenSet) -> None:
    """Write `golden.json` and the pictures in `golden/` into a new folder.

    Raises:
        StoreError: The disk is full or cannot be written.
    """
    (folder / "golden").mkdir(parents=True, exist_ok=True)
    for picture in golden.pictures:
        (folder / picture.file).write_bytes(picture.picture)
    bare = [picture.model_copy(update={"data": None}) for picture in golden.pictures]
    write_json(folder / GOLDEN_FILE, golden.model_copy(update={"pictures": bare}).model_dump())


def read_golden(folder: Path) -> GoldenSet:
    """Return what `write_golden` wrote.

    Raises:
        BundleError: A file is missing, or says something else.
    """
    path = folder / GOLDEN_FILE
    try:
        return _checked(
            path.read_text(encoding="utf-8"), name=str(path), read=lambda file: (folder / file).read_bytes()
        )
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"load {path}: cannot be read: {error}. Export it again.") from None


def _checked(text: str, *, name: str, read: Callable[[str], bytes] | None) -> GoldenSet:
    try:
        golden = GoldenSet.model_validate_json(text)
        if read is not None:
            golden = golden.with_pictures(read)
        for picture in golden.pictures:
            if not picture.picture:
                raise ValueError(f"{picture.file} is empty")
    except (ValidationError, ValueError) as error:
        reason = " ".join(str(error).split())[:150]
        raise BundleError(
            f"load {name}: its golden pictures are not as they were written: {reason}. Export it again."
        ) from None
    return golden
