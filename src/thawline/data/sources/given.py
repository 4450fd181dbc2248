"""What a person hands over in Python -> pictures with a name each: paths, arrays, Pillow's pictures, bytes, open files.

The one idea: each becomes encoded bytes, and from there on nothing knows where a picture came from. What is named and
not there, or is no picture by its type, shape or values, raises; what only decoding can tell becomes a row.
"""

from __future__ import annotations

import glob
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from thawline.core.errors import DataError, InputError, MissingError, UsageError, first_few
from thawline.data.in_memory import (
    CHANNELS,
    Array,
    Channels,
    array_of,
    check_values,
    encode_image,
    encode_pixels,
    is_array,
)
from thawline.data.sources.listing import FileSource, display_path
from thawline.data.sources.picture_files import NoFile
from thawline.data.sources.places import Place
from thawline.data.sources.unlabelled import Answerable, pictures_in

__all__ = ["BytesSource", "PixelSource", "given_pictures", "one_each"]

KINDS = "a path, an array of (H, W), (H, W, 3) or (H, W, 4), a picture of Pillow, bytes or an open file"


@dataclass(frozen=True, repr=False)
class BytesSource:
    """An encoded picture in memory."""

    data: bytes

    @property
    def held_bytes(self) -> int:
        """Memory that it keeps."""
        return len(self.data)

    def read(self) -> bytes:
        """Return the encoded picture."""
        return self.data


@dataclass(frozen=True, repr=False)
class PixelSource:
    """A picture that is an array, or a part of one; encoded whenever it is read.

    Attributes:
        pixels: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
        channels: Order of its colours.
    """

    pixels: Array = field(compare=False)
    channels: Channels

    @property
    def held_bytes(self) -> int:
        """Memory that it keeps."""
        return self.pixels.nbytes

    def read(self) -> bytes:
        """Return the encoded picture."""
        return encode_pixels(self.pixels, channels=self.channels)


def given_pictures(
    pictures: object, *, channels: Channels = "rgb", doing: str = "predict"
) -> Sequence[Answerable] | Iterator[Answerable]:
    """Return every picture that a person hands over, in order: all at once where only paths are, else one by one.

    One picture, or many: a list, a (N, H, W, 3) or (N, H, W) array, a generator. A folder, archive or table counts as
    all of its pictures. Pictures without a name are called `picture 0`, `picture 1`, … by their place. Of a generator
    nothing is kept: what it yields may change afterwards.

    Args:
        pictures: Paths, NumPy arrays (uint8, uint16, bool, or floats from 0 to 1), tensors of PyTorch (channels first),
            pictures of Pillow, encoded bytes, files opened with "rb".
        channels: Order of the colours of arrays; everything else says it itself.
        doing: What errors call the operation.

    Raises:
        MissingError: Paths that lead nowhere, all of them named; of a generator when it comes to one.
        InputError: What is no picture by its type, shape or values; of single ones when it comes to them.
        UsageError: No such order of channels, or an invalid name after `hf:` or `torchvision:`.
    """
    if channels not in ("rgb", "bgr"):
        raise UsageError(
            f"{doing}: channels={channels!r}: `rgb` and `bgr` are possible. Name the order of the colours."
        )
    many = _many(pictures, doing)
    if isinstance(many, Sequence) or (isinstance(many, np.ndarray) and many.ndim == 1):
        _require_paths([item for item in many if _is_path(item)], doing, is_there=_is_there)
        if all(map(_is_path, many)):
            return pictures_in([os.fspath(item) for item in many])
        return _each(iter(many), channels, doing, is_kept=True)
    return _each(iter(many), channels, doing, is_kept=isinstance(many, np.ndarray))


def one_each(pictures: object, *, channels: Channels = "rgb", doing: str = "fit") -> list[Answerable]:
    """Return N pictures, one for each item of what a person hands over: nothing is a folder, and nothing single.

    Arrays are kept as they are and encoded when they are read; files stay on the disk.

    Args:
        pictures: As in `given_pictures`, many of them.
        channels: As in `given_pictures`.
        doing: As in `given_pictures`.

    Raises:
        MissingError: As `given_pictures`.
        InputError: As `given_pictures`; or folders are among them, or it is a single picture.
    """
    if hasattr(pictures, "tocsr"):
        raise InputError(f"{doing}: a sparse matrix; {KINDS}, in a list or stacked, are required.")
    if _is_single(pictures) or isinstance(pictures, (str, bytes)):
        shape = f" of shape {tuple(np.shape(array_of(pictures)))}" if is_array(pictures) else ""
        rows = " A row of numbers is no picture: X.reshape(len(X), height, width) makes it one." if shape else ""
        raise InputError(
            f"{doing}: a single {type(pictures).__name__}{shape}; many pictures are required: a list, or an array of "
            f"(N, H, W) or (N, H, W, 3).{rows}"
        )
    many = _many(pictures, doing)
    if isinstance(many, np.ndarray) and many.ndim == 1 and many.dtype.kind in "biufc":
        raise InputError(
            f"{doing}: a row of {len(many):,} numbers is no picture. Reshape your data: (N, H, W), or (N, H, W, 3), is "
            "required."
        )
    items = list(many) if not isinstance(many, np.ndarray) else many
    paths = [item for item in items if _is_path(item)]
    _require_paths(paths, doing, is_there=_exists)
    folders = [display_path(os.fspath(path)) for path in paths if os.path.isdir(path)]  # noqa: PTH112 -- long names
    if folders:
        raise InputError(
            f"{doing}: {first_few(folders)} {'is a folder' if len(folders) == 1 else 'are folders'}; every item has to "
            "be one picture, since each has a label of its own. Name the files."
        )
    return [_answerable(item, number, channels, doing, is_kept=True) for number, item in enumerate(items)]


def _is_path(item: object) -> bool:
    return isinstance(item, str | os.PathLike)


def _is_single(pictures: object) -> bool:
    """Return whether it is one picture: an array of (H, W) or (H, W, C), bytes, a picture of Pillow or an open file."""
    if is_array(pictures):
        array = array_of(pictures)
        return array.ndim == 2 or (array.ndim == 3 and array.shape[2] in CHANNELS)
    return isinstance(pictures, bytes | bytearray | memoryview | Image.Image) or hasattr(pictures, "read")


def _many(pictures: Any, doing: str) -> Iterable[Any]:
    """Return what was handed over as many pictures; arrays are checked as a whole."""
    try:
        is_single = _is_single(pictures)
    except InputError as error:
        raise InputError(f"{doing}: {error}.") from None
    if _is_path(pictures) or is_single:
        return [pictures]
    if is_array(pictures):
        array = array_of(pictures)
        _check_stack(array, doing)
        return array
    is_table = hasattr(pictures, "columns")
    if isinstance(pictures, Mapping | set | frozenset) or is_table or not isinstance(pictures, Iterable):
        hint = "Give one of its columns" if is_table else f"Give {KINDS}; one, or many in a list"
        raise InputError(f"{doing}: {type(pictures).__name__} is neither a picture nor many in an order. {hint}.")
    if isinstance(pictures, Sequence | np.ndarray) or not hasattr(pictures, "__len__"):
        return pictures
    return list(pictures)  # a column of pandas, and the like


def _check_stack(array: Array, doing: str) -> None:
    """Refuse an array that is no (N, H, W) or (N, H, W, C), or whose values are no levels of light."""
    shape = array.shape
    channels_first = (array.ndim == 3 and shape[0] in {3, 4}) or (
        array.ndim == 4 and shape[1] in CHANNELS and shape[3] not in CHANNELS
    )
    if channels_first:
        axis = 0 if array.ndim == 3 else 1
        grey = f", or in a list if they are {shape[0]} grey pictures" if array.ndim == 3 else ""
        raise InputError(
            f"{doing}: an array of shape {shape} looks like channels first; (H, W, 3), (N, H, W) or (N, H, W, 3) is "
            f"required. Move the channels to the end, np.moveaxis(X, {axis}, -1){grey}."
        )
    if array.ndim not in {3, 4} or (array.ndim == 4 and shape[3] not in CHANNELS) or 0 in shape[1:]:
        raise InputError(
            f"{doing}: an array of shape {shape} is neither a picture nor many; (H, W) or (H, W, 3), or (N, H, W) or "
            "(N, H, W, 3), is required. Reshape it."
        )
    try:
        check_values(array)
    except InputError as error:
        raise InputError(f"{doing}: {error}.") from None


def _require_paths(
    paths: Sequence[str | os.PathLike[str]], doing: str, *, is_there: Callable[[str | os.PathLike[str]], bool]
) -> None:
    """Refuse paths that lead nowhere."""
    missing = [display_path(os.fspath(path)) for path in paths if not is_there(path)]
    if missing:
        counted = f"{len(missing):,} of the {len(paths):,} files and folders are not there"
        what = "there is no such file or folder" if len(paths) == 1 else counted
        raise MissingError(
            f"{doing} {first_few(missing)}: {what}. Check the spelling; relative paths start at {Path.cwd()}."
        )


def _exists(path: str | os.PathLike[str]) -> bool:
    try:
        return os.path.exists(path)  # noqa: PTH110 -- Path.exists raises for a name that is too long
    except ValueError:  # a null byte
        return False


def _is_there(path: str | os.PathLike[str]) -> bool:
    """Return whether a name leads to what `pictures_in` lists: a file, a folder, a glob, `hf:` and the like."""
    if _exists(path) or not isinstance(path, str):
        return _exists(path)
    if glob.has_magic(path):
        return any(glob.iglob(path, recursive=True))  # noqa: PTH207 -- as `pictures_in` takes it
    return bool(Place.of(path).scheme)


def _each(items: Iterator[Any], channels: Channels, doing: str, *, is_kept: bool) -> Iterator[Answerable]:
    """Yield the pictures of many; `is_kept` says that an array stays as it is until its picture has been read."""
    for number, item in enumerate(items):
        if _is_path(item):
            _require_paths([item], doing, is_there=_is_there)
            yield from pictures_in([os.fspath(item)])
        else:
            yield _answerable(item, number, channels, doing, is_kept=is_kept)


def _answerable(item: Any, number: int, channels: Channels, doing: str, *, is_kept: bool) -> Answerable:
    """Return one picture under its name; one that cannot be decoded will say so when it is read."""
    name = f"picture {number}"
    if _is_path(item):
        return display_path(os.fspath(item)), FileSource(Path(item))
    try:
        if isinstance(item, Image.Image):
            own = getattr(item, "filename", "")
            name = display_path(os.fsdecode(own)) if own else name
            return name, BytesSource(encode_image(item))
        if isinstance(item, bytes | bytearray | memoryview):
            return name, BytesSource(bytes(item))
        if hasattr(item, "read"):
            own = getattr(item, "name", "")
            return (display_path(own) if isinstance(own, str) and own else name), BytesSource(_contents(item))
        if not is_array(item):
            raise InputError(f"it is of type {type(item).__name__}. Give {KINDS}")
        pixels = array_of(item)
        if pixels.ndim > 3 or (pixels.ndim == 3 and pixels.shape[2] not in CHANNELS) or not pixels.size:
            first = (
                " Move the channels to the end" if pixels.ndim == 3 and pixels.shape[0] in CHANNELS else " Reshape it"
            )
            raise InputError(f"an array of shape {pixels.shape}; (H, W), (H, W, 3) or (H, W, 4) is required.{first}")
        check_values(pixels)
        source = PixelSource(pixels, channels)
        return name, source if is_kept else BytesSource(source.read())
    except InputError as error:
        raise InputError(f"{doing}: {name}: {error}.") from None
    except DataError as error:
        return name, NoFile(str(error))


def _contents(stream: Any) -> bytes:
    """Return what is left of an open file."""
    data = "" if isinstance(stream, io.TextIOBase) else stream.read()
    if isinstance(data, str):
        raise InputError("a file that was opened as text. Open it with mode 'rb'")
    if not data:
        raise InputError("an open file that is at its end, with nothing left to read. Go to its beginning with seek(0)")
    return bytes(data)
