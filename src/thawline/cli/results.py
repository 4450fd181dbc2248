"""A finished run, a comparison or a forecast -> what a command prints of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from thawline.cli.console import say, say_json

if TYPE_CHECKING:
    from thawline.work.run import Run
    from thawline.work.session import Compared

__all__ = ["say_compared", "say_forecast", "say_run", "say_thaw_line"]

FILES = ("report.html", "model", "leaderboard.json", "comparison.csv", "history.csv", "ledger.csv", "run.json")


def say_run(result: Run, *, as_json: bool) -> None:
    """Print what a run found and where its files lie."""
    from thawline.view.recipe_summary import goal_text, recipe_text
    from thawline.view.summary import evaluation_text, forecast_text, leaderboard_text

    if not result.run:  # one of several processes that train together: the first one speaks
        return
    if as_json:
        say_json(result.run)
        return
    if result.data.comparison:
        say(recipe_text(result.data))
    else:
        say(leaderboard_text(result.leaderboard))
    if result.run["forecast"]:
        say("\n" + forecast_text(result.run["forecast"], result.run["budget_s"]))
    if not result.data.comparison:
        say(f"\nWinner: {result.winner}")
        say(evaluation_text(result.evaluation, rule="read once"))
        if result.data.goal is not None:
            outcome = "PASS" if result.data.goal_reached else "FAIL"
            say(f"{outcome}  goal {result.data.goal:.3f}: {goal_text(result.data, '{:.3f}'.format)}.")
    say("")
    for name in FILES:
        if (result.out / name).exists():
            say(f"  {result.out / name}")


def say_thaw_line(result: Run) -> None:
    """Print the score at every depth of the network."""
    from thawline.view.summary import thaw_line_text

    say(thaw_line_text(result.leaderboard, [cut.label for cut in result.data.cuts]) + "\n")


def say_compared(compared: Compared, *, as_json: bool) -> None:
    """Print the leaderboard of the frozen strategies, below the score at every depth."""
    from thawline.view.summary import leaderboard_text, thaw_line_text
    from thawline.work.record import leaderboard_json

    if as_json:
        say_json(leaderboard_json(compared.leaderboard))
        return
    say(thaw_line_text(compared.leaderboard, [cut.label for cut in compared.cuts]) + "\n")
    say(leaderboard_text(compared.leaderboard))


def say_forecast(rows: Sequence[Mapping[str, Any]], budget_s: float | None, *, as_json: bool) -> None:
    """Print what every strategy is expected to take."""
    from thawline.view.summary import forecast_text

    if as_json:
        say_json(list(rows))
    else:
        say(forecast_text(rows, budget_s))
