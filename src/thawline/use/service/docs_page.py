"""The description of the service (OpenAPI) -> a page that people read, and its route.

One idea: the page is plain HTML, made here: it runs no script and requests nothing from anywhere.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from thawline.use.page.answer_page import page_policy

if TYPE_CHECKING:
    from thawline.use.service.served import Served

__all__ = ["docs_html", "docs_routes"]

STYLE = """
:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}
h2{margin:2rem 0 .2rem;font-size:1.05rem}
code,pre{font-family:ui-monospace,monospace;font-size:.9em}
pre{overflow:auto;padding:.7rem;border:1px solid #8886;border-radius:.4rem}
p{margin:.3rem 0}
"""


def docs_routes(served: Served) -> APIRouter:
    """Return the routes of the page and of the same for programs.

    Args:
        served: What answers; the page says its name and limits.
    """
    router = APIRouter()

    known: dict[str, bytes] = {}  # made once: strangers may ask for it again and again

    @router.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        if "page" not in known:
            known["page"] = docs_html(request.app.openapi(), model=served.name).encode()
        policy = page_policy(known["page"].decode())
        return Response(known["page"], media_type="text/html", headers={"Content-Security-Policy": policy})

    @router.get("/openapi.json", include_in_schema=False)
    async def described(request: Request) -> Response:
        if "json" not in known:
            known["json"] = json.dumps(request.app.openapi()).encode()
        return Response(known["json"], media_type="application/json")

    return router


def docs_html(described: dict[str, Any], *, model: str) -> str:
    """Return the page.

    Args:
        described: The service as OpenAPI describes it.
        model: Name of the model.
    """
    routes = "\n".join(_routes(described, model))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Thawline: the service</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>\n'
        f"<h1>What this service answers</h1>\n<p>Model: <code>{html.escape(model)}</code>. The same for programs: "
        '<a href="openapi.json">openapi.json</a>. <a href="./">The page to try it</a>.</p>\n'
        f"{routes}\n</body></html>\n"
    )


def _routes(described: dict[str, Any], model: str) -> Iterator[str]:
    for path, methods in described["paths"].items():
        for method, facts in methods.items():
            shown = html.escape(path.replace("{name}", model))
            yield f"<h2><code>{method.upper()} {shown}</code></h2>"
            yield f"<p>{_marked(facts.get('description', facts.get('summary', '')))}</p>"
            for kind, body in facts.get("requestBody", {}).get("content", {}).items():
                yield f"<p>Body: <code>{html.escape(kind)}</code></p>"
                for name, field in body["schema"].get("properties", {}).items():
                    yield f"<p>Field <code>{html.escape(name)}</code>: {_marked(field['description'])}</p>"
                if "example" in body:
                    yield f"<pre>{html.escape(json.dumps(body['example'], indent=2))}</pre>"


def _marked(text: str) -> str:
    """Return a text as HTML, what stands between backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text))
