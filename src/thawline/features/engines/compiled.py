"""An engine's name and what it has to compute -> a function of pixels that any stream may call.

One idea: every engine is told to use one thread a call, since each processor has a stream of its own, and to compute
in the format that was asked for, no narrower.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any, NoReturn

import numpy as np
import torch

from thawline.core.errors import BackboneError, UsageError
from thawline.core.runtime import EngineName, Runtime, num_workers
from thawline.core.types import Floats, Pixels
from thawline.features.engines.cuts_module import PIXELS, CutsModule
from thawline.features.engines.openvino_library import load_openvino

__all__ = ["GRAPH_ENGINES", "Run", "compiled", "eager_elsewhere", "require_engine"]

Run = Callable[[Pixels], Floats]
"""(B, H, W, 3) uint8 pixels in, (B, D) float32 features out; B is the runtime's."""

GRAPH_ENGINES: tuple[EngineName, ...] = ("openvino", "onnxruntime")
"""Those that take an ONNX graph."""

_FORMATS = {
    "openvino": ("float32", "bfloat16"),
    "onnxruntime": ("float32",),
    "inductor": ("float32", "bfloat16"),
}


def require_engine(runtime: Runtime) -> None:
    """Refuse an engine that does not run on this device or in this number format, or that is not installed.

    Raises:
        UsageError: Says why, and what would do.
    """
    engine, doing = runtime.engine, f"--engine {runtime.engine}"
    if engine not in _FORMATS:
        return
    if runtime.device != "cpu":
        raise UsageError(f"{doing}: it runs on the CPU, and --device is {runtime.device}. Pass --engine eager.")
    if runtime.dtype not in _FORMATS[engine]:
        raise UsageError(
            f"{doing}: it computes in {' or '.join(_FORMATS[engine])}, and --dtype is {runtime.dtype}. "
            "Pass --engine eager, or another --dtype."
        )
    if engine == "openvino":
        load_openvino(doing)
    if engine == "onnxruntime":
        _load_onnxruntime(doing)


def eager_elsewhere(runtime: Runtime) -> Runtime:
    """Return the runtime of workers that read in place of this process: they read by PyTorch.

    Raises:
        UsageError: Another engine was named.
    """
    if runtime.engine not in {"auto", "eager"}:
        raise UsageError(
            f"extract: --engine {runtime.engine} reads in this process only, and workers were asked to read. "
            "Leave --cluster out, or pass --engine eager."
        )
    return replace(runtime, engine="eager")


def compiled(runtime: Runtime, *, graph: Callable[[], bytes], module: Callable[[], CutsModule]) -> Run:
    """Return what reads a batch with the engine of `runtime`; safe to call from several threads.

    Args:
        runtime: Engine, number format, batch size.
        graph: Makes the ONNX graph, for the engines that take one.
        module: Makes the module in the number format, for the one that does not.

    Raises:
        UsageError: As `require_engine`, or what makes or runs the graph is not installed.
        BackboneError: The engine cannot run this network.
    """
    require_engine(runtime)
    if runtime.engine == "openvino":
        return _by_openvino(graph(), runtime)
    return _by_onnxruntime(graph()) if runtime.engine == "onnxruntime" else _by_inductor(module(), runtime)


def _by_openvino(graph: bytes, runtime: Runtime) -> Run:
    """Return a run of OpenVINO: a stream a processor, a request a thread."""
    openvino = load_openvino("extract")
    is_exact = runtime.dtype == "float32"
    settings = {
        "INFERENCE_PRECISION_HINT": "f32" if is_exact else "bf16",  # a processor with bfloat16 would use it
        "EXECUTION_MODE_HINT": "ACCURACY" if is_exact else "PERFORMANCE",
        "INFERENCE_NUM_THREADS": num_workers(),
        "NUM_STREAMS": num_workers(),
    }
    try:
        core = openvino.Core()
        model = core.compile_model(core.read_model(graph), "CPU", settings)
    except RuntimeError as error:
        _refuse("OpenVINO", openvino.__version__, error)
    own = threading.local()

    def run(pixels: Pixels) -> Floats:
        if not hasattr(own, "request"):
            own.request = model.create_infer_request()
        own.request.infer({PIXELS: np.ascontiguousarray(pixels)})
        features: Floats = own.request.get_output_tensor().data.copy()
        return features

    return run


def _load_onnxruntime(doing: str) -> Any:
    """Return the library."""
    try:
        return import_module("onnxruntime")
    except ImportError as error:
        raise UsageError(
            f"{doing}: onnxruntime is needed and cannot be loaded ({error}). Run `pip install 'thawline[export]'`."
        ) from None


def _by_onnxruntime(graph: bytes) -> Run:
    """Return a run of ONNX Runtime: one session that all threads share, each call on its own thread."""
    library = _load_onnxruntime("extract")
    settings = library.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    try:
        session = library.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # it raises kinds of its own, which share no base
        _refuse("ONNX Runtime", library.__version__, error)

    def run(pixels: Pixels) -> Floats:
        (features,) = session.run(None, {PIXELS: np.ascontiguousarray(pixels)})
        rows: Floats = features
        return rows

    return run


def _by_inductor(module: CutsModule, runtime: Runtime) -> Run:
    """Return a run of torch's compiler, its weights frozen into the code; compiles now, for up to minutes."""
    threads = torch.get_num_threads()
    side = module.network.backbone.input.size_px
    call: Any = torch.compile(module, dynamic=False, options={"freezing": True, "cpp.threads": 1})

    def run(pixels: Pixels) -> Floats:
        with torch.no_grad():
            writable = pixels if pixels.flags.writeable else pixels.copy()
            features: Floats = call(torch.from_numpy(writable)).numpy()
        return features

    torch.set_num_threads(1)  # code is made for the number of threads that it was first called with
    try:
        run(np.zeros((runtime.batch_size, side, side, 3), dtype=np.uint8))
    except Exception as error:  # of the compiler, its C++ compiler, or the code that they made
        _refuse("torch's compiler", torch.__version__, error)
    finally:
        torch.set_num_threads(threads)
    return run


def _refuse(engine: str, version: str, error: Exception) -> NoReturn:
    """Say in our words why an engine cannot run a network."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    raise BackboneError(
        f"extract: {engine} {version} cannot run this network: {lines[0][:200].rstrip('.')}. Pass --engine eager."
    ) from error
