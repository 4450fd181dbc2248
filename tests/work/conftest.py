"""A small comparison of drawn pictures, made once, that orders with all kinds of rows are answered on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from thawline.core.options import Options
from thawline.core.runtime import Runtime
from thawline.data.sources.places import Place
from thawline.train.context import Machine
from thawline.train.hyperparameters import TrainOptions
from thawline.work.order import Order
from thawline.work.session import compare_frozen, open_session

QUICK = TrainOptions(epochs=1, batch_size=8, augment="none")


@pytest.fixture(scope="session")
def tinted(tmp_path_factory):
    """Return a folder of 36 tinted pictures in two classes, 18 each."""
    root = tmp_path_factory.mktemp("tinted")
    for label, name in enumerate(("blue", "red")):
        (root / name).mkdir()
        for number in range(18):
            texture = np.random.default_rng((label, number)).integers(0, 256, (6, 6, 3))
            picture = (0.6 * texture + 0.4 * np.array([(60, 90, 200), (210, 70, 60)][label])).astype(np.uint8)
            Image.fromarray(picture).resize((40, 40), Image.Resampling.BICUBIC).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture(scope="session")
def order(tinted, tmp_path_factory):
    """Return an order without rows, of a small network with random weights."""
    options = Options(
        backbone="simple_cnn", size=32, folds=3, repeats=1, dtype="float32", cache_dir=tmp_path_factory.mktemp("cache")
    )
    return Order(Place.of(tinted), options=options, training=QUICK)


@pytest.fixture(scope="session")
def compared(order, tmp_path_factory):
    """Return the frozen comparison of the order."""
    session = open_session(order, tmp_path_factory.mktemp("run") / "out")
    machine = Machine(Runtime("cpu", "float32", 8))
    return compare_frozen(replace(session, context=replace(session.context, machine=machine)))


@pytest.fixture
def compared_for(compared, tmp_path):
    """Return what lays another order of the same pictures, network and protocol on the comparison."""

    def lay(order):
        session = compared.session
        context = replace(session.context, training=order.training, folder=tmp_path / "work")
        return replace(compared, session=replace(session, order=order, context=context))

    return lay
