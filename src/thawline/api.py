"""The verbs: the one place where all floors meet.

Every function returns plain data and says nothing by itself; pass `progress` to hear from it. What needs torch is
imported where it is used, so that checking pictures or reading a report stays light.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thawline.core.errors import DataError, StoreError, first_few
from thawline.core.options import Options
from thawline.core.progress import Progress, SilentProgress
from thawline.core.store import (
    Entry,
    cache_root,
    disk_errors,
    list_entries,
    remove_entry,
    staging_directory,
    write_bytes,
    write_json,
)
from thawline.core.types import Floats, Ints, Prediction, Predictions
from thawline.data.check import CheckOptions, CheckReport, ledger_csv
from thawline.data.check import check as check_pictures
from thawline.data.dataset import Dataset
from thawline.data.load import load_pixels
from thawline.data.split import make_split

if TYPE_CHECKING:
    from thawline.core.runtime import Runtime
    from thawline.features.backbones import Network
    from thawline.features.extract import Extraction
    from thawline.search.leaderboard import Leaderboard
    from thawline.use.bundle import Bundle
    from thawline.use.evaluation import Evaluation
    from thawline.use.run import Clock, CompareResult

__all__ = [
    "FitResult",
    "cache_entries",
    "check",
    "compare",
    "demo_pictures",
    "evaluate",
    "extract",
    "fit",
    "iterate_predictions",
    "load",
    "predict",
    "prune_cache",
    "render",
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


def check(
    photos: Path | str, options: Options | None = None, *, progress: Progress | None = None
) -> tuple[Dataset, CheckReport]:
    """Return the checked data set and what is odd about it; nothing is written.

    Args:
        photos: Class folders, a manifest (CSV or Parquet), or Parquet with pictures.
        options: `on_bad` matters here.
        progress: Where to report to.

    Raises:
        DataError: There is nothing to learn from: no pictures, one class, a class of one picture.
    """
    return check_pictures(photos, CheckOptions(on_bad=(options or Options()).on_bad), progress=progress)


def extract(photos: Path | str, options: Options | None = None, *, progress: Progress | None = None) -> Extraction:
    """Return the bank of pooled features at every depth, filled with all pictures of a folder."""
    options = options or Options()
    dataset, _ = check(photos, options, progress=progress)
    network, runtime = _network(options)
    return _extract(dataset, network, runtime, options, progress)


def compare(
    photos: Path | str, options: Options | None = None, *, progress: Progress | None = None, hold_out: bool = False
) -> CompareResult:
    """Return the leaderboard of every frozen strategy on a folder of pictures.

    Args:
        photos: As in `check`.
        options: All matter.
        progress: Where to report to.
        hold_out: Hold a fifth out where the folder has no test of its own; `fit` does, since it evaluates.
    """
    from thawline.use.run import Clock

    return _compare(photos, options or Options(), progress or SilentProgress(), Clock(), hold_out=hold_out)[0]


def fit(
    photos: Path | str, out: Path | str, options: Options | None = None, *, progress: Progress | None = None
) -> FitResult:
    """Do the main job: check, split, extract, compare, train the winner, evaluate it once, report, write the model.

    Writes `ledger.csv`, `leaderboard.json`, `leaderboard.csv`, `run.json`, `report.html`, `report.json` and `model/` to
    `out`, each whole or not at all.

    Args:
        photos: As in `check`.
        out: Folder of the run; made if need be, its older results are replaced.
        options: All matter.
        progress: Where to report to.

    Raises:
        ThawlineError: Anything that the person can mend; what was extracted is kept.
    """
    from thawline.search.compare import with_curves
    from thawline.use.bundle import save_bundle
    from thawline.use.run import Clock, leaderboard_json, run_json, write_report
    from thawline.use.winner import describe_training, evaluate_winner, train_winner

    options, progress, clock, out = options or Options(), progress or SilentProgress(), Clock(), Path(out)
    _require_place(out, Path(photos))
    compared, network, runtime = _compare(photos, options, progress, clock, hold_out=True)
    classifier = train_winner(compared, network, runtime, options)
    clock.lap("train")
    evaluation = evaluate_winner(compared, classifier)
    clock.lap("evaluate")
    with progress.stage("model"):
        save_bundle(out / "model", classifier, describe_training(compared, options))
    clock.lap("model")
    board = with_curves(
        compared.leaderboard, compared.extraction.bank, compared.dataset, compared.split, seed=options.seed
    )
    compared = replace(compared, comparison=replace(compared.comparison, leaderboard=board))
    clock.lap("curves")
    write_bytes(out / "ledger.csv", ledger_csv(compared.dataset.ledger).encode("utf-8", "surrogateescape"))
    write_json(out / "leaderboard.json", leaderboard_json(board))
    with progress.stage("report"):
        write_report(out, compared, evaluation, network, options, clock)
    clock.lap("report")
    run = run_json(compared, evaluation, network, runtime, options, clock)
    write_json(out / "run.json", run)
    return FitResult(out, compared, evaluation, run)


def load(model: Path | str, *, device: str = "auto") -> Bundle:
    """Return a model folder, verified and ready to predict."""
    from thawline.use.bundle import load_bundle

    return load_bundle(model, device=device)


def predict(
    model: Bundle | Path | str, pictures: Sequence[Path | str] | Path | str, *, progress: Progress | None = None
) -> Predictions:
    """Return a prediction for every picture, in order; files that cannot be read get a row with an error.

    Args:
        model: A loaded bundle, or its folder.
        pictures: Files and folders.
        progress: Where to report to.
    """
    from thawline.use.bundle import Bundle

    bundle = model if isinstance(model, Bundle) else load(model)
    paths = [pictures] if isinstance(pictures, str | Path) else pictures
    return Predictions(bundle.class_names, tuple(iterate_predictions(bundle, paths, progress=progress)))


def iterate_predictions(
    bundle: Bundle, pictures: Sequence[Path | str], *, progress: Progress | None = None
) -> Iterator[Prediction]:
    """Yield predictions as they are made: for streams longer than memory."""
    from thawline.use.predict import predict_pictures

    return predict_pictures(bundle, pictures, progress=progress)


def evaluate(
    model: Bundle | Path | str, photos: Path | str, options: Options | None = None, *, progress: Progress | None = None
) -> Evaluation:
    """Return the scores of a model on labelled pictures: their test part where they have one, else all of them.

    Pictures that the model was trained on, or whose copies it was, count as leaked.

    Raises:
        DataError: A class that the model does not know.
    """
    from thawline.features.extract import in_streams
    from thawline.use.bundle import Bundle
    from thawline.use.evaluate import evaluate as score

    bundle = model if isinstance(model, Bundle) else load(model)
    dataset, _ = check(photos, options, progress=progress)
    unknown = sorted(set(dataset.class_names) - set(bundle.class_names))
    if unknown:
        raise DataError(
            f"evaluate: {first_few(unknown)}: not among the model's classes ({first_few(bundle.class_names)}). "
            "Rename the folders, or leave those out."
        )
    parts = np.array([sample.split or "" for sample in dataset.samples])
    rows = np.flatnonzero(parts == "test") if (parts == "test").any() else np.arange(len(dataset))
    seen = np.array([sample.sha256 in bundle.training_digests for sample in dataset.samples])
    classifier = bundle.classifier
    size = classifier.reader.runtime.batch_size

    def answer(batch: Ints) -> Floats:
        data = [load_pixels(dataset.samples[row], classifier.input) for row in batch]
        return classifier.probabilities(np.stack(data))

    found = []
    with (progress or SilentProgress()).stage("evaluate", len(rows)) as advance:
        for probabilities in in_streams(answer, [rows[start : start + size] for start in range(0, len(rows), size)]):
            found.append(probabilities)
            advance(len(probabilities))
    index = np.array([bundle.class_names.index(name) for name in dataset.class_names])
    return score(
        index[dataset.labels[rows]],
        np.concatenate(found),
        strategy=bundle.manifest.strategy,
        class_names=bundle.class_names,
        paths=[dataset.samples[row].path for row in rows],
        groups=dataset.groups[rows],
        leaked=np.isin(dataset.groups[rows], dataset.groups[seen]).astype(np.int64),
    )


def render(run: Path | str) -> Path:
    """Write `report.html` of a finished run anew from its `report.json` and return its path.

    Raises:
        StoreError: The folder is not one that `fit` wrote.
    """
    from thawline.use.report import ReportData, render_report

    source = Path(run) / "report.json"
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"report: {source} cannot be read ({type(error).__name__}). Name a folder that `thawline fit` wrote."
        ) from None
    target = source.with_name("report.html")
    write_bytes(target, render_report(ReportData.from_json(text)).encode())
    return target


def demo_pictures(out: Path) -> Path:
    """Return the folder of the demo's scanned digits inside `out`, written there unless an earlier demo did."""
    from thawline.data.digits import write_digits

    folder = out / "pictures"
    return folder if folder.is_dir() else write_digits(folder)


def cache_entries(cache_dir: Path | None = None) -> tuple[Entry, ...]:
    """Return what the cache holds, most recently used first."""
    return list_entries(cache_root(cache_dir))


def prune_cache(
    cache_dir: Path | None = None, *, older_than_days: float | None = None, keep_bytes: int | None = None
) -> tuple[Entry, ...]:
    """Return what was removed from the cache; with neither limit, everything.

    Args:
        cache_dir: The cache, or None for the usual one.
        older_than_days: Remove what was not opened for so long.
        keep_bytes: Then remove the least recently used until at most so many bytes are left.
    """
    root = cache_root(cache_dir)
    removed, kept_bytes = [], 0
    everything = older_than_days is None and keep_bytes is None
    for entry in list_entries(root):
        old = older_than_days is not None and time.time() - entry.last_used_s > older_than_days * 86400
        kept_bytes += 0 if old else entry.size_bytes
        if everything or old or (keep_bytes is not None and kept_bytes > keep_bytes):
            remove_entry(entry, root)
            removed.append(entry)
    return tuple(removed)


def _require_place(out: Path, photos: Path) -> None:
    """Refuse a folder of results that cannot be written, or that would become a picture folder of the next run."""
    if photos.is_dir() and out.resolve().is_relative_to(photos.resolve()):
        raise DataError(
            f"fit: the run's folder {out} lies inside the pictures {photos}, where the next run would take it for one "
            "of their folders. Choose another place with -o."
        )
    try:
        with disk_errors("write results", out), staging_directory(out):
            pass
    except FileNotFoundError:  # a place such as /proc, in which nothing can be made
        raise StoreError(f"write results: {out} cannot be made. Choose another place with -o.") from None


def _network(options: Options) -> tuple[Network, Runtime]:
    from thawline.core.runtime import choose_runtime
    from thawline.features.backbones import load_backbone

    runtime = choose_runtime(options.device, options.dtype)
    network = load_backbone(options.backbone, weights=options.weights, fit=options.fit, size_px=options.size)
    return network, runtime


def _extract(
    dataset: Dataset, network: Network, runtime: Runtime, options: Options, progress: Progress | None
) -> Extraction:
    from thawline.features.extract import extract

    return extract(
        dataset,
        network,
        runtime,
        cache=cache_root(options.cache_dir),
        poolings=options.pooling,
        storage=options.storage,
        progress=progress,
    )


def _compare(
    photos: Path | str, options: Options, progress: Progress, clock: Clock, *, hold_out: bool
) -> tuple[CompareResult, Network, Runtime]:
    """Return the comparison, and the network and runtime that the features came from."""
    dataset, report = check(photos, options, progress=progress)
    large = len(dataset) > LARGE_SET
    split = make_split(
        dataset,
        num_folds=min(options.folds, FOLDS_OF_LARGE_SETS) if large else options.folds,
        num_repeats=1 if large else options.repeats,
        seed=options.seed,
        hold_out=hold_out,
    )
    clock.lap("check")
    network, runtime = _network(options)
    clock.lap("load")
    extraction = _extract(dataset, network, runtime, options, progress)
    clock.lap("extract")
    from thawline.features.extract import measure_pass_ms
    from thawline.search.compare import CompareOptions
    from thawline.search.compare import compare as compare_strategies
    from thawline.use.run import CompareResult

    comparison = compare_strategies(
        extraction.bank,
        network.backbone,
        dataset,
        split,
        CompareOptions(options.metric, options.class_weights, seed=options.seed),
        full_pass_ms=measure_pass_ms(network, runtime),
        progress=progress,
    )
    clock.lap("compare")
    labels = tuple(cut.label for cut in network.backbone.cuts)
    return CompareResult(dataset, report, split, extraction, comparison, labels), network, runtime
