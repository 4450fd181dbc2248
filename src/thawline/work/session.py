"""An order -> a finished run: the main job from checked pictures to the files of a run, step by step.

One idea: every run is the same journey. Without plans it ends with a frozen winner; with them trained networks join the
comparison before anything is chosen; and only the first of several processes writes and speaks.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from thawline.core.errors import DataError, StoreError
from thawline.core.html import file_link
from thawline.core.options import Options
from thawline.core.progress import Progress, SilentProgress
from thawline.core.runtime import Runtime, choose_runtime
from thawline.core.store import cache_root, disk_errors, staging_directory, write_bytes, write_json
from thawline.data.augment import view_names
from thawline.data.check import CheckReport, check, ledger_csv
from thawline.data.dataset import Dataset
from thawline.data.sources.places import Place
from thawline.data.split import Split, make_split
from thawline.features.extract import extract_views
from thawline.features.network import Network, load_backbone
from thawline.features.reader import measure_pass_ms
from thawline.search.compare import CompareOptions, compare, with_curves
from thawline.search.leaderboard import Leaderboard
from thawline.train.context import Context, Machine, TrainingLog
from thawline.train.hyperparameters import TrainOptions
from thawline.train.job import plan_network
from thawline.train.plan import candidate_plans, phases
from thawline.train.processes import Processes, join_processes
from thawline.use.bundle import Classifier, save_bundle
from thawline.use.evaluation import Evaluation
from thawline.view.track import TensorBoardLog
from thawline.work.model import describe_training, evaluate_winner, train_winner
from thawline.work.order import Order
from thawline.work.request import work_folder, write_request
from thawline.work.run import Clock, CompareResult, leaderboard_json, run_json, write_report
from thawline.work.tuning import distinct_plans, ground_of, with_trained

__all__ = [
    "FitResult",
    "Session",
    "compare_frozen",
    "load_network",
    "open_session",
    "require_place",
    "split_of",
    "work",
]

FOLDS_OF_LARGE_SETS = 3
LARGE_SET = 20_000


@dataclass(frozen=True)
class FitResult:
    """What `fit` made.

    Attributes:
        out: The run's folder.
        compared: Data, split, extraction and leaderboard.
        evaluation: The single reading of the test rows.
        run: What `run.json` holds.
    """

    out: Path
    compared: CompareResult
    evaluation: Evaluation
    run: dict[str, Any]

    @property
    def leaderboard(self) -> Leaderboard:
        """All trials, best first."""
        return self.compared.leaderboard

    @property
    def winner(self) -> str:
        """Name of the winning strategy."""
        return self.leaderboard.trials[self.leaderboard.winner].name

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the leaderboard, the test's one line, and where the report lies."""
        score = self.evaluation.accuracy
        line = Markup(
            '<div style="padding:.4em .7em"><b>Test: {value:.3f}</b> [{low:.3f}, {high:.3f}] of {n:,} pictures, read '
            "once · {link}</div>"
        )
        link = file_link(self.out / "report.html")
        said = line.format(value=score.value, low=score.low, high=score.high, n=score.n, link=link)
        return self.leaderboard._repr_html_() + said


@dataclass(frozen=True)
class Session:
    """Checked pictures and a loaded network: what every comparison starts from.

    Attributes:
        dataset: Checked pictures.
        report: What the check found.
        network: The backbone.
        runtime: Device and number format.
        processes: Those that train together.
        options: Of the run.
        training: Of the trainings.
        progress: Where to report to; silent in all processes but the first.
        clock: Of the run.
    """

    dataset: Dataset
    report: CheckReport
    network: Network
    runtime: Runtime
    processes: Processes
    options: Options
    training: TrainOptions
    progress: Progress
    clock: Clock

    def context(self, folder: Path, *, training: TrainOptions | None = None, log: TrainingLog | None = None) -> Context:
        """Return what every step of the run shares; training runs are kept in the folder."""
        machine = Machine(self.runtime, self.processes, self.progress, log)
        return Context(self.dataset, self.network, self.options, training or self.training, machine, folder)


def work(
    order: Order,
    out: Path,
    progress: Progress,
    *,
    budget_s: float | None = None,
    tensorboard: Path | None = None,
    is_named: bool,
    is_new: bool = True,
) -> FitResult:
    """Do the whole of a run; of several processes that train together the first one writes and speaks.

    Args:
        order: What is asked for.
        out: Folder of the run.
        progress: Where to report to.
        budget_s: Seconds for the whole run, to be spent on its plans or those worth trying; None trains heads only.
        tensorboard: Folder for TensorBoard's log of the trainings.
        is_named: Whether the person named the plans, so that each is trained to its end and the run can be resumed.
        is_new: Whether the run starts, rather than going on.
    """
    clock, options = Clock(), order.options
    require_place(out, order.photos)
    plans = distinct_plans(order.plans) if is_named or order.plans else ()
    session = open_session(order.photos, options, order.training, progress, clock)
    first = session.processes.is_first
    for plan in plans:  # what the network cannot do is refused before the work, not after
        phases(plan, plan_network(plan, session.context(work_folder(out))), 1)
    if is_named and is_new and first:
        write_request(out, order)
    elif is_new and first:  # what a budget run left behind when it was cut off belongs to no run any more
        shutil.rmtree(work_folder(out), ignore_errors=True)
    compared = compare_frozen(session, hold_out=True)
    log = TensorBoardLog(tensorboard) if first and tensorboard is not None else None
    context = session.context(work_folder(out), log=log.epoch if log is not None else None)
    ground = ground_of(compared, context)
    if is_named or budget_s is not None:
        compared = with_trained(
            compared,
            plans or candidate_plans(session.network, order.training.hidden),
            ground,
            budget_s=budget_s,
            started_at=clock.start,
        )
        clock.lap("tune")
    classifier = train_winner(compared, session.network, session.runtime, options, ground)
    clock.lap("train")
    evaluation = evaluate_winner(compared, classifier, session.progress)
    clock.lap("evaluate")
    if log is not None:
        log.close()
    if not first:
        return FitResult(out, compared, evaluation, {})
    return _write(out, compared, evaluation, classifier, session)


def _write(
    out: Path, compared: CompareResult, evaluation: Evaluation, classifier: Classifier, session: Session
) -> FitResult:
    """Write everything about a finished run, each file whole or not at all, and remove what was kept for resuming."""
    options, clock, network = session.options, session.clock, session.network
    with session.progress.stage("model"):
        save_bundle(out / "model", classifier, training=describe_training(compared, options))
    clock.lap("model")
    board = with_curves(
        compared.leaderboard,
        compared.extraction.bank,
        dataset=compared.dataset,
        split=compared.split,
        seed=options.seed,
    )
    compared = replace(compared, comparison=replace(compared.comparison, leaderboard=board))
    clock.lap("curves")
    write_bytes(out / "ledger.csv", ledger_csv(compared.dataset.ledger).encode("utf-8", "surrogateescape"))
    write_json(out / "leaderboard.json", leaderboard_json(board))
    with session.progress.stage("report"):
        write_report(out, compared, evaluation, network, classifier.network, options, clock)
    clock.lap("report")
    run = run_json(compared, evaluation, classifier.network, session.runtime, options, clock)
    write_json(out / "run.json", run)
    shutil.rmtree(work_folder(out), ignore_errors=True)
    return FitResult(out, compared, evaluation, run)


def open_session(
    photos: str | Path | Place,
    options: Options,
    training: TrainOptions,
    progress: Progress,
    clock: Clock,
    network: Network | None = None,
) -> Session:
    """Return checked pictures, the network and the machine; several processes join each other here.

    A network that was loaded before, to see whether it can be, is taken as it is.
    """
    runtime = choose_runtime(options.device, options.dtype)
    processes = join_processes(runtime.device)
    if processes.state is not None:
        runtime = replace(runtime, device=str(processes.state.device))
    heard = progress if processes.is_first else SilentProgress()
    dataset, report = check(photos, options, progress=heard)
    clock.lap("check")
    network = network or load_network(options)
    clock.lap("load")
    return Session(dataset, report, network, runtime, processes, options, training, heard, clock)


def load_network(options: Options) -> Network:
    """Return the backbone that the options name."""
    return load_backbone(
        options.backbone, weights=options.weights, fit=options.fit, size_px=options.size, seed=options.seed
    )


def split_of(session: Session, *, hold_out: bool) -> Split:
    """Return folds and test rows; large sets get three folds, drawn once."""
    options, large = session.options, len(session.dataset) > LARGE_SET
    return make_split(
        session.dataset,
        num_folds=min(options.folds, FOLDS_OF_LARGE_SETS) if large else options.folds,
        num_repeats=1 if large else options.repeats,
        seed=options.seed,
        hold_out=hold_out,
    )


def compare_frozen(session: Session, *, hold_out: bool, only: frozenset[str] | None = None) -> CompareResult:
    """Return the comparison of the frozen strategies, and the answers that trained ones are compared with.

    Args:
        session: Pictures and network.
        hold_out: Whether a test part is kept out of it.
        only: Names of the strategies to compare; None: all that are worth trying.
    """
    options, network, clock = session.options, session.network, session.clock
    split = split_of(session, hold_out=hold_out)
    policy = session.training.augment or "none"
    with session.processes.first_alone():
        extraction, *views = extract_views(
            session.dataset,
            network,
            runtime=session.runtime,
            views=session.training.view_names if policy != "none" else view_names("none", 1),
            cache=cache_root(options.cache_dir),
            poolings=options.pooling,
            storage=options.storage,
            progress=session.progress,
        )
    clock.lap("extract")
    view_banks = tuple(view.bank for view in views)
    full_pass_ms = measure_pass_ms(network, session.runtime)
    comparison = compare(
        extraction.bank,
        network.backbone,
        dataset=session.dataset,
        split=split,
        options=CompareOptions(options.metric, options.class_weights, seed=options.seed, only=only),
        view_banks=view_banks,
        view_policy=policy,
        full_pass_ms=full_pass_ms,
        progress=session.progress,
    )
    clock.lap("compare")
    return CompareResult(
        dataset=session.dataset,
        report=session.report,
        split=split,
        extraction=extraction,
        comparison=comparison,
        cut_labels=tuple(cut.label for cut in network.backbone.cuts),
        full_pass_ms=full_pass_ms,
        view_banks=view_banks,
    )


def require_place(out: Path, photos: Place) -> None:
    """Refuse a folder of results that cannot be written, or that would become a picture folder of the next run."""
    folder = photos.folder
    if folder is not None and out.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            f"fit: the run's folder {out} lies inside the pictures {photos}, where the next run would take it for one "
            "of their folders. Choose another place with -o."
        )
    try:
        with disk_errors("write results", out), staging_directory(out):
            pass
    except FileNotFoundError:  # a place such as /proc, in which nothing can be made
        raise StoreError(f"write results: {out} cannot be made. Choose another place with -o.") from None
