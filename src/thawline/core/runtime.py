"""The machine as this run sees it: device, compute type, worker threads, and facts for the record.

torch is imported inside the functions, so that `import thawline` and `thawline --help` stay light.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

from thawline.core.errors import UsageError

if TYPE_CHECKING:
    import torch

__all__ = [
    "DTypeName",
    "EngineName",
    "Runtime",
    "choose_runtime",
    "for_training",
    "keep_freed_memory",
    "num_workers",
    "package_versions",
]

MALLOPT = {-8: 1, -3: 64 << 20, -1: 512 << 20}
"""glibc's M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, as `malloc.h` numbers them."""

DTypeName = Literal["float32", "bfloat16", "float16"]
EngineName = Literal["auto", "eager", "inductor", "onnxruntime", "openvino"]
"""What computes the features that are kept; `auto` is decided for each network and data set."""


@dataclass(frozen=True)
class Runtime:
    """Where the network runs and in which number format.

    Attributes:
        device: A torch device string: `cpu`, `cuda`, `cuda:1`, `mps`.
        dtype: Format of weights and activations of a network that is read.
        batch_size: Pictures a forward pass takes at once. On a CPU it is small, so that activations stay in the
            processor's cache. How a batch is filled never changes a result; the size itself may, by rounding.
        engine: What reads pictures into a bank. All else (training, answering, measuring drift) is eager.
    """

    device: str
    dtype: DTypeName
    batch_size: int
    engine: EngineName = "eager"

    @property
    def answering(self) -> Runtime:
        """The same place in float32, eager: what a model answers in, wherever it is used."""
        return replace(self, dtype="float32", engine="eager")

    @property
    def torch_dtype(self) -> torch.dtype:
        """The format as torch names it."""
        import torch

        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[self.dtype]


def num_workers() -> int:
    """Return the number of processors this process may use, at least 1 (`THAWLINE_THREADS` overrides it)."""
    setting = os.environ.get("THAWLINE_THREADS")
    if setting:
        if not setting.isdecimal() or int(setting) < 1:
            raise UsageError(f"THAWLINE_THREADS is {setting!r}; it must be a whole number of at least 1.")
        return int(setting)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def keep_freed_memory() -> None:
    """Let this process keep what is freed, up to 512 MiB, for what it allocates next; only where glibc allocates.

    By default every large activation is memory that the system has to hand out and clear again, page by page: a fifth
    of a pass. Called before there are threads, which otherwise get pools of their own.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for parameter, value in MALLOPT.items():
        mallopt(parameter, value)


def choose_runtime(
    device: str = "auto", dtype: DTypeName | Literal["auto"] = "auto", *, engine: EngineName = "eager"
) -> Runtime:
    """Return the device and number format for this machine.

    Args:
        device: `auto` takes the first CUDA device, then Apple's `mps`, then the CPU; or any torch device.
        dtype: `auto` takes float32, in which a model answers: decision 0024.
        engine: What reads pictures into a bank: decision 0051.

    Raises:
        UsageError: This machine does not have the device.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(device).type
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = "" if "Expected one of" in str(error) else f"{str(error).splitlines()[0].rstrip('.')}; "
        raise UsageError(
            f"device {device!r} cannot be used here: {reason}this machine has {', '.join(_devices())}. "
            "Try --device cpu."
        ) from None
    if kind == "cuda":
        torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]  # as torch multiplies matrices already: float32 means float32
    batch_size = 4 if kind == "cpu" else 128
    return Runtime(device, "float32" if dtype == "auto" else dtype, batch_size, engine)


def _devices() -> list[str]:
    """Return what torch can run on here, with the names of what is no CPU: `["cpu", "cuda:0 (NVIDIA H100)"]`."""
    import torch

    found = ["cpu"]
    if torch.cuda.is_available():
        found += [f"cuda:{n} ({torch.cuda.get_device_name(n)})" for n in range(torch.cuda.device_count())]
    return [*found, "mps"] if torch.backends.mps.is_available() else found


def for_training(runtime: Runtime, dtype: DTypeName | Literal["auto"] = "auto") -> Runtime:
    """Return where and in which number format networks are trained; what they compute is measured in float32.

    Args:
        runtime: Of the run.
        dtype: `auto` takes bfloat16 where the processor multiplies it natively and on CUDA, else float32.
    """
    runtime = replace(runtime, engine="eager")
    if dtype != "auto":
        return replace(runtime, dtype=dtype)
    is_fast = runtime.device.startswith("cuda") or (runtime.device == "cpu" and _cpu_multiplies_bfloat16())
    return replace(runtime, dtype="bfloat16" if is_fast else "float32")


def _cpu_multiplies_bfloat16() -> bool:
    """Whether this processor has AVX-512 BF16 or AMX; without them bfloat16 is emulated and slower."""
    import torch

    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def package_versions() -> dict[str, str]:
    """Return the versions that a result depends on, by package name, with Python and the platform."""
    names = ("thawline", "torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "pillow")
    versions = {"python": sys.version.split()[0], "platform": platform.platform()}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # running from a source tree that is not installed
            versions[name] = "not installed"
    return versions
