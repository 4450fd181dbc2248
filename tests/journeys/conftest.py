"""A run of `fit` and one of `tune`, made as a person makes them, that all journeys look at and start from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from thawline.cli.app import main
from thawline.data.digits import write_digits

DIGITS = ("3", "8", "9")  # the ones that are hard to tell apart
NUM_TRAIN, NUM_TEST = 12, 6
TUNING = (
    *("--plan", "tutorial cnn", "--plan", "head, then last 2 blocks"),
    *("--size", "64", "--epochs", "6", "--learning-rate", "1e-4"),  # too small a step to learn from nothing
)

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does; torch may be loaded before a test calls it


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Run:
    """A finished `thawline fit` or `tune`: its pictures, its folder, the cache it filled, and what it said."""

    photos: Path
    out: Path
    cache: Path
    said: Said

    def read(self, name: str) -> Any:
        return json.loads((self.out / name).read_text(encoding="utf-8"))


def in_process_of_its_own(*words, cache, **changes):
    """Run `thawline` as a shell does; `changes` go into its environment, None takes a variable away."""
    environment = {**os.environ, "THAWLINE_CACHE": str(cache), "PYTHONUNBUFFERED": None, **changes}
    done = subprocess.run(
        [sys.executable, "-m", "thawline", *map(os.fspath, words)],
        env={name: value for name, value in environment.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def scans(tmp_path_factory):
    """Return all 1,797 scanned digits, to be copied from."""
    return write_digits(tmp_path_factory.mktemp("scans") / "all", labels_per_class=NUM_TRAIN)


@pytest.fixture(scope="session")
def run(scans, tmp_path_factory):
    """Return a run over 55 scans: 36 to learn from, 19 to test on of which one is a copy; and a text file."""
    place = tmp_path_factory.mktemp("run")
    photos, cache = place / "photos", place / "cache"
    for part, count in (("train", NUM_TRAIN), ("test", NUM_TEST)):
        for name in DIGITS:
            (photos / part / name).mkdir(parents=True)
            for path in sorted((scans / part / name).iterdir())[:count]:
                shutil.copy(path, photos / part / name)
    shutil.copy(min((photos / "train/8").iterdir()), photos / "test/8/again.png")
    (photos / "train/9/notes.txt").write_text("nines of Tuesday")
    said = in_process_of_its_own("fit", photos, "-o", place / "out", cache=cache)
    assert said.code == 0, said.err
    return Run(photos, place / "out", cache, said)


@pytest.fixture(scope="session")
def tuning():
    """Return the words of a short `thawline tune` after the pictures: two plans, small pictures, few epochs."""
    return TUNING


@pytest.fixture(scope="session")
def tuned(run, tuning, tmp_path_factory):
    """Return a run of `thawline tune` over the same scans, with a log for TensorBoard beside it."""
    place = tmp_path_factory.mktemp("tuned")
    words = ("tune", run.photos, *tuning, "-o", place / "out", "--tensorboard", place / "log")
    said = in_process_of_its_own(*words, cache=run.cache)
    assert said.code == 0, said.err
    return Run(run.photos, place / "out", run.cache, said)


@pytest.fixture
def shared_cache(run, monkeypatch):
    """Let the test go on from the features that the run extracted; what it adds is addressed by content."""
    monkeypatch.setenv("THAWLINE_CACHE", str(run.cache))
    return run.cache


@pytest.fixture
def photos(run, tmp_path):
    """Return a copy of the run's pictures that the test may change."""
    return shutil.copytree(run.photos, tmp_path / "photos")


@pytest.fixture
def model(run, tmp_path):
    """Return a copy of the run's model that the test may damage."""
    return shutil.copytree(run.out / "model", tmp_path / "model")


@pytest.fixture
def thawline(capsys):
    """Return what runs a command inside this process, where torch is imported already."""

    def call(*words):
        capsys.readouterr()
        code = main([os.fspath(word) for word in words])
        return Said(code, *capsys.readouterr())

    return call


@pytest.fixture
def shell(own_cache):
    """Return what runs a command in a process of its own, on an empty cache unless the test names another."""

    def call(*words, cache=own_cache, **options):
        return in_process_of_its_own(*words, cache=cache, **options)

    return call
