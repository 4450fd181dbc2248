"""TOML that a person wrote becomes checked options; whatever is wrong is named, with the nearest that is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic.dataclasses import dataclass

import thawline
from thawline.core import toml
from thawline.core.errors import UsageError
from thawline.core.toml import checked, parse_table, read_text, refuse_unknown


@dataclass(frozen=True)
class Kind:
    """Options to check."""

    epochs: int = 3
    name: str = "a"

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise UsageError("--epochs: at least 0.")


def test_one_module_reads_toml():
    package = Path(thawline.__file__).parent
    readers = [path.name for path in package.rglob("*.py") if re.search(r"\btomllib\b|\btomli\b", path.read_text())]
    assert readers == ["toml.py"]


def test_a_text_is_read_up_to_its_limit(tmp_path, monkeypatch):
    path = tmp_path / "a.toml"
    path.write_text("épochs", encoding="utf-8")
    assert read_text(path, "recipe") == "épochs"
    monkeypatch.setattr(toml, "LONGEST_FILE", 7)
    assert read_text(path, "recipe") == "épochs"
    monkeypatch.setattr(toml, "LONGEST_FILE", 6)
    with pytest.raises(UsageError, match=r"^recipe .*a\.toml: longer than a MiB; a recipe is shorter\. Name another"):
        read_text(path, "recipe")


def test_what_cannot_be_read_is_named_with_the_reason(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"^config .*a\.toml: not UTF-8 text\. Name a TOML file"):
        read_text(tmp_path / "a.toml", "config")
    with pytest.raises(UsageError, match=r"^config .*b\.toml: No such file or directory\. Name a TOML file"):
        read_text(tmp_path / "b.toml", "config")


def test_a_table_is_parsed_or_said_to_be_broken_and_where():
    assert parse_table("a = 1\n[b]\nc = 'd'", "config") == {"a": 1, "b": {"c": "d"}}
    for text, reason in (
        ("a = 1\nb = =", r"line 2.*\. Fix the TOML there"),
        ("a = " + "[" * 5000, "nested too deeply"),
    ):
        with pytest.raises(UsageError, match=rf"^config: .*{reason}"):
            parse_table(text, "config")
    with pytest.raises(UsageError, match=r"^config: .*digits.*\. Fix the TOML there"):
        parse_table("a = " + "1" * 5000, "config")


def test_a_table_becomes_checked_options():
    assert checked(Kind, {"epochs": 4}, where="config") == Kind(epochs=4)
    assert checked(Kind, {}, where="config") == Kind()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"epoch": 4}, "config: there is no key 'epoch'; did you mean epochs?."),
        ({"zzz": 4}, "config: there is no key 'zzz' (there is epochs, name)."),
        ({"epochs": -1}, "config: --epochs: at least 0."),
        ({"epochs": "many"}, "config: epochs = 'many': input should be a valid integer"),
        ({"epochs": "m" * 500}, "config: epochs = 'mmm"),
    ],
)
def test_what_is_wrong_is_named(table, message):
    with pytest.raises(UsageError, match="^" + re.escape(message)) as caught:
        checked(Kind, table, where="config")
    assert len(str(caught.value)) < 250


def test_every_wrong_value_is_named():
    with pytest.raises(UsageError, match=r"epochs = 'x': .*, name = 1: .*\. Fix the value\.$"):
        checked(Kind, {"epochs": "x", "name": 1}, where="config")


def test_a_missing_value_is_named_without_one():
    @dataclass(frozen=True)
    class Needing:
        size: int

    with pytest.raises(UsageError, match=r"^config: size: [a-z].*\. Fix the value\.$"):
        checked(Needing, {}, where="config")


def test_unknown_keys_are_refused_ten_at_a_time():
    refuse_unknown({"a": 1}, ["a", "b"], where="config")
    with pytest.raises(UsageError, match=r"and 2 more\.$"):
        refuse_unknown({f"key {number}": 1 for number in range(12)}, ["a"], where="config")
