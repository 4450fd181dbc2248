"""A folder of pictures from outside the set -> the answers of a model to some of them, and notes.

One idea: a folder may be huge, badly sorted or half broken; a look at it takes the first of each folder, then the
second, and so on, until there are enough, and never stops the run that it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path

from thawline.core.errors import DataError, UsageError, first_few
from thawline.core.progress import Progress
from thawline.data.images import decode, encode_jpeg
from thawline.data.sources.listing import FileSource
from thawline.data.sources.unlabelled import files_in
from thawline.use.bundle import Bundle
from thawline.use.predict import predict_pictures
from thawline.view.report_data import Outside

__all__ = ["answer_outside", "outside_files"]

SHOWN = 48
NAMED = 5


def outside_files(folder: Path | None, *, limit: int = SHOWN) -> tuple[Path, ...]:
    """Return the files that will be shown, sorted; none where no folder is given.

    Args:
        folder: Where they lie, hidden files left out; or one picture.
        limit: Files at most: of each folder the first, then of each the second, and so on.

    Raises:
        UsageError: There is no such folder, or no file in it.
    """
    if folder is None:
        return ()
    by_folder: dict[Path, list[Path]] = {}
    found: list[Path] = []
    if folder.is_dir():
        found = [source.path for source in files_in(folder)[0]]
    elif folder.exists():
        found = [folder]
    for path in found:
        by_folder.setdefault(path.parent, []).append(path)
    if not by_folder:
        raise UsageError(f"recipe run: --outside {folder} holds no pictures. Name a folder of pictures.")
    in_turn = chain.from_iterable(zip_longest(*by_folder.values()))
    return tuple(sorted(islice((path for path in in_turn if path is not None), limit)))


def answer_outside(
    files: Sequence[Path], bundle: Bundle, *, longest_px: int, progress: Progress
) -> tuple[tuple[Outside, ...], tuple[str, ...]]:
    """Return the answers of a model to every picture that can be read, and a note on the files that cannot.

    Args:
        files: As `outside_files` returns them.
        bundle: The model.
        longest_px: Longer side of the thumbnails in pixels.
        progress: Where to report to.
    """
    if not files:
        return (), ()
    rows, unread = [], []
    for path, answer in zip(files, predict_pictures(bundle, files, progress=progress), strict=True):
        try:
            if answer.label is None or answer.probability is None:
                raise DataError(answer.error or "it cannot be read")
            data, rendering = FileSource(path).read(), bundle.classifier.inputs[0].rendering
            jpeg = encode_jpeg(decode(data, longest_px, rendering=rendering).image, longest_px)
        except DataError as error:
            unread.append(f"{answer.path} ({error})")
            continue
        true = path.parent.name if path.parent.name in bundle.class_names else None
        rows.append(Outside(answer.path, jpeg, answer.label, answer.probability, true))
    note = f"Of {len(files)} files from outside {len(unread)} cannot be read: {first_few(unread, NAMED)}."
    return tuple(rows), (note,) if unread else ()
