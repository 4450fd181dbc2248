"""The worked examples of CONTRIBUTING.md work as they are written there."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thawline.core import scores
from thawline.data.sources import tables
from thawline.use.evaluate import Evaluation, evaluate
from thawline.view import svg

TEXT = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
GIVEN = {"np": np, "pytest": pytest, "Any": Any, "Evaluation": Evaluation}


def blocks_of(heading):
    """Return the Python blocks of a worked example."""
    section = TEXT.split(f"\n### {heading}\n")[1].split("\n### ")[0]
    return [textwrap.dedent(block) for block in re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)]


def names_of(code, module):
    """Return what a block defines when it stands in a module."""
    names = {**vars(module), **GIVEN}
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    return names


def test_the_score_is_computed_and_its_test_passes(monkeypatch):
    function, entry, test = blocks_of("A score")
    kind = eval(entry, names_of(function, scores))
    monkeypatch.setattr(scores, "SCORES", (*scores.SCORES, kind))
    names_of(test, scores)["test_top_2_counts_the_two_most_probable"]()


def test_the_figure_is_drawn():
    draw = names_of(blocks_of("A figure")[0], svg)["confidence_svg"]
    shares, names = (
        np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]]),
        {"class_names": ["bee", "ant"], "paths": ["a", "b", "c"]},
    )
    given = {"strategy": "s", **names, "groups": np.arange(3), "leaked": np.zeros(3, int)}
    evaluation = evaluate(np.array([0, 0, 1]), shares, **given)
    figure = draw(evaluation)
    assert "2 right answers above 1 wrong" in figure
    assert "var(--warm)" in figure
    assert draw(evaluation) == figure


def test_the_source_lists_a_manifest(tmp_path):
    list_json_lines = names_of(blocks_of("A source")[0], tables)["list_json_lines"]
    manifest = tmp_path / "photos.jsonl"
    rows = [{"path": "a.jpg", "label": "bee"}, {"path": "b.jpg", "label": "ant"}]
    manifest.write_text("\n".join(json.dumps(row) for row in rows))
    listing = list_json_lines(manifest)
    assert listing.class_names == ("ant", "bee")
    assert [item.path for item in listing.candidates] == ["a.jpg", "b.jpg"]
    manifest.write_text("{")
    with pytest.raises(tables.DataError, match="is not JSON by the line"):
        list_json_lines(manifest)
