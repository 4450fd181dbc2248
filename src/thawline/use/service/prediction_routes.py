"""Routes of the service's own: predictions, the facts of the model, its numbers, and the page to try it.

One idea: a route only reads what was sent and writes what is answered; the answer comes from `Served`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from thawline.use.page.answer_page import engine_script, page_html, page_policy
from thawline.use.service.counters import METRICS_TYPE
from thawline.use.service.upload import FIELD, FIELDS, read_pictures

if TYPE_CHECKING:
    from thawline.use.service.served import Served

__all__ = ["prediction_routes"]

TITLE = "What is in this picture?"
FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}
MORE_FIELDS = f"one file or several; the fields {', '.join(FIELDS[1:])} will do as well"
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {**FILES, "description": MORE_FIELDS}},
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def prediction_routes(served: Served) -> APIRouter:
    """Return the routes.

    Args:
        served: What answers.
    """
    router = APIRouter(tags=["Predictions"])
    page = page_html(engine_script("engine_service.js"), title=TITLE)
    policy = page_policy(page)

    @router.get("/health")
    async def health() -> dict[str, Any]:
        """What the model is, in facts and in words, what a request may hold, and how what arrives looks."""
        return served.facts()

    @router.post("/predict", openapi_extra=BODY)
    async def predict(request: Request) -> JSONResponse:
        """A row a picture, in their order, as `thawline predict --json` has them."""
        rows = await served.answer(await read_pictures(request, served.limits), request)
        status = 422 if all(row.error for row in rows) else 200
        return JSONResponse({"predictions": [row.to_json() for row in rows]}, status)

    @router.get("/metrics")
    async def metrics() -> Response:
        """Numbers for Prometheus."""
        return Response(served.metrics(), headers={"content-type": METRICS_TYPE})

    @router.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def front() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})

    return router
