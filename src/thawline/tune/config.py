"""A TOML file -> what a tuning is asked for: pictures, plans and options, every key checked by the options' own types.

photos = "monkeys"
plans = ["simple_cnn from nothing", "last 20 %", "head, then all"]
size = 224
epochs = 12
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any

from thawline.core.errors import UsageError
from thawline.core.options import Options
from thawline.core.tables import checked, parse_table, read_text, refuse_unknown
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
    where = f"config {path}"
    found = parse_table(read_text(path, "config"), where)
    kinds = {kind: [item.name for item in fields(kind)] for kind in (Options, TuneOptions)}
    refuse_unknown(found, ["photos", "plans", *chain.from_iterable(kinds.values())], where)
    photos, plans = found.get("photos"), found.get("plans", [])
    if not (photos is None or isinstance(photos, str)) or not _are_texts(plans):
        raise UsageError(f'{where}: photos must be a text and plans a list of texts, e.g. plans = ["last 20 %"].')
    said = {kind: {name: found[name] for name in names if name in found} for kind, names in kinds.items()}
    return Config(
        photos=place_beside(path.parent, photos) if photos else None,
        plans=tuple(plans),
        options=checked(Options, said[Options] | _changed(options, Options()), where),
        training=checked(TuneOptions, said[TuneOptions] | _changed(training, TuneOptions()), where),
    )


def _changed(given: Options | TuneOptions, default: Options | TuneOptions) -> dict[str, Any]:
    """Return what was given and is not the default."""
    usual = asdict(default)
    return {name: value for name, value in asdict(given).items() if value != usual[name]}


def _are_texts(plans: object) -> bool:
    return isinstance(plans, list) and all(isinstance(plan, str) for plan in plans)
