"""Facts of a model folder and of an ONNX file: when a picture is "none of these", and when the model is "not sure".

One idea: the two thresholds are facts of the model, set by pictures that were held out, so that folder, file and
service say the same of a picture.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from thawline.use.network_facts import Strict

__all__ = ["NONE_OF_THESE", "NOT_SURE", "Doubt"]

NONE_OF_THESE, NOT_SURE = "none of these", "not sure"

OpenShare = Annotated[float, Field(gt=0, lt=1)]


class Doubt(Strict):
    """When a model abstains.

    Attributes:
        read_from: What tells strange pictures: `features`, the `answers` of the head, or None where nothing does.
        false_alarms: Share of the pictures that belong which may be called strange.
        num_groups: Independent held-out pictures that set it.
        error_rate: Promised share of wrong answers among the answered; None where nothing is promised.
        min_probability: The least probability of an answer; None where nothing is promised.
    """

    read_from: Literal["features", "answers"] | None
    false_alarms: OpenShare
    num_groups: Annotated[int, Field(ge=0)]
    error_rate: OpenShare | None
    min_probability: Annotated[float, Field(ge=0, le=1)] | None

    def about(self, probability: float, outside: float | None) -> str | None:
        """Return why the model abstains from an answer, or None where it does not.

        Args:
            probability: Of the most probable class.
            outside: Share of the held-out training pictures that look less strange; None where that is not known.
        """
        if outside is not None and outside > 1 - self.false_alarms:
            return NONE_OF_THESE
        is_unsure = self.min_probability is not None and probability < self.min_probability
        return NOT_SURE if is_unsure else None
