"""Types that several floors share: input preparation, arrays and predictions.

Shapes use one alphabet everywhere: N pictures, V views, K classes, C channels, H×W pixels, D features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from thawline.core.errors import first_few
from thawline.core.rendering import Fit, Rendering

__all__ = [
    "Bools",
    "Count",
    "Curve",
    "Floats",
    "InputSpec",
    "Interpolation",
    "Ints",
    "Pixels",
    "Prediction",
    "Predictions",
    "Share",
]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]

NOTEBOOK_ROWS = 20
"""Rows of predictions that a notebook shows."""

Share = Annotated[float, Field(ge=0, le=1)]  # the bounds hold where pydantic reads a stored one
Count = Annotated[int, Field(ge=0)]

Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True)
class InputSpec:
    """How every picture becomes the network's input, in training, prediction, export and service alike.

    Attributes:
        size_px: Side of the square input, in pixels.
        mean: Per-channel mean subtracted after scaling pixels to [0, 1]; RGB order.
        std: Per-channel divisor after the subtraction; RGB order.
        interpolation: Resampling filter, always with antialiasing.
        fit: How a picture that is not square meets the square: `crop` shows the middle of it; `letterbox` scales the
            longer side and pads with the mean colour; `stretch` scales both sides and changes the aspect.
        rendering: How stored values become 8-bit RGB.
        crop_share: Share of the shorter side that the square shows under `crop`, in [0.1, 1]; the others show all.
    """

    size_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation = "bicubic"
    fit: Fit = "crop"
    rendering: Rendering = field(default_factory=Rendering)
    crop_share: float = 1.0

    def facts(self) -> dict[str, Any]:
        """Return all of it as plain data, without `rendering` where a set has nothing that asks for one.

        It is what a key is hashed from: what was kept under it before there was a rendering, or a share to crop to,
        stays where it is.
        """
        facts = asdict(self)
        if self.rendering == Rendering():
            del facts["rendering"]
        if self.crop_share == 1:
            del facts["crop_share"]
        return facts


@dataclass(frozen=True)
class Curve:
    """Loss and top-1 for every epoch of a training run.

    Attributes:
        train_loss: Mean cross-entropy in nats on the training rows, one value an epoch.
        validation_loss: The same on the held-out rows.
        train_accuracy: Top-1 in [0, 1] on the training rows.
        validation_accuracy: Top-1 in [0, 1] on the held-out rows.
        learning_rate: Step size of the head at the end of each epoch; empty where none was recorded.
    """

    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    validation_accuracy: tuple[float, ...]
    learning_rate: tuple[float, ...] = ()


@dataclass(frozen=True, repr=False)
class Prediction:
    """The prediction for one picture, or why there is none.

    Attributes:
        path: The picture as the caller named it.
        label: Most probable class, or None when the picture could not be read.
        probability: Probability of `label`, in [0, 1].
        probabilities: Class name → probability, summing to 1, most probable first.
        error: Why there is no prediction, or None.
        remark: What is odd about the picture although it was read, or None.
        outside: Share of the held-out training pictures that look less strange, in [0, 1]; None where the model does
            not know.
        doubt: Why the model abstains from an answer, `none of these` or `not sure`; None where it does not. The label
            is the most probable class in any case.
    """

    path: str
    label: str | None
    probability: float | None
    probabilities: dict[str, float]
    error: str | None = None
    remark: str | None = None
    outside: float | None = None
    doubt: str | None = None

    def __repr__(self) -> str:
        doubt = f", {self.doubt}" if self.doubt else ""
        answer = self.error if self.probability is None else f"{self.label}, {self.probability:.3f}{doubt}"
        return f"<Prediction {self.path!r}: {answer}>"

    @property
    def abstained(self) -> bool:
        """Whether the model abstains from an answer."""
        return self.doubt is not None

    @property
    def aside(self) -> str:
        """What is to be said besides the answer: why there is none, doubt, what is odd; empty for most."""
        return "; ".join(filter(None, (self.error, self.doubt, self.remark)))

    @classmethod
    def ranked(
        cls,
        path: str,
        shares: Floats,
        *,
        class_names: Sequence[str],
        remarks: Sequence[str] = (),
        outside: float | None = None,
        doubt: str | None = None,
    ) -> Prediction:
        """Return the prediction of (K,) probabilities, in the order of the classes, with remarks on the picture.

        Args:
            path: The picture as the caller named it.
            shares: (K,) probabilities.
            class_names: K names.
            remarks: What is odd about the picture.
            outside: As the attribute.
            doubt: As the attribute.
        """
        order = np.argsort(-shares, kind="stable")
        probabilities = {class_names[k]: float(shares[k]) for k in order}
        remark = "; ".join(remarks) or None
        label, probability = class_names[order[0]], float(shares[order[0]])
        return cls(path, label, probability, probabilities, remark=remark, outside=outside, doubt=doubt)

    @classmethod
    def failed(cls, path: str, error: str) -> Prediction:
        """Return the row of a picture without a prediction, and why."""
        return cls(path, None, None, {}, error)

    def to_json(self) -> dict[str, Any]:
        """Return `path, label, probability, probabilities, outside, abstained`, or `path, error`.

        Where they apply, `remark` and `doubt` stand with them.
        """
        dropped = {"label", "probability", "probabilities", "outside"} if self.error else {"error"}
        dropped |= {name for name in ("remark", "doubt") if getattr(self, name) is None}
        facts = {name: value for name, value in asdict(self).items() if name not in dropped}
        return facts if self.error else {**facts, "abstained": self.abstained}


@dataclass(frozen=True, repr=False)
class Predictions:
    """Predictions in the order in which the pictures were given."""

    class_names: tuple[str, ...]
    rows: tuple[Prediction, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<Predictions of {len(self):,} pictures: {first_few(self.rows, 3)}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the first rows as a table, with what the model doubts."""
        from thawline.core.html import html_table

        shown = self.rows[:NOTEBOOK_ROWS]
        cells = [
            (row.path, row.label or "", "" if row.probability is None else f"{row.probability:.3f}", row.aside)
            for row in shown
        ]
        note = f"the first {len(shown):,} of {len(self):,} are shown" if len(self) > len(shown) else ""
        count = f"{len(self):,} picture{'' if len(self) == 1 else 's'}"
        return html_table(count, ("picture", "most probable", ">probability", ""), rows=cells, note=note)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> Prediction:
        return self.rows[index]
