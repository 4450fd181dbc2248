"""A torch module becomes an ONNX graph that stands alone, or one of our errors."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

from thawline import api
from thawline.core.errors import BundleError, UsageError
from thawline.use.exports import tensor_graph as module
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.tensor_graph import tensor_graph


@pytest.fixture
def graph(drawn_model):
    return ExportSource(drawn_model).graph


def test_the_file_stands_alone_and_names_no_place_of_this_machine(drawn_onnx):
    content = drawn_onnx.read_bytes()
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    for place in (str(Path(torch.__file__).parent), str(Path(api.__file__).parent), "site-packages", ".py"):
        assert place.encode() not in content, place


def test_weights_that_no_file_can_hold_are_refused_before_the_export(drawn_model, graph, monkeypatch):
    size = sum(tensor.numpy().nbytes for tensor in graph.state_dict().values())
    monkeypatch.setattr(module, "MAX_FILE_BYTES", size - 1)
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: pytest.fail("exported"))
    with pytest.raises(BundleError, match=rf"{size:,} bytes of weights are more than the {size - 1:,} that one ONNX"):
        tensor_graph(graph, drawn_model)


def test_what_the_exporter_cannot_express_is_an_error_of_ours(drawn_model, graph, monkeypatch):
    def fail(*_, **__):
        raise torch.onnx.OnnxExporterError("no function for aten::odd\nand a page of advice")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(
        BundleError, match=r"simple_cnn cannot be expressed in ONNX by torch .*aten::odd\. Predict with"
    ):
        tensor_graph(graph, drawn_model)


def test_without_the_exporter_the_extra_is_named(drawn_model, graph, monkeypatch):
    def fail(*_, **__):
        raise ModuleNotFoundError("No module named 'onnxscript'")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(UsageError, match=r"onnxscript are needed .*No module named .*thawline\[export\]"):
        tensor_graph(graph, drawn_model)
