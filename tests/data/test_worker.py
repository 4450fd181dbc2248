"""The worker's own side: it answers until its input ends, under limits that it sets itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from thawline.data.confined import receive, send
from thawline.data.images import MAX_MEGAPIXELS

START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from thawline.data.worker import main; main()"
TASK = {"size_px": 16, "max_megapixels": MAX_MEGAPIXELS, "max_seconds": 60}


@pytest.fixture
def worker():
    call = [sys.executable, "-I", "-c", START, json.dumps(sys.path)]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_it_answers_in_two_steps_and_ends_with_its_input(worker, encode, draw):
    for _ in range(2):
        send(worker.stdin, (TASK, encode(draw(1))))
        assert receive(worker.stdout) == ({"needs_bytes": 48 * 40 * 8}, b"")
        send(worker.stdin, ({"go": True}, b""))
        facts, pixels = receive(worker.stdout)
        assert (facts["size"], facts["width_px"], facts["repairs"], len(pixels)) == ([48, 40], 48, [], 48 * 40 * 3)
        assert facts["resident_bytes"] > 1 << 20
    send(worker.stdin, (TASK, b"no picture"))
    assert receive(worker.stdout)[0]["error"] == "text, not a picture"
    worker.stdin.close()
    assert worker.wait(timeout=600) == 0
    assert worker.stdout.read() == b""


def test_it_loads_no_torch():
    heavy = ("torch", "scipy", "pydantic")
    call = f"import sys, thawline.data.worker; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a limit on memory")
def test_its_limits_hold():
    body = (
        "import sys; from thawline.data.worker import _limit_memory, _limit_time\n"
        "_limit_memory(64 << 20)\n"
        "try: bytearray(100 << 20)\n"
        "except MemoryError: print('refused')\n"
        "_limit_memory(200 << 20); bytearray(100 << 20); print('granted', flush=True)\n"
        "_limit_time(0.05)\n"
        "while True: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, timeout=600, check=False)
    assert done.stdout.split() == ["refused", "granted"]
    assert done.returncode == -27
