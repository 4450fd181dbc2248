"""The command: it answers without torch, lets in whom it should, and ends with 0 when it is told to stop."""

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
import uvicorn

import thawline
from thawline import api
from thawline.core.errors import UsageError
from thawline.use.onnx_model import open_onnx
from thawline.use.service.connection import GuardedProtocol
from thawline.use.service.serve import serve

SERVE = """
import sys
from thawline.cli.app import main
code = main(sys.argv[1:])
print("torch" in sys.modules)
sys.exit(code)
"""


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


def test_the_command_answers_without_torch_and_ends_when_told(drawn_onnx, drawn_model, picture, tmp_path):
    with running(drawn_onnx) as (process, address):
        status, said = post(address, {"a.jpg": picture(40), "b.jpg": b"no picture"})
        broken = socket.create_connection((address[1], int(address[2])))
        broken.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\nhalf")
        broken.close()
        again, _ = post(address, {"a.jpg": picture(40)})
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
    (tmp_path / "a.jpg").write_bytes(picture(40))
    (wanted,) = thawline.predict(drawn_model, tmp_path / "a.jpg")
    assert (status, again) == (200, 200)
    assert said["predictions"][0]["probabilities"] == pytest.approx(wanted.probabilities, abs=1e-3)
    assert said["predictions"][1]["error"] == "text, not a picture"
    assert out.split() == ["False"], "torch was loaded"
    assert process.returncode == 0
    assert "Traceback" not in err


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_0_after_the_requests_in_flight_whatever_else_is_half_sent(drawn_onnx, picture, stop):
    form = (
        b'--x\r\nContent-Disposition: form-data; name="pictures"; filename="a.jpg"\r\n\r\n'
        + picture(3)
        + b"\r\n--x--\r\n"
    )
    head = (
        f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(form)}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    with running(drawn_onnx) as (process, address):
        place = (address[1], int(address[2]))
        with (
            socket.create_connection(place) as half,
            socket.create_connection(place) as honest,
            socket.create_connection(place),
        ):
            half.sendall(head.encode() + b"half")
            honest.sendall(head.encode() + form[:-5])
            post(address, {"a.jpg": b""})  # once this is answered, what came before was read
            process.send_signal(stop)
            honest.sendall(form[-5:])
            reply = honest.recv(1 << 16)
            _, err = process.communicate(timeout=600)
    assert (reply[9:12], process.returncode) == (b"200", 0)
    assert len(err.splitlines()) <= 1, "the address alone was told"


def test_others_are_let_in_with_the_token_only(drawn_onnx, tmp_path):
    with pytest.raises(
        UsageError, match=r"^serve: 0\.0\.0\.0 lets other machines in, and no token is set\. Pass --token-file"
    ):
        serve(drawn_onnx, host="0.0.0.0", port=0, ready=print)
    token = tmp_path / "token"
    token.write_text("right\n")
    token.chmod(0o600)
    with running(drawn_onnx, "--host", "0.0.0.0", "--token-file", str(token), "--allowed-host", "a.example") as (
        _,
        address,
    ):
        for words, status in (
            ({}, 401),
            ({"Authorization": "Bearer wrong"}, 401),
            ({"Authorization": "Bearer right"}, 200),
            ({"Authorization": "Bearer right", "Host": "a.example:80"}, 200),
            ({"Authorization": "Bearer right", "Host": "b.example"}, 400),
        ):
            connection = http.client.HTTPConnection("127.0.0.1", int(address[2]), timeout=600)
            connection.request("GET", "/health", headers=words)
            assert connection.getresponse().status == status
            connection.close()


def test_a_refusal_is_one_line_and_the_exit_code_of_wrong_usage(drawn_onnx, tmp_path, capsys):
    from thawline.cli.app import main

    (tmp_path / "empty").touch(mode=0o600)
    for words in (
        ["--host", "0.0.0.0"],
        ["--token-file", str(tmp_path / "empty")],
        ["--allowed-host", "*"],
        ["--port", "70000"],
    ):
        assert main(["serve", str(drawn_onnx), *words]) == 2
        assert re.fullmatch(r"thawline: serve: [^\n]+\n", capsys.readouterr().err)


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("localhost", "localhost")])
def test_the_server_is_told_what_it_needs(drawn_onnx, monkeypatch, host, shown):
    addresses, servers = [], []

    def run(server, sockets):
        servers.append((server.config, sockets[0].getsockname()))
        raise KeyboardInterrupt

    monkeypatch.setattr(uvicorn.Server, "run", run)
    before = signal.getsignal(signal.SIGTERM)
    try:
        serve(drawn_onnx, host=host, port=0, ready=addresses.append)
    except UsageError as error:
        if host != "::1" or "cannot be listened on" not in str(error):
            raise
        pytest.skip("no IPv6 here")
    ((config, place),) = servers
    assert addresses == [f"http://{shown}:{place[1]}"]
    assert config.http.func is GuardedProtocol
    assert (config.ws, config.access_log, config.server_header, config.proxy_headers) == ("none", False, False, False)
    assert (config.timeout_keep_alive, config.timeout_graceful_shutdown) == (5, 30)
    assert signal.getsignal(signal.SIGTERM) is before


def test_without_the_extra_it_is_named(drawn_onnx, monkeypatch):
    monkeypatch.delitem(sys.modules, "thawline.use.service.application", raising=False)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(UsageError, match=r"fastapi, uvicorn, .* are required .*thawline\[serve\]"):
        thawline.serve(drawn_onnx, ready=print)


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
    written = thawline.export(result.out, "onnx-tensor")
    assert written.path.resolve() == (result.out / "exports" / "model-tensor.onnx").resolve()
    model = open_onnx(written.path)
    paths = [
        path
        for folder in sorted((shared_data / "monkeys" / "validation").iterdir())
        for path in sorted(folder.iterdir())
    ]
    rows = list(thawline.predict(result.out / "model", paths))
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


FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@contextmanager
def opened_page(address):
    """Yield the service's page in Chromium; nothing may go wrong there, and nothing be asked of anyone else."""
    chromium = os.environ.get("THAWLINE_CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.skip("no Chromium: install `chromium` or set THAWLINE_CHROMIUM to its path")
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split(), timeout=600_000)
        page = browser.new_page(viewport={"width": 360, "height": 800})
        page.set_default_timeout(600_000)  # for a busy machine
        wrong, asked = [], []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address[0])
        yield page
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert [text for text in wrong if "status of 401" not in text and "status of 422" not in text] == []
        assert all(url.startswith((address[0], "blob:", "data:")) for url in asked)
        browser.close()


@pytest.mark.browser
def test_the_page_shows_bars_and_errors(drawn_onnx, picture, tmp_path):
    (tmp_path / "good <b>.jpg").write_bytes(picture(5))
    (tmp_path / "bad.jpg").write_text("no picture")
    (tmp_path / "large.jpg").write_bytes(bytes(33 << 20))
    files = [tmp_path / name for name in ("good <b>.jpg", "bad.jpg", "large.jpg")]
    with running(drawn_onnx) as (_, address), opened_page(address) as page:
        page.get_by_text("3 classes: cross").wait_for()
        assert page.locator("#token").is_hidden()
        page.set_input_files("#files", files)
        page.get_by_text("the file is too large for the service").wait_for()
        page.locator("#progress").wait_for(state="hidden")
        good, bad, _ = page.locator(".card").all()
        assert good.locator(".row").count() == 3
        assert good.locator(".file").inner_text() == "good <b>.jpg"
        assert good.locator(".bar i").first.evaluate("bar => bar.style.width") != ""
        assert good.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 70
        assert [bad.locator(name).inner_text() for name in ("h3", ".error")] == ["No answer", "Text, not a picture."]


@pytest.mark.browser
def test_the_page_asks_for_the_token(drawn_onnx, picture, tmp_path):
    (tmp_path / "token").write_text("right")
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "good.jpg").write_bytes(picture(5))
    with running(drawn_onnx, "--token-file", str(tmp_path / "token")) as (_, address), opened_page(address) as page:
        page.locator("#model", has_text="a token is needed").wait_for()
        page.fill("#token", "wrong")
        page.get_by_role("button", name="Open").click()
        page.locator("#model", has_text="the token is wrong").wait_for()
        page.fill("#token", "right")
        page.keyboard.press("Enter")
        page.get_by_text("3 classes: cross").wait_for()
        assert page.locator("#token").is_hidden()
        page.set_input_files("#files", [tmp_path / "good.jpg"])
        page.locator(".card .row").first.wait_for()
