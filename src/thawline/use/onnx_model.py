"""An ONNX file that `thawline export` wrote -> a model that answers with neither torch nor the model folder.

One idea: the file is complete. Its metadata hold the class names and how a picture is prepared; network,
normalisation, head and temperature are its graph, and of a whole file so are crop and resize. A file with any other
metadata or graph is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic import ValidationError

from thawline.core.errors import BundleError, DataError, UsageError, first_few
from thawline.core.runtime import num_workers
from thawline.core.types import Floats, Pixels, Prediction
from thawline.data.images import MAX_MEGAPIXELS
from thawline.data.load import map_ordered, prepare_each
from thawline.use.answer import Answer, Prepared, row_of
from thawline.use.as_decoded import answers_by_size, decoded_for
from thawline.use.onnx_facts import (
    DOUBT,
    FACTS_KEY,
    FORMATS,
    MAX_FILE_BYTES,
    OUTPUT,
    OUTSIDE,
    PICTURES,
    PLACE,
    SEAL_KEY,
    Described,
    OnnxFacts,
    input_names,
    is_sealed,
    output_names,
)

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["OnnxModel", "WholeOnnxModel", "open_onnx"]

BATCH_SIZE = 4
"""Small, so that activations stay in the processor's cache."""

Item = TypeVar("Item")
Result = TypeVar("Result")

NOWHERE = f"{os.devnull}/nowhere"
"""A folder that cannot exist, for weights outside the file; by default they are read from the working directory."""


class OnnxModel(Described):
    """Prepared pictures in, class probabilities out, on the CPU. Threads may share it.

    Attributes:
        facts: What the metadata of the file say.
        inputs: How a picture is prepared, in one way or several.
        metadata: All of the metadata, by key.
    """

    def __init__(self, session: onnxruntime.InferenceSession, facts: OnnxFacts) -> None:
        self._session = session
        self.facts = facts
        self.metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
        self.inputs = tuple(one.spec() for one in facts.inputs)
        self._names = input_names(facts)

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
        outputs = self.outputs(*pixels)
        return Answer(outputs[OUTPUT], outputs.get(OUTSIDE), outputs.get(PLACE))

    def outputs(self, *pixels: Pixels) -> Mapping[str, Any]:
        """Return every output of the graph by its name.

        Raises:
            DataError: The answer is not finite.
        """
        names = output_names(self.facts)
        outputs = dict(zip(names, self._session.run(names, dict(zip(self._names, pixels, strict=True))), strict=True))
        if not all(np.isfinite(output).all() for output in outputs.values()):
            raise DataError("the model's answer is not finite")
        return outputs

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


class WholeOnnxModel(OnnxModel):
    """Pictures of any size in, as they were decoded; the graph prepares them. Threads may share it."""

    def prepare(self, data: bytes, *, max_megapixels: int = MAX_MEGAPIXELS) -> tuple[Prepared, tuple[str, ...]]:
        """Return an encoded picture decoded, and what is odd about it, in words.

        Raises:
            DataError: As `thawline.data.images.decode`.
        """
        return decoded_for(data, self.inputs, max_megapixels=max_megapixels)

    def answers_to(self, batch: Sequence[Prepared]) -> Answer:
        """Return what the model says of decoded pictures, in order; those of equal size go through together."""
        return answers_by_size(batch, self.answers)


def open_onnx(source: Path | bytes, *, num_threads: int | None = None) -> OnnxModel:
    """Return the model of an exported file, whole or not, after checking its metadata and its graph.

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
    session = _session(content, name, num_threads=num_threads)
    facts = _facts(session.get_modelmeta().custom_metadata_map, name)
    _check_signature(session, facts, name)
    if not is_ours:
        _require_sealed(content, name)
    return OnnxModel(session, facts) if facts.takes is None else WholeOnnxModel(session, facts)


def _session(content: bytes, name: str, *, num_threads: int | None) -> onnxruntime.InferenceSession:
    """Return a session that reads no other file and does not spin while it waits."""
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
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a dozen classes, without a base class of their own
        reason = " ".join(str(error).split())[:200]
        raise BundleError(f"load {name}: not an ONNX file that runs here: {reason}. Export it again.") from None


def _require_sealed(content: bytes, name: str) -> None:
    if not is_sealed(content):
        raise BundleError(
            f"load {name}: its content is not what `thawline export` wrote: it was damaged, altered, or written by an "
            "older version. Export it again."
        )


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
    names, sides = input_names(facts), [one.size_px for one in facts.inputs]
    required: list[tuple[str, str, list[Any]]] = [(PICTURES, "tensor(uint8)", ["height", "width", 3])]
    if facts.takes is None:
        required = [(name, "tensor(uint8)", [side, side, 3]) for name, side in zip(names, sides, strict=True)]
    outputs: dict[str, tuple[str, list[Any]]] = {
        OUTPUT: ("tensor(float)", [len(facts.class_names)]),
        OUTSIDE: ("tensor(float)", []),
        PLACE: ("tensor(float)", [0 if facts.place is None else facts.place.size]),
        DOUBT: ("tensor(uint8)", []),
    }
    required += [(label, *outputs[label]) for label in output_names(facts)]
    present = [(node.name, node.type, node.shape) for node in (*session.get_inputs(), *session.get_outputs())]
    sound = [(label, kind, shape[1:]) for label, kind, shape in present] == required
    if not sound or not all(isinstance(shape[0], str) for _, _, shape in present):
        has = [f"{label} {kind} {shape}" for label, kind, shape in present]
        needs = [f"{label} {kind} {['batch', *shape]}" for label, kind, shape in required]
        raise BundleError(
            f"load {name}: its graph has {first_few(has)}; {first_few(needs)} are required. Export it again."
        )
