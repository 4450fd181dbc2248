"""Words on the command line -> a verb -> console. Results go to standard output, progress and errors to standard error.

Exit codes: 0 done, 1 something that the person can fix, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from cyclopts import CycloptsError, Parameter

from thawline.cli.cache_commands import cache
from thawline.cli.completion_command import completion_of
from thawline.cli.console import ReaderGoneError, discard_output, prepare_streams
from thawline.cli.data_commands import check, export_data, extract
from thawline.cli.export_commands import export, verify
from thawline.cli.model_commands import evaluate, serve
from thawline.cli.predict_command import STDIN, predict, unsort
from thawline.cli.recipe_commands import recipe
from thawline.cli.refused import usage_text
from thawline.cli.run_commands import compare, demo, fit, report, tune
from thawline.cli.sections import House
from thawline.cli.typed import Typed
from thawline.core.errors import ThawlineError, UsageError
from thawline.core.runtime import keep_freed_memory
from thawline.core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "leave", "main", "make_app"]


COLLECTED_RARELY = (100_000, 20, 100)
"""When Python looks for garbage in cycles: the imports of torch alone make it look hundreds of times, for a second."""


def make_app(typed: Typed | None = None) -> House:
    """Return the command line; `typed`, where given, notes what was typed and lays a file's options beneath it."""
    app = House(
        name="thawline",
        help="A folder of photos becomes a leaderboard of strategies, a report and a model that predicts.\n\n"
        "Begin with `thawline demo`, or with `thawline fit PHOTOS`. `thawline COMMAND --help` says what it takes.",
        version=__version__,
        default_parameter=Parameter(negative=()),
        config=() if typed is None else typed,
    )
    making, looking = (fit, tune, demo, compare), (check, extract, export_data)
    for command in (*making, *looking, predict, unsort, evaluate, export, verify, serve, report):
        app.add(command, name=command.__name__.replace("_", "-"))
    app.add(completion_of(app), name="completion")
    for group in (recipe, cache):
        app.add(group, name=group.name[0])
    for flag in ("--help", "--version"):
        app.place(flag)
    return app


app = make_app()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; an error that a person can fix is shown without a traceback."""
    # on a busy machine OpenMP's threads otherwise spin while they wait for one another: a picture took 1.1 s, not 9 ms
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded, which comes later
    keep_freed_memory()
    gc.set_threshold(*COLLECTED_RARELY)
    prepare_streams()
    words = [STDIN if word == "-" else word for word in (sys.argv[1:] if arguments is None else arguments)]
    typed = Typed(words)
    try:
        if words[-1:] in (["--help"], ["-h"]) and not app.parse_commands(words[:-1])[2]:
            app.help_print(words[:-1])  # without reading what no option is given to
            return 0
        command, bound, unparsed = make_app(typed).parse_args(words, exit_on_error=False, print_error=False)
        code = command(*bound.args, **bound.kwargs, **({"typed": typed} if "typed" in unparsed else {}))
    except CycloptsError as error:
        _complain(usage_text(error))
        return UsageError.exit_code
    except ThawlineError as error:
        discard_output()
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write(
            "\nthawline: interrupted. What was extracted and trained so far is kept, and the same command goes on from "
            "there.\n"
        )
        return 130
    except ReaderGoneError:
        discard_output()
        code = 0
    return code if isinstance(code, int) else 0


def leave(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process: at once where nothing else is at work in it.

    Python would first take apart, module by module, all that was imported: most of a second where torch is.
    """
    code = main(arguments)
    if threading.active_count() == 1:
        with suppress(OSError, ValueError, AttributeError):  # a full disk, or no stream: Python says so in its own way
            sys.stdout.flush()
            sys.stderr.flush()
            atexit._run_exitfuncs()
            os._exit(code)
    sys.exit(code)


def _complain(problem: str) -> None:
    """Write a problem to standard error in one line, whatever the names in it hold."""
    from thawline.view.words import printable

    sys.stderr.write(f"thawline: {printable(problem)}\n")
