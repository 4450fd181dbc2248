"""A whole ONNX file -> the same file without its golden pictures, and its facts: what may be published.

One idea: the metadata of an ONNX file are entries of a protobuf message that may be left out one by one, so the graph
is never parsed, and not a byte of it changes.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from thawline.core.errors import BundleError
from thawline.use.onnx_facts import FACTS_KEY, OnnxFacts, is_sealed, sealed

__all__ = ["bare_onnx"]

METADATA = 14  # field of a ModelProto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def bare_onnx(content: bytes) -> tuple[bytes, OnnxFacts]:
    """Return an ONNX file with no other metadata than its facts and a new seal, and these facts.

    Args:
        content: Of a whole file that `thawline export` wrote.

    Raises:
        BundleError: It is another file, or a bit of it has changed.
    """
    if not is_sealed(content):
        raise BundleError("export: the ONNX file is not as `thawline export` wrote it. Export it again.")
    kept, facts = [], b""
    for field, start, inner, end in _fields(content):
        if field == METADATA:
            key, value = _entry(content[inner:end])
            if key != FACTS_KEY.encode():
                continue
            facts = value
        kept.append(content[start:end])
    try:
        known = OnnxFacts.model_validate_json(facts)
    except ValidationError:
        known = None
    if known is None or known.takes is None:
        raise BundleError("export: the ONNX file does not prepare pictures itself. Export it with `--to onnx`.")
    return sealed(b"".join(kept)), known


def _entry(content: bytes) -> tuple[bytes, bytes]:
    """Return key and value of an entry of the metadata."""
    values = {field: content[inner:end] for field, _, inner, end in _fields(content)}
    return values.get(1, b""), values.get(2, b"")


def _fields(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, start, start of the content, and end of every field of a protobuf message."""
    at = 0
    while at < len(content):
        start = at
        tag, at = _varint(content, at)
        kind = tag & 7
        if kind == _BYTES:
            length, at = _varint(content, at)
            inner, at = at, at + length
        else:
            inner = at
            at = _varint(content, at)[1] if kind == _VARINT else at + {_FIXED64: 8, _FIXED32: 4}.get(kind, len(content))
        if at > len(content):
            raise BundleError("export: the ONNX file is damaged. Export it again.")
        yield tag >> 3, start, inner, at


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends."""
    value = 0
    for place in range(at, min(at + 10, len(content))):
        value |= (content[place] & 0x7F) << 7 * (place - at)
        if content[place] < 0x80:
            return value, place + 1
    raise BundleError("export: the ONNX file is damaged. Export it again.")
