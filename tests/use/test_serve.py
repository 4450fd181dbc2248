"""The service without torch: the numbers of `thawline predict`, and an answer to whatever strangers send."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from starlette.testclient import TestClient

from thawline import api
from thawline.core.errors import UsageError
from thawline.core.version import __version__
from thawline.use import serve as service
from thawline.use.onnx_model import open_onnx
from thawline.use.serve import Limits, make_app, serve

SERVE = """
import sys
from thawline.cli.app import main
code = main(sys.argv[1:])
print("torch" in sys.modules)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def app(drawn_onnx):
    return make_app(open_onnx(drawn_onnx), Limits(max_request_bytes=100_000, max_pictures=3, max_megapixels=1))


@pytest.fixture(scope="module")
def client(app):
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


def sent(*contents, names=None):
    names = names or [f"{number}.jpg" for number in range(len(contents))]
    return [("pictures", (name, content)) for name, content in zip(names, contents, strict=True)]


@contextmanager
def running(path, *words):
    """Run `thawline serve` as a person does, on a free port; yield the process and its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, "serve", str(path), "--port", "0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = process.stderr.readline()
        yield process, re.search(r"http://([\d.]+):(\d+)", said)
    finally:
        process.kill()
        process.communicate()


def post(address, contents):
    """Return status and JSON of one request with several pictures, put together by hand as a client would."""
    edge = "thawline-edge"
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="pictures"; filename="{name}"\r\n\r\n'.encode() + data
        for name, data in contents.items()
    ]
    body = b"\r\n".join([*parts, f"--{edge}--\r\n".encode()])
    connection = http.client.HTTPConnection(address[1], int(address[2]), timeout=600)
    connection.request("POST", "/predict", body, {"Content-Type": f"multipart/form-data; boundary={edge}"})
    response = connection.getresponse()
    found = response.status, json.loads(response.read())
    connection.close()
    return found


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
    expected = [row.to_json() for row in api.predict(drawn_model, paths)]
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
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert [client.get(place).status_code for place in ("/docs", "/redoc")] == [404, 404]
    assert not re.findall(r"""(?:src|href)=["'](?!data:)|https?://|innerHTML""", response.text)


def test_the_command_answers_without_torch_and_ends_when_told(drawn_onnx, drawn_model, picture, tmp_path):
    with running(drawn_onnx) as (process, address):
        status, said = post(address, {"a.jpg": picture(40), "b.jpg": b"no picture"})
        broken = socket.create_connection((address[1], int(address[2])))
        broken.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nhalf")
        broken.close()
        again, _ = post(address, {"a.jpg": picture(40)})
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
    (tmp_path / "a.jpg").write_bytes(picture(40))
    (wanted,) = api.predict(drawn_model, tmp_path / "a.jpg")
    assert (status, again) == (200, 200)
    assert said["predictions"][0]["probabilities"] == pytest.approx(wanted.probabilities, abs=1e-3)
    assert said["predictions"][1]["error"] == "text, not a picture"
    assert out.split() == ["False"], "torch was loaded"
    assert process.returncode == 0
    assert "Traceback" not in err


def test_a_taken_port_and_a_host_that_is_not_ours_are_said(drawn_onnx):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port} cannot be listened on: .*Choose another --port"):
            serve(drawn_onnx, host="127.0.0.1", port=port, ready=print)
    with pytest.raises(UsageError, match=r"203\.0\.113\.7:0 cannot be listened on"):
        serve(drawn_onnx, host="203.0.113.7", port=0, ready=print)
    for port in (-1, 65_536):
        with pytest.raises(UsageError, match=rf"{port} cannot be listened on: there is no such port\. Choose"):
            serve(drawn_onnx, host="127.0.0.1", port=port, ready=print)


@pytest.mark.parametrize(
    ("host", "address", "family"),
    [("127.0.0.1", "http://127.0.0.1:65535", "AF_INET"), ("::1", "http://[::1]:65535", "AF_INET6")],
)
def test_an_address_is_told_once_it_is_listened_on_and_connections_are_bounded(
    drawn_onnx, monkeypatch, host, address, family
):
    listened, addresses, servers = [], [], []

    class Listener:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            """Nothing is open."""

        def getsockname(self):
            return (host, 65_535)

    def create_server(place, **words):
        listened.append((place, words))
        return Listener()

    def run(server, sockets):
        servers.append((server.config, sockets))
        raise KeyboardInterrupt

    monkeypatch.setattr(service.socket, "create_server", create_server)
    monkeypatch.setattr(service.uvicorn.Server, "run", run)
    serve(drawn_onnx, host=host, port=65_535, ready=addresses.append)
    assert addresses == [address]
    assert listened == [((host, 65_535), {"family": getattr(socket, family), "backlog": 32})]
    ((config, (listener,)),) = servers
    assert isinstance(listener, Listener)
    assert (config.limit_concurrency, config.access_log, config.server_header) == (32, False, False)


def test_without_the_extra_it_is_named(drawn_onnx, monkeypatch):
    monkeypatch.delitem(sys.modules, "thawline.use.serve")
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(UsageError, match=r"fastapi, uvicorn and python-multipart are required .*thawline\[serve\]"):
        api.serve(drawn_onnx, ready=print)


@pytest.mark.slow
@pytest.mark.pictures
@pytest.mark.parametrize(("dtype", "allowed"), [("float32", 1e-3), ("bfloat16", 0.05)])
def test_real_pictures_get_the_numbers_of_predict(shared_data, tmp_path, dtype, allowed):
    """A model of real monkeys: every validation picture, by the folder and by the service's model."""
    photos = tmp_path / "photos"
    for source in sorted((shared_data / "monkeys" / "training").iterdir())[:4]:
        for path in sorted(source.iterdir())[:12]:
            (photos / source.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, photos / source.name / path.name)
    options = api.Options(dtype=dtype, size=96)
    result = api.fit(photos, tmp_path / "run", options=options)
    written = api.export(result.out / "model")
    assert written.path == (result.out / "model.onnx").resolve()
    model = open_onnx(written.path)
    paths = [
        path
        for folder in sorted((shared_data / "monkeys" / "validation").iterdir())
        for path in sorted(folder.iterdir())
    ]
    rows = list(api.predict(result.out / "model", paths))
    found = [model.predict(str(path), path.read_bytes()) for path in paths]
    assert len(rows) > 100
    assert [row.error for row in found] == [row.error for row in rows]
    names = model.facts.class_names
    gap = np.array(
        [[row.probabilities[n] - other.probabilities[n] for n in names] for row, other in zip(rows, found, strict=True)]
    )
    worst = np.abs(gap).max(axis=1)
    assert np.quantile(worst, 0.99) <= allowed
    assert worst.max() <= 4 * allowed
    assert np.mean([one.label == other.label for one, other in zip(rows, found, strict=True)]) >= 0.98


@pytest.mark.browser
def test_the_page_shows_bars_and_errors(drawn_onnx, picture, tmp_path):
    chromium = os.environ.get("THAWLINE_CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.skip("no Chromium: install `chromium` or set THAWLINE_CHROMIUM to its path")
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    (tmp_path / "good <b>.jpg").write_bytes(picture(5))
    (tmp_path / "bad.jpg").write_text("no picture")
    with running(drawn_onnx) as (_, address), sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"], timeout=600_000
        )
        page = browser.new_page(viewport={"width": 360, "height": 800})
        page.set_default_timeout(600_000)  # for a busy machine
        wrong, asked = [], []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address[0])
        page.get_by_text("3 classes: cross").wait_for()
        page.set_input_files("#files", [tmp_path / "good <b>.jpg", tmp_path / "bad.jpg"])
        page.locator("li .error").wait_for()
        assert page.locator("li").nth(0).locator(".row").count() == 3
        assert page.locator("li").nth(0).locator(".file").inner_text() == "good <b>.jpg"
        assert page.locator("li").nth(1).inner_text().split("\n")[0] == "No answer"
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert wrong == []
        assert all(url.startswith((address[0], "blob:", "data:")) for url in asked)
        browser.close()
