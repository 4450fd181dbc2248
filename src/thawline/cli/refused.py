"""What cyclopts cannot make sense of -> one sentence in plain words: what, what was meant, and which help says more.

One idea: cyclopts words its errors for programmers and suggests what is hardly alike; here the same facts are told to a
person, and only a near name is suggested.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import CycloptsError, MissingArgumentError, UnknownOptionError, UnusedCliTokensError
from cyclopts.exceptions import UnknownCommandError
from pydantic import ValidationError

from thawline.core.errors import first_few
from thawline.core.options import refusal
from thawline.core.spelling import nearest

if TYPE_CHECKING:
    from cyclopts import Argument

__all__ = ["is_there", "usage_text"]

COMMANDS_ELSEWHERE = {
    "benchmark": "compare",
    "classify": "predict",
    "eval": "evaluate",
    "fine-tune": "tune",
    "finetune": "tune",
    "infer": "predict",
    "learn": "fit",
    "run": "fit",
    "score": "evaluate",
    "test": "evaluate",
    "train": "fit",
    "val": "evaluate",
}
"""What commands are called elsewhere, and here."""

OPTIONS_ELSEWHERE = {
    "--arch": "--backbone",
    "--image-size": "--size",
    "--img-size": "--size",
    "--imgsz": "--size",
    "--model": "--backbone",
    "--time-limit": "--budget",
}
"""The same of options."""

RENAMED = {
    "--candidate": "It is called --plan now, as in `tune`.",
    "--plan": 'Name one, such as --plan "last 20 %"; what strategies would take is forecast with --forecast.',
}
"""What earlier versions called otherwise, or meant otherwise."""


def usage_text(error: CycloptsError) -> str:
    """Return what is wrong with the words on the command line, and which help says what they may be.

    Args:
        error: As cyclopts raised it, with the command that it belongs to.
    """
    chain = tuple(error.command_chain or ())
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        problem = str(refusal(cause))
    elif isinstance(error, UnknownOptionError):
        problem = _unknown_option(error, chain)
    elif isinstance(error, UnknownCommandError):
        problem = _unknown_command(error, chain)
    elif isinstance(error, UnusedCliTokensError):
        words = error.unused_tokens or []
        problem = f"{_at(chain)}nothing takes {first_few(words)}. Quote a name that has spaces."
    elif isinstance(error, MissingArgumentError) and error.argument is not None:
        problem = _missing(error.argument, chain, keyword=error.keyword)
    else:
        problem = str(error)
    return f"{problem} `{' '.join(('thawline', *chain, '--help'))}` says what can be given."


def is_there(word: str) -> bool:
    """Return whether a word names a file or folder; also of a word that no system takes for a name."""
    try:
        return bool(word) and Path(word).exists()
    except (OSError, ValueError):
        return False


def _at(chain: Sequence[str]) -> str:
    return f"{' '.join(chain)}: " if chain else ""


def _unknown_option(error: UnknownOptionError, chain: Sequence[str]) -> str:
    """Return which option there is not, and the one that is near."""
    word = (error.token.keyword or error.token.value).partition("=")[0]
    known = [name for argument in error.argument_collection if argument.parse for name in argument.names]
    here = OPTIONS_ELSEWHERE.get(word)
    near = [here] if here in known else nearest(word, [name for name in known if name.startswith("--")])
    hint = f"Did you mean {near[0]}?" if near else ""
    if chain == ("fit",):
        hint = RENAMED.get(word, hint)
    return f"{_at(chain)}there is no option {word}. {hint}".rstrip()


def _unknown_command(error: UnknownCommandError, chain: Sequence[str]) -> str:
    """Return which command there is not, and the one that is near, or that pictures come after `fit`."""
    word = (error.unused_tokens or [""])[0]
    known = [] if error.app is None else [name for name in error.app if not name.startswith("-")]
    here = COMMANDS_ELSEWHERE.get(word)
    near = [here] if here in known else nearest(word, known)
    if near:
        hint = f"Did you mean {near[0]}?"
    elif not chain and is_there(word):
        hint = f"It is a file or folder: name the command first, thawline fit {word}."
    else:
        hint = f"There are {', '.join(known)}."
    return f"{_at(chain)}there is no command {word!r}. {hint}"


def _missing(argument: Argument, chain: Sequence[str], *, keyword: str | None) -> str:
    """Return which word is missing: what is named by its place, or the value of an option."""
    typed = keyword or next((token.keyword for token in argument.tokens if token.keyword), None)
    if typed is not None:
        return f"{_at(chain)}{typed} needs a value after it. {RENAMED.get(typed, '')}".rstrip()
    name = argument.name.lstrip("-").upper() if argument.field_info.is_positional else argument.name
    return f"{_at(chain)}{name} is missing."
