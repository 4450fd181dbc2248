"""Turns: pictures are predicted a few at a time, in the order in which they came, and not for who has left."""

from __future__ import annotations

import asyncio
import threading

import pytest
from starlette.requests import ClientDisconnect

from thawline.core.types import Prediction
from thawline.use.service import turns as turns_module
from thawline.use.service.refusal import RefusedError
from thawline.use.service.turns import MAX_AT_ONCE, Turns


async def staying():
    """Receive for a client that stays."""
    await asyncio.Event().wait()


class Work:
    """A prediction that takes as long as a test says, and counts."""

    def __init__(self):
        self.may_end = threading.Event()
        self.begun, self.now, self.most = [], 0, 0
        self._lock = threading.Lock()

    def __call__(self, name, data):
        with self._lock:
            self.begun.append(name)
            self.now += 1
            self.most = max(self.most, self.now)
        self.may_end.wait(600)
        with self._lock:
            self.now -= 1
        return Prediction.failed(name, data.decode())


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


def pictures(*names):
    return [(name, b"data") for name in names]


def test_pictures_of_all_requests_are_few_at_a_time_and_each_request_keeps_its_order():
    work = Work()

    async def run():
        turns = Turns(work)
        asked = [asyncio.ensure_future(turns.predict(pictures(f"{i}a", f"{i}b"), staying)) for i in range(5)]
        await until(lambda: len(work.begun) == MAX_AT_ONCE)
        await asyncio.sleep(0.05)
        assert work.begun == ["0a", "1a"]
        work.may_end.set()
        return await asyncio.gather(*asked), turns.num_waiting

    rows, num_waiting = asyncio.run(run())
    assert [[row.path for row in found] for found in rows] == [[f"{i}a", f"{i}b"] for i in range(5)]
    assert (work.most, num_waiting) == (MAX_AT_ONCE, 0)


def test_who_hangs_up_gives_up_the_turns_that_are_left():
    work = Work()

    async def run():
        turns = Turns(work)
        hung_up = asyncio.Event()

        async def leaving():
            await hung_up.wait()
            return {"type": "http.disconnect"}

        gone = [asyncio.ensure_future(turns.predict(pictures(*"abcdef"), leaving)) for _ in range(4)]
        await until(lambda: len(work.begun) == MAX_AT_ONCE)
        hung_up.set()
        results = await asyncio.gather(*gone, return_exceptions=True)
        next_one = asyncio.ensure_future(turns.predict(pictures("next"), staying))
        await asyncio.sleep(0.05)
        assert work.begun == ["a", "a"], "a turn is free before its picture is done"
        work.may_end.set()
        (row,) = await next_one
        return results, row.path

    results, path = asyncio.run(run())
    assert [type(result) for result in results] == [ClientDisconnect] * 4
    assert (work.begun, path) == (["a", "a", "next"], "next")


def test_too_many_that_wait_and_waiting_too_long_are_503(monkeypatch):
    monkeypatch.setattr(turns_module, "MAX_WAITING", 3)
    monkeypatch.setattr(turns_module, "WAIT_S", 0.05)
    work = Work()

    async def run():
        turns = Turns(work)
        asked = [asyncio.ensure_future(turns.predict(pictures(str(i)), staying)) for i in range(4)]
        await until(lambda: sum(one.done() for one in asked) == 2)
        work.may_end.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    first, second, late, many = asyncio.run(run())
    assert (first[0].path, second[0].path) == ("0", "1")
    assert isinstance(late, RefusedError)
    assert isinstance(many, RefusedError)
    assert (late.status, late.headers, many.status, many.headers) == (
        503,
        {"retry-after": "10"},
        503,
        {"retry-after": "2"},
    )
    assert (late.reason.split(";")[0], many.reason.split(";")[0]) == (
        "the service is busy: it did not come to this request in time",
        "the service is busy: too many requests wait",
    )


def test_a_bug_in_a_prediction_frees_its_turn_and_is_raised():
    def broken(name, data):
        raise KeyError(name)

    async def run():
        turns = Turns(broken)
        found = [await asyncio.gather(turns.predict(pictures("a"), staying), return_exceptions=True) for _ in range(5)]
        return found, turns.num_waiting

    found, num_waiting = asyncio.run(run())
    assert all(isinstance(error, KeyError) for (error,) in found)
    assert num_waiting == 0


@pytest.mark.parametrize("num_messages", [0, 3])
def test_messages_after_the_body_are_passed_over(num_messages):
    async def run():
        left = [{"type": "http.request", "body": b"", "more_body": False}] * num_messages

        async def receive():
            return left.pop() if left else {"type": "http.disconnect"}

        work = Work()
        with pytest.raises(ClientDisconnect):
            await Turns(work).predict(pictures("a"), receive)
        work.may_end.set()

    asyncio.run(run())
