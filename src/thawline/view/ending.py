"""ReportData -> how a run ends for a person: the answer in a sentence, what would help most, and what to type next.

One idea: who has waited for a run wants to know how good the model is and what to do now; what else was found stands
in the report, and what files there are in the folder.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from thawline.core.counting import counted
from thawline.core.scores import Score
from thawline.view.outcome import is_held_out_once, source_text
from thawline.view.report_data import ReportData
from thawline.view.what_next import next_steps
from thawline.view.words import printable

__all__ = ["answer_text", "ending_text", "next_lines"]

MOST_LINES = 2


def answer_text(data: ReportData, share: Callable[[float], str]) -> str:
    """Return how good the model is, with the interval and what it was measured on, in one sentence.

    Empty text where nothing was tested.

    Args:
        data: Of the run.
        share: How a share is written.
    """
    test, found = data.evaluation, data.expectation
    if data.rows:
        test = data.best_row.evaluation
    if test is None:
        return ""
    if data.rows:
        best, score = printable(data.best_row.name), test.accuracy
        told = f"{_told(score, share)} of {counted(score.n, 'pictures')}"
        once = "" if is_held_out_once(data) else ", each held out once"
        return f"The best row, {best}, is right on {told} that it never saw{once}."
    if found is None or test.is_all_leaked:
        score, seen = test.accuracy, "learnt from, or a copy of" if test.is_all_leaked else "never saw"
        return f"The model is right on {_told(score, share)} of {counted(score.n, 'pictures')} that it {seen}."
    if found.metric == "accuracy":
        return (
            f"The model should be right on {_told(found.score, share)} of further pictures like these: {_from(data)}."
        )
    metric = found.metric.replace("_", " ")
    return f"The model's {metric} on further pictures like these should be {_told(found.score, share)}: {_from(data)}."


def _from(data: ReportData) -> str:
    """Return what the expectation is taken from, in short."""
    found = data.expectation
    if found is not None and found.is_pooled:
        return f"measured on {counted(found.test.n, 'test pictures')} and {found.choosing.n:,} of the folds"
    return f"measured {source_text(data)}".replace("measured from", "measured on")


def _told(score: Score, share: Callable[[float], str]) -> str:
    return f"{share(score.value)} [{share(score.low)}, {share(score.high)}]"


def next_lines(data: ReportData, out: Path) -> tuple[str, ...]:
    """Return the best next things to do, each with what it should bring: the first of those in the report.

    Args:
        data: Of the run.
        out: Its folder.
    """
    lines = []
    for step in next_steps(data, most=MOST_LINES):
        where = f" See {out / 'suspects.csv'}." if "in doubt" in step.title else ""
        lines.append(printable(f"{step.title}: {step.gain}.{where}"))
    return tuple(lines)


def ending_text(data: ReportData, out: Path) -> str:
    """Return the last lines of a run in a terminal; paths are quoted as a shell needs them.

    Args:
        data: Of the run.
        out: Its folder.
    """
    lines = [answer_text(data, "{:.3f}".format), *(f"Next: {line}" for line in next_lines(data, out)), ""]
    lines += [f"  open {_typed(out / 'report.html')}", f"  thawline predict {_typed(out / 'model')} new/"]
    return "\n".join(lines).lstrip("\n")


def _typed(path: Path) -> str:
    return shlex.quote(str(path))
