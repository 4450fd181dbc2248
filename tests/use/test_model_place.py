"""What a person names as a model, and the form of it that is opened."""

from __future__ import annotations

import shutil

import pytest

from thawline.core.errors import BundleError
from thawline.use.classifier import Classifier
from thawline.use.model_place import find_model, open_model
from thawline.use.onnx_model import OnnxModel


@pytest.fixture(scope="module")
def run(drawn_model, tmp_path_factory):
    """Return the folder of a run with a model in it, and nothing else."""
    folder = tmp_path_factory.mktemp("run")
    shutil.copytree(drawn_model.directory, folder / "model")
    return folder


def test_a_run_its_model_folder_and_its_manifest_are_the_same_model(run):
    assert find_model(run).folder == find_model(str(run / "model")).folder == run / "model"
    assert find_model(run / "model" / "manifest.json").folder == run / "model"
    assert find_model(run).exports == run / "exports" == find_model(run / "model").exports


def test_an_export_is_taken_where_it_is_of_this_model_and_only_there(run, drawn_model, drawn_onnx, tmp_path):
    assert isinstance(open_model(run, device="cpu"), Classifier)
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "exports").mkdir()
    shutil.copy(drawn_onnx, tmp_path / "run" / "exports")
    assert isinstance(open_model(tmp_path / "run"), OnnxModel)
    assert isinstance(open_model(tmp_path / "run" / "exports" / "model-tensor.onnx"), OnnxModel)
    assert isinstance(open_model(tmp_path / "run" / "model", device="cpu"), Classifier)
    manifest = tmp_path / "run" / "model" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(drawn_model.manifest.seal, "0" * 64))
    assert find_model(tmp_path / "run").onnx is None  # of another model than the one that lies in the run now


@pytest.mark.parametrize(
    ("name", "reason"), [("nowhere", "no such file or folder"), (".", "neither a run .* nor a model folder")]
)
def test_what_is_no_model_is_refused_with_what_to_name(tmp_path, name, reason):
    with pytest.raises(BundleError, match=f"{reason}.*Name the folder of a run"):
        find_model(tmp_path / name)
