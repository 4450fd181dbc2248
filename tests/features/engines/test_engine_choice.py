"""Engines are measured only where that can pay, remembered, and what one has read is not read by another."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from thawline.core.cache import cache_entries, foreign_paths
from thawline.core.errors import BackboneError
from thawline.data.dataset import Dataset, Sample
from thawline.features.engines import engine_choice
from thawline.features.engines.engine_choice import EngineChoice, Readers
from thawline.features.engines.engine_rule import Pace
from thawline.features.extract import bank_spec, extract, in_streams

pytest.importorskip("onnxruntime")
GRAPHS = ("openvino", "onnxruntime")


@dataclass(frozen=True)
class Memory:
    data: bytes

    def read(self):
        return self.data


def sample(seed):
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    data = buffer.getvalue()
    return Sample(f"{seed}.png", 0, hashlib.sha256(data).hexdigest(), None, seed, Memory(data))


@pytest.fixture
def dataset(tmp_path):
    return Dataset(tmp_path, ("a",), tuple(sample(seed) for seed in range(6)), ())


@pytest.fixture
def readers(network, runtime, dataset, tmp_path):
    return Readers(
        network, runtime, spec=bank_spec(network.backbone, runtime), samples=dataset.samples, cache=tmp_path / "cache"
    )


def missing(num, **others):
    return {"eager": num, **dict.fromkeys(GRAPHS, num), **others}


def paced(monkeypatch, **picture_s):
    """Let engines take some time, and return who was measured."""
    asked = []

    def pace(self, engine):
        asked.append(engine)
        if engine not in picture_s:
            raise BackboneError("it cannot")
        return Pace(0.0 if engine == "eager" else 5.0, picture_s[engine])

    monkeypatch.setattr(EngineChoice, "_pace", pace)
    monkeypatch.setattr(EngineChoice, "_candidates", lambda self: list(GRAPHS))
    return asked


def test_few_pictures_ask_nothing(readers, monkeypatch):
    asked = paced(monkeypatch, eager=1.0, openvino=0.1)
    assert EngineChoice(readers, in_streams).engine(missing(255)) == "eager"
    assert asked == []
    assert not readers.folder.exists()


def test_a_short_pass_measures_the_eager_engine_alone(readers, monkeypatch):
    asked = paced(monkeypatch, eager=0.004, openvino=0.001)
    assert EngineChoice(readers, in_streams).engine(missing(1_369)) == "eager"
    assert asked == ["eager"]


def test_a_long_pass_measures_all_once_and_remembers(readers, monkeypatch):
    asked = paced(monkeypatch, eager=0.004, openvino=0.002)
    choice = EngineChoice(readers, in_streams)
    assert choice.engine(missing(60_000)) == "openvino"
    assert asked == ["eager", *GRAPHS]
    asked.clear()
    assert choice.engine(missing(60_000)) == "openvino"
    assert asked == []  # what could not is not tried again
    assert choice.engine(missing(2_000)) == "eager"  # 8 s against its start and 4
    assert choice.engine(missing(4_000)) == "openvino"
    assert asked == []


def test_what_has_run_already_costs_no_start(readers, monkeypatch):
    paced(monkeypatch, eager=0.004, openvino=0.0035)
    assert EngineChoice(readers, in_streams).engine(missing(8_000)) == "openvino"  # 32 s against 28, and 5 are spent
    assert EngineChoice(readers, in_streams).engine(missing(8_000)) == "eager"


def test_an_engine_that_is_gone_is_not_chosen_whatever_is_remembered(readers, monkeypatch):
    paced(monkeypatch, eager=0.004, openvino=0.002)
    choice = EngineChoice(readers, in_streams)
    choice.engine(missing(60_000))
    monkeypatch.setattr(EngineChoice, "_candidates", lambda self: [])
    assert choice.engine(missing(60_000)) == "eager"


def test_a_whole_bank_is_read_whichever_engine_made_it(readers, monkeypatch):
    asked = paced(monkeypatch, eager=1.0)
    choice = EngineChoice(readers, in_streams)
    assert choice.engine(missing(60_000, onnxruntime=0)) == "onnxruntime"
    assert choice.engine({"eager": 0, "openvino": 0, "onnxruntime": 0}) == "eager"
    assert asked == []


def test_on_an_accelerator_it_is_eager(readers, monkeypatch):
    asked = paced(monkeypatch, eager=1.0, openvino=0.1)
    readers.runtime = replace(readers.runtime, device="cuda")
    assert EngineChoice(readers, in_streams).engine(missing(60_000)) == "eager"
    assert asked == []


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"paces": {"eager": 3}}', b'{"paces": {"eager": {"start_s": 0}}}'])
def test_a_damaged_memory_is_measured_again(readers, monkeypatch, damage):
    asked = paced(monkeypatch, eager=0.004)
    readers.folder.mkdir(parents=True)
    (readers.folder / "engine.json").write_bytes(damage)
    assert EngineChoice(readers, in_streams).engine(missing(1_000)) == "eager"
    assert asked == ["eager"]
    assert json.loads((readers.folder / "engine.json").read_bytes())["paces"]["eager"]["picture_s"] == 0.004


def test_an_engine_is_measured_and_its_graph_kept(readers, tmp_path):
    choice = EngineChoice(readers, in_streams)
    pace = choice._pace("onnxruntime")
    assert pace.picture_s > 0
    assert readers.graph_s > 0
    assert choice._pace("eager").start_s == 0
    graph = readers.folder / "graph.onnx"
    before = graph.read_bytes()
    (entry,) = cache_entries(tmp_path / "cache")
    assert (entry.kind, entry.directory) == ("engines", readers.folder)
    assert foreign_paths(tmp_path / "cache") == ()
    assert readers._graph() == before
    shutil.rmtree(readers.folder)


def test_auto_goes_on_with_the_bank_that_an_engine_has_filled(network, runtime, dataset, tmp_path):
    kept = {"cache": tmp_path / "cache", "storage": "float32"}
    forced = extract(dataset, network, runtime=replace(runtime, engine="onnxruntime"), **kept)
    assert (forced.num_extracted, forced.bank.spec.engine) == (6, "onnxruntime")
    auto = extract(dataset, network, runtime=replace(runtime, engine="auto"), **kept)
    assert (auto.num_extracted, auto.bank.key) == (0, forced.bank.key)
    eager = extract(dataset, network, runtime=runtime, **kept)
    assert (eager.num_extracted, eager.bank.spec.engine) == (6, "eager")
    assert eager.bank.key != forced.bank.key
    hashes = [sample.sha256 for sample in dataset.samples]
    blocks = list(eager.bank.spec.columns)
    mine, theirs = forced.bank.read(hashes, blocks), eager.bank.read(hashes, blocks)
    assert np.linalg.norm(mine - theirs) <= 1e-4 * np.linalg.norm(theirs)


def test_a_graph_that_cannot_be_kept_is_made_all_the_same(readers, monkeypatch):
    def full(*_):
        raise OSError(28, "no space left")

    monkeypatch.setattr(engine_choice, "write_bytes", full)
    assert len(readers._graph()) > 1000
    assert not (readers.folder / "graph.onnx").exists()
