"""Backbone and input preparation <-> JSON, as model folders and ONNX files keep them: strict in every type and key."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from thawline.core.rendering import AS_BEFORE, Background, Levels, Rendering
from thawline.core.types import InputSpec

__all__ = ["BackboneFacts", "InputFacts", "NetworkFacts", "Sha256", "Strict"]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Strict(BaseModel):
    """JSON of ours: no key more, no type but the stated one, no number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BackboneFacts(Strict):
    """The network, its weights and their licence."""

    name: str
    architecture: Annotated[str, Field(pattern=r"^\w+$")]
    weights_sha256: Sha256
    license: str
    weights_origin: str


class LevelsFacts(Strict):
    """`Levels` as JSON."""

    kind: str
    low: float
    high: float


class RenderingFacts(Strict):
    """`Rendering` as JSON."""

    levels: list[LevelsFacts]
    background: Background


class InputFacts(Strict):
    """`InputSpec` as JSON; folders that were written before there was a rendering have none.

    A model that sees the whole shorter side says nothing of its share, as folders from before there was one.
    """

    size_px: Annotated[int, Field(ge=8, le=4096)]
    mean: list[float] = Field(min_length=3, max_length=3)
    std: list[Annotated[float, Field(gt=0)]] = Field(min_length=3, max_length=3)
    interpolation: Literal["bilinear", "bicubic"]
    fit: Literal["crop", "letterbox", "stretch"]
    rendering: RenderingFacts | None = None
    crop_share: Annotated[float, Field(ge=0.1, le=1)] = 1.0

    @classmethod
    def of(cls, spec: InputSpec) -> InputFacts:
        """Return the facts of an input preparation."""
        return cls.model_validate(asdict(spec), strict=False)

    def spec(self) -> InputSpec:
        """Return the input preparation that they describe."""
        (red, green, blue), (red_std, green_std, blue_std) = self.mean, self.std
        rendering = AS_BEFORE
        if self.rendering is not None:
            levels = tuple(Levels(item.kind, item.low, item.high) for item in self.rendering.levels)
            rendering = Rendering(levels, self.rendering.background)
        return InputSpec(
            self.size_px,
            (red, green, blue),
            (red_std, green_std, blue_std),
            interpolation=self.interpolation,
            fit=self.fit,
            rendering=rendering,
            crop_share=self.crop_share,
        )

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what an older folder does not have: its seal is that of what it holds."""
        facts: dict[str, Any] = dump(self)
        absent = {"rendering": None, "crop_share": 1.0}
        return {name: value for name, value in facts.items() if name not in absent or value != absent[name]}


class NetworkFacts(Strict):
    """A network of a model: a backbone and how pictures are prepared for it."""

    backbone: BackboneFacts
    input: InputFacts
