"""The notebooks: each is whole, says nothing of the machine it was written on, and runs at reduced size."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import pytest

from thawline.work.recipe import recipe_names

EXAMPLES = Path(__file__).parents[2] / "examples"
PHOTOS = {"bulldog": "celebrities", "celebrity": "celebrities"}


def cells_of(name):
    return json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]


@pytest.mark.parametrize("name", recipe_names())
def test_there_is_a_clean_notebook_for_every_recipe(name):
    code = ["".join(cell["source"]) for cell in cells_of(name) if cell["cell_type"] == "code"]
    for text in code:
        ast.parse(text)
    assert any(f'run_recipe("{name}"' in text for text in code)
    assert all(not cell["outputs"] for cell in cells_of(name) if cell["cell_type"] == "code")


@pytest.mark.slow
@pytest.mark.pictures
@pytest.mark.parametrize("name", recipe_names())
def test_every_notebook_runs_at_reduced_size(name, shared_data, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install -e '.[notebooks]'")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THAWLINE_PHOTOS", os.fspath(shared_data / PHOTOS.get(name, name)))
    monkeypatch.setenv("THAWLINE_QUICK", "12")
    monkeypatch.setenv("THAWLINE_CACHE", os.fspath(tmp_path / "cache"))
    book = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=600, kernel_name="python3", resources=where).execute()
    shown = [
        output["data"]["text/html"]
        for cell in book.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "execute_result" and "text/html" in output["data"]
    ]
    assert any("<table" in html for html in shown), "a run shows itself as a table"
    assert (tmp_path / "runs" / name / "report.html").is_file()
