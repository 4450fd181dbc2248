"""What a run was asked for <-> its folder, so that a run that was cut off can be gone on with from anywhere."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

from thawline.core.errors import StoreError
from thawline.core.options import Options
from thawline.core.store import write_json
from thawline.data.sources.places import Place
from thawline.train.hyperparameters import TrainOptions
from thawline.work.order import Order
from thawline.work.run import options_json

__all__ = ["read_request", "work_folder", "write_request"]

WORK = "tune"
REQUEST = "request.json"


def work_folder(out: Path) -> Path:
    """Return the folder inside a run's that holds its trainings until it is done."""
    return out / WORK


def write_request(out: Path, order: Order) -> None:
    """Write down what the run was asked for, so that it can be resumed; trainings of an older run there are removed.

    Raises:
        StoreError: The folder cannot be written.
    """
    shutil.rmtree(work_folder(out), ignore_errors=True)
    request = {
        "photos": str(order.photos.absolute()),
        "options": options_json(_with_absolute_paths(order.options)),
        "training": asdict(order.training),
        "plans": order.plans,
    }
    write_json(work_folder(out) / REQUEST, request)


def _with_absolute_paths(options: Options) -> Options:
    """Return options that mean the same from any folder."""
    return replace(
        options,
        weights=options.weights and options.weights.resolve(),
        class_names=options.class_names and options.class_names.resolve(),
        cache_dir=options.cache_dir and options.cache_dir.resolve(),
    )


def read_request(out: Path) -> Order:
    """Return what a run that was cut off was asked for.

    Raises:
        StoreError: There is no such run, or it is done.
    """
    path = work_folder(out) / REQUEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        options, training = Options(**found["options"]), TrainOptions(**found["training"])
        return Order(Place.of(found["photos"]), tuple(found["plans"]), options, training)
    except FileNotFoundError:
        done = (out / "run.json").exists()
        reason = "that run is done" if done else "no tuning was started there"
        raise StoreError(
            f"resume: {path} does not exist: {reason}. Start one: thawline tune PHOTOS -o {out} --plan all."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"resume: {path} cannot be read ({type(error).__name__}). Start the run anew.") from None
