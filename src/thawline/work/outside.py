"""A folder of pictures from outside the set -> the answers of a model to some of them, and notes.

One idea: a folder may be huge, badly sorted or half broken; a look at it takes the first of each folder, then the
second, and so on, until there are enough, and never stops the run that it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice, zip_longest
from operator import itemgetter
from pathlib import Path, PurePosixPath

from thawline.core.errors import DataError, UsageError, first_few
from thawline.core.progress import Progress
from thawline.data.images import decode, encode_jpeg
from thawline.data.sources.unlabelled import Answerable, pictures_in
from thawline.use.bundle import Bundle
from thawline.use.predict import predict_each
from thawline.view.report_data import Outside

__all__ = ["answer_outside", "outside_pictures"]

SHOWN = 48
NAMED = 5


def outside_pictures(folder: Path | None, *, limit: int = SHOWN) -> tuple[Answerable, ...]:
    """Return the pictures that will be shown, sorted by their names; none where no folder is given.

    Args:
        folder: Where they lie, in files, tables or archives; or one of these.
        limit: Pictures at most: of each folder the first, then of each the second, and so on.

    Raises:
        UsageError: There is no such folder, or no picture in it.
    """
    if folder is None:
        return ()
    by_folder: dict[str, list[Answerable]] = {}
    for name, source in pictures_in([folder]) if folder.exists() else ():
        by_folder.setdefault(str(PurePosixPath(name).parent), []).append((name, source))
    if not by_folder:
        raise UsageError(f"recipe run: --outside {folder} holds no pictures. Name a folder of pictures.")
    in_turn = chain.from_iterable(zip_longest(*by_folder.values()))
    shown = islice((picture for picture in in_turn if picture is not None), limit)
    return tuple(sorted(shown, key=itemgetter(0)))


def answer_outside(
    pictures: Sequence[Answerable], bundle: Bundle, *, longest_px: int, progress: Progress
) -> tuple[tuple[Outside, ...], tuple[str, ...]]:
    """Return the answers of a model to every picture that can be read, and a note on those that cannot.

    Args:
        pictures: As `outside_pictures` returns them.
        bundle: The model.
        longest_px: Longer side of the thumbnails in pixels.
        progress: Where to report to.
    """
    if not pictures:
        return (), ()
    rows, unread = [], []
    answers = predict_each(bundle.classifier, pictures, progress=progress)
    for (name, source), answer in zip(pictures, answers, strict=True):
        try:
            if answer.label is None or answer.probability is None:
                raise DataError(answer.error or "it cannot be read")
            rendering = bundle.classifier.inputs[0].rendering
            jpeg = encode_jpeg(decode(source.read(), longest_px, rendering=rendering).image, longest_px)
        except DataError as error:
            unread.append(f"{name} ({error})")
            continue
        true = _folder(name) if _folder(name) in bundle.class_names else None
        rows.append(Outside(name, jpeg, answer.label, answer.probability, true))
    note = f"Of {len(pictures)} files from outside {len(unread)} cannot be read: {first_few(unread, NAMED)}."
    return tuple(rows), (note,) if unread else ()


def _folder(name: str) -> str:
    """Return the name of the folder that a picture lies in."""
    return PurePosixPath(name).parent.name
