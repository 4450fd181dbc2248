"""Every engine gives the eager features, whoever shares a batch; what cannot run says why."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from thawline.core.errors import BackboneError, UsageError
from thawline.core.runtime import Runtime
from thawline.features.engines.compiled import compiled, eager_elsewhere, require_engine
from thawline.features.engines.cuts_module import CutsModule, graph_of
from thawline.features.reader import FeatureReader

BLOCKS = [(0, "mean"), (0, "std"), (3, "mean")]


def run_of(engine, network, runtime):
    return compiled(
        replace(runtime, engine=engine),
        graph=lambda: graph_of(network, BLOCKS, runtime=runtime),
        module=lambda: CutsModule(network, BLOCKS, runtime.torch_dtype),
    )


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_an_engine_gives_the_eager_features_and_no_picture_depends_on_its_neighbours(engine, network, runtime, pixels):
    pytest.importorskip(engine)
    run = run_of(engine, network, runtime)
    found = run(pixels)
    wanted = FeatureReader(network, runtime, BLOCKS, "float32").features(pixels)
    assert np.linalg.norm(found - wanted) <= 1e-4 * np.linalg.norm(wanted)
    turned = [np.roll(pixels, -place, axis=0) for place in range(4)]
    with ThreadPoolExecutor(3) as pool:  # from other threads, at other places of the batch
        for place, rows in enumerate(pool.map(run, turned)):
            assert np.array_equal(np.roll(rows, place, axis=0), found)
    assert np.array_equal(run(np.stack([pixels[0]] * 4))[0], found[0])


def test_a_result_is_kept_when_the_next_batch_is_read(network, runtime, pixels):
    pytest.importorskip("openvino")
    run = run_of("openvino", network, runtime)
    first = run(pixels)
    kept = first.copy()
    run(255 - pixels)
    assert np.array_equal(first, kept)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's compiler about itself
def test_torchs_compiler_gives_the_eager_features(network, runtime, pixels):
    threads = torch.get_num_threads()
    found = run_of("inductor", network, runtime)(pixels)
    wanted = FeatureReader(network, runtime, BLOCKS, "float32").features(pixels)
    assert np.linalg.norm(found - wanted) <= 1e-4 * np.linalg.norm(wanted)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("runtime", "reason"),
    [
        (Runtime("cuda", "float32", 4, "openvino"), "it runs on the CPU, and --device is cuda. Pass --engine eager"),
        (Runtime("cpu", "bfloat16", 4, "onnxruntime"), "it computes in float32, and --dtype is bfloat16"),
        (Runtime("cpu", "float16", 4, "inductor"), "it computes in float32 or bfloat16, and --dtype is float16"),
    ],
)
def test_where_an_engine_does_not_run_is_said(runtime, reason):
    with pytest.raises(UsageError, match=reason):
        require_engine(runtime)


@pytest.mark.parametrize("engine", ["eager", "auto"])
def test_the_eager_engine_runs_everywhere(engine):
    assert require_engine(Runtime("cuda", "float16", 128, engine)) is None


@pytest.mark.parametrize(("engine", "extra"), [("openvino", "openvino"), ("onnxruntime", "export")])
def test_an_engine_that_is_not_installed_is_named_with_its_extra(engine, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, engine, None)
    if engine == "openvino":
        monkeypatch.delitem(sys.modules, engine)
        monkeypatch.setattr(
            "thawline.features.engines.openvino_library.import_module",
            lambda name: (_ for _ in ()).throw(ImportError(name)),
        )
    with pytest.raises(UsageError, match=rf"--engine {engine}: .*pip install 'thawline\[{extra}\]'"):
        require_engine(Runtime("cpu", "float32", 4, engine))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_graph_that_an_engine_cannot_read_is_refused_in_a_sentence(engine, network, runtime):
    pytest.importorskip(engine)
    with pytest.raises(BackboneError, match=r"cannot run this network: .*Pass --engine eager"):
        compiled(replace(runtime, engine=engine), graph=lambda: b"no graph", module=lambda: None)


def test_workers_elsewhere_read_by_pytorch_and_a_named_engine_is_refused_for_them(runtime):
    assert eager_elsewhere(replace(runtime, engine="auto")).engine == "eager"
    with pytest.raises(UsageError, match=r"--engine openvino reads in this process only.*Leave --cluster out"):
        eager_elsewhere(replace(runtime, engine="openvino"))
