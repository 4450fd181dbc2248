"""A person's files around and inside every place that is written survive each command byte for byte."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from thawline.cli.app import main

NAMES = st.sampled_from([
    "notes.txt", "model", "tune", "site", "banks", "pictures", "staging", "holiday", "2024", "report.html", "run.json",
    "1.jpg", "src", ".git", "statement.pdf", "test", "train", "manifest.json", "heads.safetensors", "ledger.csv",
])  # fmt: skip
"""Names that people use, among them those of Thawline's own files and folders."""
FILES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=4).map("/".join), st.binary(max_size=40), max_size=8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Return two classes of eight small pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for place, name in enumerate(("dark", "light")):
        (folder / name).mkdir()
        for number in range(8):
            levels = rng.integers(0, 100, (32, 32, 3)) + 150 * place
            Image.fromarray(levels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def plant(folder, files):
    """Write the files that can be written below a folder, and return {path: bytes} of them."""
    planted = {}
    for name, content in sorted(files.items()):
        path = folder / name
        if path.exists() or any(above.is_file() for above in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        planted[path] = content
    return planted


def harm(planted, commands, allowed=(0, 1)):
    """Return what running the commands did wrong: a file that it changed or removed, or a code that is not allowed."""
    wrong = []
    for words in commands:
        code = main([str(word) for word in words])
        wrong += [] if code in allowed else [f"{words[0]} ended with {code}"]
        for path, content in planted.items():
            if not path.is_file() or path.read_bytes() != content:
                wrong.append(f"{words[0]} changed {path}")
    return wrong


@settings(max_examples=20)
@given(in_cache=FILES, in_export=FILES, around=FILES)
def test_the_cache_and_an_export_leave_random_files_alone(pictures, tmp_path_factory, in_cache, in_export, around):
    place = tmp_path_factory.mktemp("place")
    planted = plant(place, around) | plant(place / "cache", in_cache) | plant(place / "out", in_export)
    commands = [
        ("check", pictures),
        ("export-data", pictures, "-o", place / "out", "--cache-dir", place / "cache"),
        ("cache", "list", "--cache-dir", place / "cache"),
        ("cache", "prune", "--yes", "--cache-dir", place / "cache"),
    ]
    assert harm(planted, commands) == []
    shutil.rmtree(place)


@pytest.mark.slow
@settings(max_examples=8)
@given(in_cache=FILES, in_run=FILES, in_model=FILES, around=FILES)
def test_a_run_leaves_random_files_alone(pictures, tmp_path_factory, in_cache, in_run, in_model, around):
    place = tmp_path_factory.mktemp("place")
    cache, out = place / "cache", place / "out"
    planted = plant(place, around) | plant(cache, in_cache) | plant(out, in_run) | plant(out / "model", in_model)
    fit = ("fit", pictures, "-o", out, "--size", 32, "--cache-dir", cache)
    commands = [fit, fit, (*fit, "--replace"), ("cache", "prune", "--yes", "--cache-dir", cache)]
    assert harm(planted, commands) == []
    shutil.rmtree(place)


@pytest.mark.slow
@settings(max_examples=6)
@given(files=FILES)
def test_a_second_run_leaves_what_a_person_put_into_the_first_alone(pictures, tmp_path_factory, files):
    place = tmp_path_factory.mktemp("place")
    fit = ("fit", pictures, "-o", place / "out", "--size", 32, "--cache-dir", place / "cache")
    assert harm({}, [fit], allowed=(0,)) == []
    planted = plant(place / "out", files) | plant(place / "out" / "model", files) | plant(place / "cache", files)
    tune = ("tune", *fit[1:], "--plan", "head", "--epochs", 1)
    assert harm(planted, [fit, (*fit, "--replace"), tune]) == []
    shutil.rmtree(place)
