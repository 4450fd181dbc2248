"""Counters: every number is told in Prometheus's format, and belongs to one service."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from thawline.core.types import Prediction
from thawline.use.service.counters import Counters


def samples(counters):
    """Return {name and labels: value} of all numbers."""
    families = text_string_to_metric_families(counters.text().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value for one in families for sample in one.samples
    }


def test_pictures_are_counted_by_what_became_of_them():
    counters = Counters()
    answered = Prediction("a", "cat", 0.9, {"cat": 0.9, "dog": 0.1})
    strange = Prediction("b", "cat", 0.9, {"cat": 0.9, "dog": 0.1}, doubt="none of these")
    counters.count_rows([answered, strange, answered, Prediction.failed("c", "not a picture")])
    found = samples(counters)
    assert found["thawline_pictures_total", (("outcome", "answered"),)] == 2
    assert found["thawline_pictures_total", (("outcome", "none of these"),)] == 1
    assert found["thawline_pictures_total", (("outcome", "unreadable"),)] == 1


def test_two_services_in_a_process_do_not_count_for_each_other():
    first, second = Counters(), Counters()
    first.requests.labels("/predict", 200).inc()
    first.request_seconds.labels("/predict").observe(0.03)
    assert samples(first)["thawline_requests_total", (("path", "/predict"), ("status", "200"))] == 1
    bucket = (("le", "0.05"), ("path", "/predict"))
    assert samples(first)["thawline_request_seconds_bucket", bucket] == 1
    assert not any(name == "thawline_requests_total" for name, _ in samples(second))


def test_numbers_that_have_nothing_to_tell_yet_are_0():
    found = samples(Counters())
    for name in ("drift", "strange_share", "abstained_share", "waiting_requests", "kept_pictures_total"):
        assert found[f"thawline_{name}", ()] == 0
