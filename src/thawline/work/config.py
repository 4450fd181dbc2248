"""A TOML file -> what a tuning is asked for: pictures, plans and options, every key checked by the options' own types.

photos = "monkeys"
plans = ["simple_cnn from nothing", "last 20 %", "head, then all"]
size = 224
epochs = 12
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import chain
from pathlib import Path
from typing import Any

from thawline.core.errors import UsageError
from thawline.core.options import Options
from thawline.core.toml import checked, parse_table, read_text, refuse_unknown
from thawline.data.sources.places import Place
from thawline.train.hyperparameters import TrainOptions
from thawline.work.order import Order

__all__ = ["read_config"]


def read_config(
    path: Path,
    *,
    photos: Place | None = None,
    plans: Sequence[str] = (),
    options: Options | None = None,
    training: TrainOptions | None = None,
) -> Order:
    """Return what a TOML file asks for, below what is given beside it and is not the default.

    So a person may try a file's run with one option changed on the command line.

    Args:
        path: The file; places in it are relative to its folder.
        photos: The pictures, instead of the file's.
        plans: In words, instead of the file's.
        options: Of the run.
        training: Of the trainings.

    Raises:
        UsageError: The file cannot be read, a key or value is not one of an option's (the nearest key is named), or no
            pictures are named in it or beside it.
    """
    options, training = options or Options(), training or TrainOptions()
    where = f"config {path}"
    found = parse_table(read_text(path, "config"), where)
    kinds = {kind: [item.name for item in fields(kind)] for kind in (Options, TrainOptions)}
    refuse_unknown(found, ["photos", "plans", *chain.from_iterable(kinds.values())], where)
    own_photos, own_plans = found.get("photos"), found.get("plans", [])
    if not (own_photos is None or isinstance(own_photos, str)) or not _are_texts(own_plans):
        raise UsageError(f'{where}: photos must be a text and plans a list of texts, e.g. plans = ["last 20 %"].')
    said = {kind: {name: found[name] for name in names if name in found} for kind, names in kinds.items()}
    options = checked(Options, said[Options] | _changed(options, Options()), where)
    training = checked(TrainOptions, said[TrainOptions] | _changed(training, TrainOptions()), where)
    if photos is None and own_photos:
        photos = Place.of(own_photos).beside(path.parent)
    if photos is None:
        raise UsageError(
            f"{where}: no pictures are named. Write `photos` into it, or name their folder: thawline tune PHOTOS "
            f"--config {path}."
        )
    return Order(photos, tuple(plans or own_plans), options, training)


def _changed(given: Options | TrainOptions, default: Options | TrainOptions) -> dict[str, Any]:
    """Return what was given and is not the default."""
    usual = asdict(default)
    return {name: value for name, value in asdict(given).items() if value != usual[name]}


def _are_texts(plans: object) -> bool:
    return isinstance(plans, list) and all(isinstance(plan, str) for plan in plans)
