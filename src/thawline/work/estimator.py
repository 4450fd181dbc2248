"""Pictures X and labels y -> a classifier as scikit-learn has them: `thawline.ThawlineClassifier`.

The one idea: its constructor has the options of `thawline fit` by their names, and fitting it is the frozen comparison
of `fit` on all pictures. Their features come from the bank, so the folds of `cross_val_score` and the candidates of
`GridSearchCV` read each picture once for each network and size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from thawline.core.errors import DataError, InputError, UsageError
from thawline.core.options import Options, make_options
from thawline.core.types import Floats
from thawline.data.in_memory import Channels
from thawline.data.sources.given import one_each
from thawline.train.hyperparameters import TrainOptions
from thawline.use.image_classifier import ImageClassifier
from thawline.work.learnt import Learnt, answers_from_bank, learn

__all__ = ["ThawlineClassifier"]

Labels = npt.NDArray[Any]

BY_THEIR_NAMES = (
    "backbone", "weights", "size", "crop_share", "pooling", "metric", "class_weights", "folds", "repeats", "copies",
    "error_rate", "false_alarms", "device", "cache_dir", "on_bad",
)  # fmt: skip
"""Parameters that are options of a run under the same name."""


class ThawlineClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A picture classifier for scikit-learn: the best head on a frozen pretrained network, chosen by cross-validation.

    X is many pictures: a list of paths, of arrays or of pictures of Pillow, or one array of (N, H, W), (N, H, W, 3) or
    (N, H, W, 4), as uint8 or floats from 0 to 1. Pictures of all sizes are fine. y is N strings, whole numbers or
    bools.

    Every parameter but the last four is an option of `thawline fit` by its name; None is its default there.

    Args:
        backbone: A network or several: `efficientnet_lite0` (bundled), timm's, `hf-hub:OWNER/NAME`, `local-dir:DIR`.
        weights: File to take the backbone's weights from.
        size: Side of the network's square input in pixels.
        crop_share: Share of the shorter side that `crop` shows, 0.1 to 1.
        pooling: What is read at every depth: `mean`, `std`, `max`, `grid`.
        metric: `auto`, `accuracy` or `balanced_accuracy`: what strategies are compared by.
        class_weights: Of unequal classes: `auto`, `adjusted`, `balanced` or `none`.
        folds: Folds of the inner cross-validation, which chooses the head.
        repeats: How many times they are drawn.
        copies: What no inner fold parts: near copies too (`keep`), equal pixels (`exact`), or nothing (`ignore`).
        error_rate: Promised share of wrong answers of a model that is saved.
        false_alarms: Share of pictures that do belong which a model that is saved may call "none of these".
        augment: Policy of altered views that the best heads learn from too: `none`, `flip`, `crop`, `trivial`, …
        views: Versions of a picture, the plain one included.
        device: Where the network runs: `auto`, `cpu`, `cuda`, `mps`.
        cache_dir: Where features are kept.
        picture_fit: `fit`'s option `fit`: how a picture meets the square: `crop`, `letterbox`, `stretch`.
        channels: Order of the colours of arrays: `rgb`, or `bgr` as OpenCV reads files.
        random_state: Seed: a whole number, a RandomState, or None for another one at every fit.
        on_bad: What to do with pictures that cannot be decoded: `stop`, or `skip` them in fitting.

    Attributes:
        classes_: (K,) sorted labels, as in y.
        strategy_: Name of the strategy that won.
        leaderboard_: All strategies that were compared, best first.
    """

    def __init__(
        self,
        *,
        backbone: str | Sequence[str] = "efficientnet_lite0",
        weights: str | Path | None = None,
        size: int | None = None,
        crop_share: float | None = None,
        pooling: Sequence[str] = ("mean", "std"),
        metric: str = "auto",
        class_weights: str = "auto",
        folds: int = 5,
        repeats: int | None = None,
        copies: str = "keep",
        error_rate: float | None = None,
        false_alarms: float = 0.01,
        augment: str = "none",
        views: int | None = None,
        device: str = "auto",
        cache_dir: str | Path | None = None,
        picture_fit: str = "crop",
        channels: Channels = "rgb",
        random_state: Any = 0,
        on_bad: str = "stop",
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.size = size
        self.crop_share = crop_share
        self.pooling = pooling
        self.metric = metric
        self.class_weights = class_weights
        self.folds = folds
        self.repeats = repeats
        self.copies = copies
        self.error_rate = error_rate
        self.false_alarms = false_alarms
        self.augment = augment
        self.views = views
        self.device = device
        self.cache_dir = cache_dir
        self.picture_fit = picture_fit
        self.channels = channels
        self.random_state = random_state
        self.on_bad = on_bad

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # a row of numbers is no picture
        tags.input_tags.three_d_array = True
        tags.input_tags.one_d_array = tags.input_tags.string = True  # paths
        tags.non_deterministic = False
        return tags

    def fit(self, X: Any, y: Any, *, groups: Any = None) -> ThawlineClassifier:
        """Return this classifier, which has learnt from N pictures; their features are written into the cache.

        Args:
            X: N pictures.
            y: (N,) labels of two classes or more, of two pictures or more each.
            groups: (N,) names of what belongs together (a patient, a camera): inner folds do not part it.

        Raises:
            InputError: It is a ValueError: labels or pictures do not fit, a picture cannot be decoded.
            MissingError: It is a FileNotFoundError: paths that lead nowhere.
            UsageError: A parameter that cannot be.
        """
        self._options(0)  # before the pictures are read
        pictures = one_each(X, channels=self.channels, doing="fit")
        labels = _labels(y, len(pictures))
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        names = [str(label) for label in self.classes_.tolist()]
        if len(names) < 2:
            raise InputError(f"fit: y has one class, {names[0]!r}; a classifier needs two classes or more.")
        if groups is not None:
            groups = [str(group) for group in column_or_1d(np.asarray(groups)).tolist()]
            check_consistent_length(labels, groups)
        state = check_random_state(self.random_state)
        is_fixed = isinstance(self.random_state, int | np.integer)
        seed = int(self.random_state) if is_fixed else int(state.randint(2**31 - 1))
        try:
            learnt = learn(
                pictures,
                [names[number] for number in numbers.tolist()],
                groups=groups,
                options=self._options(seed),
                training=TrainOptions(augment=self.augment, views=self.views),
            )
        except DataError as error:
            raise InputError(str(error)) from None
        known = list(learnt.classifier.class_names)
        if lost := [name for name in names if name not in known]:
            raise InputError(f"fit: {', '.join(lost)}: no picture of it can be decoded. Leave the class out.")
        self._learnt: Learnt | None = learnt
        self._seed, self._classifier = seed, learnt.classifier
        self._order = np.array([known.index(name) for name in names])
        self.strategy_, self.leaderboard_ = learnt.strategy, learnt.leaderboard
        return self

    def predict(self, X: Any) -> Labels:
        """Return (N,) labels of N pictures, the most probable of `classes_` for each.

        Args:
            X: As in `fit`.

        Raises:
            InputError: As `fit`.
            MissingError: As `fit`.
        """
        labels: Labels = self.predict_proba(X)
        return np.asarray(self.classes_[labels.argmax(axis=1)])

    def predict_proba(self, X: Any) -> Floats:
        """Return (N, K) float32 probabilities of N pictures, in the order of `classes_`; rows sum to 1.

        Features are taken from the cache, and kept there; the answers are those of the model that `save` writes.

        Args:
            X: As in `fit`.

        Raises:
            InputError: As `fit`.
            MissingError: As `fit`.
        """
        check_is_fitted(self)
        pictures = one_each(X, channels=self.channels, doing="predict")
        if not pictures:
            raise InputError("predict: Found array with 0 sample(s); one picture or more is required.")
        try:
            shares = answers_from_bank(self._classifier, pictures, options=self._options(self._seed))
        except DataError as error:
            raise InputError(str(error)) from None
        ordered: Floats = shares[:, self._order]
        return ordered

    def model(self) -> ImageClassifier:
        """Return what was learnt as `thawline.load` would: it answers folders too, and abstains; it keeps no features.

        Raises:
            UsageError: The classifier went through a pickle.
        """
        learnt = self._require_learnt()
        return ImageClassifier(learnt.doubting(), named=self.strategy_)

    def save(self, folder: str | Path) -> None:
        """Write a model folder, which `thawline.load` and every command take; its classes are the labels as text.

        It is safetensors and JSON, and proves itself when it is loaded; a pickle of this object does neither.

        Args:
            folder: New, or an older model folder, which is replaced.

        Raises:
            StoreError: It cannot be written, or something else stands there.
            UsageError: The classifier went through a pickle.
        """
        self._require_learnt().save(Path(folder))

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle keeps: the model, without the pictures and the features that it learnt from."""
        return {**super().__getstate__(), "_learnt": None} if hasattr(self, "classes_") else super().__getstate__()

    def _require_learnt(self) -> Learnt:
        check_is_fitted(self)
        if self._learnt is None:
            raise UsageError("save: this classifier was pickled, which leaves out what it learnt from. Fit it again.")
        return self._learnt

    def _options(self, seed: int) -> Options:
        """Return the parameters as options of a run."""
        given = {name: getattr(self, name) for name in BY_THEIR_NAMES}
        return make_options(**given, fit=self.picture_fit, seed=seed)


def _labels(y: Any, num_pictures: int) -> Labels:
    """Return (N,) labels; refuses what is none, or too few or many of them."""
    if y is None:
        raise InputError("fit: requires y to be passed, but the target y is None. Give a label for each picture.")
    labels: Labels = column_or_1d(check_array(y, ensure_2d=False, dtype=None, input_name="y"), warn=True)
    if len(labels) != num_pictures:
        raise InputError(f"fit: {num_pictures:,} pictures and {len(labels):,} labels; one for each is required.")
    check_classification_targets(labels)
    return labels
