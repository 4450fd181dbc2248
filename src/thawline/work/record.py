"""What came of an order -> the files of the run's folder: report, leaderboard, scores row by row, ledger, `run.json`.

One idea: every run leaves the same files, and every number in them comes from the leaderboard and the evaluation;
nothing is computed twice. `ReportData` is put together here; `run.json` and the page are read off it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from thawline.core.remembered import recalled
from thawline.core.store import write_json
from thawline.core.types import Ints
from thawline.core.version import __version__
from thawline.data.check import ledger_csv
from thawline.data.corrections import corrections_csv
from thawline.search.leaderboard import Leaderboard
from thawline.train.tried import forecast_rows
from thawline.vet.advice import Advice
from thawline.vet.answer_table import answer_table
from thawline.vet.suspects import suspects_csv
from thawline.view.album import Album
from thawline.view.csv_text import comparison_csv, history_csv, leaderboard_csv
from thawline.view.outcome import better_frozen_text
from thawline.view.report_data import Outside, Picture, ReportData, RowComparison, RowData
from thawline.work.advising import Basis, basis_of
from thawline.work.notes import notes, num_refitted, stated, warnings
from thawline.work.provenance import provenance
from thawline.work.result_files import write_result_files
from thawline.work.rows import Outcome
from thawline.work.session import Compared
from thawline.work.shown import alike_pictures, further_paths, make_album, prominent_paths, sample_grid

__all__ = ["leaderboard_json", "report_data", "run_json", "write_files"]


def report_data(
    compared: Compared,
    outcome: Outcome,
    *,
    leaderboard: Leaderboard,
    advice: Advice | None = None,
    basis: Basis | None = None,
    outside: tuple[Outside, ...] = (),
    unread: tuple[str, ...] = (),
    place: str = "",
) -> ReportData:
    """Return everything that the report shows.

    Args:
        compared: The frozen comparison.
        outcome: What came of the rows.
        leaderboard: The outcome's, with the curves that are to be drawn.
        advice: What was found for a person to act on.
        basis: What the advice stands on, where that is known already.
        outside: Pictures from outside the set, as the delivered model answers them.
        unread: Notes on those that could not be read.
        place: Folder of the run as the person named it.
    """
    session, dataset = compared.session, compared.dataset
    expectations, num_classes = session.order.expectations, len(dataset.class_names)
    roles, goal, basis = _roles(compared), expectations.goal, basis or basis_of(compared, outcome)
    pictures = (*sample_grid(compared, roles), *alike_pictures(compared))
    return ReportData(
        title=expectations.title or dataset.root.title,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        command=session.order.command,
        class_names=dataset.class_names,
        counts={
            role: tuple(np.bincount(dataset.labels[rows], minlength=num_classes).tolist())
            for role, rows in roles.items()
        },
        leaderboard=leaderboard,
        cuts=session.context.network.backbone.cuts,
        networks=compared.backbone.named_cuts if compared.backbone.parts else {},
        evaluation=outcome.evaluation,
        pictures=pictures,
        album=_album(compared, basis, pictures=pictures, advice=advice),
        check=session.report.to_json(),
        provenance=provenance(compared, outcome),
        notes=(*notes(compared, outcome), *unread),
        forecast=forecast_rows(outcome.tried),
        budget_s=session.order.budget_s,
        goal=goal.accuracy if goal else None,
        goal_words=goal.words if goal else "",
        drifts=outcome.drifts,
        comparison=_comparison(compared, outcome, outside) if outcome.rows else None,
        warnings=warnings(compared),
        num_refitted=num_refitted(compared, outcome),
        expectation=outcome.expectation,
        advice=advice,
        place=place,
        answers=answer_table(basis.answered),
        **_finder(outcome),
    )


def _album(compared: Compared, basis: Basis, *, pictures: Sequence[Picture], advice: Advice | None) -> Album:
    """Return the pictures that the report shows."""
    picture_map = advice.picture_map if advice else None
    prominent = tuple(prominent_paths(advice, compared.session.report))
    further = tuple(further_paths(advice, compared.session.report))
    mapped = tuple(point.path for point in picture_map.points) if picture_map else ()
    answered, space = basis.answered, basis.space

    def made() -> Album:
        return make_album(answered, space, samples=pictures, prominent=prominent, further=further, mapped=mapped)

    facts = [basis.key, pictures, prominent, further, mapped]
    return recalled("album", facts, make=made) if basis.key else made()


def _comparison(compared: Compared, outcome: Outcome, outside: tuple[Outside, ...]) -> RowComparison:
    """Return the rows side by side, next to what is stated of them."""
    session, expected = compared.session, stated(compared, outcome)
    expectations = session.order.expectations
    rows = tuple(
        RowData(
            name=answered.row.name,
            does=answered.does,
            origin=answered.row.origin,
            expected=expected.scores.get(answered.row.name) if expected else None,
            seconds=answered.seconds,
            epochs=answered.epochs,
            evaluation=answered.evaluation,
        )
        for answered in outcome.rows
    )
    return RowComparison(
        recipe=expectations.name,
        story=expectations.story.strip(),
        rows=rows,
        delivered=outcome.delivered,
        pass_s=sum(extraction.seconds for extraction in compared.extractions if extraction.num_extracted),
        total_s=session.clock.parts["total"],
        frozen=compared.leaderboard,
        outside=outside,
        outside_words=expectations.outside_words,
    )


def _roles(compared: Compared) -> dict[str, Ints]:
    """Return the rows of each part of the data.

    Where every picture is held out in turn, these are the parts of the first fold, whose curves are drawn.
    """
    split = compared.split
    if not len(split.test):
        return dict(zip(("train", "validation"), split.folds[0], strict=True))
    if split.num_folds == 1 and compared.session.order.protocol == "choose":
        return {"train": split.folds[0][0], "test": split.test, "validation": split.folds[0][1]}
    return {"train": split.pool, "test": split.test}


def _finder(outcome: Outcome) -> dict[str, Any]:
    """Return the first range test that a training run made, as the report takes it."""
    trained = [result.folds[0].trained for result in outcome.tried if result.folds and result.folds[0].trained.finder]
    return {"finder": trained[0].finder, "finder_rate": trained[0].learning_rate} if trained else {}


def _text(name: str) -> str | None:
    """Return a name, or None where its bytes are no UTF-8: JSON cannot hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return None
    return name


def run_json(compared: Compared, outcome: Outcome, *, data: ReportData) -> dict[str, Any]:
    """Return what `run.json` holds; scripts may rely on `pictures`, `extraction`, `test`, `winner` and `rows`.

    `photos` is where the pictures were, from any folder, so that an export that is measured can find them again; None
    where that name is no text.

    `test` are the scores of the model that is kept, on held-out pictures; `refit` says of how many pictures it then
    learnt again, and how many of them had been held out, or is None where the measured model is delivered.
    `expectation` is what to expect on further pictures, from the test and the choosing.
    """
    report, extractions, clock = compared.session.report, compared.extractions, compared.session.clock
    return {
        "thawline": __version__,
        "photos": _text(str(compared.session.order.photos.absolute())),
        "winner": data.leaderboard.trials[data.leaderboard.winner].name,
        "rule": data.leaderboard.rule,
        "test": outcome.evaluation.values_json(),
        **({"expectation": data.expectation.to_json()} if data.expectation else {}),
        "refit": {"pictures": len(outcome.final.rows), "held_out": data.num_refitted} if data.num_refitted else None,
        "pictures": {
            "used": report.used,
            "skipped": len(report.skipped),
            "leaked": int(outcome.evaluation.leaked.sum()),
            **({"groups": report.groups.groups} if report.groups else {}),
        },
        **({"corrections": report.corrections.to_json()} if report.corrections else {}),
        "extraction": {
            "pictures": sum(one.num_extracted for one in extractions) + sum(one.pictures for one in compared.raced),
            "seconds": round(sum([*(one.seconds for one in extractions), *(one.seconds for one in compared.raced)]), 3),
            "damaged_rows": sum(extraction.num_damaged for extraction in extractions),
        },
        **({"raced": [one.to_json() for one in compared.raced]} if compared.raced else {}),
        **({"warnings": list(data.warnings)} if data.warnings else {}),
        **({"better_frozen": better} if (better := better_frozen_text(data, "{:.3f}".format)) else {}),
        "budget_s": data.budget_s,
        "forecast": list(data.forecast),
        "goal": data.goal,
        "goal_reached": data.goal_reached,
        **(_rows_json(data) if data.comparison else {}),
        **data.provenance,
        "seconds": {f"{part}_s": seconds for part, seconds in clock.parts.items()},
    }


def _rows_json(data: ReportData) -> dict[str, Any]:
    """Return the rows that were answered one by one."""
    comparison, rows = data.comparison, []
    if comparison is None:
        return {}
    for row in comparison.rows:
        values = row.evaluation.values_json()
        rows.append(
            {
                "row": row.name,
                "does": row.does,
                **values,
                "accuracy_without_leaks": clean.value if (clean := row.evaluation.accuracy_without_leaks) else None,
                "precision": values["macro_precision"],
                "recall": values["macro_recall"],
                "seconds": row.seconds,
                "shares_pass": data.shares_pass(row),
                "tied_with_the_best": data.trial_of(row).tied,
                "origin": row.origin,
                "expected": row.expected,
                "verdict": row.verdict,
                "drift": data.drifts.get(row.name),
            }
        )
    return {"rows": rows, "delivered": comparison.delivered, "pass_s": comparison.pass_s}


def leaderboard_json(board: Leaderboard, tried: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return a leaderboard as plain data, with what became of training runs; scripts may rely on `metric`, `trials`."""
    trials = []
    for trial in board.trials:
        facts = asdict(trial)
        strategy = facts.pop("strategy")
        facts.pop("curve")
        trials.append({"strategy": strategy.pop("name"), "kind": strategy.pop("kind"), **strategy, **facts})
    return {
        "metric": board.metric,
        "rule": board.rule,
        "winner": board.trials[board.winner].name,
        "chosen": {
            "mean": board.chosen_mean,
            "low": board.chosen_low,
            "high": board.chosen_high,
            "growth": board.chosen_growth,
        },
        "gain": None if board.gain is None else asdict(board.gain),
        "num_pictures": board.num_pictures,
        "num_fits": board.num_fits,
        "seconds": board.seconds,
        "trials": trials,
        "tried": list(tried),
    }


def write_files(out: Path, compared: Compared, *, outcome: Outcome, data: ReportData, basis: Basis) -> dict[str, Any]:
    """Write the files of a finished run into a folder of our own, and return what `run.json` holds.

    Args:
        out: The folder.
        compared: The frozen comparison.
        outcome: What came of the rows.
        data: What the report shows.
        basis: What its advice stands on.
    """
    from thawline.view.report import render_report  # matplotlib

    files = {
        "ledger.csv": ledger_csv(compared.dataset.ledger).encode("utf-8", "surrogateescape"),
        "suspects.csv": suspects_csv(basis.suspects).encode("utf-8", "surrogateescape"),
        "leaderboard.csv": leaderboard_csv(data.leaderboard).encode(),
        "history.csv": history_csv(data.leaderboard).encode(),
        "report.json": data.to_json().encode(),
        "report.html": render_report(data).encode(),
    }
    if (corrections := compared.session.report.corrections) is not None:
        files["corrections.csv"] = corrections_csv(corrections).encode("utf-8", "surrogateescape")
    if data.comparison is not None:
        files["comparison.csv"] = comparison_csv(data).encode()
    if data.advice is not None and data.advice.more_pictures is not None:
        write_json(out / "learning_curve.json", data.advice.more_pictures.to_json())
    for name, content in files.items():
        (out / name).write_bytes(content)
    write_result_files(out, data=data, basis=basis)
    write_json(out / "leaderboard.json", leaderboard_json(data.leaderboard, data.forecast))
    compared.session.clock.lap("report")
    facts = run_json(compared, outcome, data=data)
    write_json(out / "run.json", facts)
    return facts
