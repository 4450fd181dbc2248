"""A picture made to cost minutes and gigabytes costs a sentence, and what libraries print reaches no terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import costly_pictures as costly
import numpy as np
import pytest
from damaged_pictures import mutants
from PIL import Image

from thawline.core.errors import DataError
from thawline.data.images import decode

REPOSITORY = Path(__file__).resolve().parents[2]

ATTACKS = {
    "scans.jpg": (
        costly.jpeg_that_claims(costly.jpeg_of_scans(64, 64, 30_000), 4000, 3000),
        "a JPEG of 30,010 scans, over the 100 allowed",
    ),
    "runs.bmp": (costly.bmp_of_short_lines(14_000, 7_000), "a run-length BMP of 98.0 megapixels, over the 4 allowed"),
    "deep.png": (costly.png(20_000, 10_000, bits=16, num_lines=2_000), "take 381 MiB to decode, over the 256 MiB"),
    "wide.png": (costly.png(60_000, 60_000, num_lines=9), "3,600 megapixels, over the 200 allowed"),
    "chunks.png": (costly.png_of_chunks(200_000), "a PNG of more than the 100,000 chunks allowed"),
    "claims.avif": (costly.avif_that_lies(64, 64, claimed=(14_000, 14_000)), "take 2,243 MiB to decode"),
    "claims.webp": (costly.webp_that_claims(14_000, 14_000), "take 2,990 MiB to decode"),
    "strips.tif": (costly.tiff_of(8, 400_000, strips=400_000), "a TIFF of 400,000 strips or tiles, over the 100,000"),
    "noisy.tif": (costly.tiff_of(64, 64, compression=5, data=b"\x80\x0b\x60\x50\xff\xff\xff"), "damaged TIFF"),
    "bands.tif": (costly.tiff([(256, 4, 1, 8), (257, 4, 1, 8), (277, 3, 1, 8)]), "a TIFF of 8 bands"),  # Pillow logs it
    "ring.tif": (costly.tiff([(256, 4, 1, 8)], next_directory=8), "damaged TIFF"),
}


@pytest.fixture
def photos(tmp_path):
    """Return a folder of two classes with two sound pictures each, and the attacks among them."""
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for at in range(2):
            coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            coarse.resize((60, 50), Image.Resampling.BICUBIC).save(tmp_path / "photos" / label / f"{at}.jpg")
    for name, (data, _) in ATTACKS.items():
        (tmp_path / "photos" / "cat" / name).write_bytes(data)
    return tmp_path / "photos"


def test_check_skips_each_with_a_sentence_and_a_clean_stderr(photos):
    call = [sys.executable, "-m", "thawline", "check", photos, "--json"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if not line.startswith("check: ")] == []
    skipped = {Path(row["path"]).name: row["reason"] for row in json.loads(done.stdout)["skipped"]}
    assert sorted(skipped) == sorted(ATTACKS)
    for name, (_, reason) in ATTACKS.items():
        assert reason in skipped[name]
        assert "\n" not in skipped[name]


def test_damaged_pictures_are_used_or_refused_in_a_sentence(capfd):
    words = Counter()
    for data in mutants(1_500):
        try:
            words[decode(data, size_px=16).image.mode] += 1
        except DataError as error:
            words["refused" if str(error).isprintable() else str(error)] += 1
    assert set(words) == {"RGB", "refused"}
    assert min(words.values()) > 300
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a limit on memory")
def test_every_costly_picture_stays_within_its_limits_and_no_damaged_one_escapes(tmp_path):
    call = [sys.executable, REPOSITORY / "benchmarks" / "attack" / "files.py"]
    named = {name: value for name, value in os.environ.items() if name != "THAWLINE_FOREIGN"}
    done = subprocess.run(call, capture_output=True, text=True, env=named, timeout=3600, check=False)
    assert done.stdout.splitlines()[-1] == "every limit holds", done.stdout + done.stderr
    assert done.returncode == 0
