from __future__ import annotations

import os
from dataclasses import FrozenInstanceError, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from thawline.core import runtime
from thawline.core.errors import UsageError
from thawline.core.runtime import (
    Runtime,
    choose_runtime,
    for_training,
    keep_freed_memory,
    num_workers,
    package_versions,
)


@pytest.fixture
def bare_machine(monkeypatch):
    """A machine without an accelerator whose processor multiplies only float32."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(runtime, "_cpu_multiplies_bfloat16", lambda: False)


def test_without_an_accelerator_the_processor_runs_float32(bare_machine):
    assert choose_runtime() == Runtime(device="cpu", dtype="float32", batch_size=4)


def test_pictures_are_read_in_float32_and_networks_trained_in_what_is_fast(bare_machine, monkeypatch):
    plain = choose_runtime()
    assert for_training(plain) == plain
    monkeypatch.setattr(runtime, "_cpu_multiplies_bfloat16", lambda: True)
    assert choose_runtime() == plain
    assert for_training(plain) == replace(plain, dtype="bfloat16")
    assert for_training(plain, "float16").dtype == "float16"
    formats = {device: for_training(replace(plain, device=device)).dtype for device in ("cuda:1", "mps")}
    assert formats == {"cuda:1": "bfloat16", "mps": "float32"}


def test_a_model_answers_in_float32_where_it_is():
    assert Runtime("cuda:1", "bfloat16", 128).answering == Runtime("cuda:1", "float32", 128)


@pytest.mark.parametrize("machine", ["arm64", "aarch64"])
def test_other_architectures_do_not_claim_bfloat16(monkeypatch, machine):
    monkeypatch.setattr(runtime.platform, "machine", lambda: machine)
    assert not runtime._cpu_multiplies_bfloat16()


def test_what_is_asked_for_is_taken(bare_machine):
    assert choose_runtime("cpu", "bfloat16").dtype == "bfloat16"


@pytest.mark.parametrize("device", ["cuda", "no-such-device", "cuda:99"])
def test_a_device_that_is_not_here_is_refused_with_a_way_on(device):
    if device == "cuda" and torch.cuda.is_available():
        device = "cuda:98"
    with pytest.raises(UsageError, match=rf"^device '{device}' cannot be used here: .+ Try --device cpu\.$") as caught:
        choose_runtime(device)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_wrong_device_lists_what_is_here_and_not_what_torch_knows(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError) as caught:
        choose_runtime("gpu")
    assert str(caught.value) == "device 'gpu' cannot be used here: this machine has cpu. Try --device cpu."
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"Card {number + 4}")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(UsageError, match=r"this machine has cpu, cuda:0 \(Card 4\), cuda:1 \(Card 5\), mps\. Try"):
        choose_runtime("gpu")


def test_freed_memory_is_kept_where_glibc_allocates_and_nowhere_else(monkeypatch):
    asked = []
    library = SimpleNamespace(mallopt=lambda parameter, value: asked.append((parameter, value)))
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(runtime.platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(runtime.sys, "platform", "linux")
    keep_freed_memory()
    assert asked == [(-8, 1), (-3, 64 << 20), (-1, 512 << 20)]
    for name, value in (("platform", "darwin"), ("platform", "win32")):
        monkeypatch.setattr(runtime.sys, name, value)
        keep_freed_memory()
    monkeypatch.setattr(runtime.sys, "platform", "linux")
    monkeypatch.setattr(runtime.platform, "libc_ver", lambda: ("", ""))
    keep_freed_memory()
    assert len(asked) == 3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_formats_are_those_of_torch(dtype):
    assert Runtime("cpu", dtype, 8).torch_dtype is getattr(torch, dtype)


def test_a_runtime_does_not_change():
    with pytest.raises(FrozenInstanceError):
        choose_runtime("cpu").device = "cuda"


def test_workers_are_the_processors_that_this_process_may_use(monkeypatch):
    monkeypatch.delenv("THAWLINE_THREADS", raising=False)
    assert 1 <= num_workers() <= (os.cpu_count() or 1)


def test_the_number_of_workers_can_be_set(monkeypatch):
    monkeypatch.setenv("THAWLINE_THREADS", "3")
    assert num_workers() == 3


@pytest.mark.parametrize("asked", ["0", "-1", "two", "1.5"])
def test_an_impossible_number_of_workers_is_refused(monkeypatch, asked):
    monkeypatch.setenv("THAWLINE_THREADS", asked)
    with pytest.raises(UsageError, match=f"THAWLINE_THREADS is '{asked}'; it must be a whole number of at least 1"):
        num_workers()


def test_the_record_names_what_a_result_depends_on():
    found = package_versions()
    assert {"python", "platform", "thawline", "torch", "torchvision", "timm", "numpy", "pillow"} <= set(found)
    assert found["numpy"] == np.__version__
    assert all(found.values())


def test_the_record_says_when_a_package_is_not_installed(monkeypatch):
    def missing(name):
        raise runtime.PackageNotFoundError(name)

    monkeypatch.setattr(runtime, "version", missing)
    assert package_versions()["torch"] == "not installed"
