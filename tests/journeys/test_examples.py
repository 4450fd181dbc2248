"""The notebooks: each is whole, says nothing of the machine it was written on, and runs at reduced size."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import thawline
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


def test_the_script_for_mlflow_takes_from_thawline_what_is_there():
    tree = ast.parse((EXAMPLES / "mlflow_run.py").read_text(encoding="utf-8"))
    names = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "thawline"
    }
    assert names == {"load"}
    assert callable(thawline.load)


def test_the_script_for_mlflow_logs_a_run_and_its_model_answers(run, tmp_path):
    for package in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install mlflow-skinny sqlalchemy alembic")
    picture = next(path for path in sorted(run.photos.rglob("*.png")))
    code = f"""
import sys
sys.path.insert(0, {str(EXAMPLES)!r})
import mlflow, mlflow_run, pandas
from pathlib import Path
run_id, model = mlflow_run.log_run(Path({str(run.out)!r}))
assert mlflow.get_run(run_id).data.metrics["accuracy_low"] <= mlflow.get_run(run_id).data.metrics["accuracy"]
rows = mlflow.pyfunc.load_model(model).predict(pandas.DataFrame({{"path": [{str(picture)!r}]}}))
assert rows["probability"][0] > 0, rows
"""
    settings = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("*.pkl"))
