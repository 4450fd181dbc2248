"""What a run of a recipe is asked for, and the options that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from thawline.core.errors import UsageError
from thawline.core.options import Options
from thawline.core.toml import checked
from thawline.data.sources.places import Place
from thawline.work.recipe import Recipe

__all__ = ["RecipeOrder"]


@dataclass(frozen=True)
class RecipeOrder:
    """What a run of a recipe is asked for.

    Attributes:
        recipe: The recipe.
        photos: The pictures.
        out: Folder of the run.
        changes: Options of the run that differ from the recipe's, by name.
        protocol: Instead of the recipe's, or None.
        epochs: Epochs of every training instead of the recipe's, for a quick look; or None.
        outside: Pictures from outside the set, or None.
    """

    recipe: Recipe
    photos: Place
    out: Path
    changes: Mapping[str, Any]
    protocol: Literal["test", "folds"] | None = None
    epochs: int | None = None
    outside: Path | None = None

    @cached_property
    def scored_by(self) -> Literal["test", "folds"]:
        """The protocol: as asked for, else the recipe's.

        Raises:
            UsageError: There is no such protocol.
        """
        protocol = self.protocol or self.recipe.protocol
        if protocol not in ("test", "folds"):
            raise UsageError(f"recipe {self.recipe.name}: there is no protocol {protocol!r}. Name test or folds.")
        return protocol

    @cached_property
    def options(self) -> Options:
        """The options of the run: the recipe's, what the person changed, and accuracy as what is compared.

        Folds are drawn once unless somebody says otherwise: every repeat trains all rows anew.

        Raises:
            UsageError: An option that cannot be, or epochs below 1.
        """
        recipe = self.recipe
        if self.epochs is not None and self.epochs < 1:
            raise UsageError(f"recipe {recipe.name}: --epochs {self.epochs}: 1 or more are required.")
        table = {"metric": "accuracy", **recipe.options, **self.changes}
        if self.scored_by == "folds":
            table.setdefault("repeats", 1)
        options = checked(Options, table, f"recipe {recipe.name}, options")
        if options.metric != "accuracy":
            raise UsageError(
                f"recipe {recipe.name}, options: metric = {options.metric!r}: the rows are compared by accuracy. Leave "
                "the option out."
            )
        return options
