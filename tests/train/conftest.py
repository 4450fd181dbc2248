"""Drawn pictures as a checked data set, and small networks with random weights, each made once."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from thawline.core.options import Options
from thawline.core.progress import SilentProgress
from thawline.core.runtime import Runtime
from thawline.data.check import check
from thawline.data.dataset import Dataset, Sample
from thawline.features.network import load_backbone
from thawline.train.context import Context, Machine
from thawline.train.hyperparameters import TrainOptions
from thawline.train.job import Job
from thawline.train.plan import parse_plan

SIZES = {
    "efficientnet_lite0": 64,
    "resnet18": 64,
    "resnet10t": 64,
    "mobilenetv3_small_050": 64,
    "dla34": 64,
    "levit_128s": 64,
    "test_efficientnet": 32,
    "test_resnet": 64,
    "test_convnext": 64,
    "test_vit": None,
    "tutorial_cnn": None,
    "simple_cnn": 32,
    "deep_cnn": 32,
}


@dataclass(frozen=True)
class Memory:
    """A picture that is held in memory."""

    data: bytes

    def read(self) -> bytes:
        return self.data


def drawn_dataset(count: int, num_classes: int = 2) -> Dataset:
    """Return a checked data set of smooth random pictures that are all different; classes take turns."""
    samples = []
    for seed in range(count):
        coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(coarse).resize((40, 36), Image.Resampling.BICUBIC).save(buffer, "PNG")
        data = buffer.getvalue()
        sha256 = hashlib.sha256(data).hexdigest()
        samples.append(Sample(f"{seed}.png", seed % num_classes, sha256, None, seed, Memory(data)))
    return Dataset(None, tuple("abcdefgh"[:num_classes]), tuple(samples), ())


@pytest.fixture(scope="session")
def drawn():
    return drawn_dataset


@pytest.fixture(scope="session")
def network():
    """Return a function from a name to a network with random weights, for all tests to share: no test changes it."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = load_backbone(name, pretrained=False, size_px=SIZES[name], seed=1)
        return made[name]

    return get


@pytest.fixture(scope="session")
def runtime():
    return Runtime("cpu", "float32", 4)


COLOURS = {"blue": (60, 90, 200), "green": (70, 180, 80), "red": (210, 70, 60)}
FLOAT32 = Runtime("cpu", "float32", 8)
QUICK = {"epochs": 3, "batch_size": 8, "augment": "none", "learning_rate": 5e-3, "checkpoint_every": "1h"}


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Return a folder of 36 tinted pictures in three classes that are easy to learn."""
    root = tmp_path_factory.mktemp("photos")
    for label, (name, colour) in enumerate(COLOURS.items()):
        (root / name).mkdir()
        for number in range(12):
            texture = np.random.default_rng((label, number)).integers(0, 256, (6, 6, 3))
            tinted = (0.4 * texture + 0.6 * np.array(colour)).astype(np.uint8)
            Image.fromarray(tinted).resize((48, 40), Image.Resampling.BICUBIC).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture(scope="session")
def learnable(photos):
    return check(photos)[0]


@pytest.fixture(scope="session")
def make_context():
    """Return a function from pictures, a network and training options to a context on the CPU."""

    def make(
        dataset, network, *, runtime=FLOAT32, cache=None, progress=None, folder=Path("nowhere"), seed=0, **training
    ):
        machine = Machine(runtime, progress=progress or SilentProgress())
        return Context(dataset, network, Options(seed=seed, cache_dir=cache), TrainOptions(**training), machine, folder)

    return make


@pytest.fixture(scope="session")
def changed():
    """Return a function that gives a job or a ground other parts of its context; `machine` parts by their own names."""

    def change(whole, **changes):
        machine = {name: changes.pop(name) for name in ("runtime", "processes", "progress", "log") if name in changes}
        context = replace(whole.context, **changes)
        return replace(whole, context=replace(context, machine=replace(context.machine, **machine)))

    return change


@pytest.fixture
def make_job(learnable, network, make_context, tmp_path):
    """Return a function from a plan and options to a short training on 27 of the pictures, the other 9 held out."""
    rows = np.arange(len(learnable))

    def make(plan, *, backbone="test_resnet", runtime=FLOAT32, seed=0, **options):
        context = make_context(
            learnable,
            network(backbone),
            runtime=runtime,
            cache=tmp_path / "activations",
            folder=tmp_path / "training",
            seed=seed,
            **(QUICK | options),
        )
        return Job(
            context=context,
            plan=parse_plan(plan),
            network=context.network,
            train=rows[rows % 4 > 0],
            held_out=rows[rows % 4 == 0],
            class_weights=np.ones(3, np.float32),
        )

    return make
