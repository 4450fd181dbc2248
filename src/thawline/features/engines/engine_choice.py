"""A network, a machine, and pictures that are to be read -> the engine that reads them, measured once and remembered.

One idea: what an engine takes depends on the machine, the network and the versions, so that is what its pace is kept
under, in the cache, with the graph that engines compile: the second time costs a second.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from thawline.core.errors import BackboneError, UsageError
from thawline.core.runtime import EngineName, Runtime, num_workers
from thawline.core.store import content_key, write_bytes, write_json
from thawline.core.types import Pixels
from thawline.core.version import __version__
from thawline.data.dataset import Sample
from thawline.data.load import load_pixels
from thawline.features.bank import open_bank
from thawline.features.engines.compiled import GRAPH_ENGINES, require_engine
from thawline.features.engines.cuts_module import graph_of
from thawline.features.engines.engine_reader import EngineReader
from thawline.features.engines.engine_rule import Pace, fastest
from thawline.features.network import Network
from thawline.features.pooling import WHOLE
from thawline.features.reader import FeatureReader
from thawline.features.specification import BankSpec

__all__ = ["EngineChoice", "Reader", "Readers"]

MIN_PICTURES, MIN_SECONDS = 256, 30.0
"""Fewer pictures are read by the eager engine; what it reads sooner is not worth measuring others, which takes seconds
the first time. What was measured before is used from `MIN_PICTURES` on."""

BATCHES, ROUNDS = 2, 3
CANNOT = Pace(0.0, 1e9)
"""What is remembered of an engine that cannot run a network, or reads it otherwise."""

InStreams = Callable[..., Any]
Reader = FeatureReader | EngineReader


class Readers:
    """Readers of one network and its blocks, each made when it is first asked for.

    Attributes:
        network: As loaded.
        runtime: Device, number format, batch size.
        cache: Folder of the cache.
        folder: Where the network's graph and paces are kept.
        graph_s: Seconds that its graph took to make; it is kept, so this is not needed again.
    """

    def __init__(
        self,
        network: Network,
        runtime: Runtime,
        *,
        spec: BankSpec,
        samples: Sequence[Sample],
        cache: Path,
    ) -> None:
        """Make none yet.

        Args:
            network: As loaded.
            runtime: Device, number format, batch size.
            spec: Says what is read of it, and how pictures are prepared.
            samples: Of the pictures; engines have to agree on the first ones.
            cache: Folder of the cache.
        """
        self.network, self.runtime = network, replace(runtime, engine="eager")
        self._blocks, self._spec, self._samples = tuple(spec.columns), spec, samples[: runtime.batch_size]
        self.cache = cache
        self._readers: dict[EngineName, Reader] = {}
        self.graph_s = 0.0
        backbone = network.backbone
        facts = [backbone.weights_sha256, backbone.architecture, backbone.input.facts(), self._blocks]
        key = content_key([*facts, self.runtime.batch_size, self.runtime.dtype, machine()])
        self.folder = cache / "engines" / key

    def eager(self) -> FeatureReader:
        """Return the one that is always there."""
        reader = self._readers.get("eager")
        if not isinstance(reader, FeatureReader):
            reader = FeatureReader(self.network, self.runtime, self._blocks, self._spec.storage)
            self._readers["eager"] = reader
        return reader

    def by(self, engine: EngineName) -> Reader:
        """Return the reader that an engine runs.

        Raises:
            UsageError: It is not installed, or does not run here.
            BackboneError: It cannot run the network, or reads it otherwise.
        """
        if engine == "eager":
            return self.eager()
        if engine not in self._readers:
            runtime = replace(self.runtime, engine=engine)
            require_engine(runtime)
            self._readers[engine] = EngineReader(
                self.eager(), self.network, runtime, pixels=self.pixels(), graph=self._graph
            )
        return self._readers[engine]

    def pixels(self) -> Pixels:
        """Return a batch of real pictures, of the runtime's size."""
        pixels = np.stack([load_pixels(sample, self._spec.input) for sample in self._samples])
        return np.resize(pixels, (self.runtime.batch_size, *pixels.shape[1:]))

    def _graph(self) -> bytes:
        """Return the network's graph: the kept one, or a new one, which is kept where there is room."""
        file = self.folder / "graph.onnx"
        with suppress(OSError):
            return file.read_bytes()
        start = time.perf_counter()
        graph = graph_of(self.network, self._blocks, runtime=self.runtime)
        with suppress(OSError):
            self.describe({})
            write_bytes(file, graph)
            self.graph_s = time.perf_counter() - start
        return graph

    def describe(self, paces: Mapping[EngineName, Pace]) -> None:
        """Write what the folder holds; paces that are known already are kept."""
        self.folder.mkdir(parents=True, exist_ok=True)
        known = {name: asdict(pace) for name, pace in {**self.paces(), **paces}.items()}
        write_json(self.folder / "engine.json", {"machine": machine(), "paces": known})

    def paces(self) -> dict[EngineName, Pace]:
        """Return what was measured here before; nothing where it cannot be read."""
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            return {
                name: Pace(float(pace["start_s"]), float(pace["picture_s"]))
                for name, pace in json.loads((self.folder / "engine.json").read_bytes())["paces"].items()
            }
        return {}


class EngineChoice:
    """Chooses among readers; what it measures is remembered.

    Attributes:
        readers: Of the network.
    """

    def __init__(self, readers: Readers, in_streams: InStreams) -> None:
        self.readers, self._in_streams = readers, in_streams

    def of_banks(
        self, runtime: Runtime, specs: Callable[[Runtime], list[BankSpec]], *, sha256s: Sequence[str]
    ) -> Runtime:
        """Return the runtime that reads pictures into banks: its engine, or for `auto` the one that is done soonest.

        An engine whose banks hold all the pictures is done already.

        Args:
            runtime: As asked for.
            specs: The banks of a runtime's engine, one a view.
            sha256s: Hashes of the pictures.
        """
        if runtime.engine != "auto":
            return runtime
        missing: dict[EngineName, int] = {}
        for engine in ("eager", *GRAPH_ENGINES):
            wanted = specs(replace(self.readers.runtime, engine=engine))
            if any(pooling == WHOLE for _, pooling in wanted[0].columns):  # what networks are trained on
                return self.readers.runtime
            there = [spec for spec in wanted if (self.readers.cache / "banks" / spec.key).is_dir()]
            missing[engine] = sum(len(open_bank(self.readers.cache, spec).missing(sha256s)) for spec in there)
            missing[engine] += len(set(sha256s)) * (len(wanted) - len(there))
        return replace(runtime, engine=self.engine(missing))

    def engine(self, missing: Mapping[EngineName, int]) -> EngineName:
        """Return which engine reads, so that the pictures are done soonest.

        Args:
            missing: Pictures that each engine has left to read.
        """
        done = [engine for engine in ("eager", *GRAPH_ENGINES) if missing[engine] == 0]
        if done or self.readers.runtime.device != "cpu" or missing["eager"] < MIN_PICTURES:
            return done[0] if done else "eager"
        known = self.readers.paces()
        measured: dict[EngineName, Pace] = {}
        if "eager" not in known:
            measured["eager"] = self._pace("eager")
        candidates = self._candidates()
        if {**known, **measured}["eager"].seconds(missing["eager"]) >= MIN_SECONDS:
            for engine in candidates:
                if engine not in known:
                    measured[engine] = CANNOT
                    with suppress(UsageError, BackboneError):
                        measured[engine] = self._pace(engine)
        if measured:
            with suppress(OSError):
                self.readers.describe(measured)
        started = {engine: replace(pace, start_s=0.0) for engine, pace in measured.items()}  # it runs already
        paces = {**known, **started}
        return fastest({engine: paces[engine] for engine in ("eager", *candidates) if engine in paces}, missing)

    def _candidates(self) -> list[EngineName]:
        """Return the engines that are installed and compute in the number format."""
        found: list[EngineName] = []
        for engine in GRAPH_ENGINES:
            with suppress(UsageError):
                require_engine(replace(self.readers.runtime, engine=engine))
                found.append(engine)
        return found

    def _pace(self, engine: EngineName) -> Pace:
        """Measure an engine, its start included; the eager one's is needed anyway and counts for nothing."""
        self.readers.graph_s, start = 0.0, time.perf_counter()
        reader, pixels = self.readers.by(engine), self.readers.pixels()
        start_s = time.perf_counter() - start
        batches = [pixels] * (BATCHES * num_workers())
        list(self._in_streams(reader.read, batches[: num_workers()]))
        seconds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            list(self._in_streams(reader.read, batches))
            seconds.append(time.perf_counter() - start)
        start_s = 0.0 if engine == "eager" else max(0.0, start_s - self.readers.graph_s)
        return Pace(start_s, statistics.median(seconds) / len(batches) / len(pixels))


def machine() -> dict[str, Any]:
    """Return what an engine's pace depends on here: processor, streams, and versions."""
    versions = {"thawline": __version__, "torch": torch.__version__}
    for name in ("onnxruntime", "openvino"):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return {
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "streams": num_workers(),
        "versions": versions,
    }


def _processor() -> str:
    """Return the processor's name."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()
