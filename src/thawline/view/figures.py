"""ReportData -> every figure of the report by itself, as SVG text and as PNG: for slides and papers.

One idea: the functions that draw the report draw these too, at the width of a page; a file is named for what it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from thawline.core.remembered import recalled
from thawline.features.drift import drift_from_json
from thawline.search.leaderboard import Leaderboard
from thawline.view.confusion import confusion_svg
from thawline.view.curves import curve_svg, finder_svg
from thawline.view.drift_plot import drift_svg
from thawline.view.learning_plot import learning_svg
from thawline.view.pareto import pareto_front, pareto_svg
from thawline.view.reliability import reliability_svg
from thawline.view.report_data import ReportData
from thawline.view.story import story_svg
from thawline.view.svg import taking_png
from thawline.view.thaw_line import thaw_line_svg

__all__ = ["FigureFile", "figure_files"]

MOST_CURVES = 12


@dataclass(frozen=True)
class FigureFile:
    """One figure in both forms.

    Attributes:
        name: Of its files, without the ending: `thaw-line`, `curve-2`.
        svg: Text that follows the reader's light or dark setting.
        png: The same on white paper, two pixels for one of the SVG.
    """

    name: str
    svg: str
    png: bytes


def figure_files(data: ReportData) -> Iterator[FigureFile]:
    """Yield every figure of a report, in its order; what the data have nothing for is left out."""
    for name, draw in _figures(data):
        what = [name, f"{draw.func.__module__}.{draw.func.__qualname__}", draw.args, draw.keywords]
        yield recalled("figure file", what, make=partial(_drawn, name, draw))


def _drawn(name: str, draw: Callable[[], str]) -> FigureFile:
    """Return one figure in both forms."""
    with taking_png() as taken:
        svg = draw()
    return FigureFile(name, svg, taken[0])


def _figures(data: ReportData) -> Iterator[tuple[str, partial[str]]]:
    """Yield the name of every figure, and what draws it."""
    board, test = data.leaderboard, data.evaluation
    if not data.rows and len({trial.strategy.kind for trial in board.trials}) > 1:
        yield "story", partial(story_svg, board)
    frozen = data.comparison.frozen if data.comparison else board
    if frozen is not None and _num_depths(frozen) > 1:
        networks = [cuts for cuts in data.cuts_of.values() if cuts]
        for number, cuts in enumerate(networks, start=1):
            yield _numbered("thaw-line", number, of=len(networks)), partial(thaw_line_svg, frozen, cuts)
    if not data.rows and len(pareto_front(board.trials)) > 1:
        yield "milliseconds", partial(pareto_svg, board)
    if test is not None:
        yield "confusion", partial(confusion_svg, test)
        if test.reliability:
            yield "reliability", partial(reliability_svg, test)
    curve_of_more = data.advice.more_pictures if data.advice is not None else None
    if curve_of_more is not None and curve_of_more.points and curve_of_more.forecast:
        yield "learning-curve", partial(learning_svg, curve_of_more)
    curves = [trial.curve for trial in board.trials if trial.curve is not None][:MOST_CURVES]
    for number, curve in enumerate(curves, start=1):
        name = _numbered("curve", number, of=len(curves))
        yield name, partial(curve_svg, curve, prefix=f"curve{number}", goal=data.goal)
    if data.finder:
        yield "learning-rate-finder", partial(finder_svg, data.finder, data.finder_rate)
    for number, raw in enumerate(data.drifts.values(), start=1):
        name = _numbered("forgetting", number, of=len(data.drifts))
        yield name, partial(drift_svg, drift_from_json(raw), prefix=f"drift{number}", width_px=920)


def _num_depths(board: Leaderboard) -> int:
    """Return how many depths the plain frozen strategies read."""
    return len({depth for trial in board.trials if trial.strategy.is_plain for depth in trial.strategy.depths})


def _numbered(name: str, number: int, *, of: int) -> str:
    return name if of == 1 else f"{name}-{number}"
