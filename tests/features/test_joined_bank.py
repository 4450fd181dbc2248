"""Several banks read as one give each network's own columns, side by side."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.core.runtime import Runtime
from thawline.data.check import check
from thawline.features.extract import extract
from thawline.features.joined_bank import JoinedBank, banks_in, join_banks
from thawline.features.network import load_backbone

RUNTIME = Runtime("cpu", "float32", 4)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    from PIL import Image

    root = tmp_path_factory.mktemp("drawn")
    for number in range(12):
        place = root / "photos" / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(place)
    dataset, _ = check(root / "photos")
    networks = [load_backbone(name, pretrained=False, size_px=32) for name in ("simple_cnn", "test_efficientnet")]
    banks = [extract(dataset, network, runtime=RUNTIME, cache=root / "cache").bank for network in networks]
    return dataset, banks


def test_blocks_lie_side_by_side_in_the_order_asked_for(drawn):
    dataset, (small, large) = drawn
    bank, hashes = JoinedBank([small, large]), [sample.sha256 for sample in dataset.samples]
    start = len(small.spec.cuts)
    rows = bank.read(hashes, [(2, "std"), (0, "mean"), (start + 5, "mean"), (start, "std")])
    own = [small.read(hashes, [(2, "std"), (0, "mean")]), large.read(hashes, [(5, "mean"), (0, "std")])]
    assert np.array_equal(rows, np.concatenate(own, axis=1))
    assert np.array_equal(bank.read(hashes, [(start + 1, "mean")]), large.read(hashes, [(1, "mean")]))


def test_it_says_what_it_holds(drawn):
    _, (small, large) = drawn
    bank = JoinedBank([small, large])
    assert bank.spec.width == small.spec.width + large.spec.width
    assert len(bank.spec.cuts) == len(small.spec.cuts) + len(large.spec.cuts)
    assert bank.spec.backbone_name == "simple_cnn + test_efficientnet"
    assert bank.key == f"{small.key} + {large.key}"
    assert repr(bank).startswith("<JoinedBank: 2 banks, ")


def test_one_bank_stays_what_it_is(drawn):
    _, (small, large) = drawn
    assert join_banks([small]) is small
    assert banks_in(small) == (small,)
    assert banks_in(join_banks([small, large])) == (small, large)


def test_rows_of_several_networks_are_streamed_side_by_side(drawn):
    dataset, (small, large) = drawn
    bank, hashes = JoinedBank([small, large]), [sample.sha256 for sample in dataset.samples]
    for blocks in ([(2, "std"), (len(small.spec.cuts), "std")], [(len(small.spec.cuts), "std")]):
        steps = list(bank.iter_rows(hashes, blocks, rows_at_once=5))
        assert [len(rows) for _, rows in steps] == [5, 5, 2]
        order = np.concatenate([positions for positions, _ in steps])
        assert sorted(order.tolist()) == list(range(12))
        assert np.array_equal(np.concatenate([rows for _, rows in steps]), bank.read(hashes, blocks)[order])
