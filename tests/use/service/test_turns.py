"""Turns: requests take turns picture by picture, batches fill under load, and nobody decodes for who has left."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from starlette.requests import ClientDisconnect

from thawline.core.errors import DataError
from thawline.use.answer import Answer
from thawline.use.service import turns as turns_module
from thawline.use.service.counters import Counters
from thawline.use.service.refusal import RefusedError
from thawline.use.service.turns import Sent, Turns


async def staying():
    """Receive for a client that stays."""
    await asyncio.Event().wait()


class Model:
    """A model that decodes and answers as slowly as a test says, and keeps a record."""

    class_names = ("odd", "even")
    doubt = None
    batch_size = 4

    def __init__(self):
        self.may_decode, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()
        self.decoded, self.batches, self.now, self.most = [], [], 0, 0
        self._lock = threading.Lock()

    def prepare(self, data, *, max_megapixels):
        with self._lock:
            self.decoded.append(data.decode())
            self.now += 1
            self.most = max(self.most, self.now)
        self.may_decode.wait(600)
        with self._lock:
            self.now -= 1
        if data == b"bad":
            raise DataError("not a picture")
        if data == b"bug":
            raise KeyError("bug")
        return (np.frombuffer(data, dtype=np.uint8),), ("odd file",) if data == b"odd" else ()

    def answers_to(self, batch):
        self.may_answer.wait(600)
        names = [pixels.tobytes().decode() for (pixels,) in batch]
        with self._lock:
            self.batches.append(names)
        if "poison" in names:
            raise DataError("the model's answer is not finite")
        return Answer(np.array([[0.25, 0.75]] * len(batch), dtype=np.float32), None)


@contextmanager
def turns_of(model, *, num_threads=2, monkeypatch, counters=None):
    monkeypatch.setattr(turns_module, "num_workers", lambda: num_threads)
    turns = Turns(model, max_megapixels=1, counters=counters)
    try:
        yield turns
    finally:
        model.may_decode.set()
        model.may_answer.set()
        turns.close()
        assert not any(thread.is_alive() for thread in turns._threads)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


def pictures(*names):
    return [Sent(name, name.encode()) for name in names]


def test_requests_take_turns_and_each_keeps_its_order(monkeypatch):
    model = Model()

    async def run(turns):
        asked = []
        for number in range(5):
            asked.append(asyncio.ensure_future(turns.predict(pictures(f"{number}a", f"{number}b"), staying)))
            await until(lambda: turns.num_waiting == len(asked))
        await until(lambda: len(model.decoded) == 2)
        await asyncio.sleep(0.05)
        assert len(model.decoded) == 2
        model.may_decode.set()
        return await asyncio.gather(*asked), turns.num_waiting

    with turns_of(model, monkeypatch=monkeypatch) as turns:
        rows, num_waiting = asyncio.run(run(turns))
    assert [[row.path for row in found] for found in rows] == [[f"{i}a", f"{i}b"] for i in range(5)]
    assert all(row.label == "even" for found in rows for row in found)
    assert (model.most, num_waiting) == (2, 0)
    late = [name for name in model.decoded[4:] if name.endswith("b")]
    assert model.decoded.index("4a") < model.decoded.index(late[-1]), "a second picture went before another's first"


def test_a_lone_picture_is_answered_at_once_and_many_fill_batches(monkeypatch):
    model, counters = Model(), Counters()
    model.may_decode.set()

    async def run(turns):
        await turns.predict(pictures("alone"), staying)
        model.may_answer.clear()
        many = asyncio.ensure_future(turns.predict(pictures(*map(str, range(12))), staying))
        await until(lambda: len(model.decoded) >= 5)
        model.may_answer.set()
        return await many

    with turns_of(model, num_threads=1, monkeypatch=monkeypatch, counters=counters) as turns:
        rows = asyncio.run(run(turns))
    assert model.batches == [["alone"], *[[str(i) for i in range(at, at + 4)] for at in (0, 4, 8)]]
    assert [row.path for row in rows] == [str(i) for i in range(12)]
    text = counters.text().decode()
    assert "thawline_batch_pictures_sum 13.0" in text
    assert "thawline_batch_pictures_count 4.0" in text
    assert "thawline_decode_seconds_count 13.0" in text
    assert "thawline_waiting_requests 0.0" in text


def test_however_many_processors_there_are_few_pictures_are_decoded_at_once(monkeypatch):
    model = Model()

    async def run(turns):
        asked = asyncio.ensure_future(turns.predict(pictures(*map(str, range(20))), staying))
        await until(lambda: model.now == turns_module.MAX_DECODING)
        await asyncio.sleep(0.05)
        model.may_decode.set()
        await asked

    with turns_of(model, num_threads=9, monkeypatch=monkeypatch) as turns:
        asyncio.run(run(turns))
    assert model.most == turns_module.MAX_DECODING


def test_a_picture_that_cannot_be_read_gets_its_error_and_one_that_spoils_a_batch_alone(monkeypatch):
    model = Model()
    model.may_decode.set()

    async def run(turns):
        return await turns.predict(pictures("one", "bad", "poison", "odd", "five"), staying)

    with turns_of(model, num_threads=1, monkeypatch=monkeypatch) as turns:
        rows = asyncio.run(run(turns))
    errors = {"bad": "not a picture", "poison": "the model's answer is not finite"}
    assert [(row.path, row.error) for row in rows] == [
        (name, errors.get(name)) for name in ("one", "bad", "poison", "odd", "five")
    ]
    assert rows[3].remark == "odd file"


def test_pixels_that_are_prepared_are_not_decoded(monkeypatch):
    model = Model()

    async def run(turns):
        return await turns.predict([Sent("a", b"", (np.frombuffer(b"pixels", dtype=np.uint8),))], staying)

    with turns_of(model, monkeypatch=monkeypatch) as turns:
        (row,) = asyncio.run(run(turns))
    assert (row.path, row.label, model.decoded, model.batches) == ("a", "even", [], [["pixels"]])


def test_who_hangs_up_gives_up_the_turns_that_are_left(monkeypatch):
    model = Model()

    async def run(turns):
        hung_up = asyncio.Event()

        async def leaving():
            await hung_up.wait()
            return {"type": "http.disconnect"}

        gone = [asyncio.ensure_future(turns.predict(pictures(*"abcdef"), leaving)) for _ in range(4)]
        await until(lambda: len(model.decoded) == 2)
        hung_up.set()
        results = await asyncio.gather(*gone, return_exceptions=True)
        next_one = asyncio.ensure_future(turns.predict(pictures("next"), staying))
        await asyncio.sleep(0.05)
        assert len(model.decoded) == 2, "a turn is free before its picture is done"
        model.may_decode.set()
        (row,) = await next_one
        return results, row.path

    with turns_of(model, monkeypatch=monkeypatch) as turns:
        results, path = asyncio.run(run(turns))
    assert [type(result) for result in results] == [ClientDisconnect] * 4
    assert (model.decoded[2:], path) == (["next"], "next")


def test_too_many_that_wait_and_waiting_too_long_are_503(monkeypatch):
    monkeypatch.setattr(turns_module, "MAX_WAITING", 3)
    monkeypatch.setattr(turns_module, "WAIT_S", 0.05)
    model = Model()

    async def run(turns):
        asked = [asyncio.ensure_future(turns.predict(pictures(str(i)), staying)) for i in range(4)]
        await until(lambda: sum(one.done() for one in asked) == 2)
        model.may_decode.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    with turns_of(model, monkeypatch=monkeypatch) as turns:
        first, second, late, many = asyncio.run(run(turns))
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


@pytest.mark.parametrize("broken", ["decoding", "answering"])
def test_a_bug_frees_its_turn_and_is_raised(monkeypatch, broken):
    model = Model()
    model.may_decode.set()
    if broken == "answering":
        model.answers_to = None

    async def run(turns):
        found = [
            await asyncio.gather(
                turns.predict(pictures("bug" if broken == "decoding" else "a"), staying), return_exceptions=True
            )
            for _ in range(5)
        ]
        return found, turns.num_waiting

    with turns_of(model, monkeypatch=monkeypatch) as turns:
        found, num_waiting = asyncio.run(run(turns))
    assert all(isinstance(error, KeyError if broken == "decoding" else TypeError) for (error,) in found)
    assert num_waiting == 0


@pytest.mark.parametrize("num_messages", [0, 3])
def test_messages_after_the_body_are_passed_over(monkeypatch, num_messages):
    async def run(turns):
        left = [{"type": "http.request", "body": b"", "more_body": False}] * num_messages

        async def receive():
            return left.pop() if left else {"type": "http.disconnect"}

        with pytest.raises(ClientDisconnect):
            await turns.predict(pictures("a"), receive)

    with turns_of(Model(), monkeypatch=monkeypatch) as turns:
        asyncio.run(run(turns))


def test_who_asks_is_told_where_a_picture_lies_and_nobody_else(monkeypatch):
    model, places = Model(), []
    model.may_decode.set()
    sound = model.answers_to

    def answers_to(batch):
        known = np.array([[float(pixels.sum())] for (pixels,) in batch], dtype=np.float32)
        return Answer(sound(batch).probabilities, None, known)

    monkeypatch.setattr(model, "answers_to", answers_to)
    asked = [Sent("a", b"a"), Sent("b", b"b", take_place=places.append), Sent("bad", b"bad", take_place=places.append)]
    with turns_of(model, monkeypatch=monkeypatch) as turns:
        rows = asyncio.run(turns.predict(asked, staying))
    assert [place.tolist() for place in places] == [[ord("b")]]
    assert [row.error for row in rows] == [None, None, "not a picture"]
    monkeypatch.setattr(model, "answers_to", sound)
    with turns_of(model, monkeypatch=monkeypatch) as turns:
        asyncio.run(turns.predict(asked[1:2], staying))
    assert len(places) == 1, "this model does not know"
