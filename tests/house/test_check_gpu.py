"""The script for whoever has a GPU runs where there is none: small, on the CPU, recording nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_gpu.py"


def ran(tmp_path, *words):
    environment = {
        **os.environ,
        "THAWLINE_RECORDS": str(tmp_path / "records"),
        "THAWLINE_CACHE": str(tmp_path / "cache"),
    }
    command = [sys.executable, str(SCRIPT), "--quick", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert not (tmp_path / "records").exists()
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_features_are_compared_in_three_formats(tmp_path):
    text = ran(tmp_path, "--only", "features")
    assert [dtype for dtype in ("float32", "bfloat16", "float16") if f"features of Lite0 in {dtype}:" in text] == [
        "float32",
        "bfloat16",
        "float16",
    ]
    assert "gpu: 0 missed" in text


@pytest.mark.slow
def test_every_part_runs_small(tmp_path):
    text = ran(tmp_path)
    assert text.count("\n- ") == 11
    assert "extraction of vit_base_patch16_224" in text
    assert "drawn pictures, all layers: test accuracy" in text
