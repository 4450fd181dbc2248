"""The log: a line of JSON a request, and no answer waits for it."""

from __future__ import annotations

import io
import json
import threading

import pytest

from thawline.use.service import request_log as log_module
from thawline.use.service.request_log import Ended, RequestLog, request_id


def ended(path="/predict", **facts):
    return Ended(
        **{
            "request_id": "a-1",
            "method": "POST",
            "path": path,
            "status": 200,
            "seconds": 0.0123,
            "num_pictures": 2,
            **facts,
        }
    )


def test_a_line_says_what_was_asked_and_how_it_ended():
    stream = io.StringIO()
    log = RequestLog(stream)
    log.add(ended())
    log.add(ended("/x\n{}\x1b[31m" + "y" * 9000, status=404, method="G" * 90))
    log.close()
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "request_id": "a-1",
        "method": "POST",
        "path": "/predict",
        "status": 200,
        "ms": 12.3,
        "pictures": 2,
    }
    assert (len(second["path"]), len(second["method"])) == (200, 20)
    assert stream.getvalue().isprintable() is False  # line ends only
    assert "\x1b" not in stream.getvalue()


class Stuck(io.StringIO):
    """A stream that nobody reads."""

    def __init__(self):
        super().__init__()
        self.may_go_on, self.is_stuck = threading.Event(), threading.Event()

    def write(self, text):
        self.is_stuck.set()
        self.may_go_on.wait(600)
        return super().write(text)


def test_a_stream_that_nobody_reads_costs_lines_and_they_are_counted(monkeypatch):
    monkeypatch.setattr(log_module, "MAX_LINES", 2)
    stream = Stuck()
    log = RequestLog(stream)
    log.add(ended())
    stream.is_stuck.wait(600)
    for _ in range(5):
        log.add(ended())
    stream.may_go_on.set()
    while not log._lines.empty():
        pass
    log.add(ended())
    log.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line.get("lines_left_out") for line in lines] == [None, None, None, 3]


def test_a_stream_that_is_closed_ends_nothing():
    stream = io.StringIO()
    log = RequestLog(stream)
    stream.close()
    log.add(ended())
    log.add(ended())
    log.close()
    assert stream.closed


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [("a.B-9_:", True), ("", False), (None, False), ("a\nb", False), ("ä", False), ("x" * 65, False)],
)
def test_a_name_is_the_clients_where_it_is_plain(sent, is_kept):
    assert (request_id(sent) == sent) == is_kept
    assert request_id(sent)
