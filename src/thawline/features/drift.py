"""How far a tuned network has moved from the pretrained one: the measurement as plain records, read without torch.

`features.drift_pass` measures it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from thawline.core.errors import StoreError
from thawline.core.types import Count, Share

__all__ = ["CutDrift", "Drift", "HeadScore", "drift_from_json"]


@dataclass(frozen=True)
class CutDrift:
    """How alike pretrained and tuned features are at one cut; 1 is unchanged.

    Attributes:
        label: Of the cut, as in `CutPoint.label`.
        stage: Number of the stage that the cut lies in.
        cost_fraction: Share of the network's cost up to here.
        cka: Linear CKA in [0, 1] of the features as a head reads them: means over positions, or the class token.
        low: Lower end of its 95 % interval over pictures.
        high: Upper end.
        unpooled_cka: Linear CKA in [0, 1] of the whole activations, position by position, of 250 pictures; from a
            random sketch of them, within about 0.03.
    """

    label: str
    stage: Count
    cost_fraction: Share
    cka: Share
    low: Share
    high: Share
    unpooled_cka: Share


@dataclass(frozen=True)
class HeadScore:
    """What the pretrained network's own thousand-class head makes of pretrained and of tuned features.

    A picture counts as right where its most probable class of the thousand is one that the mapping allows its class.

    Attributes:
        before: Share of right pictures with pretrained features.
        before_low: Lower end of its 95 % Wilson interval, copies counted once.
        before_high: Upper end.
        after: Share of right pictures with tuned features.
        after_low: Lower end.
        after_high: Upper end.
        num_pictures: Pictures whose class has ImageNet classes; the shares are of these.
        class_names: Their classes.
    """

    before: Share
    before_low: Share
    before_high: Share
    after: Share
    after_low: Share
    after_high: Share
    num_pictures: Count
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Drift:
    """How far a tuned network has moved from the pretrained one; `dataclasses.asdict` gives plain JSON.

    Attributes:
        cuts: Shallowest first.
        num_pictures: Pictures that `cka` is over, one of each group of copies.
        head: The score of the original head, or None.
        no_head: Why there is no such score, or empty.
    """

    cuts: tuple[CutDrift, ...]
    num_pictures: Count
    head: HeadScore | None
    no_head: str

    def __repr__(self) -> str:
        return f"<Drift: {len(self.cuts)} cuts, {self.num_pictures:,} pictures, {self.head or self.no_head}>"


def drift_from_json(raw: Mapping[str, Any]) -> Drift:
    """Return the drift that `dataclasses.asdict` made `raw` from.

    Raises:
        StoreError: A field is missing or out of range.
    """
    try:
        return TypeAdapter(Drift).validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "its outermost level"
        raise StoreError(
            f"drift: the stored measurement cannot be read: {place}: {first['msg']}. Measure it again."
        ) from None
