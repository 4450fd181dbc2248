"""Whatever is put into a bank comes back, and whatever byte of it changes, no wrong number does."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from thawline.core.store import content_key
from thawline.core.types import InputSpec
from thawline.features.bank import BankSpec, FeatureBank, open_bank
from thawline.features.row_index import INDEX_FILE
from thawline.features.row_places import Places
from thawline.features.segment import write_segment
from thawline.features.verification import verify_bank

INPUT = InputSpec(size_px=32, mean=(0.5,) * 3, std=(0.5,) * 3)
FILES = ("rows.npy", "digests.npy", "checksums.npy")


def spec_with(num_views: int, storage: str, widths: tuple[int, ...]) -> BankSpec:
    blocks = tuple((number // 2, ("mean", "std")[number % 2], width) for number, width in enumerate(widths))
    views = tuple(f"view {number}" for number in range(num_views))
    return BankSpec("any", "0" * 64, INPUT, views, "float32", storage, (("stage", 1),), ("mean", "std"), blocks)


SPEC = spec_with(2, "float16", (3, 1, 2))


def digests_of(pictures: list[int]) -> np.ndarray:
    data = b"".join(hashlib.sha256(bytes([picture])).digest() for picture in pictures)
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, 32)


def names_of(pictures: list[int]) -> list[str]:
    return [digest.tobytes().hex() for digest in digests_of(pictures)]


def rows_of(pictures: list[int], spec: BankSpec) -> np.ndarray:
    made = [np.random.default_rng(picture).normal(size=(len(spec.views), spec.width)) for picture in pictures]
    return np.array(made).reshape(-1, len(spec.views), spec.width).astype(spec.storage)


specs = st.builds(
    spec_with,
    st.integers(1, 3),
    st.sampled_from(["float16", "float32"]),
    st.lists(st.integers(1, 5), min_size=1, max_size=6).map(tuple),
)
pictures = st.lists(st.integers(0, 40), unique=True, min_size=1, max_size=12)


@settings(max_examples=40)
@given(specs, st.lists(pictures, max_size=4), st.lists(st.integers(0, 40), max_size=15), st.data())
def test_rows_come_back_whatever_the_segments_and_the_order(spec, segments, wanted, data):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for members in segments:
            write_segment(
                root, open_bank(root, spec).directory, digests=digests_of(members), rows=rows_of(members, spec)
            )
        bank = open_bank(root, spec)
        inside = {picture for members in segments for picture in members}
        assert len(bank) == len(inside)
        first_seen = [at for at, picture in enumerate(wanted) if picture not in {*inside, *wanted[:at]}]
        assert bank.missing(names_of(wanted)) == first_seen
        known = [picture for picture in wanted if picture in inside]
        blocks = data.draw(st.lists(st.sampled_from(sorted(spec.columns)), min_size=1))
        view = data.draw(st.integers(0, len(spec.views) - 1))
        expected = rows_of(known, spec)[:, view].astype(np.float32)
        columns = np.concatenate([np.arange(spec.width)[spec.columns[block]] for block in blocks])
        assert np.array_equal(bank.read(names_of(known), blocks, view=view), expected[:, columns])


def remade(root: Path, members: list[int]) -> FeatureBank:
    """Return the open bank, which can make these pictures again."""
    bank = open_bank(root, SPEC)
    picture_of = dict(zip(names_of(members), members, strict=True))

    def remake(names: list[str]) -> None:
        again = [picture_of[name] for name in names]
        write_segment(root, bank.directory, digests=digests_of(again), rows=rows_of(again, SPEC))

    bank.remake = remake
    return bank


@settings(max_examples=100)
@given(st.sampled_from((*FILES, INDEX_FILE)), st.floats(0, 1, exclude_max=True), st.integers(1, 255), st.integers(0, 3))
def test_whatever_byte_changes_no_wrong_number_is_read(name, where, difference, cut):
    """A changed header, row or index, and a file cut short or grown by up to three bytes, before the bank is opened."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        members = [1, 2, 3, 4]
        bank = open_bank(root, SPEC).directory
        write_segment(root, bank, digests=digests_of(members), rows=rows_of(members, SPEC))
        Places(root, bank).write_index()
        (file,) = bank.rglob(name)
        data = bytearray(file.read_bytes())
        data[int(where * len(data))] ^= difference
        file.write_bytes(bytes(data[: len(data) - cut]) if difference % 2 else bytes(data) + bytes(cut))
        opened = remade(root, members)
        assert opened.missing(names_of(members)) == []
        for view in range(2):
            read = opened.read(names_of(members), list(SPEC.columns), view=view)
            assert np.array_equal(read, rows_of(members, SPEC)[:, view].astype(np.float32))
        assert opened.num_remade == opened.num_damaged or (name == "digests.npy" and opened.num_damaged == 1)
        again = open_bank(root, SPEC)
        assert np.array_equal(again.read(names_of(members), list(SPEC.columns), view=1), read)
        form = {"storage": SPEC.storage, "shape": (2, SPEC.width)}
        if name != "digests.npy":  # a hash that nobody asked for may be wrong still
            assert verify_bank(root, bank, **form).is_whole
        verify_bank(root, bank, **form)
        assert verify_bank(root, bank, **form).is_whole


def test_every_single_bit_of_a_header_is_believed_or_noticed(tmp_path):
    members = [1, 2]
    bank = open_bank(tmp_path, SPEC).directory
    segment = write_segment(tmp_path, bank, digests=digests_of(members), rows=rows_of(members, SPEC)).directory
    expected = rows_of(members, SPEC)[:, 0].astype(np.float32)
    kept = tmp_path / "kept"
    shutil.copytree(segment, kept)
    good = (kept / "rows.npy").read_bytes()
    for bit in range(0, 128 * 8, 3):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        segment.mkdir(exist_ok=True)
        for name in FILES:
            (segment / name).write_bytes((kept / name).read_bytes())
        (segment / "rows.npy").write_bytes(data)
        assert np.array_equal(remade(tmp_path, members).read(names_of(members), list(SPEC.columns)), expected), bit


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(values, values)
def test_equal_keys_mean_equal_values(one, other):
    same = repr(_sorted(one)) == repr(_sorted(other))
    assert (content_key(one) == content_key(other)) == same
    assert content_key(_sorted(one)) == content_key(one)


def _sorted(value):
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value, reverse=True)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
