"""What a run is asked for: pictures, plans in words, and the options of the run and of its trainings."""

from __future__ import annotations

from dataclasses import dataclass

from thawline.core.options import Options
from thawline.data.sources.places import Place
from thawline.train.hyperparameters import TrainOptions

__all__ = ["Order"]


@dataclass(frozen=True)
class Order:
    """What a run is asked for, on the command line, in Python, by a file, or by the run that it goes on with.

    Attributes:
        photos: The pictures.
        plans: What to train, in words: named by the person, or candidates of a budget.
        options: Of the run.
        training: Of the trainings; its `augment`, where given, makes views for frozen heads too.
    """

    photos: Place
    plans: tuple[str, ...]
    options: Options
    training: TrainOptions
