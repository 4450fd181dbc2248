"""The page that describes the service: all routes, no script, nothing from elsewhere."""

from __future__ import annotations

import re
from contextlib import closing

from starlette.testclient import TestClient

from thawline.use.onnx_model import open_onnx
from thawline.use.service.application import make_app
from thawline.use.service.docs_page import docs_html
from thawline.use.service.gate import Limits
from thawline.use.service.served import Served


def test_every_route_is_described_and_nothing_is_requested(drawn_onnx):
    with (
        closing(Served(open_onnx(drawn_onnx), Limits(), name="birds")) as served,
        TestClient(make_app(served), base_url="http://localhost") as client,
    ):
        page = client.get("/docs")
        described = client.get("/openapi.json").json()["paths"]
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'none'" in page.headers["content-security-policy"]
    assert not re.findall(r"""<script|(?:src|href)=["'](?!openapi\.json|\./)|https?://|url\(""", page.text)
    for path in described:
        assert path.replace("{name}", "birds") in page.text
    assert "<p>Field <code>pictures</code>: one file or several; the fields picture," in page.text
    assert {
        "/health",
        "/predict",
        "/metrics",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/{name}",
        "/v2/models/{name}/ready",
        "/v2/models/{name}/infer",
    } <= set(described)
    for facts in described.values():
        for method in facts.values():
            assert len(method["description"]) > 15


def test_what_it_says_is_text():
    page = docs_html({"paths": {"/<b>": {"get": {"description": "<script> `x`"}}}}, model="<i>")
    assert "&lt;script&gt; <code>x</code>" in page
    assert "<b>" not in page
    assert "<script>" not in page
    assert "<i>" not in page
