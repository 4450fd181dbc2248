"""Training pictures most like one, asked of a service: behind the limits of all pictures, or refused in a sentence."""

from __future__ import annotations

import shutil
from base64 import b64decode

import pytest
from starlette.testclient import TestClient

from thawline.use.exports.carried_pictures import thumbnail
from thawline.use.model_place import find_model
from thawline.use.neighbours import neighbours_beside, neighbours_path
from thawline.use.onnx_model import open_onnx
from thawline.use.service import turns as turns_module
from thawline.use.service.access import Access
from thawline.use.service.application import make_app
from thawline.use.service.gate import Limits
from thawline.use.service.serve import _served
from thawline.use.service.served import Served

LIMITS = Limits(max_request_bytes=200_000, max_pictures=3, max_megapixels=1)


def asking(served, **words):
    return TestClient(make_app(served, **words), base_url="http://127.0.0.1:8000", raise_server_exceptions=False)


@pytest.fixture
def served(placed_run):
    file = placed_run / "exports" / "model-tensor.onnx"
    model = open_onnx(file)
    found = Served(model, LIMITS, neighbours=neighbours_beside(file, model.facts))
    yield found
    found.close()


@pytest.fixture
def client(served):
    with asking(served) as opened:
        yield opened


def sent(*contents):
    return [("pictures", (f"{number}.jpg", content)) for number, content in enumerate(contents)]


@pytest.mark.slow
def test_the_five_most_alike_come_with_label_likeness_and_picture(client, served, picture):
    assert client.get("/health").json()["neighbours"] is True
    response = client.post("/neighbours", files=sent(picture(4)))
    found = response.json()["neighbours"]
    assert response.status_code == 200
    assert [each.keys() for each in found] == [{"label", "similarity", "picture"}] * 5
    assert found[0]["label"] == served.model.class_names[4 % 3]
    assert found[0]["similarity"] > 0.99
    likeness = [each["similarity"] for each in found]
    assert likeness == sorted(likeness, reverse=True)
    kind, _, data = found[0]["picture"].partition(",")
    assert (kind, b64decode(data)) == ("data:image/jpeg;base64", thumbnail(picture(4)))
    body = client.post("/neighbours", content=picture(4), headers={"content-type": "image/jpeg"})
    assert body.json()["neighbours"] == found
    assert client.post("/predict", files=sent(picture(4))).status_code == 200
    assert served.turns.num_waiting == 0


@pytest.mark.slow
def test_what_is_no_single_picture_is_refused_in_a_sentence(client, picture):
    assert client.post("/neighbours", files=sent(b"text")).json() == {"detail": "text, not a picture"}
    several = client.post("/neighbours", files=sent(picture(1), picture(2)))
    assert (several.status_code, several.json()["detail"]) == (
        422,
        "there are 2 pictures in the request; one is required here",
    )
    assert client.post("/neighbours", files=sent(b"x" * 200_001)).status_code == 413
    assert client.get("/neighbours").status_code == 405


@pytest.mark.slow
def test_it_stands_behind_the_token_and_waits_for_its_turn(monkeypatch, served, picture):
    with asking(served, access=Access(frozenset({"127.0.0.1"}), "secret-secret-secret-secret-secret")) as client:
        assert client.post("/neighbours", files=sent(picture(1))).status_code == 401
    monkeypatch.setattr(turns_module, "MAX_WAITING", 0)
    with asking(served) as client:
        response = client.post("/neighbours", files=sent(picture(1)))
    assert response.status_code == 503
    assert "retry-after" in response.headers


def test_a_model_without_them_says_so(drawn_onnx, picture):
    served = Served(open_onnx(drawn_onnx), LIMITS)
    with asking(served) as client:
        assert client.get("/health").json()["neighbours"] is False
        response = client.post("/neighbours", files=sent(picture(1)))
    served.close()
    assert response.status_code == 501
    assert response.json()["detail"].endswith("thawline export RUN --to onnx-tensor --with-neighbours")


@pytest.mark.slow
def test_a_damaged_file_is_told_and_the_service_answers_without_it(placed_run, picture, tmp_path):
    file = tmp_path / "model.onnx"
    shutil.copy(placed_run / "exports" / "model-tensor.onnx", file)
    neighbours_path(file).write_bytes(b"damaged")
    notes = []
    served = _served(find_model(file), None, keep_unsure=None, log=None, note=notes.append)
    with asking(served) as client:
        assert client.get("/health").json()["neighbours"] is False
        assert client.post("/neighbours", files=sent(picture(1))).status_code == 501
        assert client.post("/predict", files=sent(picture(1))).status_code == 200
    served.close()
    (said,) = notes
    assert "model.neighbours: its content is not what `thawline export` wrote" in said
    assert said.endswith("Until then the service answers without them.")
