"""A graph from prepared pictures to answers, in memory -> its values and its answers, for measuring.

One idea: pictures go through one by one on one thread each, a stream a processor; so an answer depends on nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thawline.core.runtime import num_workers
from thawline.core.types import Floats
from thawline.data.load import map_ordered
from thawline.use.answer import Prepared
from thawline.use.onnx_facts import OUTPUT

if TYPE_CHECKING:
    import onnx

__all__ = ["GraphSession"]


class GraphSession:
    """A graph that runs on the CPU. Threads may share it."""

    def __init__(self, graph: onnx.ModelProto) -> None:
        """Let onnxruntime load the graph.

        Args:
            graph: Its inputs are (batch, H, W, 3) uint8, one for each preparation of a picture.
        """
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when onnxruntime is imported
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4  # errors are raised as well
        providers = ["CPUExecutionProvider"]
        self._session: Any = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=providers)
        self._inputs = [value.name for value in graph.graph.input]

    def values(self, names: Sequence[str], picture: Prepared) -> list[Any]:
        """Return values of the graph by their names; each must be one of its outputs."""
        feeds = {name: pixels[None] for name, pixels in zip(self._inputs, picture, strict=True)}
        values: list[Any] = self._session.run(list(names), feeds)
        return values

    def answers(self, pictures: Sequence[Prepared]) -> Floats:
        """Return (N, K) float32 probabilities of N pictures."""
        rows = map_ordered(lambda one: self.values([OUTPUT], one)[0], pictures, ahead=2 * num_workers())
        answers: Floats = np.concatenate(list(rows))
        return answers
