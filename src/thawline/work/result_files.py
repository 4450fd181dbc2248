"""What a run found -> further files of its folder: scores, predictions, model card, and every figure by itself.

One idea: they hold nothing that the report does not know; they are there for scripts, for slides and for strangers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from thawline.core.store import write_json
from thawline.use.evaluation import Evaluation
from thawline.view.csv_text import predictions_csv
from thawline.view.report_data import ReportData
from thawline.work.advising import Basis
from thawline.work.run_folder import FIGURES

__all__ = ["metrics_json", "write_result_files"]


def metrics_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return what `metrics.json` holds: the name of every score that applies → `value`, `low`, `high`, `n`."""
    return {kind.name: asdict(score) for kind, score in evaluation.listed_scores}


def write_result_files(out: Path, *, data: ReportData, basis: Basis) -> None:
    """Write `metrics.json`, `predictions.csv`, `model_card.md` and `figures/` into a folder of our own.

    Args:
        out: The folder.
        data: What the report shows.
        basis: What its advice stands on.
    """
    from thawline.view.figures import figure_files  # matplotlib
    from thawline.view.model_card import model_card

    if data.evaluation is not None:
        write_json(out / "metrics.json", metrics_json(data.evaluation))
    with (out / "predictions.csv").open("wb") as file:
        for line in _predictions(basis):
            file.write(f"{line}\n".encode("utf-8", "surrogateescape"))
    (out / "model_card.md").write_bytes(model_card(data).encode())
    (out / FIGURES).mkdir()
    for figure in figure_files(data):
        (out / FIGURES / f"{figure.name}.svg").write_bytes(figure.svg.encode())
        (out / FIGURES / f"{figure.name}.png").write_bytes(figure.png)


def _predictions(basis: Basis) -> Iterator[str]:
    """Yield the lines of `predictions.csv`."""
    suspects = {suspect.path for suspect in basis.suspects}
    return predictions_csv(basis.answered, suspects=suspects, abstained=basis.abstained.tolist())
