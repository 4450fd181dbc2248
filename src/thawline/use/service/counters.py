"""What the service does -> numbers for Prometheus, in its text format.

One idea: every number has its meaning and its unit in one place, and belongs to one service, not to the process, so
that two services in one process do not count for each other.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from thawline.core.types import Prediction

__all__ = ["METRICS_TYPE", "Counters"]

METRICS_TYPE = CONTENT_TYPE_LATEST
REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
STEP_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
BATCH = (1, 2, 3, 4, 8, 16, 32)


class Counters:
    """The numbers of one service. Threads may share it.

    Attributes:
        requests: Requests by path and status; 499: the client left first.
        request_seconds: From the request's header to the end of the reply, by path.
        pictures: Pictures by what became of them: `answered`, `none of these`, `not sure` or `unreadable`.
        waiting_requests: Requests that have a picture without an answer.
        waiting_pictures: Pictures that no thread has begun with.
        batch_pictures: Pictures that went through the network together.
        decode_seconds: A picture's decoding.
        forward_seconds: A batch's pass through the network.
        is_unlike: 1 where what arrives looks unlike what was learned, else 0.
        strange_share: Share of the recent pictures that look strange to the model.
        abstained_share: Share of the recent pictures on which the model abstained.
        kept: Pictures that were kept for labelling.
        model: Which model answers.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        to = {"namespace": "thawline", "registry": self._registry}
        self.requests = Counter("requests", "Requests.", ("path", "status"), **to)  # type: ignore[arg-type]
        self.request_seconds = Histogram(
            "request_seconds",
            "From header to end of reply.",
            ("path",),
            buckets=REQUEST_S,
            **to,  # type: ignore[arg-type]
        )
        self.pictures = Counter("pictures", "Pictures by outcome.", ("outcome",), **to)  # type: ignore[arg-type]
        self.waiting_requests = Gauge("waiting_requests", "Requests with a picture without an answer.", **to)  # type: ignore[arg-type]
        self.waiting_pictures = Gauge("waiting_pictures", "Pictures not begun with.", **to)  # type: ignore[arg-type]
        self.batch_pictures = Histogram("batch_pictures", "Pictures in a batch.", buckets=BATCH, **to)  # type: ignore[arg-type]
        self.decode_seconds = Histogram("decode_seconds", "Decoding of a picture.", buckets=STEP_S, **to)  # type: ignore[arg-type]
        self.forward_seconds = Histogram("forward_seconds", "Pass of a batch.", buckets=STEP_S, **to)  # type: ignore[arg-type]
        self.is_unlike = Gauge("drift", "1: what arrives looks unlike what was learned.", **to)  # type: ignore[arg-type]
        self.strange_share = Gauge("strange_share", "Recent pictures that look strange.", **to)  # type: ignore[arg-type]
        self.abstained_share = Gauge("abstained_share", "Recent pictures without an answer.", **to)  # type: ignore[arg-type]
        self.kept = Counter("kept_pictures", "Pictures kept for labelling.", **to)  # type: ignore[arg-type]
        self.model = Info("model", "The model that answers.", **to)  # type: ignore[arg-type]
        ProcessCollector(registry=self._registry)

    def count_rows(self, rows: list[Prediction]) -> None:
        """Count pictures by what became of them."""
        for row in rows:
            self.pictures.labels("unreadable" if row.error else row.doubt or "answered").inc()

    def text(self) -> bytes:
        """Return all numbers in Prometheus's text format."""
        return generate_latest(self._registry)
