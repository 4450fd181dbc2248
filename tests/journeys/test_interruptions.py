"""Runs that are killed, interrupted or doubled end with the bank that an undisturbed run writes, byte for byte.

The runs are processes of their own. One process loads the network and forks a run whenever it is told to, so that a
run takes tenths of a second, and a kill is a kill.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

DRIVER = """
import json, os, signal, sys, time, traceback
from pathlib import Path
from thawline.core.runtime import Runtime
from thawline.core.store import cache_root
from thawline.data.check import check
from thawline.features import extract
from thawline.features.network import load_backbone

network = load_backbone("test_efficientnet", pretrained=False, size_px=32)


def die_at_call(number):
    "Kill this process instead of its nth call that changes the disk; a file is half-written by then."
    calls = iter(range(1, number + 1))

    def dying(call):
        def counted(*arguments, **options):
            if next(calls, number + 1) == number:
                if call is write_bytes:
                    write_bytes(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)
        return counted

    write_bytes = Path.write_bytes
    Path.write_bytes = dying(write_bytes)
    for name in ("mkdir", "rename", "replace", "fsync", "utime", "unlink", "rmdir"):
        setattr(os, name, dying(getattr(os, name)))


def run(photos, cache, die_at=0, pause_s=0.0):
    read = extract.load_pixels
    extract.SEGMENT_ROWS = 2
    extract.load_pixels = lambda sample, spec: (time.sleep(pause_s), read(sample, spec))[1]
    dataset, cache = check(photos)[0], cache_root(cache)
    if die_at:
        die_at_call(die_at)
    done = extract.extract(dataset, network, runtime=Runtime("cpu", "float32", 2), cache=cache)
    print(json.dumps([done.num_extracted, done.num_damaged]), file=sys.stderr)


signal.signal(signal.SIGINT, signal.default_int_handler)
print("ready", flush=True)
for line in sys.stdin:
    job = json.loads(line)
    if isinstance(job, int):
        print(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]), flush=True)
        continue
    child = os.fork()
    if child:
        print(child, flush=True)
        continue
    code = 0
    try:
        run(**job)
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)
"""


class Runs:
    """Starts extractions of one folder of pictures and waits for them."""

    def __init__(self, photos, log):
        self.photos, self.log = photos, log
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "THAWLINE_THREADS": "2"}
        with log.open("w") as errors:
            self._driver = subprocess.Popen(
                [sys.executable, "-c", DRIVER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
            )
        assert self._driver.stdout.readline() == "ready\n", log.read_text()

    def _ask(self, job):
        self._driver.stdin.write(json.dumps(job) + "\n")
        self._driver.stdin.flush()
        return int(self._driver.stdout.readline())

    def start(self, cache, **options):
        """Return the process id of a new run."""
        return self._ask({"photos": str(self.photos), "cache": str(cache), **options})

    def wait(self, pid):
        """Return the exit code of a run, the negative signal where one ended it."""
        return self._ask(pid)

    def finish(self, cache):
        """Return how many pictures an undisturbed run extracts, and how many rows it finds damaged."""
        assert self.wait(self.start(cache)) == 0, self.log.read_text()
        return tuple(json.loads(self.log.read_text().splitlines()[-1]))

    def close(self):
        self._driver.communicate(timeout=600)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return runs over 13 pictures, two of them copies, in segments of two."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in range(13):
        file = folder / "photos" / "ab"[seed % 2] / f"{seed:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        coarse = np.random.default_rng(max(seed, 2)).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(coarse).resize((40, 36), Image.Resampling.BICUBIC).save(buffer, "PNG")
        file.write_bytes(buffer.getvalue())
    runs = Runs(folder / "photos", folder / "log.txt")
    yield runs
    runs.close()


@pytest.fixture(scope="module")
def undisturbed(runs, tmp_path_factory):
    """Return the files of a cache that one run filled in peace."""
    cache = tmp_path_factory.mktemp("undisturbed")
    assert runs.finish(cache) == (11, 0)
    assert runs.finish(cache) == (0, 0)
    assert len(segments_of(cache)) == 6
    return snapshot(cache)


def snapshot(cache):
    """Return {path: bytes} of all files and folders in the cache."""
    return {str(p.relative_to(cache)): p.read_bytes() if p.is_file() else None for p in sorted(cache.rglob("*"))}


def segments_of(cache):
    return list(cache.glob("banks/*/segments/*"))


def wait_for_segments(cache, number):
    deadline = time.monotonic() + 600
    while len(segments_of(cache)) < number:
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.slow
def test_a_kill_at_any_call_that_changes_the_disk_costs_no_byte(runs, undisturbed, tmp_path):
    """Before, while and after a segment is written, flushed and renamed; every fifth call meets each somewhere."""
    survived = []
    for call in range(1, 1000, 5):
        cache = tmp_path / str(call)
        code = runs.wait(runs.start(cache, die_at=call))
        if code == 0:
            break
        assert code == -signal.SIGKILL, runs.log.read_text()
        survived.append(len(segments_of(cache)))
        extracted, damaged = runs.finish(cache)
        assert extracted == 11 - min(11, 2 * survived[-1])
        assert damaged == 0
        assert snapshot(cache) == undisturbed
    assert set(survived) >= set(range(6))


def test_kills_at_random_moments_one_after_the_other_cost_no_byte(runs, undisturbed, tmp_path):
    moments, killed = random.Random(0), 0
    for _ in range(8):
        pid = runs.start(tmp_path, pause_s=0.01)
        time.sleep(moments.uniform(0.02, 0.25))
        os.kill(pid, signal.SIGKILL)
        code = runs.wait(pid)
        assert code in {0, -signal.SIGKILL}, runs.log.read_text()
        killed += code != 0
    assert killed >= 2
    runs.finish(tmp_path)
    assert snapshot(tmp_path) == undisturbed


def test_ctrl_c_keeps_what_is_committed_and_leaves_nothing_else(runs, undisturbed, tmp_path):
    pid = runs.start(tmp_path, pause_s=0.4)  # so that the signal comes well before the last picture
    wait_for_segments(tmp_path, 2)
    os.kill(pid, signal.SIGINT)
    assert runs.wait(pid) == 130, runs.log.read_text()
    kept = snapshot(tmp_path)
    assert 2 <= len(segments_of(tmp_path)) < 6
    assert {name: undisturbed.get(name) for name in kept} == kept
    assert runs.finish(tmp_path)[0] == 11 - 2 * sum(name.endswith("rows.npy") for name in kept)
    assert snapshot(tmp_path) == undisturbed


@pytest.mark.parametrize("delay_s", [0.0, 0.03, 0.1])
def test_two_runs_at_once_end_well_with_one_bank(runs, undisturbed, tmp_path, delay_s):
    first = runs.start(tmp_path, pause_s=0.01)
    time.sleep(delay_s)
    second = runs.start(tmp_path, pause_s=0.01)
    assert (runs.wait(first), runs.wait(second)) == (0, 0), runs.log.read_text()
    assert snapshot(tmp_path) == undisturbed


def test_a_run_ends_well_while_another_is_killed_next_to_it(runs, undisturbed, tmp_path):
    first, second = runs.start(tmp_path, pause_s=0.2), runs.start(tmp_path, pause_s=0.02)
    wait_for_segments(tmp_path, 1)
    os.kill(first, signal.SIGKILL)
    assert runs.wait(first) == -signal.SIGKILL
    assert runs.wait(second) == 0, runs.log.read_text()
    runs.finish(tmp_path)
    assert snapshot(tmp_path) == undisturbed


def test_two_runs_may_repair_a_bank_at_once(runs, undisturbed, tmp_path):
    runs.finish(tmp_path)
    for segment in segments_of(tmp_path)[:4]:
        data = bytearray((segment / "rows.npy").read_bytes())
        data[-1] ^= 1
        (segment / "rows.npy").write_bytes(data)
    pids = [runs.start(tmp_path, pause_s=0.01) for _ in range(2)]
    assert [runs.wait(pid) for pid in pids] == [0, 0], runs.log.read_text()
    assert runs.finish(tmp_path) == (0, 0)
    assert not list(tmp_path.glob(".thawline-staging/*"))
