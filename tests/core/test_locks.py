"""A lock is held by one at a time, and ends with the process that holds it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from thawline.core import locks

HOLDER = """
import sys, time
from pathlib import Path
from thawline.core import locks
locks.take(Path(sys.argv[1]), create=True)
print("held", flush=True)
time.sleep(600)
"""


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    held = locks.take(tmp_path / "lock", create=True)
    with pytest.raises(BlockingIOError):
        locks.take(tmp_path / "lock")
    locks.release(tmp_path / "lock", held)
    assert not (tmp_path / "lock").exists()
    with pytest.raises(FileNotFoundError):
        locks.take(tmp_path / "lock")


def test_a_lock_ends_with_its_holder(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "lock"], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(BlockingIOError):
            locks.take(tmp_path / "lock")
        holder.kill()
        holder.wait()
    locks.release(tmp_path / "lock", locks.take(tmp_path / "lock"))


def test_a_file_that_was_replaced_meanwhile_is_not_held(tmp_path, monkeypatch):
    """Whoever swept the file let go of a lock that nobody can find any more."""
    real = locks._lock

    def removed_first(descriptor):
        (tmp_path / "lock").unlink()
        (tmp_path / "lock").touch()
        real(descriptor)

    monkeypatch.setattr(locks, "_lock", removed_first)
    with pytest.raises(FileNotFoundError):
        locks.take(tmp_path / "lock", create=True)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, None])
def test_a_file_system_without_locks_says_so(tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    if code is None:
        monkeypatch.setattr(locks, "fcntl", None)
    else:
        monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with pytest.raises(locks.NoLocksError):
        locks.take(tmp_path / "lock", create=True)
