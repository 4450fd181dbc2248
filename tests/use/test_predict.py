"""Pictures in, rows out in their order: the numbers of training, whatever lies beside the pictures."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from thawline.core.errors import DataError
from thawline.core.runtime import Runtime
from thawline.core.types import Prediction
from thawline.data.check import check
from thawline.data.sources import listing
from thawline.data.sources.unlabelled import files_in
from thawline.features.extract import extract
from thawline.features.network import load_backbone
from thawline.heads.calibrate import probabilities
from thawline.heads.linear import fit_linear
from thawline.use.bundle import Training, load_bundle, save_bundle
from thawline.use.classifier import Classifier
from thawline.use.predict import Tally, predict_pictures
from thawline.view.prediction_text import answered_csv, predictions_jsonl

NAMES = ("cross", 'stripe, "wide"', "träne 🦜")

pytestmark = pytest.mark.usefixtures("one_thread")
BLOCKS = ((9, "mean"), (9, "std"))
RUNTIME = Runtime("cpu", "float32", 8)


def picture(seed: int, size: tuple[int, int] = (70, 50)) -> bytes:
    """Return a JPEG of stripes that tell its class, seed % 3."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[1], : size[0]]
    wave = (np.sin(rows / 3), np.sin(columns / 3), np.sin((rows + columns) / 9))[seed % 3]
    pixels = 128 + 80 * wave[..., None] * rng.uniform(0.3, 1, 3) + rng.normal(0, 20, (size[1], size[0], 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a bundle, the data set that it was trained on, and its probabilities from the features of the bank."""
    root = tmp_path_factory.mktemp("predict")
    for seed in range(21):
        folder = root / "photos" / f"{seed % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{seed:02}.jpg").write_bytes(picture(seed, size=(60 + 3 * seed, 90 - 2 * seed)))
    dataset, _ = check(root / "photos")
    network = load_backbone()
    bank = extract(dataset, network, runtime=RUNTIME, cache=root).bank
    features = bank.read([sample.sha256 for sample in dataset.samples], BLOCKS)
    head = fit_linear(features, dataset.labels, l2=1e-3, num_classes=3)
    classifier = Classifier(
        [network], RUNTIME, blocks=BLOCKS, storage="float16", head=head, temperature=3.0, class_names=NAMES
    )
    training = Training("drawn", "0" * 64, [], [picture(0), picture(1)], {}, "0.0.0")
    save_bundle(root / "model", classifier, training=training)
    bundle = load_bundle(root / "model", device="cpu")
    return bundle, dataset, probabilities(head.logits(features), 3.0)


def shares(row: Prediction) -> list[float]:
    return [row.probabilities[name] for name in NAMES]


def test_predictions_are_those_of_the_features_that_were_trained_on(trained):
    bundle, dataset, expected = trained
    rows = list(predict_pictures(bundle.classifier, [dataset.root.folder / sample.path for sample in dataset.samples]))
    assert [row.path for row in rows] == [str(dataset.root.folder / sample.path) for sample in dataset.samples]
    np.testing.assert_allclose([shares(row) for row in rows], expected, atol=1e-6)
    assert [NAMES.index(row.label) for row in rows] == dataset.labels.tolist()


def test_a_picture_alone_gets_the_numbers_that_it_gets_among_others(trained):
    bundle, dataset, _ = trained
    paths = [dataset.root.folder / sample.path for sample in dataset.samples]
    together = {row.path: row for row in predict_pictures(bundle.classifier, paths)}
    backwards = {row.path: row for row in predict_pictures(bundle.classifier, paths[::-1])}
    for path in paths[::5]:
        (alone,) = predict_pictures(bundle.classifier, [path])
        np.testing.assert_allclose(shares(alone), shares(together[str(path)]), atol=1e-6)
        np.testing.assert_allclose(shares(backwards[str(path)]), shares(together[str(path)]), atol=1e-6)


def test_a_row_is_in_order_and_sums_to_one(trained):
    bundle, dataset, _ = trained
    for row in predict_pictures(bundle.classifier, [dataset.root.folder]):
        assert row.error is None
        assert sum(row.probabilities.values()) == pytest.approx(1, abs=1e-6)
        assert list(row.probabilities.values()) == sorted(row.probabilities.values(), reverse=True)
        assert next(iter(row.probabilities.items())) == (row.label, row.probability)
        assert set(row.probabilities) == set(NAMES)


@pytest.fixture
def mixed(tmp_path) -> Path:
    """Return a folder of good and bad files, ten to a batch boundary and over."""
    for number in range(9):
        (tmp_path / f"a{number}.jpg").write_bytes(picture(number))
    (tmp_path / "b 🦜 ünd.jpg").write_bytes(picture(3))
    (tmp_path / "c-truncated.jpg").write_bytes(picture(4)[:900])
    (tmp_path / "d-text.jpg").write_text("no picture")
    (tmp_path / "e-empty.png").write_bytes(b"")
    (tmp_path / "f-no-extension").write_bytes(picture(5))
    (tmp_path / "g-broken-link.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "inner.jpg").write_bytes(picture(6))
    (tmp_path / ".hidden.jpg").write_bytes(picture(7))
    (tmp_path / ".folder").mkdir()
    (tmp_path / ".folder" / "x.jpg").write_bytes(picture(7))
    return tmp_path


def test_bad_files_get_their_reason_and_the_rest_goes_on(trained, mixed):
    rows = list(predict_pictures(trained[0].classifier, [mixed]))
    names = [Path(row.path).relative_to(mixed).as_posix() for row in rows]
    assert names == [
        *(f"a{number}.jpg" for number in range(9)),
        "b 🦜 ünd.jpg",
        "c-truncated.jpg",
        "d-text.jpg",
        "e-empty.png",
        "f-no-extension",
        "g-broken-link.jpg",
        "h/inner.jpg",
    ]
    errors = {name: row.error for name, row in zip(names, rows, strict=True) if row.error}
    assert list(errors) == ["c-truncated.jpg", "d-text.jpg", "e-empty.png", "g-broken-link.jpg"]
    assert "ends after 900 bytes" in errors["c-truncated.jpg"]
    assert errors["g-broken-link.jpg"] == "no such file"
    for row in rows:
        if row.error:
            assert (row.label, row.probability, row.probabilities) == (None, None, {})
        else:
            assert row.label in NAMES
    (alone,) = predict_pictures(trained[0].classifier, [mixed / "f-no-extension"])
    np.testing.assert_allclose(shares(alone), shares(rows[names.index("f-no-extension")]), atol=1e-6)


def test_paths_keep_the_order_in_which_they_were_given(trained, mixed):
    given = [mixed / "h", mixed / "a3.jpg", mixed / "missing.jpg", str(mixed / "a1.jpg"), mixed / "a3.jpg"]
    rows = list(predict_pictures(trained[0].classifier, given))
    expected = [mixed / "h/inner.jpg", mixed / "a3.jpg", mixed / "missing.jpg", mixed / "a1.jpg", mixed / "a3.jpg"]
    assert [row.path for row in rows] == [str(path) for path in expected]
    assert rows[2].error == "no such file"
    assert shares(rows[1]) == pytest.approx(shares(rows[4]), abs=1e-6)


def test_a_hidden_file_that_is_named_is_meant(trained, mixed):
    (row,) = predict_pictures(trained[0].classifier, [mixed / ".hidden.jpg"])
    assert row.error is None
    assert [source.path for source in files_in(mixed / ".folder")[0]] == [mixed / ".folder" / "x.jpg"]


def test_names_that_no_file_can_have_get_an_error(trained, mixed):
    rows = list(
        predict_pictures(trained[0].classifier, [mixed / ("x" * 5000), "null\0byte.jpg", mixed / "a1.jpg" / "below"])
    )
    assert rows[0].error == "cannot be read: File name too long"
    assert [row.error for row in rows[1:]] == ["no such file", "no such file"]


def test_a_pipe_is_not_waited_for(trained, tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (row,) = predict_pictures(trained[0].classifier, [tmp_path])
    assert row.error == "not a file"


def test_a_loop_of_links_ends(trained, mixed):
    (mixed / "h" / "loop").symlink_to(mixed)
    assert len(files_in(mixed)[0]) == 16


def test_names_outside_of_utf8_can_be_printed(trained, tmp_path):
    odd = os.fsencode(tmp_path) + b"/\xff\xfe.jpg"
    try:
        Path(os.fsdecode(odd)).write_bytes(picture(0))
    except OSError:
        pytest.skip("this file system allows no such name")
    (line,) = predictions_jsonl(predict_pictures(trained[0].classifier, [tmp_path]))
    assert json.loads(line.encode())["label"] in NAMES


def test_nothing_given_is_nothing(trained, tmp_path):
    assert list(predict_pictures(trained[0].classifier, [tmp_path])) == []
    assert list(predict_pictures(trained[0].classifier, [])) == []


def test_rows_come_as_soon_as_their_batch_is_done(trained, mixed):
    rows = predict_pictures(trained[0].classifier, [mixed])
    assert next(rows).path.endswith("a0.jpg")
    rows.close()


def test_progress_counts_every_file(trained, mixed, counted):
    list(predict_pictures(trained[0].classifier, [mixed], progress=counted))
    assert counted.totals == {("predict", 16): 16}


def test_a_file_that_is_too_large_is_not_read(trained, tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(picture(0))
    size = (tmp_path / "a.jpg").stat().st_size
    monkeypatch.setattr(listing, "MAX_FILE_BYTES", size)
    (row,) = predict_pictures(trained[0].classifier, [tmp_path])
    assert row.error is None
    monkeypatch.setattr(listing, "MAX_FILE_BYTES", size - 1)
    (row,) = predict_pictures(trained[0].classifier, [tmp_path])
    assert row.error == f"{size:,} bytes are more than the {size - 1:,} that a picture may have"


def test_rows_are_counted_as_they_go_by_and_none_answered_is_an_error():
    doubted = Prediction("c.jpg", "a", 0.6, {"a": 0.6, "b": 0.4}, doubt="not sure")
    tally = Tally()
    assert tuple(tally.counted(iter((*ROWS, doubted)))) == (*ROWS, doubted)
    assert (tally.num_rows, tally.num_answers, tally.doubts) == (3, 2, {"not sure": 1})
    tally.require_one(["photos"])
    tally = Tally()
    list(tally.counted(iter(ROWS[1:])))
    with pytest.raises(DataError, match=r"predict photos, more: no file could be read, each row says why\. Name pict"):
        tally.require_one(["photos", Path("more")])
    with pytest.raises(DataError, match=r"predict photos: there is no file\. Name pictures, or folders that hold some"):
        Tally().require_one(["photos"])


# Written down


ROWS = (
    Prediction("a, b.jpg", NAMES[1], 0.75, {NAMES[1]: 0.75, NAMES[2]: 0.25, NAMES[0]: 0.0}),
    Prediction('say "x" 🦜\n.jpg', None, None, {}, "ends after 3 of 5 bytes"),
)


def test_numbers_written_down_are_the_numbers(trained, mixed):
    rows = [row for row in predict_pictures(trained[0].classifier, [mixed]) if not row.error]
    for row, line in zip(rows, predictions_jsonl(rows), strict=True):
        assert json.loads(line)["probabilities"] == row.probabilities
    table = list(csv.DictReader(io.StringIO("\n".join(answered_csv(rows, NAMES)))))
    assert [[float(entry[name]) for name in NAMES] for entry in table] == [shares(row) for row in rows]
