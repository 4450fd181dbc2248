"""All that was worked out for a person to act on, in plain data: what `report.json` holds and the report shows.

One idea: every part is optional, and says by itself why it is absent; none of them chooses a strategy or a model.
"""

from __future__ import annotations

from dataclasses import dataclass

from thawline.vet.abstaining import Abstaining
from thawline.vet.lookalikes import ConfusedClasses
from thawline.vet.looks import Looks
from thawline.vet.more_pictures import MorePictures
from thawline.vet.picture_map import PictureMap
from thawline.vet.slices import Slices
from thawline.vet.strangest import Strangest
from thawline.vet.suspects import Suspects

__all__ = ["Advice"]


@dataclass(frozen=True)
class Advice:
    """What a run found for a person to act on; parts that do not apply are None.

    Attributes:
        num_answered: Pictures that a model answered which never saw them: those that everything here is about.
        looks: Where the model looks, on the pictures that tell most.
        picture_map: Every picture on paper, near where alike.
        slices: Parts of the pictures on which the model is significantly less often right.
        abstaining: What the model answers where it may say "not sure".
        strangest: What "none of these" costs on pictures that belong, and those that look strangest.
        suspects: Pictures whose label is doubtful.
        more_pictures: The learning curve, and what more pictures of each class should bring.
        confused: Which classes are taken for each other, most often first, with the pictures most alike.
    """

    num_answered: int
    looks: Looks | None = None
    picture_map: PictureMap | None = None
    slices: Slices | None = None
    suspects: Suspects | None = None
    abstaining: Abstaining | None = None
    strangest: Strangest | None = None
    more_pictures: MorePictures | None = None
    confused: tuple[ConfusedClasses, ...] = ()
