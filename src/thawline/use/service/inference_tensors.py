"""The body of an inference request -> named tensors, and tensors -> the body of a reply.

The Open Inference Protocol (V2) sends tensors as JSON, or as bytes behind the JSON, whose length a header then says.

One idea: what a tensor claims of itself is checked against what is there before anything is made of it.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thawline.core.types import Floats, Pixels
from thawline.use.service.refusal import RefusedError

__all__ = ["BINARY_HEADER", "InferenceRequest", "Tensor", "read_request", "reply_body"]

BINARY_HEADER = "inference-header-content-length"
MAX_JSON_VALUES = 1_000_000
"""Numbers in a body of JSON: reading it holds up everybody else; as bytes there may be more."""

MAX_DIMENSIONS = 8
BINARY_SIZE, BINARY_ALL, BINARY_ONE = "binary_data_size", "binary_data_output", "binary_data"


@dataclass(frozen=True)
class Tensor:
    """A named tensor of a request.

    Attributes:
        name: Of the input.
        datatype: `UINT8`, `BYTES`, …
        shape: Its sides.
        data: Values as JSON has them, flat or nested, or their bytes.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[Any] | memoryview

    def pixels(self) -> Pixels:
        """Return the values of a `UINT8` tensor in its shape.

        Raises:
            RefusedError: Status 400: another datatype, or other values than its shape says.
        """
        if self.datatype != "UINT8":
            raise RefusedError(400, f"input `{self.name}` is {self.datatype[:20]}; UINT8 is required")
        if isinstance(self.data, memoryview):
            flat = np.frombuffer(self.data, dtype=np.uint8)
        else:
            try:
                values = np.asarray(self.data)
            except ValueError:  # rows of several lengths
                values = np.asarray("")
            if values.dtype.kind != "i" or (values.size and not (values.min() >= 0 and values.max() <= 255)):
                raise RefusedError(400, f"input `{self.name}` must hold whole numbers from 0 to 255")
            flat = values.astype(np.uint8).ravel()
        self._require(flat.size)
        return flat.reshape(self.shape)

    def texts(self) -> list[bytes]:
        """Return the elements of a `BYTES` tensor; in JSON each is text in base64.

        Raises:
            RefusedError: Status 400: another datatype, not base64, or other elements than its shape says.
        """
        if self.datatype != "BYTES":
            raise RefusedError(400, f"input `{self.name}` is {self.datatype[:20]}; BYTES is required")
        if isinstance(self.data, memoryview):
            found = list(_elements(self.name, self.data))
        else:
            found = [_decoded(self.name, element) for element in _flat(self.data)]
        self._require(len(found))
        return found

    def _require(self, count: int) -> None:
        if count != math.prod(self.shape):
            shown = " × ".join(map(str, self.shape)) or "none"
            raise RefusedError(400, f"input `{self.name}` has {count:,} values, and its shape is {shown}")


@dataclass(frozen=True)
class InferenceRequest:
    """A request for inference.

    Attributes:
        id: As the client calls it; None where it does not.
        inputs: By name.
        outputs: Wanted, each with whether its data come as bytes; None: all of them.
        is_binary: Whether data come as bytes where nothing else is said.
    """

    id: str | None
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, bool] | None
    is_binary: bool


@dataclass
class _Wanted:
    """Parts of a JSON object, each of the kind that it must be."""

    value: dict[str, Any]
    what: str
    kinds: dict[str, tuple[type, ...]] = field(default_factory=dict)

    def get(self, key: str, *kinds: type, default: Any = None) -> Any:
        found = self.value.get(key, default)
        if found is not default and (not isinstance(found, kinds) or isinstance(found, bool) != (bool in kinds)):
            raise RefusedError(400, f"`{key}` of {self.what} is not {' or '.join(kind.__name__ for kind in kinds)}")
        return found

    def needed(self, key: str, *kinds: type) -> Any:
        if key not in self.value:
            raise RefusedError(400, f"{self.what} has no `{key}`")
        return self.get(key, *kinds)


def read_request(body: bytes, json_length: str | None) -> InferenceRequest:
    """Return what a body asks for.

    Args:
        body: JSON, and perhaps bytes of tensors behind it.
        json_length: What the header `Inference-Header-Content-Length` says; None where there is none.

    Raises:
        RefusedError: Status 400 or 413, with a sentence.
    """
    length = len(body)
    if json_length is not None:
        length = int(json_length) if json_length.isascii() and json_length.isdecimal() and len(json_length) < 12 else -1
        if not 0 <= length <= len(body):
            raise RefusedError(400, f"Inference-Header-Content-Length must be a number of at most {len(body):,}")
    facts = _Wanted(_json(body[:length]), "the request")
    parameters = _Wanted(facts.get("parameters", dict, default={}), "its parameters")
    is_binary = bool(parameters.get(BINARY_ALL, bool, default=False))
    inputs = list(_tensors(facts.needed("inputs", list), memoryview(body)[length:]))
    if len({tensor.name for tensor in inputs}) < len(inputs):
        raise RefusedError(400, "two inputs have the same name")
    wanted = facts.get("outputs", list)
    outputs = None if wanted is None else dict(_outputs(wanted, is_binary=is_binary))
    return InferenceRequest(facts.get("id", str), {tensor.name: tensor for tensor in inputs}, outputs, is_binary)


def reply_body(
    facts: dict[str, Any], outputs: Mapping[str, Floats | Sequence[str]], *, binary: Mapping[str, bool]
) -> tuple[bytes, int | None]:
    """Return the body of a reply, and the length of its JSON where bytes follow it.

    Args:
        facts: What the reply says besides the outputs.
        outputs: Numbers, `FP32`, or texts, `BYTES`, by name.
        binary: Whether each comes as bytes.
    """
    described, parts = [], []
    for name, values in outputs.items():
        is_text = not isinstance(values, np.ndarray)
        shape = [len(values)] if is_text else list(np.shape(values))
        one: dict[str, Any] = {"name": name, "datatype": "BYTES" if is_text else "FP32", "shape": shape}
        if binary[name]:
            data = b"".join(map(_prefixed, values)) if is_text else np.asarray(values, dtype="<f4").tobytes()
            one["parameters"] = {BINARY_SIZE: len(data)}
            parts.append(data)
        else:
            one["data"] = list(values) if is_text else np.asarray(values, dtype=np.float64).ravel().tolist()
        described.append(one)
    head = json.dumps({**facts, "outputs": described}, ensure_ascii=False).encode()
    return b"".join([head, *parts]), len(head) if parts else None


def _json(text: bytes) -> dict[str, Any]:
    if text.count(b",") > MAX_JSON_VALUES:
        raise RefusedError(
            413, f"more than {MAX_JSON_VALUES:,} values are too many for JSON: send them as binary data behind it"
        )
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError(400, "the request is not JSON as it must be") from None
    if not isinstance(value, dict):
        raise RefusedError(400, "the request must be a JSON object with `inputs`")
    return value


def _tensors(described: list[Any], rest: memoryview) -> Iterator[Tensor]:
    """Yield the inputs of a request; `rest` is what stands behind its JSON."""
    for number, item in enumerate(described, start=1):
        if not isinstance(item, dict):
            raise RefusedError(400, f"input {number} is not a JSON object")
        facts = _Wanted(item, f"input {number}")
        name, datatype, shape = (
            facts.needed("name", str),
            facts.needed("datatype", str),
            facts.needed("shape", list),
        )
        if not all(type(side) is int and 0 <= side < 1 << 31 for side in shape) or len(shape) > MAX_DIMENSIONS:
            raise RefusedError(400, f"`shape` of input {number} must be at most {MAX_DIMENSIONS} whole numbers")
        parameters = _Wanted(facts.get("parameters", dict, default={}), f"the parameters of input {number}")
        size = parameters.get(BINARY_SIZE, int)
        data: list[Any] | memoryview
        if size is None:
            data = facts.needed("data", list)
        elif not 0 <= size <= len(rest):
            raise RefusedError(400, f"input {number} has {len(rest):,} bytes left behind the JSON, and claims {size:,}")
        else:
            data, rest = rest[:size], rest[size:]
        yield Tensor(name[:100], datatype, tuple(shape), data)
    if len(rest):
        raise RefusedError(400, f"{len(rest):,} bytes behind the JSON belong to no input")


def _outputs(wanted: list[Any], *, is_binary: bool) -> Iterator[tuple[str, bool]]:
    for number, item in enumerate(wanted, start=1):
        if not isinstance(item, dict):
            raise RefusedError(400, f"output {number} is not a JSON object")
        facts = _Wanted(item, f"output {number}")
        parameters = _Wanted(facts.get("parameters", dict, default={}), f"the parameters of output {number}")
        if parameters.get("classification", int):
            raise RefusedError(400, "`classification` is not known here: the output `label` names the class")
        yield facts.needed("name", str), bool(parameters.get(BINARY_ONE, bool, default=is_binary))


def _elements(name: str, data: memoryview) -> Iterator[bytes]:
    """Yield the elements of a `BYTES` tensor: each is its length, four bytes with the lowest first, and its bytes."""
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise RefusedError(400, f"input `{name}` ends within the length of an element")
        (length,) = struct.unpack_from("<I", data, at)
        if at + 4 + length > len(data):
            raise RefusedError(400, f"an element of input `{name}` claims more bytes than follow it")
        yield bytes(data[at + 4 : at + 4 + length])
        at += 4 + length


def _flat(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _decoded(name: str, element: object) -> bytes:
    if isinstance(element, dict) and set(element) == {"b64"}:
        element = element["b64"]
    try:
        return base64.b64decode(element, validate=True)  # type: ignore[arg-type]
    except (TypeError, ValueError, binascii.Error):
        raise RefusedError(
            400, f"an element of input `{name}` is not text in base64; as binary data, pictures are sent as they are"
        ) from None


def _prefixed(text: object) -> bytes:
    data = str(text).encode()
    return struct.pack("<I", len(data)) + data
