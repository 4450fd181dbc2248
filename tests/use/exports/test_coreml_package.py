"""What is written for Core ML is a classifier; its program, computed step by step, answers as the folder."""

from __future__ import annotations

import json
import sys

import pytest

pytest.importorskip("coremltools")

from thawline.cli.app import main
from thawline.core.errors import BundleError, UsageError
from thawline.use.exports import coreml_package
from thawline.use.exports.coreml_package import load_coremltools
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.open_export import opened
from thawline.use.exports.proof import prove
from thawline.use.exports.write_export import write_export

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(sys.platform == "darwin", reason="a Mac runs the package itself"),
]


@pytest.fixture(scope="module")
def folder(dense_model, tmp_path_factory):
    place = tmp_path_factory.mktemp("coreml") / "coreml"
    return write_export(ExportSource(dense_model), "coreml", place=place).path


def spec_of(folder):
    model = load_coremltools("test").models.MLModel(str(folder / "model.mlpackage"), skip_model_load=True)
    return model.get_spec().description


def test_it_is_a_classifier_of_pictures(folder, dense_model):
    description = spec_of(folder)
    (picture,) = description.input
    assert (picture.name, picture.type.imageType.width, picture.type.imageType.height) == ("picture", 64, 64)
    assert [output.name for output in description.output] == ["label", "probabilities"]
    assert description.predictedFeatureName == "label"
    assert description.predictedProbabilitiesName == "probabilities"


def test_its_program_answers_as_the_folder_does(folder):
    export = opened(folder)
    proof = prove(export.model, export.golden.pictures, allowed=1e-4)
    assert proof.passed
    assert proof.max_difference < 1e-5
    assert export.model.batch_size == 1


@pytest.mark.parametrize("head", ["linear", "neighbours", "dense", "together"])
def test_every_head_has_a_form(make_model, tmp_path, head):
    bundle = make_model(tmp_path / "model", head=head)
    assert write_export(ExportSource(bundle), "coreml", place=tmp_path / "coreml").max_difference < 1e-4


@pytest.mark.parametrize("read_from", ["features", "answers"])
def test_how_strange_a_picture_looks_is_an_output(doubting_model, tmp_path, read_from):
    bundle = doubting_model(read_from)
    done = write_export(ExportSource(bundle), "coreml", place=tmp_path / "coreml")
    assert [output.name for output in spec_of(done.path).output] == ["label", "probabilities", "outside"]
    assert done.max_difference < 1e-4
    notes = (done.path / "README.md").read_text(encoding="utf-8")
    assert 'above 0.6 say "none of these"' in notes
    assert 'Below a probability of 0.500 say "not sure"' in notes


def test_a_picture_that_is_prepared_in_several_ways(joined_model, tmp_path):
    done = write_export(ExportSource(joined_model), "coreml", place=tmp_path / "coreml")
    assert [each.name for each in spec_of(done.path).input] == ["picture", "picture_2"]
    assert "Vision gives a model one picture" in (done.path / "README.md").read_text(encoding="utf-8")


def test_the_notes_say_how_a_picture_is_prepared_and_where_it_runs(folder):
    notes = (folder / "README.md").read_text(encoding="utf-8")
    assert "Core ML runs on macOS only, so parity can be checked there only" in notes
    assert "imageCropAndScaleOption = .centerCrop" in notes


@pytest.mark.slow
def test_verify_says_neither_passed_nor_failed(folder, capsys):
    assert main(["verify", str(folder), "--json"]) == 0
    said = capsys.readouterr()
    facts = json.loads(said.out)
    assert (facts["passed"], facts["kind"], facts["milliseconds"]) == (None, "coreml", None)
    assert facts["max_difference"] < 1e-5
    assert "Core ML runs on macOS only, so parity can be checked there only" in said.err
    assert main(["verify", str(folder)]) == 0
    assert "not known here" in capsys.readouterr().out


def test_a_damaged_package_fails_even_here(folder, tmp_path, capsys):
    import shutil

    copy = tmp_path / "coreml"
    shutil.copytree(folder, copy)
    weights = copy / "model.mlpackage/Data/com.apple.CoreML/weights/weight.bin"
    weights.write_bytes(weights.read_bytes()[:-8])
    assert main(["verify", str(copy), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["passed"] is False


def test_a_network_that_it_cannot_express_is_refused(dense_model, tmp_path, monkeypatch):
    def broken(*_args, **_kwargs):
        raise NotImplementedError("no such operation")

    monkeypatch.setattr(load_coremltools("test"), "convert", broken)
    with pytest.raises(BundleError, match=r"cannot be expressed in Core ML by coremltools .*: no such operation"):
        write_export(ExportSource(dense_model), "coreml", place=tmp_path / "coreml")
    assert not (tmp_path / "coreml").exists()


def test_without_coremltools_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(UsageError, match=r"pip install 'thawline\[coreml\]'"):
        coreml_package.load_coremltools("export")
