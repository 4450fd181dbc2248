"""The service's own routes: pictures in every form that people send, facts, numbers, and the page's policy."""

from __future__ import annotations

from contextlib import closing

import pytest
from starlette.testclient import TestClient

from thawline.use.onnx_model import open_onnx
from thawline.use.service.application import make_app
from thawline.use.service.gate import Limits
from thawline.use.service.served import Served


@pytest.fixture(scope="module")
def client(drawn_onnx):
    with (
        closing(Served(open_onnx(drawn_onnx), Limits())) as served,
        TestClient(make_app(served), base_url="http://localhost") as opened,
    ):
        yield opened


@pytest.mark.parametrize("field", ["pictures", "picture", "file", "files", "image", "images"])
def test_a_picture_is_taken_from_the_fields_that_people_use(client, picture, field):
    (row,) = client.post("/predict", files=[(field, ("a.jpg", picture(1)))]).json()["predictions"]
    assert row["path"] == "a.jpg"
    assert row["label"]


@pytest.mark.parametrize(
    "kind", ["image/jpeg", "image/png", "application/octet-stream", "application/x-www-form-urlencoded", None]
)
def test_a_picture_may_be_the_body(client, picture, kind):
    headers = {} if kind is None else {"content-type": kind}
    said = client.post("/predict", content=picture(1), headers=headers).json()["predictions"]
    asked = client.post("/predict", files=[("pictures", ("picture 1", picture(1)))]).json()["predictions"]
    assert said == asked


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (
            {"files": [("photo", ("a.jpg", b"x"))]},
            "the form has the field `photo`; a file in a field `pictures` is required",
        ),
        ({"files": [("a", ("a", b"x")), ("b", ("b", b"x"))]}, "the form has the fields `a`, `b`; a file in a field"),
        ({"files": [("file", (None, b"x"))]}, "the form's field `file` is text; a file is required"),
        ({"json": {"pictures": []}}, "Content-Type is application/json; a form (multipart/form-data) with a file"),
        ({"content": b"no picture"}, "there is no Content-Type; a form"),
        ({"data": {"file": "x"}}, "Content-Type is application/x-www-form-urlencoded; a form"),
    ],
)
def test_what_is_sent_otherwise_is_answered_in_a_sentence(client, form, sentence):
    response = client.post("/predict", **form)
    assert response.status_code == 422
    assert response.json()["detail"].startswith(sentence)


def test_numbers_are_told_in_prometheus_format(client, picture):
    client.post("/predict", content=picture(2), headers={"content-type": "image/jpeg"})
    client.get("/somewhere/else")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert 'thawline_requests_total{path="/predict",status="200"}' in response.text
    assert 'thawline_requests_total{path="other",status="404"} 1.0' in response.text
    assert 'thawline_pictures_total{outcome="answered"}' in response.text
    assert "/somewhere" not in response.text
