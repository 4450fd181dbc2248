"""Answers that are computed once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thawline.core import remembered
from thawline.core.cache import cache_entries, prune_cache
from thawline.core.remembered import known_before, recalled, remembering
from thawline.core.types import Curve
from thawline.use.doubt import Doubt

CURVE = Curve((1.0, 0.1 + 0.2), (float("nan"),), (), (0.5,))


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    with remembering(tmp_path):
        yield tmp_path


class Counted:
    """Something to compute that counts how often it was."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.calls = answer, 0

    def __call__(self) -> Any:
        self.calls += 1
        return self.answer


def twice(answer: Any) -> Any:
    """Return what is recalled after it was computed."""
    once = Counted(answer)
    assert recalled("it", ["fact"], make=once) is answer
    found = recalled("it", ["fact"], make=once)
    assert once.calls == 1
    return found


@pytest.mark.parametrize(
    "answer",
    [
        None,
        True,
        3,
        0.1 + 0.2,
        "é\udcff",
        b"\x00\xff",
        Path("a/b"),
        (1, [2, (3,)], {"a": {1, 2}, 4: frozenset({"x"})}),
        CURVE,
        Doubt(read_from="answers", false_alarms=0.05, num_groups=3, error_rate=None, min_probability=0.5),
    ],
)
def test_an_answer_comes_back_as_it_was(root: Path, answer: Any):
    found = twice(answer)
    assert repr(found) == repr(answer)
    assert type(found) is type(answer)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8", "bool"])
def test_arrays_come_back_with_their_bits_and_their_order_in_memory(root: Path, dtype: str):
    answer = (np.arange(6).reshape(2, 3).astype(dtype), np.arange(6).reshape(2, 3).astype(dtype).T, np.zeros((0, 3)))
    for one, other in zip(answer, twice(answer), strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()
        assert one.shape == other.shape
        assert one.flags.f_contiguous == other.flags.f_contiguous
        assert other.flags.writeable


def test_a_number_of_numpy_stays_one(root: Path):
    assert type(twice([np.float32(0.1), np.int64(3)])[0]) is np.float32


@dataclass(frozen=True)
class _Foreign:
    value: int


def test_what_was_one_object_is_one_object_again(root: Path):
    array = np.arange(3)
    first, second, third, fourth = twice([CURVE, array, CURVE, array])
    assert first is third
    assert second is fourth


def test_other_facts_other_names_and_another_program_are_other_answers(root: Path, monkeypatch: pytest.MonkeyPatch):
    made = Counted(1)
    facts = ["a", np.array([1.0]), CURVE]
    recalled("it", facts, make=made)
    recalled("another", facts, make=made)
    for other in (["b", *facts[1:]], ["a", np.array([2.0]), CURVE], ["a", np.array([1.0], dtype=np.float32), CURVE]):
        recalled("it", other, make=made)
    recalled("it", ["a", np.array([1.0]), Curve((), (), (), ())], make=made)
    assert made.calls == 6
    assert known_before("it", facts)
    monkeypatch.setattr(remembered, "program", lambda: {"source": "changed"})
    assert not known_before("it", facts)
    recalled("it", facts, make=made)
    assert made.calls == 7


def test_the_program_is_known_by_its_source():
    assert len(remembered.program()["source"]) == 64
    assert {"torch", "numpy", "cleanlab", "processor", "threads"} <= set(remembered.program())


def test_outside_nothing_is_kept(tmp_path: Path):
    made = Counted(1)
    recalled("it", [], make=made)
    recalled("it", [], make=made)
    assert made.calls == 2
    assert not known_before("it", [])


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["entry.json", "answer.safetensors"])
@pytest.mark.parametrize("how", ["cut", "flipped", "gone", "empty", "other"])
def test_a_damaged_answer_is_computed_again_and_kept_again(root: Path, name: str, how: str):
    made = Counted(np.arange(9.0))
    recalled("it", [], make=made)
    (file,) = (path for path in files(root) if path.name == name)
    data, place = file.read_bytes(), len(file.read_bytes()) // 2
    if how == "gone":
        file.unlink()
    else:
        flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        file.write_bytes({"cut": data[:place], "flipped": flipped, "empty": b"", "other": b'{"what": []}'}[how])
    assert recalled("it", [], make=made).tolist() == list(range(9))
    harmless = how == "flipped" and name == "entry.json" and made.calls == 1  # a letter of what is only shown
    assert made.calls == (1 if harmless else 2)
    recalled("it", [], make=made)
    assert made.calls == (1 if harmless else 2)


def test_a_tree_that_names_a_class_of_others_is_refused(root: Path):
    made = Counted(1)
    recalled("it", [], make=made)
    for kind in ("os:system", "thawline.core.store:content_key"):
        tree = json.dumps([kind, ["value", "x"]])
        data = remembered.save({}, metadata={"tree": tree})
        for file in files(root):
            if file.name == "answer.safetensors":
                file.write_bytes(data)
            else:
                facts = json.loads(file.read_bytes())
                file.write_text(json.dumps({**facts, "sha256": remembered.hashlib.sha256(data).hexdigest()}))
        before = made.calls
        recalled("it", [], make=made)
        assert made.calls == before + 1


@pytest.mark.parametrize("answer", [object(), _Foreign, np.array(["a"]), lambda: 1])
def test_what_is_no_data_is_refused(root: Path, answer: Any):
    with pytest.raises(TypeError, match=r"remember: .* is no data"):
        recalled("it", [], make=lambda: answer)
    with pytest.raises(TypeError, match=r"remember: .* is no data"):
        recalled("it", answer, make=lambda: 1)


def test_answers_are_listed_and_pruned_with_the_cache(root: Path):
    recalled("it", [], make=Counted(np.zeros(1000)))
    (entry,) = cache_entries(root)
    assert (entry.kind, entry.size_bytes > 8000) == ("answers", True)
    assert prune_cache(root) == (entry,)
    assert not cache_entries(root)
    assert not files(root)


def test_what_is_too_large_is_not_kept_and_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remembered, "LARGEST_BYTES", 10_000)
    monkeypatch.setattr(remembered, "MOST_BYTES", 20_000)
    with remembering(tmp_path):
        recalled("large", [], make=Counted(np.zeros(2000)))
        assert not cache_entries(tmp_path)
        for number in range(5):
            recalled("it", [number], make=Counted(np.zeros(1000)))
            remembered.os.utime(cache_entries(tmp_path)[0].directory, (number, number))
        assert len(cache_entries(tmp_path)) == 5
    assert sorted(entry.last_used_s for entry in cache_entries(tmp_path)) == [3, 4]


def test_a_cache_that_cannot_be_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(remembered, "write_json", full)
    with remembering(tmp_path):
        assert recalled("it", [], make=lambda: 3) == 3
    assert not cache_entries(tmp_path)
