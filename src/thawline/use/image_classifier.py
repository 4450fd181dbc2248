"""A model in any form and pictures in any form -> classes, probabilities, rows with doubt: what `thawline.load` gives.

The one idea: it answers in the words of scikit-learn (`predict`, `predict_proba`, `classes_`) by the code that answers
on the command line. From an exported file nothing of torch is loaded; the model folder is opened when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from thawline.core.errors import BundleError, DataError, first_few
from thawline.core.html import html_table
from thawline.core.progress import Progress
from thawline.core.types import Floats, Prediction, Predictions
from thawline.data.in_memory import Channels
from thawline.data.sources.given import given_pictures
from thawline.use.answer import Answering
from thawline.use.doubt import Doubt
from thawline.use.model_place import ModelPlace, find_model, open_model
from thawline.use.predict import predict_each

if TYPE_CHECKING:
    from thawline.use.bundle import Bundle

__all__ = ["ImageClassifier", "Model", "bundle_of", "load", "predict", "predict_pictures"]

SHOWN_CLASSES = 8


class ImageClassifier:
    """A model, open and ready to answer. Threads may share it.

    Attributes:
        answering: The form that answers: a network, or an exported file.
        named: What was loaded, in words.
        device: Where a network runs.
    """

    def __init__(
        self,
        answering: Answering,
        *,
        named: str,
        device: str = "auto",
        place: ModelPlace | None = None,
        bundle: Bundle | None = None,
    ) -> None:
        self.answering = answering
        self.named = named
        self.device = device
        self._place = place
        self._bundle = bundle

    def __repr__(self) -> str:
        names = first_few(self.class_names, SHOWN_CLASSES)
        return f"<ImageClassifier {self.named}: {len(self.class_names):,} classes ({names})>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: what it is, which classes it knows, and when it abstains."""
        names = first_few(self.class_names, 3 * SHOWN_CLASSES)
        rows = [("classes", f"{len(self.class_names):,}: {names}"), ("abstains", _doubt_text(self.doubt))]
        return html_table(self.named, ("", ""), rows=rows)

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the probabilities."""
        return self.answering.class_names

    @property
    def classes_(self) -> npt.NDArray[np.str_]:
        """The class names as scikit-learn has them: a (K,) array of text, in the order of `predict_proba`."""
        return np.array(self.class_names)

    @property
    def doubt(self) -> Doubt | None:
        """When the model abstains; None where it answers always."""
        return self.answering.doubt

    @cached_property
    def bundle(self) -> Bundle:
        """The model folder, verified and loaded: its manifest, its networks and the digests of what it learnt from.

        Raises:
            BundleError: An exported file alone was loaded, which has no folder; or the folder is damaged.
        """
        if self._bundle is not None:
            return self._bundle
        folder = None if self._place is None else self._place.folder
        if folder is None:
            raise BundleError(
                f"load {self.named}: an exported file alone, without its network. Load the run's folder, or its model "
                "folder."
            )
        from thawline.use.bundle import load_bundle

        return load_bundle(folder, device=self.device)

    def stream(
        self, pictures: object, *, channels: Channels = "rgb", progress: Progress | None = None
    ) -> Iterator[Prediction]:
        """Yield the row of every picture in order, as soon as its batch is done; memory stays bounded.

        Args:
            pictures: One or many, as `thawline.data.sources.given.given_pictures` takes them.
            channels: Order of the colours of arrays: `rgb`, or `bgr` as OpenCV reads files.
            progress: Where to report to.

        Raises:
            MissingError: Paths that lead nowhere.
            InputError: What is no picture by its type, shape or values.
        """
        return predict_each(self.answering, given_pictures(pictures, channels=channels), progress=progress)

    def answers(self, pictures: object, *, channels: Channels = "rgb", progress: Progress | None = None) -> Predictions:
        """Return the rows of all pictures, in order, with what the model doubts; one that cannot be decoded says so.

        Args:
            pictures: As in `stream`.
            channels: As in `stream`.
            progress: Where to report to.

        Raises:
            MissingError: As `stream`.
            InputError: As `stream`.
        """
        return Predictions(self.class_names, tuple(self.stream(pictures, channels=channels, progress=progress)))

    def predict(self, pictures: object, *, channels: Channels = "rgb") -> npt.NDArray[np.str_]:
        """Return (N,) class names, the most probable of each picture, also where the model abstains: see `answers`.

        Args:
            pictures: As in `stream`; a folder counts as all of its pictures.
            channels: As in `stream`.

        Raises:
            DataError: A picture cannot be decoded.
            MissingError: As `stream`.
            InputError: As `stream`.
        """
        names: npt.NDArray[np.str_] = self.classes_[self.predict_proba(pictures, channels=channels).argmax(axis=1)]
        return names

    def predict_proba(self, pictures: object, *, channels: Channels = "rgb") -> Floats:
        """Return (N, K) float32 probabilities in the order of `classes_`; rows sum to 1.

        Args:
            pictures: As in `predict`.
            channels: As in `stream`.

        Raises:
            DataError: As `predict`.
            MissingError: As `stream`.
            InputError: As `stream`.
        """
        shares: list[npt.NDArray[np.float32]] = []
        unread: list[str] = []
        for row in self.stream(pictures, channels=channels):
            if row.error is not None:
                unread.append(f"{row.path} ({row.error})")
            shares.append(np.array([row.probabilities.get(name, 0.0) for name in self.class_names], dtype=np.float32))
        if unread:
            counted = f"{len(unread):,} of {len(shares):,} pictures cannot be read: " if len(shares) > 1 else ""
            raise DataError(f"predict: {counted}{first_few(unread)}. Leave out what is no picture, or take `answers`.")
        return np.stack(shares) if shares else np.empty((0, len(self.class_names)), dtype=np.float32)


Model: TypeAlias = "ImageClassifier | Bundle | Answering | Path | str"
"""A model by its place, or one that is loaded."""


def load(model: Model, *, device: str = "auto") -> ImageClassifier:
    """Return a model that answers pictures of any kind: `predict`, `predict_proba`, `classes_`, `answers`.

    Where an exported ONNX file of the model lies in the run, it answers, and no torch is loaded. A model that is loaded
    already is returned as it is.

    Args:
        model: The folder of a run, a model folder, an exported ONNX file.
        device: Where its network runs: `auto`, `cpu`, `cuda`, `mps`; the last two need the folder.

    Raises:
        BundleError: A file is missing, altered, unknown or a link; or the golden pictures get other answers here.
    """
    if isinstance(model, ImageClassifier):
        return model
    if isinstance(model, str | Path):
        place = find_model(model)
        return ImageClassifier(open_model(place, device=device), named=str(place.named), device=device, place=place)
    bundle: Any = model if hasattr(model, "classifier") else None
    if bundle is not None:
        return ImageClassifier(bundle.classifier, named=str(bundle.directory), device=device, bundle=bundle)
    answering: Any = model
    return ImageClassifier(answering, named=getattr(answering, "name", type(model).__name__), device=device)


def predict(
    model: Model,
    pictures: object,
    *,
    channels: Channels = "rgb",
    device: str = "auto",
    progress: Progress | None = None,
) -> Predictions:
    """Return a prediction for every picture, in order; what cannot be decoded gets a row with an error.

    Args:
        model: As in `load`.
        pictures: One or many: paths (files, folders, archives, tables, and what else `fit` reads), arrays of (H, W, 3),
            (H, W, 4) or (H, W) in uint8 or floats from 0 to 1, pictures of Pillow, bytes, open files; a list, a
            (N, H, W, 3) or (N, H, W) array, a generator. Labels are not needed.
        channels: Order of the colours of arrays: `rgb`, or `bgr` as OpenCV reads files.
        device: Where the network of a folder runs.
        progress: Where to report to.

    Raises:
        MissingError: Paths that lead nowhere, all of them named; it is a `FileNotFoundError` too.
        InputError: What is no picture by its type, shape or values; it is a `ValueError` too.
    """
    return load(model, device=device).answers(pictures, channels=channels, progress=progress)


def predict_pictures(
    model: Model,
    pictures: object,
    *,
    channels: Channels = "rgb",
    device: str = "auto",
    progress: Progress | None = None,
) -> Iterator[Prediction]:
    """Yield what `predict` returns, row by row: memory stays bounded however many pictures a generator yields.

    Args:
        model: As in `predict`.
        pictures: As in `predict`.
        channels: As in `predict`.
        device: As in `predict`.
        progress: Where to report to.

    Raises:
        MissingError: As `predict`.
        InputError: As `predict`.
    """
    return load(model, device=device).stream(pictures, channels=channels, progress=progress)


def bundle_of(model: Model, *, device: str = "auto") -> Bundle:
    """Return the model folder behind what a person names or has loaded; no other form is opened for it.

    Args:
        model: As in `load`.
        device: Where its network runs; a loaded model has its own.

    Raises:
        BundleError: As `load`; or it is an exported file alone.
    """
    if isinstance(model, str | Path):
        from thawline.use.bundle import load_bundle

        place = find_model(model)
        return load_bundle(place.folder or place.named, device=device)
    return load(model).bundle


def _doubt_text(doubt: Doubt | None) -> str:
    """Return when a model abstains, in words."""
    if doubt is None:
        return "never"
    strange = f'"none of these" where a picture looks stranger than {1 - doubt.false_alarms:.0%} of those held out'
    if doubt.min_probability is None:
        return strange
    return f'{strange}; "not sure" below a probability of {doubt.min_probability:.3f}'
