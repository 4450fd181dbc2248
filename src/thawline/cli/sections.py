"""Commands and options by name -> the sections of the help in which they stand, short names, how defaults are told.

One idea: options are declared where they are used, without a word about the command line; how they are laid out for a
person is one table here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cyclopts import App, ArgumentCollection, Group, Parameter
from cyclopts.field_info import FieldInfo

__all__ = ["COMMAND_SECTIONS", "OPTION_SECTIONS", "SHORT", "House", "default_text"]

COMMAND_SECTIONS: dict[str, tuple[str, ...]] = {
    "Make a model": ("demo", "fit", "tune", "compare", "recipe"),
    "Look at pictures": ("check", "export-data", "extract"),
    "Use a run and its model": ("predict", "unsort", "evaluate", "report", "export", "verify", "serve"),
    "Housekeeping": ("cache", "completion", "--help", "--version"),
}
"""Section → commands, both in the order in which they are shown."""

OPTION_SECTIONS: dict[str, tuple[str, ...]] = {
    "Pictures and labels": (
        *("on_bad", "class_names", "one_against_rest", "path_column", "label_column", "picture_folder"),
        *("group_from", "group_column", "copies", "drop_small_classes", "corrections", "limit"),
    ),
    "Network and input": ("backbone", "weights", "size", "fit", "crop_share", "pooling"),
    "Choice and scores": ("metric", "class_weights", "folds", "repeats", "refit", "error_rate", "false_alarms", "seed"),
    "Machine": ("device", "engine", "dtype", "storage", "memory", "cluster", "store", "cache_dir"),
}
"""Section → options by their Python names; what stands in none is shown first, and training has its own."""

SHORT = {
    "backbone": "-b",
    "budget": "-t",
    "config": "-c",
    "device": "-d",
    "epochs": "-e",
    "json": "-j",
    "limit": "-l",
    "out": "-o",
    "plans": "-p",
    "size": "-s",
    "top": "-k",
}
"""Python name of an option → its short name: the common ones, the same in every command."""

_COMMAND_PLACES = {
    name: (group, rank)
    for group, names in (
        (Group(section, sort_key=place), names) for place, (section, names) in enumerate(COMMAND_SECTIONS.items())
    )
    for rank, name in enumerate(names)
}
_OPTION_GROUPS = {
    name: group
    for group, names in (
        (Group(section, sort_key=place), names)
        for place, (section, names) in enumerate(OPTION_SECTIONS.items(), start=1)
    )
    for name in names
}


def default_text(value: Any) -> str:
    """Return a default as a person would type it; empty where there is nothing to say: a flag that is not set.

    >>> default_text(("mean", "std")), default_text(0.5), default_text(False)
    ('mean std', '0.5', '')
    """
    if value is None or value is False or value is FieldInfo.empty:
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else f"{value}"


class House(App):
    """A command line whose commands and options stand in the sections of this module."""

    def add(self, command: Callable[..., Any] | App, *, name: str) -> None:
        """Register a command, or a group of them, in its section."""
        self.command(command, name=name)
        self.place(name)

    def place(self, name: str) -> None:
        """Put a command that is registered into its section, at its place."""
        self[name].group, self[name].sort_key = _COMMAND_PLACES[name]

    def assemble_argument_collection(self, *, parse_docstring: bool = False, **rest: Any) -> ArgumentCollection:
        """Return the arguments as cyclopts reads them, with their short names; for the help, in their sections too."""
        arguments = super().assemble_argument_collection(parse_docstring=parse_docstring, **rest)
        for argument in arguments:
            name = argument.keys[-1] if argument.keys else argument.field_info.name
            changes: dict[str, Any] = {}
            if name in SHORT and SHORT[name] not in argument.names and not argument.children:
                changes["name"] = (*argument.names, SHORT[name])
            if parse_docstring:
                if argument.keys and name in _OPTION_GROUPS:
                    changes["group"] = _OPTION_GROUPS[name]
                changes["show_default"] = default_text if default_text(argument.field_info.default) else False
            if changes:
                argument.parameter = Parameter.combine(argument.parameter, Parameter(**changes))
        return arguments
