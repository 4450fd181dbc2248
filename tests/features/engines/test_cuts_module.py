"""The module that compilers get computes what the eager reader computes, and so does its graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thawline.core.errors import BackboneError, UsageError
from thawline.features.engines import cuts_module
from thawline.features.engines.cuts_module import PIXELS, CutsModule, graph_of
from thawline.features.reader import FeatureReader

BLOCKS = [(0, "mean"), (0, "std"), (2, "std"), (1, "max")]


def test_the_module_gives_the_columns_of_the_eager_reader_in_their_order(network, runtime, pixels):
    with torch.no_grad():
        found = CutsModule(network, BLOCKS)(torch.from_numpy(pixels)).numpy()
    wanted = FeatureReader(network, runtime, BLOCKS, "float32").features(pixels)
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_graph_is_for_batches_of_one_shape_and_gives_the_same(network, runtime, pixels):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(graph_of(network, BLOCKS, runtime=runtime))
    assert session.get_inputs()[0].shape == [4, 32, 32, 3]
    (found,) = session.run(None, {PIXELS: pixels})
    wanted = FeatureReader(network, runtime, BLOCKS, "float32").features(pixels)
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_network_that_no_file_can_hold_is_refused(network, runtime, monkeypatch):
    monkeypatch.setattr(cuts_module, "MAX_GRAPH_BYTES", 1000)
    with pytest.raises(BackboneError, match=r"too large for an ONNX file\. Pass --engine eager"):
        graph_of(network, BLOCKS, runtime=runtime)


def test_without_the_exporter_it_says_what_to_install(network, runtime, monkeypatch):
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: (_ for _ in ()).throw(ImportError("onnxscript")))
    with pytest.raises(UsageError, match=r"pip install 'thawline\[export\]'"):
        graph_of(network, BLOCKS, runtime=runtime)
