"""The cache lists and removes what Thawline wrote; what a person keeps in the same folder survives."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from thawline.core.cache import cache_entries, foreign_paths, prunable_entries, prune_cache, remove_entry

ONE, TWO, THREE, SHELF, SEGMENT = (digit * 32 for digit in "1234a")
BANK_FACTS = {"format": 1, "backbone_name": "net", "weights_sha256": "0", "views": ["plain"], "blocks": []}


def put(path, text="mine"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def bank(tmp_path):
    """Return a function that makes a bank of a key, last used on a day since the epoch."""

    def make(key, day=3, size=4):
        put(tmp_path / f"banks/{key}/bank.json", json.dumps(BANK_FACTS))
        for name in ("rows", "digests", "checksums"):
            put(tmp_path / f"banks/{key}/segments/{SEGMENT}/{name}.npy", "x" * size)
        os.utime(tmp_path / f"banks/{key}", (day * 86400,) * 2)
        return tmp_path / f"banks/{key}"

    return make


@pytest.fixture
def shelf(tmp_path):
    directory = tmp_path / "pictures" / SHELF
    put(directory / "source.json", json.dumps({"source": "hf", "name": "x", "pictures": {"train": 1}}))
    put(directory / "train-00000.parquet", "table")
    os.utime(directory, (86400, 86400))
    return directory


def test_the_cache_lists_what_it_holds_the_last_used_first_and_removes_it(bank, shelf, tmp_path):
    bank(ONE, 3), bank(TWO, 5, 2), bank(THREE, 4)
    facts = len(json.dumps(BANK_FACTS))
    entries = cache_entries(tmp_path)
    assert [(entry.kind, entry.key, entry.size_bytes) for entry in entries[:3]] == [
        ("banks", TWO, facts + 6),
        ("banks", THREE, facts + 12),
        ("banks", ONE, facts + 12),
    ]
    assert (entries[3].kind, entries[3].directory) == ("pictures", shelf)
    assert entries[0].last_used_s == 5 * 86400
    assert remove_entry(entries[0], tmp_path)
    assert not remove_entry(entries[0], tmp_path)  # two people prune at once
    assert [entry.key for entry in cache_entries(tmp_path)] == [THREE, ONE, SHELF]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert cache_entries(tmp_path / "no cache yet") == ()


def test_an_index_and_a_lock_that_a_kill_left_are_ours(bank, tmp_path):
    directory = bank(ONE)
    put(directory / "compaction.lock", "")
    put(directory / f"index/{TWO}/places.bin")
    (entry,) = cache_entries(tmp_path)
    assert foreign_paths(tmp_path) == ()
    assert remove_entry(entry, tmp_path)
    put(bank(TWO) / f"index/{TWO}/thesis.txt")
    assert prune_cache(tmp_path) == ()


def test_limits_choose_and_listing_removes_nothing(bank, tmp_path):
    bank(ONE, 3), bank(TWO, 20_000), bank(THREE, 30_000)  # the last one in the year 2052
    size = cache_entries(tmp_path)[0].size_bytes

    def keys(**limits):
        return [entry.key for entry in prunable_entries(tmp_path, **limits)]

    assert keys() == [THREE, TWO, ONE]
    assert keys(older_than_days=400) == [TWO, ONE]
    assert keys(keep_bytes=2 * size) == [ONE]
    assert keys(keep_bytes=size, older_than_days=400) == [TWO, ONE]
    assert len(cache_entries(tmp_path)) == 3
    assert [entry.key for entry in prune_cache(tmp_path, keep_bytes=2 * size)] == [ONE]
    assert [entry.key for entry in prune_cache(tmp_path)] == [THREE, TWO]
    assert not any((tmp_path / "banks").iterdir())


@pytest.mark.parametrize(
    "name",
    [
        "pictures/holiday/1.jpg",
        "banks/2024/statement.pdf",
        "banks/notes.txt",
        f"banks/{ONE}/thesis.txt",
        f"banks/{ONE}/segments/mine/rows.npy",
        f"banks/{ONE}/segments/{SEGMENT}/thesis.txt",
        f"banks/{ONE}/segments/{SEGMENT}/rows.npy/thesis.txt",
        f"banks/{'f' * 32}/statement.pdf",
        f"banks/{ONE.replace('1', 'A')}/bank.json",
        f"pictures/{SHELF}/holiday.parquet",
        f"pictures/{SHELF}/train-00000.parquet.bak",
        "staging/site/index.html",
        ".thawline-staging/site/index.html",
    ],
)
def test_what_a_person_keeps_there_is_left_alone(name, bank, shelf, tmp_path):
    bank(ONE), bank(TWO)
    if name.endswith("rows.npy/thesis.txt"):
        (tmp_path / name).parent.unlink()
    path = put(tmp_path / name, json.dumps(BANK_FACTS) if name.endswith("bank.json") else "mine")
    kept = path.read_bytes()
    removed = {entry.key for entry in prune_cache(tmp_path)}
    assert path.read_bytes() == kept
    assert TWO in removed
    spoiled = [key for key in (ONE, SHELF) if f"/{key}/" in f"/{name}"]
    assert removed == {ONE, TWO, SHELF} - set(spoiled)
    foreign = foreign_paths(tmp_path)
    assert len(foreign) == (0 if "staging" in name else 1)
    assert all(path.is_relative_to(one) for one in foreign)


def test_links_are_nobody_s_to_follow(bank, tmp_path):
    elsewhere = shutil.move(bank(ONE), tmp_path / "elsewhere")
    (tmp_path / "banks" / ONE).symlink_to(elsewhere)
    own = bank(TWO)
    (own / "segments" / SEGMENT / "rows.npy").unlink()
    (own / "segments" / SEGMENT / "rows.npy").symlink_to(Path(elsewhere) / "bank.json")
    assert prune_cache(tmp_path) == ()
    assert (Path(elsewhere) / "bank.json").exists()


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, '{"source": "hf"}', ""])
def test_a_description_that_describes_no_bank_proves_nothing(bank, tmp_path, text):
    put(bank(ONE) / "bank.json", text)
    assert cache_entries(tmp_path) == ()
    assert foreign_paths(tmp_path) == (tmp_path / "banks" / ONE,)


def test_what_became_foreign_since_it_was_listed_stays(bank, tmp_path):
    bank(ONE)
    listed = prunable_entries(tmp_path)
    put(tmp_path / f"banks/{ONE}/thesis.txt")
    assert prune_cache(tmp_path, entries=listed) == ()
    assert (tmp_path / f"banks/{ONE}/thesis.txt").exists()


def test_a_bank_that_goes_while_the_cache_is_listed_is_left_out(bank, tmp_path, monkeypatch):
    bank(ONE), bank(TWO)
    rglob = Path.rglob

    def prune_meanwhile(self, pattern):
        found = list(rglob(self, pattern))
        if self.name == ONE:
            shutil.rmtree(self, ignore_errors=True)
        return found

    monkeypatch.setattr(Path, "rglob", prune_meanwhile)
    assert [entry.key for entry in cache_entries(tmp_path)] == [TWO]
