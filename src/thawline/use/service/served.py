"""A model and what a service does with it -> answers, and the facts that a page and a script may know.

One idea: every route asks for answers here, so that pictures are counted, looked at for drift and kept for labelling
wherever they came in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from starlette.requests import Request

from thawline.core.types import Prediction
from thawline.core.version import __version__
from thawline.use.model_place import EXPORTS, MODEL, ModelPlace
from thawline.use.neighbours import Neighbours
from thawline.use.occlusion import can_look
from thawline.use.onnx_model import OnnxModel
from thawline.use.page.answer_page import plain_words
from thawline.use.service.arrivals import Arrivals
from thawline.use.service.counters import Counters
from thawline.use.service.gate import Limits
from thawline.use.service.refusal import RefusedError
from thawline.use.service.request_log import Ended, RequestLog
from thawline.use.service.turns import Sent, Turns
from thawline.use.service.unsure import UnsureFolder

__all__ = ["Served", "model_name"]

KEEPS = (
    "Pictures that the model does not answer are kept by whoever runs this service, so that people can label them and "
    "it can learn from them."
)
OTHER = "other"


class Served:
    """What a service answers with.

    Attributes:
        model: What answers.
        name: Of the model, in the Open Inference Protocol.
        limits: The largest request that is answered.
        place: Where the model's files lie; None where it came without any.
        neighbours: Training pictures that came with the model; None where it came without.
        turns: Where pictures wait for their turn.
        counters: What is counted.
        is_draining: Whether the service was told to end and answers only what is in flight.
    """

    def __init__(
        self,
        model: OnnxModel,
        limits: Limits,
        *,
        name: str = "model",
        place: ModelPlace | None = None,
        neighbours: Neighbours | None = None,
        unsure: UnsureFolder | None = None,
        log: RequestLog | None = None,
    ) -> None:
        """Begin to serve.

        Args:
            model: What answers.
            limits: The largest request that is answered.
            name: Of the model.
            place: Where its files lie.
            neighbours: Training pictures that came with it.
            unsure: Where pictures are kept on which the model abstains; None keeps none.
            log: Where requests are written down; None: nowhere.
        """
        self.model, self.limits, self.name, self.place = model, limits, name, place
        self.neighbours = neighbours
        self.counters = Counters()
        self.turns = Turns(model, max_megapixels=limits.max_megapixels, counters=self.counters)
        self.is_draining = False
        self._paths: frozenset[str] = frozenset()
        self._unsure, self._log = unsure, log
        self._arrivals = Arrivals(model.doubt)
        facts = model.facts
        self.counters.model.info(
            {"name": name, "strategy": facts.strategy, "backbone": facts.backbone, "manifest_seal": facts.manifest_seal}
        )

    @property
    def knows_outside(self) -> bool:
        """Whether the model tells how strange a picture looks."""
        return self.model.doubt is not None and self.model.doubt.read_from is not None

    def require_count(self, num_pictures: int) -> None:
        """Return if a request may hold so many pictures.

        Raises:
            RefusedError: Status 400 or 413.
        """
        if not num_pictures:
            raise RefusedError(400, "there is no picture in the request")
        most = self.limits.max_pictures
        if num_pictures > most:
            raise RefusedError(413, f"{num_pictures:,} pictures are more than the {most} allowed in a request")

    async def answer(self, pictures: Sequence[Sent], request: Request) -> list[Prediction]:
        """Return a prediction for every picture of a request, in order; one that cannot be read gets its error.

        Raises:
            ClientDisconnect: The client hung up.
            RefusedError: Status 503: too busy.
        """
        request.scope["state"]["num_pictures"] = len(pictures)
        rows = await self.turns.predict(pictures, request.receive)
        self.counters.count_rows(rows)
        for picture, row in zip(pictures, rows, strict=True):
            if picture.prepared is None:
                self._arrivals.add(row, picture.data)
                if self._unsure is not None:
                    self._unsure.add(row, picture.data, kept=self.counters.kept.inc)
        return rows

    def metrics(self) -> bytes:
        """Return all numbers in Prometheus's text format."""
        drift = self._arrivals.drift()
        self.counters.abstained_share.set(self._arrivals.abstained_share())
        if drift is not None:
            self.counters.is_unlike.set(drift.is_unlike)
            self.counters.strange_share.set(drift.strange_share)
        return self.counters.text()

    def facts(self) -> dict[str, Any]:
        """Return what a page or a script may know of the service: plain data."""
        facts, drift = self.model.facts, self._arrivals.drift()
        words = plain_words(facts.class_names, strategy=facts.strategy, backbone=facts.backbone, doubt=self.model.doubt)
        return {
            "status": "draining" if self.is_draining else "ready",
            "thawline": __version__,
            "name": self.name,
            "strategy": facts.strategy,
            "backbone": facts.backbone,
            "manifest_seal": facts.manifest_seal,
            "class_names": facts.class_names,
            "limits": asdict(self.limits),
            "words": words,
            "looks": can_look(self.model),
            "neighbours": self.neighbours is not None,
            "keeps_unsure": None if self._unsure is None else self._unsure.problem or KEEPS,
            "drift": None if drift is None else drift.to_json(),
        }

    def knows_paths(self, paths: Sequence[str]) -> None:
        """Take note of the paths of all routes: what is counted by path has no more of them than these."""
        self._paths = frozenset(paths)

    def end(self, ended: Ended) -> None:
        """Count a request that is over, and write it down where there is a log."""
        path = re.sub(r"^(/v2/models)/[^/]+", r"\1/{name}", ended.path)
        path = path if path in self._paths else OTHER
        self.counters.requests.labels(path, ended.status).inc()
        self.counters.request_seconds.labels(path).observe(ended.seconds)
        if self._log is not None:
            self._log.add(ended)

    def close(self) -> None:
        """End the threads, after what they still do."""
        self.turns.close()
        if self._unsure is not None:
            self._unsure.close()
        if self._log is not None:
            self._log.close()


def model_name(place: ModelPlace) -> str:
    """Return the name of a model: that of its run, folder or file, in letters that fit into an address.

    >>> from pathlib import Path
    >>> model_name(ModelPlace(Path("runs/bird feeder"), Path("runs/bird feeder"), None, None))
    'bird-feeder'
    """
    named = (place.run or place.folder or place.named).resolve()
    name, is_file = named.name, place.run is None and place.folder is None
    if is_file:
        name = named.parent.parent.name if named.parent.name == EXPORTS else named.stem
    elif place.run is None and named.name == MODEL:
        name = named.parent.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:100] or MODEL
