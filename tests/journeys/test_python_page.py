"""What docs/python.md shows runs, in its order, on a run's own pictures."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import thawline

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"


@pytest.mark.slow
def test_the_page_runs(run, shared_cache, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run.out, "runs/birds")
    shutil.copytree(run.photos / "train", "photos")
    Path("photos/9/notes.txt").unlink()
    shutil.copytree(run.photos / "test", "labelled")
    Path("new").mkdir()
    for name, label in (("robin", "3"), ("wren", "8")):
        shutil.copy(min((run.photos / "test" / label).iterdir()), f"new/{name}.png")
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    said = capsys.readouterr().out
    assert "new/robin.png" in said
    assert len(blocks) == 3
    answers = {tuple(names["model"].predict_proba(one).round(6)[0]) for one in (names["pixels"], names["data"])}
    assert len(answers) == 1
    assert thawline.load("models/birds").class_names == ("3", "8", "9")
    assert np.array_equal(
        names["best"].predict([names["pixels"]]), thawline.load("models/birds").predict(names["pixels"])
    )
