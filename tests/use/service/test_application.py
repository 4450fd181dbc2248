"""The application: the numbers of `thawline predict`, and an answer to whatever strangers send in a form."""

from __future__ import annotations

import re
from contextlib import closing

import pytest
from starlette.testclient import TestClient

import thawline
from thawline.core.version import __version__
from thawline.use.onnx_model import open_onnx
from thawline.use.service.access import Access
from thawline.use.service.application import make_app
from thawline.use.service.gate import Limits
from thawline.use.service.refusal import SAFE_HEADERS
from thawline.use.service.served import Served


@pytest.fixture(scope="module")
def app(drawn_onnx):
    served = Served(open_onnx(drawn_onnx), Limits(max_request_bytes=100_000, max_pictures=3, max_megapixels=1))
    yield make_app(served)
    served.close()


@pytest.fixture(scope="module")
def client(app):
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as opened:
        yield opened


def sent(*contents, names=None):
    names = names or [f"{number}.jpg" for number in range(len(contents))]
    return [("pictures", (name, content)) for name, content in zip(names, contents, strict=True)]


def test_it_says_that_it_is_ready_and_of_what(client, drawn_model):
    response = client.get("/health")
    said = response.json()
    assert response.status_code == 200
    assert said["status"] == "ready"
    assert said["strategy"] == "drawn"
    assert said["class_names"] == list(drawn_model.class_names)
    assert said["manifest_seal"] == drawn_model.manifest.seal
    assert said["limits"] == {"max_request_bytes": 100_000, "max_pictures": 3, "max_megapixels": 1}
    assert said["thawline"] == __version__
    assert said["backbone"] == "simple_cnn"


def test_rows_are_those_of_predict(client, drawn_model, picture, tmp_path):
    for seed in range(30, 33):
        (tmp_path / f"{seed}.jpg").write_bytes(picture(seed))
    (tmp_path / "notes.jpg").write_text("no picture")
    paths = sorted(tmp_path.glob("*.jpg"))
    expected = [row.to_json() for row in thawline.predict(drawn_model, paths)]
    rows = []
    for path in paths:
        rows += client.post("/predict", files=sent(path.read_bytes(), names=[str(path)])).json()["predictions"]
    assert len(rows) == 4
    for row, wanted in zip(rows, expected, strict=True):
        assert {key: row.get(key) for key in ("path", "label", "error")} == {
            key: wanted.get(key) for key in ("path", "label", "error")
        }
        assert list(row.get("probabilities", {})) == list(wanted.get("probabilities", {}))
        assert row.get("probabilities", {}) == pytest.approx(wanted.get("probabilities", {}), abs=1e-3)


def test_a_bad_picture_among_good_ones_gets_its_error(client, picture):
    response = client.post("/predict", files=sent(picture(1), picture(2)[:400], picture(3)))
    rows = response.json()["predictions"]
    assert response.status_code == 200
    assert [row["path"] for row in rows] == ["0.jpg", "1.jpg", "2.jpg"]
    assert ["error" in row for row in rows] == [False, True, False]
    assert "ends after 400" in rows[1]["error"]


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<svg onload='alert(1)'/>", b"\x80\x04.", b"%PDF-1.7"])
def test_a_request_without_a_readable_picture_is_422(client, content):
    response = client.post("/predict", files=sent(content))
    assert response.status_code == 422
    assert list(response.json()["predictions"][0]) == ["path", "error"]


def test_a_picture_that_claims_too_many_pixels_is_refused_from_its_header(client):
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", 2000, 1000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size)
        + chunk(b"IDAT", zlib.compress(b"\0" * 6001000))
        + chunk(b"IEND", b"")
    )
    assert len(bomb) < 100_000
    (row,) = client.post("/predict", files=sent(bomb)).json()["predictions"]
    assert row["error"] == "2,000×1,000 px are 2 megapixels, over the 1 allowed"


def test_too_many_pictures_are_refused(client, picture):
    response = client.post("/predict", files=sent(*[picture(1)] * 4))
    assert (response.status_code, response.json()) == (
        413,
        {"detail": "4 pictures are more than the 3 allowed in a request"},
    )


def test_a_request_that_is_too_long_is_refused(client):
    response = client.post("/predict", files=sent(b"\0" * 100_001))
    assert response.status_code == 413
    assert re.fullmatch(r"100,\d{3} bytes are more than the 100,000 allowed in a request", response.json()["detail"])


def test_a_request_of_exactly_the_allowed_length_is_read(client):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("/predict", content=b"x" * 100_000, headers=headers).status_code == 400
    for method in ("POST", "PUT", "PATCH"):
        assert client.request(method, "/predict", content=b"x" * 100_001, headers=headers).status_code == 413
    assert client.request("DELETE", "/predict").status_code == 405


def test_what_is_allowed_by_default_is_what_the_page_on_serving_says():
    assert Limits() == Limits(max_request_bytes=33_554_432, max_pictures=32, max_megapixels=50)


def test_a_picture_without_a_name_is_called_by_its_number(client, picture):
    part = b'--x\r\nContent-Disposition: form-data; name="pictures"; filename=""\r\n\r\n' + picture(1) + b"\r\n"
    headers = {"content-type": "multipart/form-data; boundary=x"}
    response = client.post("/predict", content=part + part + b"--x--\r\n", headers=headers)
    assert [row["path"] for row in response.json()["predictions"]] == ["picture 1", "picture 2"]


def test_a_request_that_does_not_say_its_length_is_refused(client):
    response = client.post("/predict", content=iter([b"abc"]), headers={"content-type": "image/jpeg"})
    assert response.status_code == 411
    assert "Content-Length" in response.json()["detail"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"garbage", "multipart/form-data; boundary=x", 400),
        (b"", "multipart/form-data", 400),
        (b"{}", "application/json", 422),
        (
            b'--x\r\nContent-Disposition: form-data; name="pictures"\r\n\r\ntext\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            422,
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\n1\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            422,
        ),
    ],
)
def test_what_is_no_form_with_pictures_is_refused(client, body, kind, status):
    response = client.post("/predict", content=body, headers={"content-type": kind})
    assert response.status_code == status
    assert "detail" in response.json()
    assert "Traceback" not in response.text


def test_odd_file_names_come_back_as_they_were(client, picture):
    for name in ("../../etc/passwd", "<script>alert(1)</script>.jpg", "träne 🦜.jpg"):
        (row,) = client.post("/predict", files=sent(picture(1), names=[name])).json()["predictions"]
        assert row["path"] == name
    body = b'--x\r\nContent-Disposition: form-data; name="pictures"; filename="\xff\xfe.jpg"\r\n\r\nx\r\n--x--\r\n'
    response = client.post("/predict", content=body, headers={"content-type": "multipart/form-data; boundary=x"})
    assert response.status_code == 422
    assert response.json()["predictions"][0]["error"]


def test_the_page_needs_nothing_from_elsewhere(client):
    response = client.get("/")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "unsafe" not in response.headers["content-security-policy"]
    assert client.get("/redoc").status_code == 404
    assert not re.findall(r"""(?:src|href)=["'](?!data:)|https?://|innerHTML""", response.text)


def test_every_reply_has_the_safe_headers(client, picture):
    replies = [
        client.get("/"),
        client.get("/health"),
        client.get("/nowhere"),
        client.put("/predict"),
        client.get("/health/"),
        client.post("/predict", files=sent(picture(1))),
        client.post("/predict", files=sent(b"none")),
        client.post("/predict", files=sent(b"x" * 100_001)),
        client.post("/predict", content=b"garbage", headers={"content-type": "multipart/form-data; boundary=x"}),
        client.get("/health", headers={"host": "evil.example"}),
    ]
    assert [reply.status_code for reply in replies] == [200, 200, 404, 405, 404, 200, 422, 413, 400, 400]
    for reply in replies:
        assert {name: reply.headers[name] for name in SAFE_HEADERS} == {
            **SAFE_HEADERS,
            "content-security-policy": reply.headers["content-security-policy"],
        }
        assert reply.headers["content-security-policy"].startswith("default-src 'none'; ")


def test_a_bug_is_a_500_in_the_form_of_all_refusals(client, picture, monkeypatch):
    monkeypatch.setattr("thawline.use.service.prediction_routes.read_pictures", None)
    response = client.post("/predict", files=sent(picture(1)))
    assert (response.status_code, response.json()) == (500, {"detail": "a bug of the service; its log says more"})
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_token_opens_everything_and_the_page_asks_for_it(drawn_onnx, picture):
    served = Served(open_onnx(drawn_onnx), Limits())
    with (
        closing(served),
        TestClient(make_app(served, access=Access(token="right")), base_url="http://localhost") as client,
    ):
        for words in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": "Basic right"},
            {"authorization": "right"},
        ):
            for reply in (
                client.get("/health", headers=words),
                client.post("/predict", files=sent(picture(1)), headers=words),
            ):
                assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
        right = {"authorization": "bearer right"}
        assert client.get("/health", headers=right).status_code == 200
        assert client.post("/predict", files=sent(picture(1)), headers=right).status_code == 200
        assert client.get("/").status_code == 200
        for place in ("/openapi.json", "/docs", "/metrics", "/v2", "/v2/models/model"):
            assert client.get(place).status_code == 401
        for place in ("/v2/health/live", "/v2/health/ready"):
            assert client.get(place).status_code == 200


def test_what_a_form_must_hold_is_in_the_description_of_the_service(client):
    said = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]
    assert said["content"]["multipart/form-data"]["schema"]["required"] == ["pictures"]
