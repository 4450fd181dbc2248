"""The description of the service (OpenAPI) -> a page that people read, and its route.

One idea: the page is plain HTML, made here: it runs no script and requests nothing from anywhere.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

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
    """Return the route of the page.

    Args:
        served: What answers; the page says its name and limits.
    """
    router = APIRouter()

    @router.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        page = docs_html(request.app.openapi(), model=served.name)
        return HTMLResponse(page, headers={"Content-Security-Policy": page_policy(page)})

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
            yield f"<p>{html.escape(facts.get('description', facts.get('summary', '')))}</p>"
            for kind, body in facts.get("requestBody", {}).get("content", {}).items():
                yield f"<p>Body: <code>{html.escape(kind)}</code></p>"
                schema = body.get("example") or body["schema"]
                if kind != "image/*":
                    yield f"<pre>{html.escape(json.dumps(schema, indent=2))}</pre>"
