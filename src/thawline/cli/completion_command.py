"""`thawline completion`: the name of a shell -> a script that completes commands and options in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import PurePath
from typing import Annotated, Literal, get_args

from cyclopts import App, Parameter

from thawline.cli.console import say
from thawline.core.errors import UsageError

__all__ = ["completion_of"]

Shell = Literal["bash", "zsh", "fish"]


def completion_of(app: App) -> Callable[..., None]:
    """Return the command that prints the script of a command line, by the name of a shell.

    Args:
        app: What is completed; the script knows the commands that it has when it is asked for.
    """

    def completion(
        shell: Annotated[Shell | None, Parameter(help="Which shell. Default: the one that SHELL names.")] = None,
    ) -> None:
        """Print a script that completes commands, options and their choices in a shell. Nothing is installed.

        bash: add the line `eval "$(thawline completion bash)"` to ~/.bashrc.

        zsh: write it to a file `_thawline` in a folder of `fpath`.

        fish: write it to ~/.config/fish/completions/thawline.fish.
        """
        named = PurePath(os.environ.get("SHELL", "")).name
        chosen = shell or next((known for known in get_args(Shell) if known == named), None)
        if chosen is None:
            raise UsageError(
                f"completion: SHELL is {named or 'not set'}: bash, zsh or fish is required. Name one: "
                "thawline completion bash."
            )
        say(app.generate_completion(shell=chosen).rstrip())

    return completion
