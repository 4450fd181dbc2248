"""Facts of an exported ONNX file <-> JSON in its metadata; names of its inputs and outputs; the seal on its content.

One idea: a file is complete and says what it is. `takes` tells whether its graph prepares pictures itself or takes
them prepared; the seal is the last entry of its metadata, so that a bit that changed is found before anything parses
the file.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from thawline.use.doubt import NONE_OF_THESE, NOT_SURE, Doubt
from thawline.use.network_facts import InputFacts

__all__ = [
    "DOUBT",
    "DOUBT_CODES",
    "FACTS_KEY",
    "FORMATS",
    "GOLDEN_KEY",
    "INPUT",
    "MAX_FILE_BYTES",
    "OUTPUT",
    "OUTSIDE",
    "PICTURES",
    "PLACE",
    "SEAL_KEY",
    "Described",
    "OnnxFacts",
    "PlaceFacts",
    "input_names",
    "is_sealed",
    "output_names",
    "pixel_names",
    "sealed",
]

FORMATS = (
    "1 (a picture is prepared once), 2 (in several ways), 3 (with what the model is not sure of) or 4 (the graph "
    "prepares pictures itself)"
)
FACTS_KEY, GOLDEN_KEY = "thawline", "thawline_golden"
INPUT, PICTURES = "pixels", "pictures"
OUTPUT, OUTSIDE, PLACE, DOUBT = "probabilities", "outside", "place", "doubt"
DOUBT_CODES = ("answer", NOT_SURE, NONE_OF_THESE)
"""What 0, 1 and 2 mean in the output `doubt`."""

SEAL_KEY = "thawline_sha256"
SEAL_BYTES = 2 + 2 + len(SEAL_KEY) + 2 + 64
MAX_FILE_BYTES = (1 << 31) - 1
"""The most that a protobuf message, and so an ONNX file in one piece, can hold."""


class PlaceFacts(BaseModel, extra="forbid", frozen=True, strict=True):
    """What a file says of its output `place`.

    Attributes:
        size: D, the columns of it.
        neighbours_sha256: Of the file next to it that holds the places of training pictures, and no other.
    """

    size: Annotated[int, Field(ge=1, le=64)]
    neighbours_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class OnnxFacts(BaseModel, extra="forbid", frozen=True, strict=True):
    """Facts of an exported file: JSON under the metadata key `thawline`.

    Attributes:
        format: Version of this layout: 1 where a picture is prepared once, 2 where networks need it in several ways,
            3 where it says when the model abstains, 4 where the graph takes pictures as they were decoded.
        thawline: Version of the program that wrote the file.
        class_names: K names in the order of the outputs.
        strategy: Name of the strategy.
        backbone: Name of the network; of several, joined by ` + `.
        license: Licence of the weights.
        input: How a picture is prepared; mean and standard deviation are in the graph already.
        further_inputs: The other ways, each for an input of its own; None where there is one.
        doubt: When the model abstains; None where it answers always, as in formats 1 and 2.
        takes: `pictures` where the graph prepares them itself, of any size; None where it takes them prepared.
        doubt_codes: What the numbers of the output `doubt` mean, 0 first; None where there is no such output.
        place: Where the graph says what a picture lies near to; None where it does not.
        manifest_seal: Seal of the manifest of the model folder that the file was made from.
    """

    format: Literal[1, 2, 3, 4]
    thawline: str
    class_names: list[str] = Field(min_length=2)
    strategy: str
    backbone: str
    license: str
    input: InputFacts
    further_inputs: Annotated[list[InputFacts], Field(min_length=1)] | None = None
    doubt: Doubt | None = None
    takes: Literal["pictures"] | None = None
    doubt_codes: list[str] | None = None
    place: PlaceFacts | None = None
    manifest_seal: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @property
    def inputs(self) -> tuple[InputFacts, ...]:
        """All ways in which a picture is prepared, in the order of the graph's inputs."""
        return (self.input, *(self.further_inputs or ()))

    @model_validator(mode="after")
    def _of_its_format(self) -> OnnxFacts:
        if (self.format == 4) != (self.takes is not None) or (self.takes is None) != (self.doubt_codes is None):
            raise ValueError("format 4 alone takes pictures, and says what its codes of doubt mean")
        if self.format < 4 and (self.format == 3) != (self.doubt is not None):
            raise ValueError("format 3 alone says when the model abstains")
        if self.format < 3 and (self.format == 2) != (self.further_inputs is not None):
            raise ValueError("format 1 has one input and format 2 has several")
        return self

    @model_serializer(mode="wrap")
    def _without_none(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what there is none of: such a file stays as it always was."""
        facts: dict[str, Any] = dump(self)
        own = ("further_inputs", "doubt", "takes", "doubt_codes", "place")
        return {name: value for name, value in facts.items() if name not in own or value is not None}


def pixel_names(count: int) -> list[str]:
    """Return the names of the inputs of a graph that takes a picture prepared in `count` ways."""
    return [INPUT, *(f"{INPUT}_{number}" for number in range(2, count + 1))]


def input_names(facts: OnnxFacts) -> list[str]:
    """Return the names of the inputs of a graph with some facts: one for each preparation, or that of the pictures."""
    if facts.takes is not None:
        return [PICTURES]
    return pixel_names(len(facts.inputs))


def output_names(facts: OnnxFacts) -> list[str]:
    """Return the names of the outputs of a graph with some facts."""
    outside = [OUTSIDE] if facts.doubt is not None and facts.doubt.read_from is not None else []
    place = [PLACE] if facts.place is not None else []
    return [OUTPUT, *outside, *place, *([DOUBT] if facts.takes is not None else [])]


def sealed(content: bytes) -> bytes:
    """Return an ONNX file with the SHA-256 of its content as one more entry of its metadata, at its end.

    The parts of a protobuf message may follow one another in any order, so the file stays an ONNX file.
    """
    return content + _seal(content)


def is_sealed(content: bytes) -> bool:
    """Return whether a file is as `thawline export` wrote it, to the last bit."""
    end = len(content) - SEAL_BYTES
    return end > 0 and content[end:] == _seal(memoryview(content)[:end])


def _seal(content: bytes | memoryview) -> bytes:
    """Return the entry: field 14 of a model, `metadata_props`, with its key and its value; each with its length."""
    key, value = SEAL_KEY.encode(), hashlib.sha256(content).hexdigest().encode()
    entry = b"\x0a" + bytes([len(key)]) + key + b"\x12" + bytes([len(value)]) + value
    return b"\x72" + bytes([len(entry)]) + entry


class Described:
    """What a model of an exported form knows of itself from its facts: a part of `Answering`.

    Attributes:
        facts: The metadata of the export.
    """

    facts: OnnxFacts

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the probabilities."""
        return tuple(self.facts.class_names)

    @property
    def doubt(self) -> Doubt | None:
        """When the model abstains; None where it answers always."""
        return self.facts.doubt
