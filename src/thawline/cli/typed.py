"""What a person typed, over what a file says, over the defaults -> one set of options, and which of them were typed.

One idea: cyclopts makes each set of options once, from all layers. What was typed already has its words when the file's
options are laid beneath, so it wins also where it equals a default; and what was typed is known by name.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App, Argument, ArgumentCollection, Token

from thawline.core.errors import UsageError
from thawline.core.options import CheckOptions
from thawline.train.hyperparameters import TrainOptions

if TYPE_CHECKING:
    from thawline.data.sources.places import Place
    from thawline.work.recipe import Recipe

__all__ = ["Typed", "lay_beneath", "typed_tokens"]

CONFIG, RECIPE = "config", "recipe"
"""Parameters that name a file with options."""


class Typed:
    """What a person typed: a configuration source for cyclopts, which calls it before words become values.

    Attributes:
        command: The whole line, as a shell takes it.
        name: Of the command: `fit`, `recipe run`.
        given: The first word of every parameter and option that was typed, by its Python name.
        recipe: The file that was named, or None.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.command = shlex.join(["thawline", *words])
        self.name = ""
        self.given: Mapping[str, Token] = {}
        self.recipe: Recipe | None = None

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Note what was typed, and lay the options of the file that it names beneath.

        Raises:
            UsageError: The file cannot be read, or says what cannot be.
        """
        self.name, self.given = " ".join(commands), typed_tokens(arguments)
        config, recipe = self.given.get(CONFIG), self.given.get(RECIPE)
        if (config or recipe) and "resume" not in self.given:  # a run that goes on has its own options
            from thawline.work.recipe import load_recipe, read_config

            self.recipe = read_config(Path(config.value)) if config else load_recipe(recipe.value if recipe else "")
            lay_beneath(arguments, {**self.recipe.options, **self.recipe.training}, source=self.recipe.where)

    def among(self, options: CheckOptions | TrainOptions) -> dict[str, Any]:
        """Return those of a set of options that were typed, by name."""
        return {item.name: getattr(options, item.name) for item in fields(options) if item.name in self.given}

    def photos(self, photos: str | None) -> str | Place:
        """Return the pictures that were typed, else the file's.

        Raises:
            UsageError: Neither names any.
        """
        place = photos or (self.recipe.photos if self.recipe else None)
        if place is None:
            raise UsageError(
                f"{self.name}: no pictures are named. Name their folder, thawline {self.name} PHOTOS, or a --config "
                "that has `photos`."
            )
        return place


def typed_tokens(arguments: ArgumentCollection) -> dict[str, Token]:
    """Return the first word of every parameter and option that was typed, by its Python name."""
    return {name: argument.tokens[0] for name, argument in _by_name(arguments).items() if argument.tokens}


def lay_beneath(arguments: ArgumentCollection, options: Mapping[str, Any], *, source: str) -> None:
    """Give arguments that were not typed the values of a file; what the command does not take is left out.

    Where epochs were typed and the warm-up was not, the file's warm-up, made for its own epochs, is left out too.

    Args:
        arguments: As cyclopts has read them.
        options: Name → value.
        source: What errors call the file.
    """
    arguments_by_name, typed = _by_name(arguments), typed_tokens(arguments)
    for name, value in options.items():
        argument = arguments_by_name.get(name)
        if argument is not None and name not in typed and not (name == "warmup" and "epochs" in typed):
            if isinstance(value, str) and isinstance(argument.field_info.default, tuple):
                value = (value,)  # a file may say one of several as plain text
            argument.append(Token(keyword=name, implicit_value=value, source=source))


def _by_name(arguments: ArgumentCollection) -> dict[str, Argument]:
    """Return what can be typed by its Python name: a parameter's, or an option's within a set."""
    return {
        argument.keys[-1] if argument.keys else argument.field_info.name: argument
        for argument in arguments
        if not argument.children
    }
