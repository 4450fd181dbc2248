"""A bank holds what was put in, under the name of what determines it, and notices whatever happened to it since."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import pickle
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from thawline.core.errors import StoreError
from thawline.core.rendering import Levels, Rendering
from thawline.core.store import content_key
from thawline.core.types import InputSpec
from thawline.features import segment as segment_module
from thawline.features import specification, stored_rows, verification
from thawline.features.bank import BankSpec, digests_of, open_bank
from thawline.features.segment import write_segment
from thawline.features.verification import verify_bank

INPUT = InputSpec(size_px=32, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
SPEC = BankSpec(
    backbone_name="tiny",
    weights_sha256="ab" * 32,
    input=INPUT,
    views=("plain",),
    compute="float32",
    storage="float16",
    cuts=(("stage1", 3), ("stage2", 2)),
    poolings=("mean", "std"),
    blocks=((0, "mean", 3), (0, "std", 3), (1, "mean", 2), (1, "std", 2)),
)
FILES = ("rows.npy", "digests.npy", "checksums.npy")


def sha256s(*pictures):
    return [hashlib.sha256(str(picture).encode()).hexdigest() for picture in pictures]


def rows_of(*pictures, spec=SPEC):
    """Return the made-up features of pictures: (n, V, width), all different."""
    rows = [np.random.default_rng(picture).normal(size=(len(spec.views), spec.width)) for picture in pictures]
    return np.stack(rows).astype(spec.storage)


def commit(root, *pictures, spec=SPEC):
    """Commit one segment that holds `pictures`; return its folder."""
    bank, digests = open_bank(root, spec), digests_of(sha256s(*pictures))
    return write_segment(root, bank.directory, digests=digests, rows=rows_of(*pictures, spec=spec)).directory


def verify(root, spec=SPEC):
    """Read every row of the bank and remove what is damaged; return what was found."""
    directory = root / "banks" / spec.key
    return verify_bank(root, directory, storage=spec.storage, shape=(len(spec.views), spec.width))


def refilled(root, spec=SPEC):
    """Return the open bank, which can make any picture again, and the list of pictures that it has asked for."""
    bank, asked = open_bank(root, spec), []
    picture_of = {sha256s(picture)[0]: picture for picture in range(50)}

    def remake(hashes):
        pictures = [picture_of[sha256] for sha256 in hashes]
        asked.extend(pictures)
        write_segment(root, bank.directory, digests=digests_of(hashes), rows=rows_of(*pictures, spec=spec))

    bank.remake = remake
    return bank, asked


def holds(bank, *pictures):
    """Return which of `pictures` are in the bank, after seeing that their features are right."""
    have = [picture for picture in pictures if not bank.missing(sha256s(picture))]
    if have:
        read = bank.read(sha256s(*have), list(bank.spec.columns))
        assert (read == rows_of(*have, spec=bank.spec)[:, 0].astype(np.float32)).all()
    return have


def snapshot(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def segments_of(root):
    return sorted((root / "banks" / SPEC.key / "segments").iterdir())


def flip(file, at):
    data = bytearray(file.read_bytes())
    data[at] ^= 0xFF
    file.write_bytes(data)


def replace_input(**change):
    return {"input": dataclasses.replace(INPUT, **change)}


@pytest.mark.parametrize(
    "change",
    [
        {"weights_sha256": "cd" * 32},
        replace_input(size_px=33),
        replace_input(mean=(0.5, 0.5, 0.4)),
        replace_input(std=(0.25, 0.25, 0.2)),
        replace_input(interpolation="bilinear"),
        replace_input(fit="letterbox"),
        replace_input(rendering=Rendering(background="black")),
        replace_input(rendering=Rendering(levels=(Levels("16-bit", 0, 4095),))),
        {"views": ("plain", "mirrored")},
        {"compute": "bfloat16"},
        {"storage": "float32"},
        {"cuts": (("stage1", 3), ("stage3", 2))},
        {"poolings": ("mean", "max")},
        {"blocks": SPEC.blocks[:3]},
        {"engine": "openvino"},
    ],
    ids=lambda change: "-".join(change),
)
def test_whatever_determines_the_numbers_changes_the_key(change):
    assert dataclasses.replace(SPEC, **change).key != SPEC.key


def test_the_layout_on_disk_changes_the_key(monkeypatch):
    before = SPEC.key
    monkeypatch.setattr(specification, "FORMAT", specification.FORMAT + 1)
    assert dataclasses.replace(SPEC).key != before


def test_every_field_of_a_spec_was_thought_of():
    assert {field.name for field in dataclasses.fields(BankSpec)} == {
        *("backbone_name", "weights_sha256", "input", "views", "compute", "storage", "cuts", "poolings", "blocks"),
        "engine",
    }
    assert {field.name for field in dataclasses.fields(InputSpec)} == {
        *("size_px", "mean", "std", "interpolation", "fit", "rendering", "crop_share")
    }


def test_a_set_that_asks_for_no_rendering_and_shows_all_keeps_the_key_that_it_had_before_these_could_be():
    facts = {name: value for name, value in dataclasses.asdict(SPEC).items() if name != "backbone_name"}
    del facts["input"]["rendering"], facts["input"]["crop_share"], facts["engine"]
    assert SPEC.key == content_key({"format": specification.FORMAT, **facts})


def test_the_name_of_the_backbone_is_for_people():
    assert dataclasses.replace(SPEC, backbone_name="local-dir:tiny").key == SPEC.key
    assert re.fullmatch("[0-9a-f]{32}", SPEC.key)


def test_a_row_is_measured():
    assert SPEC.width == 10
    assert SPEC.row_bytes == 10 * 2 + 32 + 4
    assert dataclasses.replace(SPEC, storage="float32", views=("plain", "mirrored")).row_bytes == 2 * 10 * 4 + 36


def test_mapped_rows_are_whole_rows_in_the_order_asked_for(own_cache):
    spec = dataclasses.replace(SPEC, views=("plain", "mirrored"))
    commit(own_cache, 1, 2, spec=spec)
    commit(own_cache, 3, spec=spec)
    mapped = open_bank(own_cache, spec).mapped(sha256s(3, 1, 2, 3))
    rows = mapped.take(np.array([2, 0, 3, 2]), view=1)
    assert rows.dtype == np.float16
    assert np.array_equal(rows, rows_of(2, 3, 3, 2, spec=spec)[:, 1])
    with pytest.raises(ValueError, match="read-only"):
        mapped.segments[0][0, 0, 0] = 1
    with pytest.raises(StoreError, match=r"1 of 2 pictures are not in the bank\. Extract them first"):
        open_bank(own_cache, spec).mapped(sha256s(3, 4))


def test_mapped_rows_outlive_the_bank_and_keep_no_file_open(own_cache):
    for picture in range(12):
        commit(own_cache, picture)
    bank = open_bank(own_cache, SPEC)
    open_files = Path("/proc/self/fd")
    before = len(list(open_files.iterdir())) if open_files.exists() else 0
    mapped = bank.mapped(sha256s(*range(12)))
    assert not open_files.exists() or len(list(open_files.iterdir())) == before
    shutil.rmtree(bank.directory)
    assert np.array_equal(mapped.take(np.arange(12)), rows_of(*range(12))[:, 0])
    with pytest.raises(StoreError, match=r"was removed or repaired by another run since it was opened\. Run again"):
        bank.mapped(sha256s(1))


def test_a_bank_prints_in_a_line(own_cache):
    commit(own_cache, *range(12))
    bank = open_bank(own_cache, SPEC)
    spec = f"<BankSpec {SPEC.key}: 10 columns of tiny, view plain>"
    assert repr(bank) == f"<FeatureBank {str(bank.directory)!r}: 12 pictures, {spec}>"
    assert repr(bank.mapped(sha256s(3, 4))) == "<MappedRows: 2 pictures>"


def test_a_new_bank_is_empty_and_says_what_it_is(own_cache):
    bank = open_bank(own_cache, SPEC)
    assert (len(bank), bank.num_damaged, bank.num_views, bank.key) == (0, 0, 1, SPEC.key)
    assert bank.directory == own_cache / "banks" / SPEC.key
    described = json.loads((bank.directory / "bank.json").read_bytes())
    assert described["backbone_name"] == "tiny"
    assert described["input"]["fit"] == "crop"
    assert bank.read([], [(0, "mean")]).shape == (0, 3)


def test_what_is_written_is_read_in_the_order_asked_for(own_cache):
    commit(own_cache, 1, 2, 3)
    commit(own_cache, 4, 5)
    bank = open_bank(own_cache, SPEC)
    assert len(bank) == 5
    read = bank.read(sha256s(5, 1, 4, 1), [(1, "std"), (0, "mean")])
    rows = rows_of(5, 1, 4, 1)[:, 0].astype(np.float32)
    assert read.dtype == np.float32
    assert (read == np.concatenate([rows[:, 8:10], rows[:, 0:3]], axis=1)).all()


@pytest.mark.parametrize("rows_at_once", [1, 2, 3, 100])
def test_rows_are_streamed_segment_by_segment_each_once(own_cache, rows_at_once):
    commit(own_cache, 1, 2, 3)
    commit(own_cache, 4, 5)
    bank = open_bank(own_cache, SPEC)
    asked, blocks = sha256s(5, 1, 4, 1, 3), [(1, "std"), (0, "mean")]
    steps = list(bank.iter_rows(asked, blocks, rows_at_once=rows_at_once))
    assert all(len(positions) == len(rows) <= rows_at_once for positions, rows in steps)
    order = np.concatenate([positions for positions, _ in steps])
    assert sorted(order.tolist()) == list(range(5))
    together = [sorted(order[:2].tolist()), sorted(order[-2:].tolist())]
    assert [0, 2] in together  # pictures 5 and 4, of one segment
    rows = np.concatenate([rows for _, rows in steps])
    assert rows.dtype == np.float32
    assert np.array_equal(rows, bank.read(asked, blocks)[order])


def test_a_stream_of_nothing_ends_and_one_of_strangers_is_refused(own_cache):
    commit(own_cache, 1)
    bank = open_bank(own_cache, SPEC)
    assert list(bank.iter_rows([], [(0, "mean")])) == []
    with pytest.raises(StoreError, match=r"1 of 2 pictures are not in the bank\. Extract them first"):
        next(bank.iter_rows(sha256s(1, 8), [(0, "mean")]))
    with pytest.raises(StoreError, match="this bank has no"):
        next(bank.iter_rows(sha256s(1), [(0, "grid")]))


def test_every_view_is_read(own_cache):
    spec = dataclasses.replace(SPEC, views=("plain", "mirrored"))
    commit(own_cache, 1, 2, spec=spec)
    read = open_bank(own_cache, spec).read(sha256s(2, 1), [(0, "std")], view=1)
    assert (read == rows_of(2, 1, spec=spec)[:, 1, 3:6].astype(np.float32)).all()


def test_what_is_missing_is_told_in_order_and_once(own_cache):
    commit(own_cache, 1, 2)
    bank = open_bank(own_cache, SPEC)
    assert bank.missing(sha256s(9, 1, 7, 9, 2, 8, 7)) == [0, 2, 5]
    assert bank.missing(sha256s(2, 1, 2)) == []


def test_what_is_not_there_cannot_be_read(own_cache):
    commit(own_cache, 1, 2)
    bank = open_bank(own_cache, SPEC)
    with pytest.raises(
        StoreError, match=r"^read features: 2 of 3 pictures are not in the bank\. Extract them first\.$"
    ):
        bank.read(sha256s(1, 8, 9), [(0, "mean")])
    with pytest.raises(
        StoreError,
        match=r"^read features: this bank has no \(0, 'grid'\), \(7, 'mean'\); at its cuts it has mean, std\. Extract",
    ):
        bank.read(sha256s(1), [(0, "mean"), (0, "grid"), (7, "mean")])


def test_a_flipped_byte_costs_its_row_and_no_other(own_cache):
    segment, other = commit(own_cache, 1, 2, 3), commit(own_cache, 4)
    flip(segment / "rows.npy", -2 * SPEC.width - 1)  # the last byte of the second of three rows
    bank, asked = refilled(own_cache)
    assert bank.num_damaged == 0  # nothing has been read yet
    assert holds(bank, 1, 3, 4) == [1, 3, 4]  # rows that are whole are read without the others
    assert (bank.num_damaged, asked) == (0, [])
    assert segment.exists()
    assert holds(bank, 4, 3, 2, 1) == [4, 3, 2, 1]
    assert (bank.num_damaged, bank.num_remade, asked) == (1, 1, [2])
    assert not segment.exists()
    assert other in segments_of(own_cache)
    again = open_bank(own_cache, SPEC)
    assert holds(again, 1, 2, 3, 4) == [1, 2, 3, 4]
    assert again.num_damaged == 0
    assert list(own_cache.glob(".thawline-staging/*")) == []


def test_a_damaged_row_that_nobody_can_make_again_is_dropped_and_said(own_cache):
    flip(commit(own_cache, 1, 2, 3) / "rows.npy", -1)
    bank = open_bank(own_cache, SPEC)
    with pytest.raises(
        StoreError,
        match=r"^read features: .* was damaged: 1 of 2 rows had to be removed\. Extract those pictures again",
    ):
        bank.read(sha256s(1, 3), [(0, "mean")])
    assert bank.num_damaged == 1
    assert holds(bank, 1, 2, 3) == [1, 2]


def test_what_is_damaged_behind_a_stream_is_made_again_and_the_stream_goes_on(own_cache):
    segments = [commit(own_cache, at, at + 1, at + 2) for at in range(0, 30, 3)]
    bank, asked = refilled(own_cache)
    order = np.random.default_rng(0).permutation(30).tolist()
    steps = []
    for step, (positions, rows) in enumerate(bank.iter_rows(sha256s(*order), list(SPEC.columns), rows_at_once=7)):
        steps.append((positions, rows))
        if step == 0:
            last = segments_of(own_cache)[-1]
            flip(last / "rows.npy", -1)
            flip(last / "checksums.npy", -5)
    assert len(asked) == bank.num_damaged == 2
    assert not last.exists()
    assert {*segments} - {*segments_of(own_cache)} == {last}
    positions = np.concatenate([positions for positions, _ in steps])
    assert sorted(positions.tolist()) == list(range(30))
    expected = rows_of(*order)[:, 0].astype(np.float32)
    assert np.array_equal(np.concatenate([rows for _, rows in steps]), expected[positions])


def test_mapped_rows_are_verified_before_they_are_given_away(own_cache):
    flip(commit(own_cache, 1, 2, 3) / "rows.npy", -1)
    bank, asked = refilled(own_cache)
    mapped = bank.mapped(sha256s(3, 1, 2))
    assert asked == [3]
    assert np.array_equal(mapped.take(np.arange(3)), rows_of(3, 1, 2)[:, 0])


def test_a_row_is_verified_once(own_cache, monkeypatch):
    commit(own_cache, 1, 2, 3)
    bank = open_bank(own_cache, SPEC)
    holds(bank, 1, 2)
    read = []
    checksums = stored_rows.checksums
    monkeypatch.setattr(stored_rows, "checksums", lambda rows: read.append(len(rows)) or checksums(rows))
    assert holds(bank, 1, 2) == [1, 2]
    assert read == []
    assert holds(bank, 1, 3) == [1, 3]
    assert read == [1]


def test_a_wrong_checksum_costs_its_row_and_no_other(own_cache):
    flip(commit(own_cache, 1, 2, 3) / "checksums.npy", -1)
    bank, asked = refilled(own_cache)
    assert holds(bank, 1, 2, 3) == [1, 2, 3]
    assert asked == [3]


def test_a_row_is_not_taken_for_another_picture(own_cache):
    """Before the index knows a segment, its name proves its hashes; afterwards, each row's own hash does."""
    segment = commit(own_cache, 1, 2)
    flip(segment / "digests.npy", -1)
    bank = open_bank(own_cache, SPEC)
    assert holds(bank, 1, 2) == []
    assert (len(bank), bank.num_damaged) == (0, 1)
    assert not segment.exists()
    segment = commit(own_cache, 1, 2)
    bank, asked = refilled(own_cache)
    flip(segment / "digests.npy", -1)
    assert holds(bank, 1) == [1]
    assert asked == []
    assert holds(bank, 1, 2) == [1, 2]
    assert sorted(asked) == [1, 2]  # a wrong hash leaves no proof of any


def test_several_threads_heal_what_they_read_once(own_cache):
    for at in range(0, 40, 4):
        flip(commit(own_cache, at, at + 1, at + 2, at + 3) / "rows.npy", -1)
    bank, asked = refilled(own_cache)

    def read(seed):
        pictures = np.random.default_rng(seed).permutation(40).tolist()
        return np.array_equal(
            bank.read(sha256s(*pictures), list(SPEC.columns)), rows_of(*pictures)[:, 0].astype(np.float32)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(12)))
    assert sorted(asked) == list(range(3, 40, 4))
    assert (bank.num_damaged, bank.num_remade) == (10, 10)


def test_a_segment_may_be_opened_while_another_thread_heals(own_cache):
    flip(commit(own_cache, 0, 1) / "rows.npy", -1)
    commit(own_cache, 2, 3)
    bank, _ = refilled(own_cache)

    class Meanwhile:
        """A segment at which another thread opens one more, just when it is looked at."""

        @property
        def path(self):
            bank._stored[len(bank._stored) + 100] = self
            return own_cache

    bank._stored[99] = Meanwhile()
    read = bank.read(sha256s(0, 1, 2, 3), list(SPEC.columns))
    np.testing.assert_array_equal(read, rows_of(0, 1, 2, 3)[:, 0])
    assert max(bank._stored) > 99


def object_array(_):
    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def zip_archive(_):
    buffer = io.BytesIO()
    np.savez(buffer, rows=np.zeros(3))
    return buffer.getvalue()


def huge_shape(data):
    start = data.index(b"'shape': (") + len(b"'shape': (")
    return data[:start] + b"999999999999" + data[start + 12 :]


class Trap:
    """Leaves a mark when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("unpickled"),)


DAMAGES = {
    "emptied": lambda _: b"",
    "header only": lambda data: data[:128],
    "half a header": lambda data: data[:60],
    "cut short": lambda data: data[:-1],
    "one row less": lambda data: data[: -(len(data) - 128) // 3],
    "longer": lambda data: data + b"\0" * 8,
    "garbage": lambda data: np.random.default_rng(0).bytes(len(data)),
    "text": lambda _: b"Not found\n",
    "zip archive": zip_archive,
    "broken zip archive": lambda data: b"PK\x03\x04" + data,
    "pickle": lambda _: pickle.dumps(Trap()),
    "pickled objects": object_array,
    "unclosed header": lambda data: data.replace(b"}", b"("),
    "huge shape": huge_shape,
    "another type": lambda data: data.replace(b"'descr': '<", b"'descr': '>").replace(b"'|u1'", b"'|i1'"),
    "column by column": lambda data: data.replace(b"False, ", b"True,  "),
    "another version": lambda data: data[:6] + b"\2" + data[7:],
    "nul header": lambda data: data[:10] + b"\0" * 118 + data[128:],
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_not_as_it_was_written_counts_as_missing_and_never_runs(
    own_cache, tmp_path, monkeypatch, name, damage
):
    monkeypatch.chdir(tmp_path)
    segment, other = commit(own_cache, 1, 2, 3), commit(own_cache, 4)
    file = segment / name
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    bank, asked = refilled(own_cache)
    assert bank.missing(sha256s(1, 2, 3, 4)) == ([0, 1, 2] if name == "digests.npy" else [])
    if name != "digests.npy":  # else they are missing, as what was never extracted
        assert holds(bank, 1, 2, 3, 4) == [1, 2, 3, 4]
        assert sorted(asked) == [1, 2, 3]
    assert bank.num_damaged == (1 if name == "digests.npy" else 3)
    assert not Path("unpickled").exists()
    commit(own_cache, 1, 2, 3)
    assert holds(open_bank(own_cache, SPEC), 1, 2, 3, 4) == [1, 2, 3, 4]
    assert other in segments_of(own_cache)


@pytest.mark.parametrize("damage", DAMAGES)
def test_hashes_that_are_damaged_after_the_bank_was_opened_are_noticed_at_the_next_read(own_cache, damage):
    segment = commit(own_cache, 1, 2, 3)
    bank, asked = refilled(own_cache)
    file = segment / "digests.npy"
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    assert holds(bank, 1, 2, 3) == [1, 2, 3]
    assert sorted(asked) == [1, 2, 3]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_verifying_finds_and_removes_it(own_cache, name, damage):
    segment, other = commit(own_cache, 1, 2, 3), commit(own_cache, 4)
    file = segment / name
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    found = verify(own_cache)
    assert (found.num_damaged, found.damaged) == (1 if name == "digests.npy" else 3, (segment.name,))
    assert segments_of(own_cache) == [other]
    assert holds(open_bank(own_cache, SPEC), 1, 2, 3, 4) == [4]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone_or_a_folder_counts_as_missing(own_cache, name):
    for look in (lambda file: None, lambda file: file.mkdir()):
        file = commit(own_cache, 1, 2) / name
        bank, asked = refilled(own_cache)
        file.unlink()
        look(file)
        assert holds(bank, 1, 2) == [1, 2]
        assert sorted(asked) == [1, 2]
        assert not file.is_dir()
    segment = commit(own_cache, 1, 2)
    shutil.rmtree(segment)
    shutil.copy(__file__, segment)
    assert holds(open_bank(own_cache, SPEC), 1, 2) == []


def test_a_segment_of_another_bank_is_not_believed(own_cache):
    wider = dataclasses.replace(SPEC, storage="float32")
    ours, theirs = commit(own_cache, 1, 2), commit(own_cache, 1, 2, spec=wider)
    shutil.rmtree(ours)
    shutil.copytree(theirs, ours)
    bank, asked = refilled(own_cache)
    assert holds(bank, 1, 2) == [1, 2]
    assert sorted(asked) == [1, 2]
    shutil.rmtree(ours)
    renamed = commit(own_cache, 3).rename(ours)
    assert holds(open_bank(own_cache, SPEC), 1, 2, 3) == []
    assert not renamed.exists()


def test_what_is_not_ours_stays_where_it_is(own_cache):
    segments = commit(own_cache, 1).parent
    (segments / "my notes").mkdir()
    (segments / "my notes/read.me").write_text("mine")
    (segments / ".DS_Store").write_text("theirs")
    bank = open_bank(own_cache, SPEC)
    assert bank.num_damaged == 0
    assert holds(bank, 1) == [1]
    assert (segments / "my notes/read.me").read_text() == "mine"
    assert (segments / ".DS_Store").exists()


def test_two_writers_of_the_same_segment_leave_one(own_cache):
    first = commit(own_cache, 1, 2)
    before, inode = snapshot(own_cache), first.stat().st_ino
    assert commit(own_cache, 1, 2) == first
    assert snapshot(own_cache) == before
    assert first.stat().st_ino == inode
    assert list(own_cache.glob(".thawline-staging/*")) == []


def test_a_picture_in_two_segments_is_one_picture(own_cache):
    commit(own_cache, 1, 2)
    commit(own_cache, 2, 3)
    bank = open_bank(own_cache, SPEC)
    assert len(bank) == 3
    assert holds(bank, 1, 2, 3) == [1, 2, 3]


def test_opening_changes_nothing_but_the_time_of_last_use(own_cache):
    commit(own_cache, 1, 2)
    before = snapshot(own_cache)
    os.utime(own_cache / "banks" / SPEC.key, (0, 0))
    open_bank(own_cache, SPEC)
    assert snapshot(own_cache) == before
    assert (own_cache / "banks" / SPEC.key).stat().st_mtime > 0


def test_the_sound_rows_are_committed_before_the_damaged_segment_goes(own_cache, monkeypatch):
    segment = commit(own_cache, 1, 2, 3)
    flip(segment / "rows.npy", -1)
    before = snapshot(own_cache)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(segment_module, "commit_directory", full)
    with pytest.raises(StoreError, match="the disk is full"):
        verify(own_cache)
    with pytest.raises(StoreError, match="the disk is full"):
        refilled(own_cache)[0].read(sha256s(3), [(0, "mean")])
    assert snapshot(own_cache) == before
    monkeypatch.undo()
    assert verify(own_cache).num_damaged == 1
    assert holds(open_bank(own_cache, SPEC), 1, 2, 3) == [1, 2]


def test_a_segment_that_another_run_repairs_meanwhile_is_found_in_its_new_place(own_cache, monkeypatch):
    """Between the look into the folder and the look into the segment, another run puts the sound rows elsewhere."""
    segment = commit(own_cache, 1, 2, 3)
    commit(own_cache, 4)
    flip(segment / "rows.npy", -1)
    verify_segment, calls = verification.verify_segment, []

    def repair_meanwhile(path, **form):
        if path == segment and not calls:
            calls.append(path)
            assert verify(own_cache).num_damaged == 1
        return verify_segment(path, **form)

    monkeypatch.setattr(verification, "verify_segment", repair_meanwhile)
    bank = open_bank(own_cache, SPEC)
    found = verify(own_cache)
    assert calls
    assert (found.num_damaged, found.num_rows) == (0, 3)
    with pytest.raises(StoreError, match="was damaged: 1 of 4 rows had to be removed"):
        bank.read(sha256s(1, 2, 3, 4), [(0, "mean")])
    assert holds(bank, 1, 2, 3, 4) == [1, 2, 4]


def test_two_runs_may_repair_one_segment_at_once(own_cache, monkeypatch):
    """The other run repairs after this one has read the damaged segment, while it writes the sound rows."""
    segment = commit(own_cache, 1, 2, 3)
    flip(segment / "rows.npy", -1)

    def repair_meanwhile(*arguments, **named):
        monkeypatch.undo()
        verify(own_cache)
        return write_segment(*arguments, **named)

    monkeypatch.setattr(segment_module, "write_segment", repair_meanwhile)
    verify(own_cache)
    assert holds(open_bank(own_cache, SPEC), 1, 2, 3) == [1, 2]
    assert len(segments_of(own_cache)) == 1


def test_a_bank_that_was_pruned_since_it_was_opened_says_so(own_cache):
    commit(own_cache, 1)
    bank = open_bank(own_cache, SPEC)
    shutil.rmtree(bank.directory)
    with pytest.raises(
        StoreError,
        match=r"^read features: .* was removed or repaired by another run since it was opened\. Run again\.$",
    ):
        bank.read(sha256s(1), [(0, "mean")])


def test_what_may_not_be_read_is_not_taken_for_damage(own_cache, monkeypatch):
    segment = commit(own_cache, 1)

    opened = Path.open

    def refuse(self, *arguments, **options):
        if self.suffix == ".npy":
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StoreError, match=r"^open the bank: .*/digests\.npy: permission denied"):
        open_bank(own_cache, SPEC)
    monkeypatch.undo()
    bank = open_bank(own_cache, SPEC)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StoreError, match=r"^read features: .*/rows\.npy: permission denied"):
        bank.read(sha256s(1), [(0, "mean")])
    monkeypatch.undo()
    assert segment.exists()


def test_a_bad_sector_is_damage(own_cache, monkeypatch):
    segment, opened = commit(own_cache, 1), Path.open

    def fail(self, *arguments, **options):
        if self.name == "rows.npy":
            raise OSError(5, "Input/output error", str(self))
        return opened(self, *arguments, **options)

    bank, asked = refilled(own_cache)
    bank.remake = lambda hashes: asked.extend(hashes)
    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(StoreError, match=r"1 of 1 pictures are not in the bank\. Extract them first"):
        bank.read(sha256s(1), [(0, "mean")])
    assert (bank.num_damaged, asked) == (1, sha256s(1))
    assert not segment.exists()
    monkeypatch.undo()
    commit(own_cache, 1)
    monkeypatch.setattr(Path, "open", fail)
    assert verify(own_cache).num_damaged == 1


@pytest.fixture
def read_only(own_cache):
    """Return a function that makes the cache read-only."""
    mounted = []

    def make():
        done = subprocess.run(["mount", "--bind", own_cache, own_cache], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a read-only file system needs `mount`: {done.stderr.strip()}")
        mounted.append(own_cache)
        subprocess.run(["mount", "-o", "remount,bind,ro", own_cache], check=True)

    yield make
    for directory in mounted:
        subprocess.run(["umount", directory], check=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs the superuser")
def test_a_whole_bank_can_be_read_where_nothing_may_be_written(own_cache, read_only):
    damaged, _ = commit(own_cache, 1, 2), commit(own_cache, 3)
    new = dataclasses.replace(SPEC, compute="bfloat16")
    read_only()
    bank = open_bank(own_cache, SPEC)
    assert holds(bank, 1, 2, 3) == [1, 2, 3]
    with pytest.raises(StoreError, match=r"^open the bank: .*: the file system is read-only\. Choose a place"):
        open_bank(own_cache, new)
    with pytest.raises(StoreError, match=r"^extract: .*: the file system is read-only\. Choose a place"):
        write_segment(own_cache, bank.directory, digests=np.zeros((1, 32), dtype=np.uint8), rows=rows_of(7))
    subprocess.run(["mount", "-o", "remount,bind,rw", own_cache], check=True)
    flip(damaged / "rows.npy", -1)
    subprocess.run(["mount", "-o", "remount,bind,ro", own_cache], check=True)
    bank = open_bank(own_cache, SPEC)
    assert holds(bank, 1, 3) == [1, 3]
    with pytest.raises(StoreError, match="the file system is read-only"):
        bank.read(sha256s(2), [(0, "mean")])
    with pytest.raises(StoreError, match="the file system is read-only"):
        verify(own_cache)


def test_a_folder_that_may_not_be_written_is_named(own_cache):
    commit(own_cache, 1)
    own_cache.chmod(0o555)
    try:
        if os.access(own_cache, os.W_OK):
            pytest.skip("the superuser may write anywhere")
        bank = open_bank(own_cache, SPEC)
        assert holds(bank, 1) == [1]
        with pytest.raises(StoreError, match=r"^extract: .*: permission denied\. Choose a place"):
            write_segment(own_cache, bank.directory, digests=np.zeros((1, 32), dtype=np.uint8), rows=rows_of(7))
    finally:
        own_cache.chmod(0o755)
