"""A finished run, a comparison or a forecast -> what a command prints of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from thawline.cli.console import say, say_json

if TYPE_CHECKING:
    from thawline.work.run import Run
    from thawline.work.session import Compared

__all__ = ["say_compared", "say_forecast", "say_run", "say_thaw_line"]


def say_run(result: Run, *, as_json: bool) -> None:
    """Print what a run found, and what a person does next."""
    from thawline.view.ending import ending_text
    from thawline.view.summary import run_text

    if not result.run:  # one of several processes that train together: the first one speaks
        return
    if as_json:
        say_json(result.run)
        return
    say(run_text(result.data) + "\n")
    say(ending_text(result.data, result.out))


def say_thaw_line(result: Run) -> None:
    """Print the score at every depth of the network."""
    from thawline.view.summary import thaw_line_text

    say(thaw_line_text(result.leaderboard, result.data.cuts_of) + "\n")


def say_compared(compared: Compared, *, as_json: bool) -> None:
    """Print the leaderboard of the frozen strategies, below the score at every depth."""
    from thawline.view.summary import leaderboard_text, thaw_line_text
    from thawline.work.record import leaderboard_json

    if as_json:
        say_json(leaderboard_json(compared.leaderboard))
        return
    cuts_of = compared.backbone.named_cuts if compared.backbone.parts else {"": compared.cuts}
    say(thaw_line_text(compared.leaderboard, cuts_of) + "\n")
    say(leaderboard_text(compared.leaderboard))


def say_forecast(rows: Sequence[Mapping[str, Any]], budget_s: float | None, *, as_json: bool) -> None:
    """Print what every strategy is expected to take."""
    from thawline.view.summary import forecast_text

    if as_json:
        say_json(list(rows))
    else:
        say(forecast_text(rows, budget_s))
