"""An order -> a finished run: opened, compared, its rows answered, the model and the record written.

One idea: every run is the same journey, whatever asked for it. Only the first of several processes writes and speaks. A
run that was cut off goes on where it stopped, when the same order is given again or `resume` names its folder.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from thawline.core.errors import StoreError, UsageError
from thawline.core.progress import Progress
from thawline.core.store import write_bytes
from thawline.search.compare import with_curves
from thawline.search.leaderboard import Leaderboard
from thawline.train.forecast import forecast_run
from thawline.use.bundle import load_bundle, save_bundle
from thawline.use.evaluation import Evaluation
from thawline.view.report_data import Outside, ReportData
from thawline.view.summary import run_html
from thawline.view.track import TensorBoardLog
from thawline.work.choice import choose, rows_to_try
from thawline.work.model import describe_training
from thawline.work.order import Order
from thawline.work.outside import answer_outside, outside_files
from thawline.work.record import report_data, write_files
from thawline.work.rows import Outcome, answer_rows, require_rows
from thawline.work.session import WORK, Clock, Compared, compare_frozen, open_session, require_place, split_of
from thawline.work.shown import THUMBNAIL_PX

__all__ = ["Run", "forecast", "resume", "run"]

REQUEST = "request.json"
ORDER = TypeAdapter(Order)


@dataclass(frozen=True)
class Run:
    """What a run made.

    Attributes:
        out: Its folder.
        data: What its report shows.
        run: What `run.json` holds; empty in all but the first of several processes.
        outcome: The leaderboard, the model that is kept and its scores.
    """

    out: Path
    data: ReportData
    run: dict[str, Any]
    outcome: Outcome

    def __repr__(self) -> str:
        """Return one short line."""
        score = self.evaluation.accuracy
        return f"Run({self.out}: {self.winner}, {score.value:.3f} [{score.low:.3f}, {score.high:.3f}] of {score.n:,})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the comparison, the test's one line, and where the report lies."""
        return run_html(self.data, self.out)

    @property
    def leaderboard(self) -> Leaderboard:
        """All trials, best first."""
        return self.data.leaderboard

    @property
    def evaluation(self) -> Evaluation:
        """The scores of the model that is kept, on pictures that it never saw."""
        return self.outcome.evaluation

    @property
    def winner(self) -> str:
        """Name of the winning strategy, or of the best row."""
        return self.leaderboard.trials[self.leaderboard.winner].name


def run(order: Order, out: Path, *, progress: Progress | None = None, tensorboard: Path | None = None) -> Run:
    """Do what an order asks for and write the run's folder, each file whole or not at all.

    Writes `report.html`, `report.json`, `leaderboard.json`, `leaderboard.csv`, `history.csv`, `ledger.csv`, `run.json`,
    `model/` and, for rows that were answered one by one, `comparison.csv`.

    Args:
        order: What is asked for.
        out: Folder of the run; made if need be, its older results are replaced.
        progress: Where to report to.
        tensorboard: Folder for TensorBoard's log of the training runs.

    Raises:
        ThawlineError: Anything that the person can fix; what was extracted and trained is kept.
    """
    return _run(order, out, progress=progress, tensorboard=tensorboard)


def resume(out: Path | str, *, tensorboard: Path | None = None, progress: Progress | None = None) -> Run:
    """Go on with a run that was cut off, with the options that it was started with; ends as if it never had been.

    Args:
        out: Its folder.
        tensorboard: As in `run`.
        progress: Where to report to.

    Raises:
        StoreError: There is no such run.
        TrainingError: Its pictures, backbone or version are no longer what they were; says what differs.
    """
    order, key = read_order(Path(out))
    return _run(order, Path(out), progress=progress, tensorboard=tensorboard, key=key)


def _run(
    order: Order, out: Path, *, progress: Progress | None, tensorboard: Path | None, key: str | None = None
) -> Run:
    clock = Clock()
    require_place(out, order)
    shown = outside_files(order.outside)
    session = open_session(order, out, progress=progress, clock=clock, key=key)
    machine = session.context.machine
    require_rows(session)
    if machine.processes.is_first:
        write_order(out, order, key=session.context.folder.name)
    log = TensorBoardLog(tensorboard) if machine.processes.is_first and tensorboard is not None else None
    if log is not None:
        context = replace(session.context, machine=replace(machine, log=log))
        session = replace(session, context=context)
    compared = compare_frozen(session, hold_out=order.protocol != "folds")
    outcome = choose(compared) if order.protocol == "choose" else answer_rows(compared)
    if log is not None:
        log.close()
    if not machine.processes.is_first:
        return Run(out, report_data(compared, outcome, leaderboard=outcome.leaderboard), {}, outcome)
    with machine.progress.stage("model"):
        save_bundle(out / "model", outcome.classifier, training=describe_training(compared, outcome.strategy))
    clock.lap("model")
    outside: tuple[Outside, ...] = ()
    unread: tuple[str, ...] = ()
    if shown:
        bundle = load_bundle(out / "model", device=order.options.device)
        outside, unread = answer_outside(shown, bundle, longest_px=THUMBNAIL_PX, progress=machine.progress)
        clock.lap("outside")
    board = _with_curves(compared, outcome)
    clock.lap("curves")
    with machine.progress.stage("report"):
        data = report_data(compared, outcome, leaderboard=board, outside=outside, unread=unread)
        facts = write_files(out, compared, outcome=outcome, data=data)
    _forget_work(out, session.context.folder.name)
    return Run(out, data, facts, outcome)


def _with_curves(compared: Compared, outcome: Outcome) -> Leaderboard:
    """Return the leaderboard with the epochs of some linear heads; rows have those of their own training alone."""
    if outcome.rows:
        return outcome.leaderboard
    bank, seed = compared.extraction.bank, compared.session.order.options.seed
    return with_curves(outcome.leaderboard, bank, dataset=compared.dataset, split=compared.split, seed=seed)


def forecast(order: Order, *, progress: Progress | None = None) -> tuple[Mapping[str, Any], ...]:
    """Return what every strategy of an order will take on this machine: rows of a forecast.

    A row has `strategy`, `seconds`, `memory_bytes` and `disk_bytes`. A few batches are measured; nothing is trained and
    nothing is written.

    Args:
        order: What is asked for; without rows, what is worth trying on the backbone.
        progress: Where to report to.

    Raises:
        ThawlineError: Anything that the person can fix.
    """
    session = open_session(order, Path(), progress=progress)
    require_rows(session)
    context = session.context
    entries = [
        (plan, replace(context, training=order.training_of(row)))
        for row in rows_to_try(session)
        if (plan := row.parsed) is not None
    ]
    return forecast_run(entries, context, split=split_of(session, hold_out=order.protocol != "folds"))


def write_order(out: Path, order: Order, *, key: str) -> None:
    """Write down what a run was asked for, so that it can be resumed; training runs of other orders are removed.

    Args:
        out: Folder of the run.
        order: What is asked for.
        key: Name of the folder of its training runs.

    Raises:
        StoreError: The folder cannot be written.
    """
    for folder in (out / WORK).glob("*"):
        if folder.name != key and re.fullmatch(r"[0-9a-f]{12}", folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    request = {"work": key, "order": ORDER.dump_python(order.from_anywhere(), mode="json")}
    write_bytes(out / WORK / REQUEST, json.dumps(request, indent=2).encode())  # names may be no text at all: ASCII


def read_order(out: Path) -> tuple[Order, str]:
    """Return what a run that was cut off was asked for, and the name of the folder of its training runs.

    Raises:
        StoreError: There is no such run, or it is done.
    """
    path = out / WORK / REQUEST
    try:
        request = json.loads(path.read_text(encoding="utf-8"))
        return ORDER.validate_python(request["order"]), str(request["work"])
    except FileNotFoundError:
        is_done = (out / "run.json").exists()
        reason = "that run is done" if is_done else "no run was started there"
        raise StoreError(
            f"resume: {path} does not exist: {reason}. Start one: thawline tune PHOTOS -o {out} --plan all."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
        raise StoreError(
            f"resume: {path} cannot be read ({type(error).__name__}). Start the run again from its command."
        ) from None


def _forget_work(out: Path, key: str) -> None:
    """Remove what was kept for going on with a run."""
    shutil.rmtree(out / WORK / key, ignore_errors=True)
    (out / WORK / REQUEST).unlink(missing_ok=True)
    with suppress(OSError):  # something of somebody else's lies there
        (out / WORK).rmdir()
