"""A finished run becomes the files of its folder: `run.json`, `leaderboard.json`, `leaderboard.csv`, `report.html`.

One idea: every number in them comes from the leaderboard and the evaluation; nothing is computed twice.
"""

from __future__ import annotations

import datetime as dt
import shlex
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from thawline.core.options import Options
from thawline.core.runtime import Runtime, package_versions
from thawline.core.store import write_bytes
from thawline.core.types import Ints
from thawline.core.version import __version__
from thawline.data.check import CheckReport
from thawline.data.dataset import Dataset
from thawline.data.images import decode, encode_jpeg
from thawline.data.load import read_checked
from thawline.data.split import Split
from thawline.features.bank import FeatureBank
from thawline.features.extract import Extraction
from thawline.features.network import Network
from thawline.search.compare import Comparison
from thawline.search.leaderboard import Leaderboard
from thawline.train.budget import Tried, forecast_rows
from thawline.use.evaluation import Evaluation
from thawline.view.report_data import Mistake, Picture, ReportData

__all__ = [
    "Clock",
    "CompareResult",
    "leaderboard_json",
    "mistakes_of",
    "options_json",
    "run_json",
    "thumbnail",
    "write_report",
]

PICTURES_A_CLASS, SHOWN_CLASSES, SHOWN_MISTAKES = 8, 40, 24
THUMBNAIL_PX = 110


@dataclass(frozen=True)
class CompareResult:
    """What `compare` found.

    Attributes:
        dataset: The checked pictures.
        report: What the check found.
        split: Folds and test rows.
        extraction: The bank and what filling it took.
        comparison: The leaderboard and the winner's held-out logits.
        cut_labels: Short names of the backbone's cuts, shallow to deep.
        full_pass_ms: Milliseconds that a picture takes through the whole backbone here.
        view_banks: Banks of augmented views that heads learnt from too, one a view.
        tried: Plans that were trained, or left out, with what was expected of them.
        budget_s: Seconds that the run was given, or None.
    """

    dataset: Dataset
    report: CheckReport
    split: Split
    extraction: Extraction
    comparison: Comparison
    cut_labels: tuple[str, ...]
    full_pass_ms: float
    view_banks: tuple[FeatureBank, ...] = ()
    tried: tuple[Tried, ...] = ()
    budget_s: float | None = None

    @property
    def leaderboard(self) -> Leaderboard:
        """All trials, best first."""
        return self.comparison.leaderboard


@dataclass
class Clock:
    """Wall seconds of the parts of a run, and of the whole so far."""

    parts: dict[str, float] = field(default_factory=dict)
    start: float = field(default_factory=time.perf_counter)
    last: float = field(default_factory=time.perf_counter)

    def lap(self, name: str) -> None:
        """Book the time since the last lap under `name`."""
        now = time.perf_counter()
        self.parts[name], self.last = round(now - self.last, 3), now
        self.parts["total"] = round(now - self.start, 3)


def thumbnail(dataset: Dataset, row: int, max_px: int) -> bytes:
    """Return a picture as a JPEG of at most `max_px` on its longer side."""
    return encode_jpeg(decode(read_checked(dataset.samples[row]), max_px).image, max_px)


def write_report(
    out: Path,
    compared: CompareResult,
    evaluation: Evaluation,
    network: Network,
    model: Network,
    options: Options,
    clock: Clock,
) -> None:
    """Write the report, the data it was made of, the leaderboard as a table and the trainings epoch by epoch.

    Args:
        out: Folder of the run.
        compared: The comparison.
        evaluation: The single reading of the test rows.
        network: The backbone that was compared at its cuts.
        model: The network of the winner: the same, or a trained one.
        options: Of the run.
        clock: Of the run.
    """
    from thawline.view.report import history_csv, leaderboard_csv, render_report  # matplotlib

    dataset, split, board = compared.dataset, compared.split, compared.leaderboard
    roles = {"train": split.folds[0][0] if split.num_folds == 1 else split.pool, "test": split.test}
    if split.num_folds == 1:
        roles["validation"] = split.folds[0][1]
    num_classes = len(dataset.class_names)
    data = ReportData(
        title=dataset.root.title,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        command=" ".join(["thawline", *map(shlex.quote, sys.argv[1:])]),
        class_names=dataset.class_names,
        counts={
            role: tuple(np.bincount(dataset.labels[rows], minlength=num_classes).tolist())
            for role, rows in roles.items()
        },
        leaderboard=board,
        cuts=network.backbone.cuts,
        evaluation=evaluation,
        pictures=_sample_grid(dataset, roles["train"]),
        mistakes=mistakes_of(dataset, split.test, evaluation),
        check=compared.report.to_json(),
        provenance=_provenance(compared, model, options, clock),
        notes=_notes(compared, options),
        forecast=forecast_rows(compared.tried),
        budget_s=compared.budget_s,
        **_finder(compared),
    )
    write_bytes(out / "report.json", data.to_json().encode())
    write_bytes(out / "report.html", render_report(data).encode())
    write_bytes(out / "leaderboard.csv", leaderboard_csv(board).encode())
    write_bytes(out / "history.csv", history_csv(board).encode())


def _sample_grid(dataset: Dataset, rows: Ints) -> tuple[Picture, ...]:
    """Return the first few training pictures of each class."""
    return tuple(
        Picture(name, "train", dataset.samples[row].path, thumbnail(dataset, int(row), THUMBNAIL_PX))
        for label, name in enumerate(dataset.class_names[:SHOWN_CLASSES])
        for row in rows[dataset.labels[rows] == label][:PICTURES_A_CLASS]
    )


def mistakes_of(dataset: Dataset, rows: Ints, evaluation: Evaluation) -> tuple[Mistake, ...]:
    """Return the surest mistakes on the test rows, surest first."""
    predicted = evaluation.probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != evaluation.labels)
    surest = wrong[np.argsort(-evaluation.probabilities[wrong, predicted[wrong]], kind="stable")][:SHOWN_MISTAKES]
    return tuple(
        Mistake(
            evaluation.paths[at],
            thumbnail(dataset, int(rows[at]), THUMBNAIL_PX),
            dataset.class_names[evaluation.labels[at]],
            dataset.class_names[predicted[at]],
            float(evaluation.probabilities[at, predicted[at]]),
        )
        for at in surest
    )


def _finder(compared: CompareResult) -> dict[str, Any]:
    """Return the first range test that a training ran, as the report takes it."""
    trained = [one.folds[0].trained for one in compared.tried if one.folds and one.folds[0].trained.finder]
    return {"finder": trained[0].finder, "finder_rate": trained[0].learning_rate} if trained else {}


def _notes(compared: CompareResult, options: Options) -> tuple[str, ...]:
    """Return sentences on what was decided for the person."""
    own = any(sample.split == "test" for sample in compared.dataset.samples)
    num_test, board = len(compared.split.test), compared.leaderboard
    kept = {
        "crop": "the shorter side fills the square; the ends of the longer side are cut off",
        "letterbox": "the whole picture is kept and padded to a square",
        "stretch": "the whole picture is kept and squeezed into a square",
    }
    notes = [
        f"Test: your held-out folder, {num_test:,} pictures."
        if own
        else f"Test: there was no held-out folder, so {num_test:,} pictures were held out, copies kept together.",
        f"Choice: {compared.split.rule}, by {board.metric.replace('_', ' ')}.",
        f"Input: `--fit {options.fit}`: {kept[options.fit]}.",
    ]
    if compared.comparison.balanced:
        notes.append("Classes were weighted equally in training, since they differ in size.")
    return tuple(notes)


def _provenance(compared: CompareResult, network: Network, options: Options, clock: Clock) -> dict[str, Any]:
    backbone = network.backbone
    return {
        "backbone": {
            "name": backbone.name,
            "weights": backbone.weights_origin,
            "licence": backbone.license,
            "sha256": backbone.weights_sha256,
            "parameters": backbone.num_params,
        },
        "input": asdict(backbone.input),
        "bank": compared.extraction.bank.key,
        "pictures_key": compared.dataset.images_key,
        "options": options_json(options),
        "seconds": {f"{name}_s": seconds for name, seconds in clock.parts.items()},
        "versions": package_versions(),
    }


def options_json(options: Options) -> dict[str, Any]:
    """Return the options as plain data."""
    return {
        name: str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
        for name, value in asdict(options).items()
    }


def run_json(
    compared: CompareResult,
    evaluation: Evaluation,
    network: Network,
    runtime: Runtime,
    options: Options,
    clock: Clock,
) -> dict[str, Any]:
    """Return what `run.json` holds; scripts may rely on `pictures`, `extraction`, `test` and `winner`."""
    board = compared.leaderboard
    return {
        "thawline": __version__,
        "winner": board.trials[board.winner].name,
        "test": evaluation.values_json(),
        "pictures": {
            "used": compared.report.used,
            "skipped": len(compared.report.skipped),
            "leaked": int(evaluation.leaked.sum()),
        },
        "extraction": {
            "pictures": compared.extraction.num_extracted,
            "seconds": round(compared.extraction.seconds, 3),
            "damaged_rows": compared.extraction.num_damaged,
        },
        "runtime": asdict(runtime),
        "budget_s": compared.budget_s,
        "forecast": list(forecast_rows(compared.tried)),
        **_provenance(compared, network, options, clock),
    }


def leaderboard_json(board: Leaderboard) -> dict[str, Any]:
    """Return a leaderboard as plain data; scripts may rely on `metric` and `trials`."""
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
        "chosen": {"mean": board.chosen_mean, "low": board.chosen_low, "high": board.chosen_high},
        "num_pictures": board.num_pictures,
        "num_fits": board.num_fits,
        "seconds": board.seconds,
        "trials": trials,
    }
