"""What `load` returns answers every kind of picture alike, in every form of a model, and says what it cannot do."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from thawline.core.errors import BundleError, DataError, InputError, MissingError
from thawline.core.runtime import num_workers
from thawline.use.bundle import Bundle
from thawline.use.classifier import Classifier
from thawline.use.image_classifier import ImageClassifier, bundle_of, load, predict, predict_pictures
from thawline.use.onnx_model import OnnxModel

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def arrays(picture):
    """Return 20 drawn pictures as arrays."""
    return [np.asarray(Image.open(io.BytesIO(picture(seed)))) for seed in range(20)]


@pytest.fixture(scope="module")
def run(drawn_model, drawn_onnx, tmp_path_factory):
    """Return the folder of a run with a model and its export."""
    folder = tmp_path_factory.mktemp("run")
    shutil.copytree(drawn_model.directory, folder / "model")
    (folder / "exports").mkdir()
    shutil.copy(drawn_onnx, folder / "exports")
    return folder


def test_every_form_of_a_model_answers_as_the_bundle(drawn_model, drawn_onnx, whole_onnx, run, arrays):
    expected = load(drawn_model).predict_proba(arrays)
    assert (expected.shape, expected.dtype) == ((20, 3), np.float32)
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-6)
    for form in (run, str(run), run / "model", drawn_onnx, drawn_model.classifier, load(run)):
        np.testing.assert_allclose(load(form).predict_proba(arrays), expected, atol=1e-4)
    np.testing.assert_allclose(load(whole_onnx).predict_proba(arrays), expected, atol=1e-3)
    assert isinstance(load(run).answering, OnnxModel)
    assert isinstance(load(run / "model").answering, Classifier)
    model = load(run)
    assert load(model) is model


def test_labels_probabilities_and_rows_agree(drawn_model, arrays):
    model = load(drawn_model)
    assert model.class_names == drawn_model.class_names
    assert model.classes_.tolist() == list(drawn_model.class_names)
    labels, shares, rows = model.predict(arrays), model.predict_proba(arrays), model.answers(arrays)
    assert labels.tolist() == [row.label for row in rows] == model.classes_[shares.argmax(axis=1)].tolist()
    assert len(set(labels)) > 1
    assert [row.path for row in rows] == [f"picture {number}" for number in range(20)]
    assert [row.probability for row in rows] == shares.max(axis=1).tolist()
    assert list(model.stream(iter(arrays))) == list(predict(model, np.stack(arrays))) == list(rows)
    assert list(predict_pictures(drawn_model, arrays)) == list(rows)


def test_one_picture_is_many_of_one_and_none_is_none(drawn_model, arrays):
    model = load(drawn_model)
    np.testing.assert_allclose(model.predict_proba(arrays[3]), model.predict_proba(arrays)[3:4], atol=1e-6)
    assert model.predict_proba([]).shape == (0, 3)
    assert model.predict([]).shape == (0,)


def test_colours_may_be_blue_first(drawn_model, arrays):
    model = load(drawn_model)
    expected, backwards = model.predict_proba(arrays), [one[..., ::-1] for one in arrays]
    assert np.array_equal(model.predict_proba(backwards, channels="bgr"), expected)
    assert np.abs(model.predict_proba(backwards) - expected).max() > 1e-3
    assert predict(model, backwards, channels="bgr")[0].probability == expected[0].max()
    assert next(predict_pictures(model, backwards, channels="bgr")).probability == expected[0].max()
    assert np.array_equal(model.predict(backwards, channels="bgr"), model.predict(arrays))
    assert model.answers(backwards, channels="bgr")[1].probability == expected[1].max()


def test_what_cannot_be_decoded_is_a_row_of_answers_and_an_error_of_predict(drawn_model, arrays, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to see")
    Image.fromarray(arrays[0]).save(tmp_path / "a.png")
    model = load(drawn_model)
    good, bad = model.answers(tmp_path)
    assert (good.error, bad.label) == (None, None)
    with pytest.raises(DataError, match=r"predict: 1 of 2 pictures cannot be read: .*notes.txt \(text, not"):
        model.predict(tmp_path)
    with pytest.raises(DataError, match=r"^predict: picture 0 \(the file is empty\)\. Leave out"):
        model.predict(b"")
    with pytest.raises(MissingError, match=r"typo\.jpg"):
        predict(model, "typo.jpg")
    with pytest.raises(MissingError, match=r"typo\.jpg"):
        predict_pictures(model, ["typo.jpg"])  # before the first row is asked for
    with pytest.raises(InputError, match="picture 1: int64"):
        model.predict([arrays[0], arrays[0].astype(int)])


@pytest.mark.parametrize("read_from", ["features", "answers"])
def test_doubt_is_in_the_answers_and_the_label_stays_the_most_probable(doubting_model, arrays, read_from):
    model = load(doubting_model(read_from))
    rows = model.answers(arrays)
    assert {row.doubt for row in rows} > {None}
    assert model.predict(arrays).tolist() == [row.label for row in rows]
    assert "not sure" in model._repr_html_()
    assert model.doubt is not None


def test_it_says_what_it_is(drawn_model, run):
    assert repr(load(run)) == f'<ImageClassifier {run}: 3 classes (cross, stripe, "wide", träne 🦜)>'
    html = load(drawn_model)._repr_html_()
    assert "stripe, &#34;wide&#34;" in html
    assert "never" in html


def test_the_model_folder_is_opened_when_it_is_asked_for(run, drawn_model, drawn_onnx):
    model = load(run)
    assert isinstance(model.bundle, Bundle)
    assert model.bundle is model.bundle
    assert model.bundle.manifest.seal == drawn_model.manifest.seal
    assert load(drawn_model).bundle is drawn_model is bundle_of(drawn_model)
    assert bundle_of(run, device="cpu").directory == run / "model"
    for alone in (load(drawn_onnx), load(drawn_model.classifier)):
        with pytest.raises(BundleError, match=r"an exported file alone, without its network\. Load the run"):
            _ = alone.bundle


def test_a_model_with_an_export_answers_without_torch(run):
    program = (
        "import sys, numpy, thawline\n"
        f"model = thawline.load({str(run)!r})\n"
        "print(model.predict(numpy.zeros((2, 40, 40, 3), 'uint8')).shape)\n"
        "print(sorted({'torch', 'sklearn', 'scipy', 'timm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.split("\n")[:2] == ["(2,)", "[]"]


def test_memory_does_not_grow_with_what_a_generator_yields(drawn_model, monkeypatch):
    monkeypatch.setattr("thawline.use.predict.HELD_BYTES", 300_000)
    yielded = 0

    def frames():
        nonlocal yielded
        for _ in range(200):
            yielded += 1
            yield np.zeros((200, 200, 3), dtype=np.uint8)

    rows = load(drawn_model).stream(frames())
    next(rows)
    assert yielded <= 3 * (2 * num_workers() + 1)  # three a batch, two batches a processor in flight
    assert len(list(rows)) == 199
    assert isinstance(load(drawn_model), ImageClassifier)
