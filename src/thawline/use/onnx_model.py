"""An ONNX file that `thawline export` wrote -> a classifier that needs neither torch nor the model folder.

One idea: the file is complete. Its metadata hold the class names and how a picture is prepared; network,
normalisation, head and temperature are its graph. A file with any other metadata or graph is refused.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import (
    BaseModel,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from thawline.core.errors import BundleError, DataError, UsageError, first_few
from thawline.core.runtime import num_workers
from thawline.core.types import Floats, Pixels, Prediction
from thawline.data.images import MAX_MEGAPIXELS
from thawline.data.load import map_ordered, prepare_each
from thawline.use.answer import Answer, Prepared, row_of
from thawline.use.doubt import Doubt
from thawline.use.network_facts import InputFacts

if TYPE_CHECKING:
    import onnxruntime

__all__ = [
    "FACTS_KEY",
    "MAX_FILE_BYTES",
    "OUTPUT",
    "OUTSIDE",
    "OnnxFacts",
    "OnnxModel",
    "input_names",
    "is_sealed",
    "open_onnx",
    "output_names",
    "sealed",
]

FORMATS = "1 (a picture is prepared once), 2 (in several ways) or 3 (with what the model is not sure of)"
FACTS_KEY, INPUT, OUTPUT, OUTSIDE = "thawline", "pixels", "probabilities", "outside"
SEAL_KEY = "thawline_sha256"
SEAL_BYTES = 2 + 2 + len(SEAL_KEY) + 2 + 64
MAX_FILE_BYTES = (1 << 31) - 1
"""The most that a protobuf message, and so an ONNX file in one piece, can hold."""

BATCH_SIZE = 4
"""Small, so that activations stay in the processor's cache."""

Item = TypeVar("Item")
Result = TypeVar("Result")

NOWHERE = f"{os.devnull}/nowhere"
"""A folder that cannot exist, for weights outside the file; by default they are read from the working directory."""


class OnnxFacts(BaseModel, extra="forbid", frozen=True, strict=True):
    """Facts of an exported file: JSON under the metadata key `thawline`.

    Attributes:
        format: Version of this layout: 1 where a picture is prepared once, 2 where networks need it in several ways,
            3 where it says when the model abstains.
        thawline: Version of the program that wrote the file.
        class_names: K names in the order of the outputs.
        strategy: Name of the strategy.
        backbone: Name of the network; of several, joined by ` + `.
        license: Licence of the weights.
        input: How a picture is prepared; mean and standard deviation are in the graph already.
        further_inputs: The other ways, each for an input of its own; None where there is one.
        doubt: When the model abstains; None in formats 1 and 2, which answer always.
        manifest_seal: Seal of the manifest of the model folder that the file was made from.
    """

    format: Literal[1, 2, 3]
    thawline: str
    class_names: list[str] = Field(min_length=2)
    strategy: str
    backbone: str
    license: str
    input: InputFacts
    further_inputs: Annotated[list[InputFacts], Field(min_length=1)] | None = None
    doubt: Doubt | None = None
    manifest_seal: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @property
    def inputs(self) -> tuple[InputFacts, ...]:
        """All ways in which a picture is prepared, in the order of the graph's inputs."""
        return (self.input, *(self.further_inputs or ()))

    @model_validator(mode="after")
    def _of_its_format(self) -> OnnxFacts:
        if (self.format == 3) != (self.doubt is not None):
            raise ValueError("format 3 alone says when the model abstains")
        if self.format < 3 and (self.format == 2) != (self.further_inputs is not None):
            raise ValueError("format 1 has one input and format 2 has several")
        return self

    @model_serializer(mode="wrap")
    def _without_none(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what there is none of: such a file stays as it always was."""
        facts: dict[str, Any] = dump(self)
        own = ("further_inputs", "doubt")
        return {name: value for name, value in facts.items() if name not in own or value is not None}


def input_names(count: int) -> list[str]:
    """Return the names of the inputs of a graph that takes a picture in `count` ways."""
    return [INPUT, *(f"{INPUT}_{number}" for number in range(2, count + 1))]


def output_names(facts: OnnxFacts) -> list[str]:
    """Return the names of the outputs of a graph with some facts."""
    return [OUTPUT, OUTSIDE] if facts.doubt is not None and facts.doubt.read_from is not None else [OUTPUT]


class OnnxModel:
    """Pictures in, class probabilities out, on the CPU. Threads may share it.

    Attributes:
        facts: The metadata of the file.
        inputs: How a picture is prepared, in as many ways as the graph has inputs.
    """

    def __init__(self, session: onnxruntime.InferenceSession, facts: OnnxFacts) -> None:
        self._session = session
        self.facts = facts
        self.inputs = tuple(one.spec() for one in facts.inputs)
        self._names = input_names(len(self.inputs))

    def probabilities(self, *pixels: Pixels) -> Floats:
        """Return (B, K) float32 probabilities of B pictures, one (B, H, W, 3) uint8 array for each of `inputs`.

        Raises:
            DataError: The answer is not finite.
        """
        return self.answers(*pixels).probabilities

    def answers(self, *pixels: Pixels) -> Answer:
        """Return probabilities, as `probabilities` does, and how strange the pictures look.

        Raises:
            DataError: The answer is not finite.
        """
        outputs: list[Floats] = self._session.run(output_names(self.facts), dict(zip(self._names, pixels, strict=True)))
        if not all(np.isfinite(output).all() for output in outputs):
            raise DataError("the model's answer is not finite")
        return Answer(outputs[0], outputs[1] if len(outputs) > 1 else None)

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the probabilities."""
        return tuple(self.facts.class_names)

    @property
    def doubt(self) -> Doubt | None:
        """When the model abstains; None where it answers always."""
        return self.facts.doubt

    @property
    def batch_size(self) -> int:
        """Pictures that it answers at once."""
        return BATCH_SIZE

    def prepare(self, data: bytes, *, max_megapixels: int = MAX_MEGAPIXELS) -> tuple[Prepared, tuple[str, ...]]:
        """Return an encoded picture as the graph takes it, and what is odd about it, in words.

        Raises:
            DataError: As `thawline.data.images.prepare`.
        """
        return prepare_each(data, self.inputs, max_megapixels=max_megapixels)

    def answers_to(self, batch: Sequence[Prepared]) -> Answer:
        """Return `answers` of pictures that were prepared one by one."""
        return self.answers(*map(np.stack, zip(*batch, strict=True)))

    def in_streams(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield work(item) in order, computed by one thread a processor; best with a session of one thread."""
        return map_ordered(work, items, num_threads=num_workers(), ahead=2 * num_workers())

    def predict(self, name: str, data: bytes, *, max_megapixels: int = MAX_MEGAPIXELS) -> Prediction:
        """Return the prediction for one encoded picture, or the row with its error.

        Args:
            name: Name of the picture in the row.
            data: Its bytes.
            max_megapixels: Pictures whose header claims more are refused.
        """
        try:
            prepared, remarks = self.prepare(data, max_megapixels=max_megapixels)
            return row_of(self, name, answer=self.answers_to([prepared]), place=0, remarks=remarks)
        except DataError as error:
            return Prediction.failed(name, str(error))


def open_onnx(source: Path | bytes, *, num_threads: int | None = None) -> OnnxModel:
    """Return the model of an exported file, or of its contents, after checking its metadata and its graph.

    A file that would read weights from other files is refused, and one in which a bit has changed.

    Args:
        source: The file, or its contents.
        num_threads: Of one pass; None takes one a processor, bounded by `THAWLINE_THREADS`.

    Raises:
        BundleError: It cannot be read, is damaged, or was not written by `thawline export`.
        UsageError: onnxruntime is not installed.
    """
    name, content = ("the model", source) if isinstance(source, bytes) else (str(source), _read(source))
    is_ours = SEAL_KEY.encode() in content
    if is_ours:
        _require_sealed(content, name)  # nothing parses what was damaged
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when onnxruntime is imported
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(
            f"load {name}: onnxruntime is needed and cannot be loaded ({error}). Run `pip install thawline[serve]`."
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or num_workers()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads give up the processor
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", NOWHERE)
    options.log_severity_level = 4  # errors are raised as well
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a dozen classes, without a base class of their own
        reason = " ".join(str(error).split())[:200]
        raise BundleError(f"load {name}: not an ONNX file that runs here: {reason}. Export it again.") from None
    facts = _facts(session.get_modelmeta().custom_metadata_map, name)
    _check_signature(session, facts, name)
    if not is_ours:
        _require_sealed(content, name)
    return OnnxModel(session, facts)


def sealed(content: bytes) -> bytes:
    """Return an ONNX file with the SHA-256 of its content as one more entry of its metadata, at its end.

    The parts of a protobuf message may follow one another in any order, so the file stays an ONNX file.
    """
    return content + _seal(content)


def is_sealed(content: bytes) -> bool:
    """Return whether a file is as `thawline export` wrote it, to the last bit."""
    end = len(content) - SEAL_BYTES
    return end > 0 and content[end:] == _seal(memoryview(content)[:end])


def _require_sealed(content: bytes, name: str) -> None:
    if not is_sealed(content):
        raise BundleError(
            f"load {name}: its content is not what `thawline export` wrote: it was damaged, altered, or written by an "
            "older version. Export it again."
        )


def _seal(content: bytes | memoryview) -> bytes:
    """Return the entry: field 14 of a model, `metadata_props`, with its key and its value; each with its length."""
    key, value = SEAL_KEY.encode(), hashlib.sha256(content).hexdigest().encode()
    entry = b"\x0a" + bytes([len(key)]) + key + b"\x12" + bytes([len(value)]) + value
    return b"\x72" + bytes([len(entry)]) + entry


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            reason = "a folder: export it first with `thawline export`" if path.is_dir() else "no such file"
            raise BundleError(f"load {path}: {reason}. Name the .onnx file that `thawline export` wrote.")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise BundleError(
                f"load {path}: {size:,} bytes are more than the {MAX_FILE_BYTES:,} that an ONNX file can have. "
                "Name the .onnx file that `thawline export` wrote."
            )
        return path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"load {path}: cannot be read: {error.strerror}. Allow reading, or copy the file again."
        ) from None


def _facts(metadata: dict[str, str], name: str) -> OnnxFacts:
    if FACTS_KEY not in metadata:
        raise BundleError(
            f"load {name}: an ONNX file, but not one that `thawline export` wrote. Export a model folder."
        )
    try:
        return OnnxFacts.model_validate_json(metadata[FACTS_KEY])
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, item['loc'])) or 'all of it'}: {item['msg']}" for item in error.errors()]
        raise BundleError(
            f"load {name}: its metadata are not of format {FORMATS}: {first_few(wrong, 3)}. It was altered, or written "
            "by another version: export it again."
        ) from None


def _check_signature(session: onnxruntime.InferenceSession, facts: OnnxFacts, name: str) -> None:
    """Refuse a graph whose inputs and output are not those of its metadata."""
    sides = zip(input_names(len(facts.inputs)), (one.size_px for one in facts.inputs), strict=True)
    required = [(label, "tensor(uint8)", [side, side, 3]) for label, side in sides]
    widths: dict[str, list[int]] = {OUTPUT: [len(facts.class_names)], OUTSIDE: []}
    required += [(label, "tensor(float)", widths[label]) for label in output_names(facts)]
    present = [(node.name, node.type, node.shape) for node in (*session.get_inputs(), *session.get_outputs())]
    sound = [(label, kind, shape[1:]) for label, kind, shape in present] == required
    if not sound or not all(isinstance(shape[0], str) for _, _, shape in present):
        has = [f"{label} {kind} {shape}" for label, kind, shape in present]
        needs = [f"{label} {kind} {['batch', *shape]}" for label, kind, shape in required]
        raise BundleError(
            f"load {name}: its graph has {first_few(has)}; {first_few(needs)} are required. Export it again."
        )
