"""Pictures in, Predictions out, through the decoder, fit and reader of the training run.

A file that cannot be read gets a row with its error, and the others are predicted. Whatever form the model has, no
torch is loaded here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Sized
from pathlib import Path

from thawline.core.errors import DataError, first_few
from thawline.core.progress import Progress, SilentProgress
from thawline.core.types import Prediction
from thawline.data.dataset import Source
from thawline.data.sources.listing import FileSource
from thawline.data.sources.unlabelled import Answerable, pictures_in
from thawline.use.answer import Answering, Prepared, row_of

__all__ = ["Tally", "predict_each", "predict_pictures"]

HELD_BYTES = 64 << 20
"""Memory of pictures that lie in it already, arrays and the like, beyond which a batch takes no more of them."""


def predict_pictures(
    model: Answering, paths: Sequence[Path | str], *, progress: Progress | None = None
) -> Iterator[Prediction]:
    """Yield a prediction for every picture in order, as soon as its batch is done; a bad file yields its error.

    Args:
        model: In any form.
        paths: Files, folders, archives, tables, and what else `fit` reads; see `pictures_in`.
        progress: Where progress is reported.

    Raises:
        UsageError: An invalid name after `hf:` or `torchvision:`.
    """
    yield from predict_each(model, pictures_in(paths), progress=progress)


def predict_each(
    model: Answering, pictures: Iterable[Answerable], *, progress: Progress | None = None
) -> Iterator[Prediction]:
    """Yield a prediction for every picture, as `predict_pictures` does.

    Memory does not grow with the number of pictures: a few batches are held, and of pictures that are in memory already
    no more than `HELD_BYTES` in each.

    Args:
        model: In any form.
        pictures: From `pictures_in` or `given_pictures`, some or all; taken no faster than they are answered.
        progress: Where progress is reported.
    """
    total = len(pictures) if isinstance(pictures, Sized) else None
    batches = _batches(pictures, model.batch_size)
    with (progress or SilentProgress()).stage("predict", total) as advance:
        for rows in model.in_streams(lambda batch: _predict_batch(model, batch), batches):
            yield from rows
            advance(len(rows))


def _batches(pictures: Iterable[Answerable], size: int) -> Iterator[list[Answerable]]:
    """Yield consecutive batches of at most `size` pictures; fewer where these hold much memory."""
    batch: list[Answerable] = []
    held = 0
    for picture in pictures:
        batch.append(picture)
        held += getattr(picture[1], "held_bytes", 0)
        if len(batch) == size or held >= HELD_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


class Tally:
    """Counts of rows that went by, told when they are done.

    Attributes:
        num_rows: All of them.
        num_answers: Those that could be read.
        doubts: Of these, those from which the model abstained, by why.
    """

    def __init__(self) -> None:
        self.num_rows = self.num_answers = 0
        self.doubts: Counter[str] = Counter()

    def counted(self, rows: Iterable[Prediction]) -> Iterator[Prediction]:
        """Yield the rows as they are, counted."""
        for row in rows:
            self.num_rows += 1
            self.num_answers += row.error is None
            if row.doubt is not None:
                self.doubts[row.doubt] += 1
            yield row

    def require_one(self, named: Sequence[Path | str]) -> None:
        """Raise where not one row was an answer, so that scripts notice.

        Args:
            named: Files and folders that the person named.

        Raises:
            DataError: Not one row was an answer.
        """
        if not self.num_answers:
            reason = "no file could be read, each row says why" if self.num_rows else "there is no file"
            raise DataError(
                f"predict {first_few(list(map(str, named)))}: {reason}. Name pictures, or folders that hold some."
            )


def _predict_batch(model: Answering, pictures: Sequence[Answerable]) -> list[Prediction]:
    batch: list[Prepared] = []
    remarks: list[tuple[str, ...]] = []
    errors: dict[int, str] = {}
    for index, (_, source) in enumerate(pictures):
        try:
            prepared, own = model.prepare(_read(source))
        except DataError as error:
            errors[index] = str(error)
        else:
            batch.append(prepared)
            remarks.append(own)
    answer = model.answers_to(batch) if batch else None
    places = iter(range(len(batch)))
    rows = []
    for index, (name, _) in enumerate(pictures):
        if answer is None or index in errors:
            rows.append(Prediction.failed(name, errors[index]))
        else:
            place = next(places)
            rows.append(row_of(model, name, answer=answer, place=place, remarks=remarks[place]))
    return rows


def _read(source: Source) -> bytes:
    """Return the bytes of a picture; raises `DataError` when it cannot be read."""
    if not isinstance(source, FileSource):
        return source.read()
    path = source.path
    try:
        if not path.is_file():
            raise DataError("no such file" if not path.exists() else "not a file")
        return source.read()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from None
