"""What workers of a cluster stored are the rows of a pass in one process, bit by bit, whatever was killed meanwhile."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

import thawline
from thawline.core.options import Options
from thawline.data.digits import write_digits
from thawline.data.load import read_checked
from thawline.features import extract as extract_module
from thawline.work.cluster import extraction
from thawline.work.cluster.ray_connection import connected

OPTIONS = Options(backbone="simple_cnn", size=32)
COMMAND = """
from thawline.features import extract
from thawline.cli.app import main
extract.SEGMENT_ROWS = 4
raise SystemExit(main())
"""


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Return a folder of a hundred pictures in ten classes."""
    folder = tmp_path_factory.mktemp("digits") / "pictures"
    write_digits(folder)
    for place in folder.rglob("*"):
        for file in sorted(place.glob("*.png"))[10:] if place.is_dir() else ():
            file.unlink()
    return folder


@pytest.fixture
def short_segments(monkeypatch):
    """Commit every four rows."""
    monkeypatch.setattr(extract_module, "SEGMENT_ROWS", 4)


def rows_by_picture(cache: Path) -> dict[bytes, bytes]:
    """Return every row of the one bank in a cache as it lies on the disk; how segments were merged says nothing."""
    found = {}
    for segment in (cache / "banks").glob("*/segments/*"):
        digests, rows = (np.load(segment / f"{name}.npy") for name in ("digests", "rows"))
        found |= {digest.tobytes(): row.tobytes() for digest, row in zip(digests, rows, strict=True)}
    assert len({path.name for path in (cache / "banks").iterdir()}) == 1
    return found


def extracted(digits, cache, **changes):
    from dataclasses import replace

    return thawline.extract(digits, replace(OPTIONS, cache_dir=cache, **changes))


def test_a_store_alone_shares_what_one_process_extracted(digits, tmp_path, short_segments):
    one = extracted(digits, tmp_path / "one", store=str(tmp_path / "store"))
    other = extracted(digits, tmp_path / "other", store=str(tmp_path / "store"))
    assert one.num_extracted > 0
    assert other.num_extracted == 0
    alone = extracted(digits, tmp_path / "alone")
    samples = [sample.sha256 for sample in thawline.check(digits)[0].samples]
    blocks = list(alone.bank.spec.columns)
    assert (other.bank.read(samples, blocks) == alone.bank.read(samples, blocks)).all()


def test_nothing_is_started_where_nothing_is_missing(digits, tmp_path, monkeypatch):
    extracted(digits, tmp_path)

    def refuse(*_, **__):
        raise AssertionError("a cluster was started")

    monkeypatch.setattr(extraction, "connected", refuse)
    assert extracted(digits, tmp_path, cluster="local").num_extracted == 0


@pytest.mark.parametrize("form", ["folder", "zip", "tar", "parquet"])
def test_pictures_of_every_form_can_be_handed_to_another_process(digits, tmp_path, form):
    place = digits
    if form in {"zip", "tar"}:
        place = shutil.make_archive(str(tmp_path / "pictures"), form, digits)
    elif form == "parquet":
        thawline.export_data(digits, tmp_path / "tables", form="parquet")
        place = tmp_path / "tables"
    samples = thawline.check(place)[0].samples
    handed = pickle.loads(pickle.dumps(samples[:9]))
    assert [read_checked(sample) for sample in handed] == [read_checked(sample) for sample in samples[:9]]
    assert handed[0].source == samples[0].source


@pytest.mark.slow
def test_workers_store_the_bytes_of_a_pass_in_one_process(digits, tmp_path, short_segments):
    alone = extracted(digits, tmp_path / "alone")
    with connected("local"):
        shared = extracted(digits, tmp_path / "shared", cluster="auto")
        stored = extracted(digits, tmp_path / "fetched", cluster="auto", store=str(tmp_path / "store"))
    assert shared.num_extracted == stored.num_extracted == alone.num_extracted
    assert len(rows_by_picture(tmp_path / "alone")) == alone.num_extracted
    assert rows_by_picture(tmp_path / "shared") == rows_by_picture(tmp_path / "alone")
    assert rows_by_picture(tmp_path / "fetched") == rows_by_picture(tmp_path / "alone")


@pytest.mark.slow
def test_workers_read_shards_at_an_address_without_this_machines_copies(digits, tmp_path, short_segments, monkeypatch):
    (tmp_path / "shards").mkdir()
    for part in range(3):
        with tarfile.open(tmp_path / f"shards/train-{part}.tar", "w") as archive:
            for file in sorted(digits.rglob("*.png"))[part::3]:
                label = file.parent.name.encode()
                archive.add(file, f"{file.parent.name}-{file.stem}.png")
                member = tarfile.TarInfo(f"{file.parent.name}-{file.stem}.cls")
                member.size = len(label)
                archive.addfile(member, io.BytesIO(label))
    alone = extracted(f"webdataset:{tmp_path}/shards", tmp_path / "alone")
    extract_by = extraction.extract_by

    def without_copies(*arguments, **options):
        shutil.rmtree(tmp_path / "far" / "shards")  # as on another machine
        return extract_by(*arguments, **options)

    monkeypatch.setattr(extraction, "extract_by", without_copies)
    far = extracted(f"file://{tmp_path}/shards/train-{{0..2}}.tar", tmp_path / "far", cluster="local")
    assert not (tmp_path / "far" / "shards").exists()
    assert far.num_extracted == alone.num_extracted > 100
    assert rows_by_picture(tmp_path / "far") == rows_by_picture(tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["driver", "worker", "head"])
def test_the_same_command_ends_with_the_same_bytes_after_a_kill(digits, tmp_path, victim):
    cache = tmp_path / "killed"
    command = [sys.executable, "-c", COMMAND, "extract", str(digits), "--backbone", "simple_cnn", "--size", "32"]
    command += ["--cluster", "local", "--cache-dir", str(cache)]
    environment = {**os.environ, "THAWLINE_THREADS": "2"}
    said = tmp_path / "said.txt"  # a pipe would stay open in what the driver leaves behind
    with said.open("w") as stream:
        running = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
    driver = psutil.Process(running.pid)
    while running.poll() is None and not list(cache.glob("banks/*/segments/*")):
        time.sleep(0.02)
    family = driver.children(recursive=True) if running.poll() is None else []
    wanted = {"driver": [driver], "head": [one for one in family if "gcs_server" in one.name()]}
    workers = [one for one in family if "PictureReader" in " ".join(one.cmdline())]
    for process in wanted.get(victim, workers[:1]):
        process.send_signal(signal.SIGKILL)
    running.wait()
    for process in family:  # Ray's agents outlive a driver that was killed by some seconds
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    if victim == "worker":
        assert running.returncode == 0, said.read_text()
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    subprocess.run(
        [*command[:-4], "--cache-dir", str(tmp_path / "alone")], env=environment, capture_output=True, check=True
    )
    alone = extracted(digits, tmp_path / "alone")
    assert alone.num_extracted == 0
    samples = [sample.sha256 for sample in thawline.check(digits)[0].samples]
    killed = extracted(digits, cache)
    blocks = list(alone.bank.spec.columns)
    assert (killed.bank.read(samples, blocks) == alone.bank.read(samples, blocks)).all()
