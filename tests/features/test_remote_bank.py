"""A shared place gives back what was put there, and believes nothing that is damaged or half-written."""

from __future__ import annotations

import hashlib
import json
import uuid

import numpy as np
import pytest
from bank_cases import small_spec

from thawline.core.errors import StoreError
from thawline.features.bank import digests_of, open_bank
from thawline.features.remote_bank import RemoteBank, fetch_rows, send_rows
from thawline.features.segment import write_segment

SPEC = small_spec(width=3, poolings=("mean", "std"))
NAMES = [hashlib.sha256(bytes([number])).hexdigest() for number in range(9)]
ROWS = np.random.default_rng(0).normal(size=(9, 1, 6)).astype(np.float16)


@pytest.fixture(params=["folder", "memory"])
def remote(request, tmp_path):
    """Return an empty shared place: a folder, and one that has neither folders nor renames."""
    place = str(tmp_path / "shared") if request.param == "folder" else f"memory://{uuid.uuid4().hex}"
    return RemoteBank(place, SPEC)


def put(remote, start, stop):
    remote.put(digests_of(NAMES[start:stop]), ROWS[start:stop])


def path_of(remote, kind):
    """Return the only file of a kind in the place."""
    (found,) = remote._files.find(f"{remote._root}/{kind}")
    return found


def read(bank, names):
    return bank.read(names, list(SPEC.columns))


def test_an_empty_place_has_nothing(remote, own_cache):
    assert remote.entries() == []
    assert fetch_rows(remote, NAMES, cache=own_cache) == (0, 0)


def test_rows_come_back_bit_by_bit_as_a_local_pass_would_have_stored_them(remote, own_cache, tmp_path):
    put(remote, 0, 4)
    put(remote, 4, 9)
    assert fetch_rows(remote, NAMES, cache=own_cache) == (9, 0)
    bank = open_bank(own_cache, SPEC)
    assert np.array_equal(read(bank, NAMES), ROWS[:, 0].astype(np.float32))
    alone = open_bank(tmp_path / "alone", SPEC)
    for start, stop in ((0, 4), (4, 9)):
        write_segment(tmp_path / "alone", alone.directory, digests=digests_of(NAMES[start:stop]), rows=ROWS[start:stop])
    for file in sorted(alone.directory.glob("segments/*/*.npy")):
        assert (bank.directory / file.relative_to(alone.directory)).read_bytes() == file.read_bytes()


def test_only_what_is_lacking_is_fetched(remote, own_cache):
    put(remote, 0, 4)
    put(remote, 4, 9)
    assert fetch_rows(remote, NAMES[:2], cache=own_cache) == (4, 0)
    assert fetch_rows(remote, NAMES[:4], cache=own_cache) == (0, 0)
    assert fetch_rows(remote, NAMES, cache=own_cache) == (5, 0)


def test_what_was_sent_is_fetched_elsewhere(remote, own_cache, tmp_path):
    put(remote, 0, 4)
    bank = open_bank(own_cache, SPEC)
    write_segment(own_cache, bank.directory, digests=digests_of(NAMES), rows=ROWS)
    bank = open_bank(own_cache, SPEC)
    assert send_rows(remote, NAMES, bank=bank) == 5
    assert send_rows(remote, NAMES, bank=bank) == 0
    assert fetch_rows(remote, NAMES, cache=tmp_path / "other") == (9, 0)
    assert np.array_equal(read(open_bank(tmp_path / "other", SPEC), NAMES), read(bank, NAMES))
    assert json.loads(remote._files.cat_file(f"{remote._root}/bank.json"))["backbone_name"] == "tiny"


@pytest.mark.parametrize("damage", ["flipped", "short", "gone"])
def test_a_damaged_segment_is_noticed_and_can_be_made_again(remote, own_cache, damage):
    put(remote, 0, 4)
    path = path_of(remote, "objects")
    data = remote._files.cat_file(path)
    if damage == "gone":
        remote._files.rm_file(path)
    else:
        remote._files.pipe_file(path, data[:-1] + bytes([data[-1] ^ 1]) if damage == "flipped" else data[:-1])
    assert fetch_rows(remote, NAMES[:4], cache=own_cache) == (0, 1)
    assert remote.entries() == []
    put(remote, 0, 4)
    assert fetch_rows(remote, NAMES[:4], cache=own_cache) == (4, 0)


def test_rows_without_an_entry_are_not_there(remote, own_cache, monkeypatch):
    def killed(path, data):
        raise KeyboardInterrupt

    write = remote._write
    monkeypatch.setattr(remote, "_write", lambda path, data: (killed if "/index/" in path else write)(path, data))
    with pytest.raises(KeyboardInterrupt):
        put(remote, 0, 4)
    monkeypatch.undo()
    assert path_of(remote, "objects")
    assert remote.entries() == []
    put(remote, 0, 4)
    assert fetch_rows(remote, NAMES[:4], cache=own_cache) == (4, 0)


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b'{"sha256": "',
        b"[]",
        b'{"sha256": "00", "rows": 1, "digests": "00"}',
        json.dumps({"sha256": "00" * 32, "rows": 9, "digests": NAMES[0]}).encode(),
        json.dumps({"sha256": "../" * 20, "rows": 1, "digests": NAMES[0]}).encode(),
        b"[" * 99_999,
    ],
)
def test_an_entry_that_is_damaged_or_a_strangers_is_passed_over(remote, entry):
    put(remote, 0, 4)
    remote._files.pipe_file(path_of(remote, "index"), entry)
    assert remote.entries() == []


def test_two_runs_whose_machines_round_differently_do_not_mix(remote, own_cache):
    put(remote, 0, 4)
    other = ROWS[:4] + np.float16(1)
    remote.put(digests_of(NAMES[:4]), other)
    assert len(remote._files.find(f"{remote._root}/objects")) == 2
    assert fetch_rows(remote, NAMES[:4], cache=own_cache) == (4, 0)
    assert np.array_equal(read(open_bank(own_cache, SPEC), NAMES[:4]), other[:, 0].astype(np.float32))


def test_a_place_that_refuses_is_named(remote, monkeypatch):
    def refuse(path, data):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(remote._files, "pipe_file", refuse)
    with pytest.raises(StoreError, match=r"store: .*no permission .Access Denied"):
        put(remote, 0, 4)
