"""Every bank of the cache is read whole: damage is found, removed and told; the rest stays."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from bank_cases import small_spec

from thawline.features.bank import open_bank
from thawline.features.row_index import INDEX_FILE
from thawline.features.row_places import Places
from thawline.features.segment import write_segment
from thawline.features.verification import compact_cache, verify_cache

SPEC = small_spec(width=3)
OTHER = dataclasses.replace(SPEC, storage="float32")
DIGESTS = np.random.default_rng(0).integers(0, 256, (60, 32), dtype=np.uint8)


@pytest.fixture
def cache(own_cache):
    """Return a cache of two banks of 60 rows in six segments each."""
    for spec in (SPEC, OTHER):
        bank = open_bank(own_cache, spec).directory
        rows = np.random.default_rng(1).normal(size=(60, 1, 3)).astype(spec.storage)
        for at in range(0, 60, 10):
            write_segment(own_cache, bank, digests=DIGESTS[at : at + 10], rows=rows[at : at + 10])
    return own_cache


def flip(file):
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_whole_banks_are_whole(cache):
    found = verify_cache(cache)
    assert {one.key for one in found} == {SPEC.key, OTHER.key}
    assert all(one.is_whole and one.num_rows == 60 for one in found)
    assert found[0].to_json() == {
        "key": found[0].key,
        "num_rows": 60,
        "num_damaged": 0,
        "damaged": [],
        "is_index_damaged": False,
    }


def test_damage_is_told_where_it_was_and_is_gone_afterwards(cache):
    first, second, *_ = sorted((cache / "banks" / SPEC.key / "segments").iterdir())
    flip(first / "rows.npy")
    flip(second / "digests.npy")
    found = {one.key: one for one in verify_cache(cache)}
    assert found[OTHER.key].is_whole
    bank = found[SPEC.key]
    assert (bank.num_rows, bank.num_damaged) == (49, 2)  # 40 in whole segments, and nine that were kept
    assert sorted(bank.damaged) == sorted([first.name, second.name])
    assert all(one.is_whole for one in verify_cache(cache))
    assert len(open_bank(cache, SPEC)) == 49


def test_a_damaged_index_is_damage(cache):
    Places(cache, cache / "banks" / SPEC.key).write_index()
    (file,) = cache.rglob(INDEX_FILE)
    flip(file)
    found = {one.key: one for one in verify_cache(cache)}
    assert (found[SPEC.key].is_whole, found[SPEC.key].is_index_damaged, found[SPEC.key].num_damaged) == (False, True, 0)
    assert all(one.is_whole for one in verify_cache(cache))


def test_what_was_put_into_the_cache_by_others_is_not_looked_at(cache):
    (cache / "banks/2024").mkdir()
    (cache / "banks/2024/statement.pdf").write_text("mine")
    assert len(verify_cache(cache)) == 2
    assert verify_cache(cache / "none") == ()


def test_every_bank_is_compacted(cache):
    done = compact_cache(cache)
    assert {key: (one.num_before, one.num_after) for key, one in done.items()} == {SPEC.key: (6, 1), OTHER.key: (6, 1)}
    assert all(one.is_whole and one.num_rows == 60 for one in verify_cache(cache))
