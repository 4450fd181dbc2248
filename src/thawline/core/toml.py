"""A TOML file or table -> a checked dataclass: unknown keys and invalid values are refused by name."""

from __future__ import annotations

import reprlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from thawline.core.errors import UsageError, first_few
from thawline.core.spelling import nearest

__all__ = ["checked", "parse_table", "read_text", "refuse_unknown"]

Checked = TypeVar("Checked")

LONGEST_FILE = 1 << 20

SHOWN = reprlib.Repr()
SHOWN.maxstring = SHOWN.maxother = 80


def read_text(path: Path, what: str) -> str:
    """Return the text of a file that a person wrote, of a MiB at most.

    Args:
        path: The file.
        what: What it should be, for the error: `recipe`.

    Raises:
        UsageError: It cannot be read, or is not UTF-8 text of that size.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST_FILE + 1)
        if len(data) > LONGEST_FILE:
            raise UsageError(f"{what} {path}: longer than a MiB; a {what} is shorter. Name another file.")
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"{what} {path}: {reason}. Name a TOML file that can be read.") from None


def parse_table(text: str, where: str) -> dict[str, Any]:
    """Return the table that a TOML text describes.

    Args:
        text: The text.
        where: What it is, for the error: `recipe my.toml`.

    Raises:
        UsageError: It is not TOML; says where it breaks.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise UsageError(f"{where}: nested too deeply. Simplify the TOML.") from None
    except ValueError as error:  # broken TOML, or a number of more digits than Python reads
        raise UsageError(f"{where}: {error}. Fix the TOML there.") from None


def checked(kind: type[Checked], table: Mapping[str, Any], *, where: str) -> Checked:
    """Return a dataclass whose fields a table gives.

    Args:
        kind: A dataclass that pydantic checks.
        table: Field name → value.
        where: Where the table stands, for the error: `recipe my.toml, [options]`.

    Raises:
        UsageError: An unknown key, with the nearest known one; a value that the field cannot take.
    """
    refuse_unknown(table, [item.name for item in fields(kind)], where=where)  # type: ignore[arg-type]
    try:
        return kind(**table)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in item['loc'])} = {SHOWN.repr(item['input'])}: {_lower_first(item['msg'])}"
            if item["type"] not in ("missing", "missing_argument", "unexpected_keyword_argument")
            else f"{'.'.join(str(part) for part in item['loc'])}: {_lower_first(item['msg'])}"
            for item in error.errors()
        ]
        raise UsageError(f"{where}: {first_few(problems)}. Fix the value.") from None
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def refuse_unknown(table: Mapping[str, Any], names: Sequence[str], *, where: str) -> None:
    """Refuse unknown keys, each with the nearest known one.

    Args:
        table: Field name → value.
        names: The known fields.
        where: Where the table stands, for the error: `recipe my.toml, [options]`.

    Raises:
        UsageError: A key is none of `names`.
    """
    unknown = [key for key in table if key not in names]
    if unknown:
        raise UsageError(f"{where}: {first_few([_no_such(key, names) for key in unknown])}.")


def _no_such(key: str, names: Sequence[str]) -> str:
    near = nearest(key, names)
    return f"there is no key {SHOWN.repr(key)}" + (
        f"; did you mean {near[0]}?" if near else f" (there is {', '.join(names)})"
    )


def _lower_first(message: str) -> str:
    return message[0].lower() + message[1:]
