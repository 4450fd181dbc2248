"""Thawline: a folder of photos becomes a leaderboard, a report and a model that predicts.

>>> import thawline
>>> result = thawline.fit("photos/", out="runs/birds")  # doctest: +SKIP
>>> thawline.predict("runs/birds/model", "new/")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thawline.core.version import __version__ as __version__

if TYPE_CHECKING:
    from thawline.api import (
        check,
        compare,
        evaluate,
        export_data,
        extract,
        fit,
        forecast,
        load,
        load_recipe,
        predict,
        render,
        resume,
        run_recipe,
    )
    from thawline.core.errors import ThawlineError
    from thawline.core.options import Options, make_options
    from thawline.train.hyperparameters import TrainOptions


_HOMES = {
    "Options": "core.options",
    "ThawlineError": "core.errors",
    "TrainOptions": "train.hyperparameters",
    "check": "api",
    "compare": "api",
    "evaluate": "api",
    "export_data": "api",
    "extract": "api",
    "fit": "api",
    "forecast": "api",
    "load": "api",
    "load_recipe": "api",
    "make_options": "core.options",
    "predict": "api",
    "render": "api",
    "resume": "api",
    "run_recipe": "api",
}

__all__ = [
    "Options",
    "ThawlineError",
    "TrainOptions",
    "check",
    "compare",
    "evaluate",
    "export_data",
    "extract",
    "fit",
    "forecast",
    "load",
    "load_recipe",
    "make_options",
    "predict",
    "render",
    "resume",
    "run_recipe",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import thawline` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'thawline' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"thawline.{_HOMES[name]}"), name)
