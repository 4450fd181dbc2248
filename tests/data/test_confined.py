"""A worker process decodes what may cost much; the caller gets pixels or a sentence, whatever becomes of the worker."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import threading

import costly_pictures as costly
import psutil
import pytest

from thawline.core.errors import DataError
from thawline.core.types import InputSpec
from thawline.data import confined
from thawline.data.bounds import Turns
from thawline.data.confined import Workers, receive, send
from thawline.data.images import MAX_MEGAPIXELS, decode, decode_here, prepare

TASK = {"size_px": 32, "max_megapixels": MAX_MEGAPIXELS}


@pytest.fixture
def pool():
    workers = Workers()
    yield workers
    workers.end()


def ask(pool, data, **task):
    return pool.ask(TASK | task, data, reserve=Turns(1 << 40).reserved)


def pids(pool):
    return [worker._process.pid for worker in pool._idle]


def test_messages_arrive_whole_or_not_at_all():
    stream = io.BytesIO()
    send(stream, ({"a": [1, "ü"]}, b"xyz"))
    stream.seek(0)
    assert receive(stream) == ({"a": [1, "ü"]}, b"xyz")
    for length in (0, 5, 14, len(stream.getvalue()) - 1):
        with pytest.raises(EOFError):
            receive(io.BytesIO(stream.getvalue()[:length]))


def test_a_worker_gives_the_pixels_that_a_thread_gives(encode, draw):
    @contextlib.contextmanager
    def admit(image, num_bytes):
        yield

    spec = InputSpec(size_px=32, mean=(0.5,) * 3, std=(0.5,) * 3)
    for name, options in (("AVIF", {}), ("TIFF", {"compression": "tiff_lzw"})):
        data = encode(draw(1, (120, 90)), name, **options)
        here = decode_here(data, size_px=32, max_megapixels=MAX_MEGAPIXELS, admit=admit)
        there = decode(data, size_px=32)
        assert there.image.tobytes() == here.image.tobytes()
        assert (there.width_px, there.height_px, there.format) == (120, 90, name)
        assert (there.repairs, there.remarks) == (here.repairs, here.remarks) == ((), ())
        assert prepare(data, spec).shape == (32, 32, 3)


def test_one_worker_serves_one_picture_after_another(pool, encode, draw):
    data = encode(draw(1), "AVIF")
    facts, pixels = ask(pool, data)
    assert (facts["size"], facts["format"], len(pixels)) == ([48, 40], "AVIF", 48 * 40 * 3)
    first = pids(pool)
    with pytest.raises(DataError, match="ends after 60 bytes"):
        ask(pool, data[:60])
    ask(pool, data)
    assert pids(pool) == first


def test_a_worker_that_died_is_replaced(pool, encode, draw):
    data = encode(draw(1), "AVIF")
    ask(pool, data)
    (first,) = pids(pool)
    process = pool._idle[0]._process
    process.kill()
    process.wait()
    ask(pool, data)
    assert pids(pool) != [first]


def start_with(monkeypatch, setting):
    """Let workers start with another limit than this process believes."""
    start = confined._START.replace("; main()", f"; import thawline.data.worker as w; w.{setting}; main()")
    monkeypatch.setattr(confined, "_START", start)


def test_time_that_a_picture_takes_is_bounded(pool, monkeypatch):
    slow = costly.bmp_of_short_lines(3_999, 1_000)
    with monkeypatch.context() as patch:
        with pytest.raises(DataError, match=r"^takes more than the 0.1 s of processor time allowed to decode$"):
            pool.ask(TASK, slow, reserve=Turns(1).reserved, max_seconds=0.05)
        assert pids(pool) == []
        patch.setattr(confined, "MAX_CLOCK_SECONDS", 0.01)
        with pytest.raises(DataError, match=r"^takes more than the 0.01 s allowed to decode$"):
            ask(pool, slow)
    assert ask(pool, slow)[0]["size"] == [3_999, 1_000]


def test_formats_that_are_decoded_whole_get_time_for_their_bytes(monkeypatch, encode, draw):
    class Stub:
        def ask(self, facts, data, *, reserve, max_seconds):
            raise DataError(f"{max_seconds:.3f}")

    monkeypatch.setattr("thawline.data.images.workers", Stub)
    for name, options, num_padding, seconds in (
        ("AVIF", {}, 2_000_000, "1.9"),
        ("TIFF", {"compression": "tiff_lzw"}, 0, "1.5"),
    ):
        with pytest.raises(DataError, match=f"^{seconds}"):
            decode(encode(draw(1), name, **options) + bytes(num_padding))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a limit on memory")
def test_memory_that_a_picture_takes_is_bounded_whatever_its_header_says(pool, monkeypatch, encode, draw):
    start_with(monkeypatch, "MAX_BYTES = w.MAX_HONEST_BYTES = 8 << 20")
    with pytest.raises(DataError, match=r"^needs more memory to decode than it may take$"):
        ask(pool, costly.encoded("TIFF", 2000, 2000, compression="tiff_lzw"))
    ask(pool, encode(draw(1), "AVIF"))  # the worker lives
    assert len(pids(pool)) == 1


def test_a_worker_that_grew_is_replaced(pool, encode, draw, monkeypatch):
    monkeypatch.setattr(confined, "MOST_RESIDENT_BYTES", 1)
    ask(pool, encode(draw(1), "AVIF"))
    assert pids(pool) == []


def test_threads_have_a_worker_each_and_none_is_left_over(pool, encode, draw, monkeypatch):
    monkeypatch.setattr(confined, "num_workers", lambda: 2)
    pictures = [encode(draw(seed, (200, 150)), "AVIF") for seed in range(3)]
    sizes = []
    threads = [threading.Thread(target=lambda data=data: sizes.append(len(ask(pool, data)[1]))) for data in pictures]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [200 * 150 * 3] * 3
    assert 1 <= len(pids(pool)) <= 2
    left = pids(pool)
    pool.end()
    assert not any(psutil.pid_exists(pid) for pid in left)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_starts_workers_of_its_own(encode, draw):
    data = encode(draw(1), "AVIF")
    body = (
        "import os, sys; from thawline.data.images import decode; from thawline.data.confined import workers\n"
        "data = sys.stdin.buffer.read(); decode(data); mine = workers()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if decode(data).width_px == 48 and workers() is not mine else 1)\n"
        "print(os.waitpid(child, 0)[1], decode(data).width_px, workers() is mine)\n"
    )
    done = subprocess.run([sys.executable, "-c", body], input=data, capture_output=True, timeout=600, check=False)
    assert (done.stdout, done.stderr) == (b"0 48 True\n", b"")


def test_where_no_process_can_be_started_the_picture_says_so(pool, monkeypatch, encode, draw):
    monkeypatch.setattr(confined.sys, "executable", "/nowhere/python")
    with pytest.raises(
        DataError, match=r"needs a process of its own to decode, and none can be started: .*No such file"
    ):
        ask(pool, encode(draw(1), "AVIF"))


def test_what_libraries_print_reaches_no_terminal(capfd):
    data = costly.tiff_of(64, 64, compression=5, data=b"\x80\x0b\x60\x50\xff\xff\xff")  # libtiff remarks on it
    with pytest.raises(DataError, match=r"damaged TIFF|ends after"):
        decode(data)
    assert capfd.readouterr() == ("", "")
    assert os.environ.get("MALLOC_MMAP_THRESHOLD_") is None  # set for the worker alone
