"""Words on the command line -> api -> console. Results go to standard output, progress and errors to standard error.

Exit codes: 0 done, 1 something that the person can mend, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError

from thawline.cli.arguments import CHECK_DEFAULTS, DEFAULTS, Device, Flat, FlatCheck, Json, Model, Photos
from thawline.cli.cache_commands import cache
from thawline.cli.console import ReaderGoneError, discard_output, prepare_streams, say, say_json, stream
from thawline.cli.model_commands import export, serve
from thawline.cli.recipe_commands import recipe
from thawline.cli.run_commands import demo, fit, tune
from thawline.core.errors import ThawlineError, UsageError
from thawline.core.options import refusal
from thawline.core.progress import progress_for_stderr
from thawline.core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thawline.work.run import CompareResult

__all__ = ["app", "main"]

app = App(
    name="thawline",
    help="A folder of photos becomes a leaderboard of strategies, a report and a model that predicts.",
    version=__version__,
    default_parameter=Parameter(negative=()),
    result_action="return_value",  # `main` returns the exit code
    suppress_keyboard_interrupt=False,  # and says what is kept
)
for command in (fit, tune, demo, cache, recipe, export, serve):
    app.command(command)


@app.command
def compare(
    photos: Photos,
    *,
    augment: Annotated[
        str, Parameter(help="Let the best heads learn from altered views too: flip, crop, trivial, rand, augmix.")
    ] = "none",
    views: Annotated[int | None, Parameter(help="Views of a picture, the plain one included.")] = None,
    options: Flat = DEFAULTS,
    json: Json = False,
) -> None:
    """Show the leaderboard of every frozen strategy; test pictures, where there are any, stay unread."""
    from thawline import api
    from thawline.work.run import leaderboard_json

    result = api.compare(photos, options, augment=augment, views=views, progress=progress_for_stderr())
    if json:
        say_json(leaderboard_json(result.leaderboard))
    else:
        _say_comparison(result)


@app.command
def check(
    photos: Photos,
    *,
    options: FlatCheck = CHECK_DEFAULTS,
    json: Json = False,
) -> None:
    """Say what is odd about the pictures: unreadable ones, copies, leaks, conflicts, small classes."""
    from thawline import api
    from thawline.view.summary import check_text

    _, report = api.check(photos, options, progress=progress_for_stderr())
    say_json(report.to_json()) if json else say(check_text(report.to_json()))


@app.command
def export_data(
    photos: Photos,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="Folder to write: new, empty, or an older export.")],
    form: Annotated[
        Literal["folder", "parquet"],
        Parameter(name="--format", help="Class folders, or Parquet tables that hold the pictures."),
    ] = "folder",
    held_out: Annotated[
        Literal["fifth", "none"],
        Parameter(help="Without a test part of your own, hold the fifth out that `fit` would, or nothing."),
    ] = "fifth",
    options: FlatCheck = CHECK_DEFAULTS,
    json: Json = False,
) -> None:
    """Write the checked set back out: split, each picture once, unreadable files left out."""
    from thawline import api
    from thawline.view.summary import export_text

    done = api.export_data(photos, out, options, form=form, held_out=held_out, progress=progress_for_stderr())
    say_json({"out": str(done.out), **done.card}) if json else say(f"{export_text(done.card)}\n\n  {done.out}")


@app.command
def extract(photos: Photos, *, options: Flat = DEFAULTS, json: Json = False) -> None:
    """Run the pictures through the backbone once and keep the features of every depth in the cache."""
    from thawline import api

    done = api.extract(photos, options, progress=progress_for_stderr())
    facts = {
        "bank": done.bank.key,
        "directory": str(done.bank.directory),
        "pictures_in_bank": len(done.bank),
        "extracted": done.num_extracted,
        "damaged_rows": done.num_damaged,
        "columns": done.bank.spec.width,
        "seconds": round(done.seconds, 3),
    }
    say_json(facts) if json else say("\n".join(f"{name:>16}  {value}" for name, value in facts.items()))


@app.command
def predict(
    model: Model,
    pictures: Annotated[list[Path], Parameter(help="Files and folders.")],
    *,
    json: Annotated[bool, Parameter(help="One line of JSON a picture.")] = False,
    csv: Annotated[bool, Parameter(help="CSV with a column a class.")] = False,
    device: Device = "auto",
) -> None:
    """Say what is on pictures; one that cannot be read gets a row with the reason, and the rest goes on.

    Where none can be read, the exit code is 1.
    """
    if json and csv:
        raise UsageError("predict: --json and --csv contradict each other. Choose one.")
    from thawline import api
    from thawline.use.predict import predictions_csv, predictions_jsonl, requiring_one
    from thawline.view.summary import prediction_lines

    bundle = api.load(model, device=device)
    rows = requiring_one(api.iterate_predictions(bundle, pictures, progress=progress_for_stderr()), pictures)
    if json:
        stream(predictions_jsonl(rows))
    elif csv:
        stream(predictions_csv(rows, bundle.class_names))
    else:
        stream(prediction_lines(rows))


@app.command
def evaluate(
    model: Model,
    photos: Photos,
    *,
    device: Device = "auto",
    options: FlatCheck = CHECK_DEFAULTS,
    json: Json = False,
) -> None:
    """Score a model on labelled pictures: their test part where they have one, else all of them."""
    from thawline import api
    from thawline.view.summary import evaluation_text

    result = api.evaluate(model, photos, options, device=device, progress=progress_for_stderr())
    say_json(result.to_json()) if json else say(evaluation_text(result))


@app.command
def report(
    run: Annotated[Path, Parameter(help="Folder of a run that `thawline fit` wrote.")], *, json: Json = False
) -> None:
    """Write a run's report.html anew, e.g. after an update, and print its path."""
    from thawline import api

    path = api.render(run)
    say_json({"report": str(path)}) if json else say(str(path))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; what a person can mend is told without a traceback."""
    # on a busy machine OpenMP's threads otherwise spin while they wait for one another: a picture took 1.1 s, not 9 ms
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded, which comes later
    prepare_streams()
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        sys.stderr.write(f"thawline: {_usage_text(error)}\n")
        return UsageError.exit_code
    except ThawlineError as error:
        discard_output()
        sys.stderr.write(f"thawline: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write(
            "\nthawline: interrupted. Features extracted so far are kept, and the same command goes on from there; "
            "what `thawline tune` was training goes on with --resume RUN.\n"
        )
        return 130
    except ReaderGoneError:
        discard_output()
    return 0


def _usage_text(error: CycloptsError) -> str:
    """Return what is wrong with the words on the command line, and where to read what they may be."""
    cause = error.__cause__
    said = str(refusal(cause)) if isinstance(cause, ValidationError) else str(error)
    words = ["thawline", *(error.command_chain or ()), "--help"]
    return f"{said} `{' '.join(words)}` says what can be given."


def _say_comparison(result: CompareResult) -> None:
    from thawline.view.summary import leaderboard_text, thaw_line_text

    say(thaw_line_text(result.leaderboard, result.cut_labels) + "\n")
    say(leaderboard_text(result.leaderboard))
