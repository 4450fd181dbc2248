"""Two networks from photos to a service: one leaderboard, and a model of both answers the same wherever it is used."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from thawline.core.options import Options
from thawline.data.sources.places import Place
from thawline.use.bundle import load_bundle, write_bundle
from thawline.work.model import describe_training, frozen_model
from thawline.work.order import Order
from thawline.work.session import compare_frozen, open_session

pytestmark = pytest.mark.slow

NETWORKS = ("efficientnet_lite0", "deep_cnn")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return 48 pictures of two textures, in class folders."""
    root = tmp_path_factory.mktemp("textures")
    for label, name in enumerate(("bark", "moss")):
        (root / name).mkdir()
        for number in range(24):
            rng = np.random.default_rng((label, number))
            side = 10 + 3 * label + number % 3  # they overlap, so that not every strategy knows all
            coarse = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((120, 110)).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def model(photos, tmp_path_factory):
    """Return the folder of a model that reads both networks, and the pictures that it was tested on."""
    place = tmp_path_factory.mktemp("both")
    options = Options(backbone=NETWORKS, size=96, dtype="float32", cache_dir=place / "cache")
    compared = compare_frozen(open_session(Order(Place.of(photos), options=options), place / "out"))
    trial = next(trial for trial in compared.leaderboard.trials if trial.strategy.num_networks == 2)
    frozen = compared.comparison.frozen
    answers = next(one for one in frozen.answers if one.strategy is trial.strategy)
    made = frozen_model(compared, trial, logits=answers.logits, labels=frozen.rows.scored_labels)
    facts = describe_training(compared, trial.name, rows=compared.split.pool)
    write_bundle(place / "model", made.classifier, training=facts)
    return place / "model", [photos / compared.dataset.samples[row].path for row in compared.split.test]


def test_a_run_of_two_networks_is_one_leaderboard_and_one_report(photos, thawline, tmp_path, monkeypatch):
    monkeypatch.setenv("THAWLINE_CACHE", str(tmp_path / "cache"))
    words = [word for name in NETWORKS for word in ("--backbone", name)]
    said = thawline("fit", photos, *words, "--size", "96", "-o", tmp_path / "run", "--json")
    assert said.code == 0, said.err
    assert said.json["compared"] == list(NETWORKS)
    assert said.json["extraction"]["pictures"] == 2 * 48
    board = json.loads((tmp_path / "run/leaderboard.json").read_text())
    assert {trial["backbone"] for trial in board["trials"]} == {*NETWORKS, " + ".join(NETWORKS)}
    page = (tmp_path / "run/report.html").read_text().replace("<wbr>", "")
    assert all(f"<bdi>{name}</bdi></h" in page for name in NETWORKS)
    assert "What a millisecond buys" in page
    assert thawline("report", tmp_path / "run").code == 0
    (tmp_path / "two.toml").write_text(f"backbone = {json.dumps(NETWORKS)}\nsize = 96\n")
    again = thawline("fit", photos, "--config", tmp_path / "two.toml", "-o", tmp_path / "again", "--json")
    assert again.code == 0, again.err
    assert again.json["extraction"]["pictures"] == 0
    assert (again.json["winner"], again.json["test"]) == (said.json["winner"], said.json["test"])


def test_predict_evaluate_export_and_serve_agree(model, photos, thawline, tmp_path):
    folder, pictures = model
    assert json.loads((folder / "manifest.json").read_text())["format"] == 2
    bundle = load_bundle(folder, device="cpu")
    wanted = np.array([bundle.classifier.answer(path.read_bytes()) for path in pictures])

    said = thawline("predict", folder, *pictures, "--json")
    assert said.code == 0, said.err
    predicted = [[row["probabilities"][name] for name in bundle.class_names] for row in said.rows]
    np.testing.assert_allclose(predicted, wanted, atol=1e-5)

    for path in pictures:
        (tmp_path / "held out" / path.parent.name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "held out" / path.parent.name / path.name).write_bytes(path.read_bytes())
    said = thawline("evaluate", folder, tmp_path / "held out", "--json")
    assert said.code == 0, said.err
    labels = [bundle.class_names.index(path.parent.name) for path in pictures]
    right = float((wanted.argmax(axis=1) == labels).mean())
    assert said.json["accuracy"]["value"] == pytest.approx(right)

    said = thawline("export", folder, "-o", tmp_path / "model.onnx")
    assert said.code == 0, said.err
    served = serve(tmp_path / "model.onnx", pictures)
    answers = [[row["probabilities"][name] for name in bundle.class_names] for row in served]
    np.testing.assert_allclose(answers, wanted, atol=5e-3)


def serve(model, pictures):
    """Return the answers of the service to pictures."""
    words = [sys.executable, "-m", "thawline", "serve", str(model), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            address = next(found for line in process.stdout if (found := re.search(r"http://([\d.]+):(\d+)", line)))
            return post(address[1], int(address[2]), pictures)
        finally:
            process.terminate()


def post(host, port, pictures):
    parts = [
        f'--edge\r\nContent-Disposition: form-data; name="pictures"; filename="{path.name}"\r\n\r\n'.encode()
        + path.read_bytes()
        for path in pictures
    ]
    body = b"\r\n".join([*parts, b"--edge--\r\n"])
    with closing(http.client.HTTPConnection(host, port, timeout=600)) as connection:
        connection.request("POST", "/predict", body, {"Content-Type": "multipart/form-data; boundary=edge"})
        return json.loads(connection.getresponse().read())["predictions"]
