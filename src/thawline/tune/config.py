"""A TOML file -> what a tuning is asked for: pictures, plans and options, every key checked by the options' own types.

photos = "monkeys"
plans = ["simple_cnn from nothing", "last 20 %", "head, then all"]
size = 224
epochs = 12
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from thawline.core.errors import UsageError, first_few
from thawline.core.options import Options
from thawline.data.places import place_beside
from thawline.tune.options import TuneOptions

__all__ = ["Config", "read_config"]


@dataclass(frozen=True)
class Config:
    """What a file asks for.

    Attributes:
        photos: Where the pictures lie, relative to the file; or None.
        plans: In words.
        options: Of the run.
        training: Of the trainings.
    """

    photos: Path | None
    plans: tuple[str, ...]
    options: Options
    training: TuneOptions


def read_config(path: Path, options: Options | None = None, training: TuneOptions | None = None) -> Config:
    """Return what a TOML file asks for, below what `options` and `training` say that is not their default.

    So a person may try a file's run with one option changed on the command line.

    Raises:
        UsageError: The file cannot be read, or a key or value is not one of an option's; the nearest key is named.
    """
    options, training = options or Options(), training or TuneOptions()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"config {path}: {reason}. A TOML file is needed, with plans = [...] and options.") from None
    photos, plans = found.pop("photos", None), found.pop("plans", [])
    if not (photos is None or isinstance(photos, str)) or not _are_texts(plans):
        raise UsageError(f'config {path}: photos must be a text and plans a list of texts, e.g. plans = ["last 20 %"].')
    names = {field.name for field in fields(Options)}, {field.name for field in fields(TuneOptions)}
    _refuse_unknown(path, found, names[0] | names[1])
    said = [{name: value for name, value in found.items() if name in own} for own in names]
    try:
        return Config(
            photos=place_beside(path.parent, photos) if photos else None,
            plans=tuple(plans),
            options=Options(**said[0] | _changed(options, Options())),
            training=TuneOptions(**said[1] | _changed(training, TuneOptions())),
        )
    except ValidationError as error:
        wrong = [f"{item['loc'][0]} = {item['input']!r}: {item['msg']}" for item in error.errors()]
        raise UsageError(f"config {path}: {first_few(wrong)}. `thawline tune --help` says what can be given.") from None


def _changed(given: Options | TuneOptions, default: Options | TuneOptions) -> dict[str, Any]:
    """Return what was given and is not the default."""
    usual = asdict(default)
    return {name: value for name, value in asdict(given).items() if value != usual[name]}


def _are_texts(plans: object) -> bool:
    return isinstance(plans, list) and all(isinstance(plan, str) for plan in plans)


def _refuse_unknown(path: Path, found: Mapping[str, Any], known: set[str]) -> None:
    """Refuse keys that are no option, with the nearest that is."""
    unknown = sorted(set(found) - known)
    if unknown:
        near = [difflib.get_close_matches(key, [*known, "photos", "plans"], n=1) for key in unknown]
        hints = [f" (did you mean {names[0]}?)" if names else "" for names in near]
        said = [f"{key!r}{hint}" for key, hint in zip(unknown, hints, strict=True)]
        raise UsageError(f"config {path}: no such option: {first_few(said)}. `thawline tune --help` lists them.")
