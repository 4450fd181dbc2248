"""An order -> a finished run: opened, compared, its rows answered, the model and the record written.

One idea: every run is the same journey, whatever asked for it. Only the first of several processes writes and speaks. A
run that was cut off goes on where it stopped, when the same order is given again or `resume` names its folder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thawline.core.progress import Progress
from thawline.core.remembered import recalled, remembering
from thawline.core.store import cache_root, disk_errors, staging_directory
from thawline.data.sampled import sampled_split
from thawline.data.sources.unlabelled import Answerable
from thawline.search.compare import with_curves
from thawline.search.leaderboard import Leaderboard
from thawline.train.forecast import forecast_run
from thawline.use.bundle import load_bundle, write_bundle
from thawline.use.evaluation import Evaluation
from thawline.view.report_data import Outside, ReportData
from thawline.view.summary import run_html
from thawline.view.track import TensorBoardLog
from thawline.work.advising import advise, basis_of
from thawline.work.choice import choose, rows_to_try
from thawline.work.cluster.trainers import with_crew
from thawline.work.doubting import doubting
from thawline.work.fed_back import fed_back
from thawline.work.model import describe_training
from thawline.work.order import Order
from thawline.work.outside import answer_outside, outside_pictures
from thawline.work.record import report_data, write_files
from thawline.work.rows import Outcome, answer_rows, require_rows
from thawline.work.run_folder import MODEL, at_work, commit_results, forget_work, read_order, require_place
from thawline.work.session import Clock, Compared, Session, compare_frozen, open_session, split_of
from thawline.work.shown import OUTSIDE_PX

__all__ = ["Run", "forecast", "resume", "run"]

MOST_IN_CURVES = 20_000
"""Pictures whose heads are trained by epochs for the eye, where not even the comparison took them all."""


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


def run(
    order: Order,
    out: Path,
    *,
    replace: bool = False,
    progress: Progress | None = None,
    tensorboard: Path | None = None,
) -> Run:
    """Do what an order asks for and write the run's folder: all of it, or the older run stays whole.

    Writes `report.html`, `report.json`, `metrics.json`, `predictions.csv`, `suspects.csv`, `learning_curve.json`,
    `leaderboard.json`, `leaderboard.csv`, `history.csv`, `ledger.csv`, `model_card.md`, `figures/`, `run.json`,
    `model/` and, for rows that were answered one by one, `comparison.csv`; and `.thawline.json`, which proves that they
    are Thawline's.

    Args:
        order: What is asked for.
        out: Folder of the run; made if need be. An older run of this kind on these pictures is replaced.
        replace: Whether a run on other pictures, of another kind or by an older version may be replaced too.
        progress: Where to report to.
        tensorboard: Folder for TensorBoard's log of the training runs.

    Raises:
        StoreError: The folder holds something that would be lost; nothing was begun.
        ThawlineError: Anything that the person can fix; what was extracted and trained is kept.
    """
    with remembering(cache_root(order.options.cache_dir)):
        return _run(order, out, replace=replace, progress=progress, tensorboard=tensorboard)


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
    with remembering(cache_root(order.options.cache_dir)):
        return _run(order, Path(out), progress=progress, tensorboard=tensorboard, key=key)


def _run(
    order: Order,
    out: Path,
    *,
    progress: Progress | None,
    tensorboard: Path | None,
    key: str | None = None,
    replace: bool = False,
) -> Run:
    clock = Clock()
    require_place(out, order, replace=replace)
    read = fed_back(out, order)
    shown = outside_pictures(order.outside)
    session = open_session(order, out, progress=progress, clock=clock, key=key)
    require_rows(session)
    if not session.context.machine.processes.is_first:
        compared, outcome = _answered(session)
        return Run(out, report_data(compared, outcome, leaderboard=outcome.leaderboard), {}, outcome)
    work = session.context.folder.name
    with at_work(out, order, key=work):
        log = TensorBoardLog(tensorboard) if tensorboard is not None else None
        compared, outcome = _answered(_logged(session, log))
        if log is not None:
            log.close()
        with disk_errors("write results", out), staging_directory(out) as staged:
            data, facts = _write_results(staged, compared, outcome=outcome, shown=shown, place=str(out))
            commit_results(out, staged, replace=replace, read=read)
        forget_work(out, work)
    return Run(out, data, facts, outcome)


def _logged(session: Session, log: TensorBoardLog | None) -> Session:
    """Return the session with a log, where there is one."""
    if log is None:
        return session
    context = session.context
    return dataclasses.replace(
        session, context=dataclasses.replace(context, machine=dataclasses.replace(context.machine, log=log))
    )


def _answered(session: Session) -> tuple[Compared, Outcome]:
    """Return the comparison of the frozen strategies, and what came of the rows."""
    protocol = session.order.protocol
    with with_crew(session) as crewed:
        compared = compare_frozen(crewed, hold_out=protocol != "folds")
        outcome = choose(compared) if protocol == "choose" else answer_rows(compared)
    outcome = doubting(compared, outcome)
    session.clock.lap("doubt")
    return compared, outcome


def _write_results(
    staged: Path, compared: Compared, *, outcome: Outcome, shown: Sequence[Answerable], place: str
) -> tuple[ReportData, dict[str, Any]]:
    """Write model and results into a folder of our own; return what the report shows and what `run.json` holds."""
    session = compared.session
    machine, clock, model = session.context.machine, session.clock, staged / MODEL
    with machine.progress.stage("model"):
        training = describe_training(compared, outcome.strategy, rows=outcome.final.rows, classifier=outcome.classifier)
        write_bundle(model, outcome.classifier, training=training)
    clock.lap("model")
    outside: tuple[Outside, ...] = ()
    unread: tuple[str, ...] = ()
    if shown:
        bundle = load_bundle(model, device=session.order.options.device)
        outside, unread = answer_outside(shown, bundle, longest_px=OUTSIDE_PX, progress=machine.progress)
        clock.lap("outside")
    board = _with_curves(compared, outcome)
    clock.lap("curves")
    with machine.progress.stage("advise"):
        basis = basis_of(compared, outcome)
        advice = advise(compared, outcome, basis=basis)
    clock.lap("advise")
    with machine.progress.stage("report"):
        data = report_data(
            compared,
            outcome,
            leaderboard=board,
            advice=advice,
            basis=basis,
            outside=outside,
            unread=unread,
            place=place,
        )
        return data, write_files(staged, compared, outcome=outcome, data=data, basis=basis)


def _with_curves(compared: Compared, outcome: Outcome) -> Leaderboard:
    """Return the leaderboard with the epochs of some linear heads; rows have those of their own training alone."""
    if outcome.rows:
        return outcome.leaderboard
    board, bank, split = outcome.leaderboard, compared.bank, compared.ranked
    seed = compared.session.order.options.seed
    if compared.sample is not None:
        split = sampled_split(compared.dataset, split, most=MOST_IN_CURVES)

    def drawn() -> Leaderboard:
        return with_curves(board, bank, dataset=compared.dataset, split=split, seed=seed)

    return recalled("curves", [compared.key, board, split.folds[0], seed], make=drawn)


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
        (plan, dataclasses.replace(context, training=order.training_of(row)))
        for row in rows_to_try(session)
        if (plan := row.parsed) is not None
    ]
    return forecast_run(entries, context, split=split_of(session, hold_out=order.protocol != "folds"))
