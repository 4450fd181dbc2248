"""What a report shows <-> JSON text.

One idea: `ReportData` is everything the page shows and nothing else, so the page is a pure function of it and can be
made again from `RUN/report.json`. Pictures are in base64, arrays compressed; nothing here draws.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from thawline.search.leaderboard import Leaderboard
from thawline.use.evaluation import Evaluation
from thawline.view.report_json import encode, evaluation_from, leaderboard_from, refusing_damage, with_jpeg

__all__ = ["Cut", "Mistake", "Picture", "ReportData"]

_FORMAT = 3


@dataclass(frozen=True)
class Cut:
    """A cut point as the report shows it.

    Attributes:
        index: Index into `Backbone.cuts`, as in `Strategy.depths`.
        label: Short name on the axis, e.g. `4.0` or `head`.
        channels: Features of the pooled mean at this depth.
        blocks_removed: Blocks above it, which need not run.
        cost_fraction: Share of the whole backbone's cost that runs up to here, in [0, 1].
    """

    index: int
    label: str
    channels: int
    blocks_removed: int
    cost_fraction: float


@dataclass(frozen=True)
class Picture:
    """A small picture of the sample grid.

    Attributes:
        class_name: Its label.
        role: `train`, `validation` or `test`.
        path: Its name as shown to people.
        jpeg: Encoded thumbnail, about 110 px on its longer side.
    """

    class_name: str
    role: str
    path: str
    jpeg: bytes


@dataclass(frozen=True)
class Mistake:
    """A test picture that the model got wrong.

    Attributes:
        path: Its name as shown to people.
        jpeg: Encoded thumbnail, about 110 px on its longer side.
        true: Its label.
        predicted: What the model said.
        probability: How sure the model was of `predicted`, in [0, 1].
    """

    path: str
    jpeg: bytes
    true: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows.

    Attributes:
        title: Name of the data set, as its heading.
        created: When the run ended, ISO 8601.
        command: What the person typed.
        class_names: K names.
        counts: Role (`train`, `validation`, `test`) → pictures of each class, K numbers in the order of `class_names`.
        leaderboard: The comparison.
        cuts: Cut points of the backbone, shallow to deep.
        evaluation: The single reading of the test rows, or None where nothing was evaluated.
        pictures: The sample grid; about eight for each class are enough.
        mistakes: Most confident mistakes on the test rows, surest first.
        check: `CheckReport.to_json()`.
        provenance: Versions, seeds, weights, input preparation, timings: text, numbers, lists and mappings of them.
        notes: Sentences on what was decided for the person, e.g. which folder became the test.
        forecast: What each tuned or scratch strategy was expected to need, in the order of the forecast; rows of
            `strategy` (its name), `seconds`, `memory_bytes`, `disk_bytes`, `outcome` (in words, e.g.
            `ran 5 of 5 folds`) and `took_s` (None where it did not run).
        budget_s: Seconds of training that the person allowed, or None without a limit.
        finder: The learning-rate finder's sweep, (step size, smoothed loss) in its order; empty where none was made.
        finder_rate: The step size that the sweep led to, or None.
    """

    title: str
    created: str
    command: str
    class_names: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    leaderboard: Leaderboard
    cuts: tuple[Cut, ...]
    evaluation: Evaluation | None = None
    pictures: tuple[Picture, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    check: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    forecast: tuple[Mapping[str, Any], ...] = ()
    budget_s: float | None = None
    finder: tuple[tuple[float, float], ...] = ()
    finder_rate: float | None = None

    def to_json(self) -> str:
        """Return the data as JSON text: pictures in base64, arrays compressed; the same text for the same data."""
        return json.dumps({"format": _FORMAT} | asdict(self), default=encode, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ReportData:
        """Return the data that `to_json` wrote.

        Raises:
            StoreError: The text is damaged, incomplete, or of another version's format.
        """
        with refusing_damage("Run `thawline fit` again"):
            raw = json.loads(text)
            if (found := raw.pop("format")) != _FORMAT:
                raise ValueError(f"format {found}, this version reads {_FORMAT}")
            raw["leaderboard"] = leaderboard_from(raw["leaderboard"])
            raw["evaluation"] = raw["evaluation"] and evaluation_from(raw["evaluation"])
            raw["cuts"] = tuple(Cut(**cut) for cut in raw["cuts"])
            raw["pictures"] = tuple(Picture(**with_jpeg(picture)) for picture in raw["pictures"])
            raw["mistakes"] = tuple(Mistake(**with_jpeg(mistake)) for mistake in raw["mistakes"])
            raw["counts"] = {role: tuple(counts) for role, counts in raw["counts"].items()}
            raw["finder"] = tuple((rate, loss) for rate, loss in raw["finder"])
            return cls(**raw | {name: tuple(raw[name]) for name in ("class_names", "notes", "forecast")})
