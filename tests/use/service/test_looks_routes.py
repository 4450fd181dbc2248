"""Maps of where a model looks, asked of a service: in the square of the picture, behind the same limits."""

from __future__ import annotations

import io
from contextlib import closing

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from thawline.use.answer import Answer
from thawline.use.onnx_model import OnnxModel, open_onnx
from thawline.use.service import looks_routes as routes_module
from thawline.use.service.application import make_app
from thawline.use.service.gate import Limits
from thawline.use.service.served import Served


@pytest.fixture
def served(drawn_onnx):
    found = Served(open_onnx(drawn_onnx), Limits(max_request_bytes=200_000, max_pictures=3, max_megapixels=1))
    yield found
    found.close()


@pytest.fixture
def client(served):
    with TestClient(make_app(served), base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as opened:
        yield opened


def sent(*contents):
    return [("pictures", (f"{number}.jpg", content)) for number, content in enumerate(contents)]


def wide(width=200, height=100):
    """Return a white picture of some size."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "PNG")
    return buffer.getvalue()


def looking_at_a_corner(monkeypatch, log=None):
    """Let the model look at the lower left of its square."""

    def answers(self, pixels):
        if log is not None:
            log.append(len(pixels))
        share = 0.1 + 0.8 * pixels[:, -16:, :16].mean(axis=(1, 2, 3)) / 255
        rest = (1 - share) / 2
        return Answer(np.stack([rest, share, rest], axis=1).astype(np.float32), None)

    monkeypatch.setattr(OnnxModel, "answers", answers)


def test_a_map_is_bright_where_the_model_looks(monkeypatch, client, served):
    looking_at_a_corner(monkeypatch)
    response = client.post("/looks", files=sent(wide()))
    said = response.json()
    assert response.status_code == 200
    assert said["label"] == served.model.class_names[1]
    assert said["probability"] == pytest.approx(0.9)
    assert 0.1 < said["least"] < 0.7
    rows = np.array(said["rows"])
    assert rows.shape == (7, 7)
    assert np.unravel_index(rows.argmax(), rows.shape) == (6, 0)
    assert said["box"] == pytest.approx([0.25, 0.0, 0.75, 1.0])


def test_a_real_model_is_asked_as_often_as_told_and_no_more(client, served, picture):
    said = client.post("/looks", files=sent(picture(1))).json()
    plain = client.post("/predict", files=sent(picture(1))).json()["predictions"][0]
    assert said["label"] == plain["label"]
    assert said["probability"] == pytest.approx(plain["probability"], abs=1e-5)
    assert np.array(said["rows"]).max() in {0, 255}
    assert served.turns.num_waiting == 0


def test_a_slow_model_is_asked_less_often(monkeypatch, client):
    counts = []
    looking_at_a_corner(monkeypatch, counts)
    client.post("/looks", files=sent(wide()))
    assert sum(counts) == 1 + 36 + 64
    counts.clear()
    monkeypatch.setattr(routes_module, "MAX_MAP_S", 0.0)
    rows = np.array(client.post("/looks", files=sent(wide())).json()["rows"])
    assert sum(counts) == 1 + 36
    assert np.unravel_index(rows.argmax(), rows.shape) == (6, 0)


def test_what_is_no_single_picture_is_refused_in_a_sentence(client, picture):
    assert client.post("/looks", files=sent(b"text")).json() == {"detail": "text, not a picture"}
    several = client.post("/looks", files=sent(picture(1), picture(2)))
    assert (several.status_code, several.json()["detail"]) == (
        422,
        "there are 2 pictures in the request; one is required for a map",
    )
    assert client.post("/looks", files=sent(wide(2000, 1000))).status_code == 422
    assert client.post("/looks", files=sent(b"x" * 200_001)).status_code == 413
    assert client.get("/looks").status_code == 405


def test_too_many_at_once_are_told_to_come_again(monkeypatch, client, picture):
    monkeypatch.setattr(routes_module, "MAX_WAITING", 0)
    response = client.post("/looks", files=sent(picture(1)))
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) == 10


def test_a_model_without_maps_says_so(monkeypatch, client, picture):
    assert client.get("/health").json()["looks"] is True
    monkeypatch.setattr(routes_module, "can_look", lambda model: False)
    response = client.post("/looks", files=sent(picture(1)))
    assert response.status_code == 501
    assert "does not say how it prepares pictures" in response.json()["detail"]


def test_a_whole_file_has_maps_too(whole_onnx, picture):
    whole = Served(open_onnx(whole_onnx), Limits())
    with closing(whole), TestClient(make_app(whole), base_url="http://127.0.0.1:8000") as client:
        said = client.post("/looks", files=sent(picture(1))).json()
    assert np.array(said["rows"]).shape == (7, 7)
    assert said["box"][0] > 0.1, "a wide picture is cropped at its sides"
