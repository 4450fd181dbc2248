"""An exported model -> an ASGI application: a health check, predictions, and a page to drop pictures on.

One idea: pictures go through the same decoder as in training, then through the ONNX file. What strangers send is
bounded in three places: `connection` by time, `gate` by who they are and how much it is, `turns` by how many pictures
are decoded at once.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.requests import ClientDisconnect

from thawline.core.version import __version__
from thawline.use.onnx_model import OnnxModel
from thawline.use.page.answer_page import engine_script, page_html, page_policy, plain_words
from thawline.use.service.access import Access
from thawline.use.service.gate import Gate, Limits
from thawline.use.service.refusal import RefusedError
from thawline.use.service.turns import Turns
from thawline.use.service.upload import FIELD, read_pictures

__all__ = ["make_app", "page_policy"]

TITLE = "What is in this picture?"
BUG = RefusedError(500, "a bug of the service; its log says more")

FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            }
        },
    }
}


def make_app(model: OnnxModel, limits: Limits, *, access: Access | None = None) -> Gate:
    """Return the service as an ASGI application.

    `GET /health` returns the facts of the model; `POST /predict` takes the form field `pictures`, once or more often,
    and returns a row a picture in their order, as `thawline predict --json` does; a picture that cannot be read gets a
    row with its error. `GET /` is a page to try it. Refusals are JSON, `{"detail": …}`: 400: no HTTP or no form, or a
    host that is not ours; 401: no token; 403: another site's page; 408: the body does not arrive; 411: the request has
    no length; 413: too much; 422: none could be read; 503, with `Retry-After`: too busy.

    Args:
        model: What answers.
        limits: The largest request that is answered.
        access: Who is answered; by default whoever calls the service by a name of this machine's loopback.
    """
    app = FastAPI(title="Thawline", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False)
    page = page_html(engine_script("engine_service.js"), title=TITLE)
    policy, facts = page_policy(page), model.facts
    words = plain_words(facts.class_names, strategy=facts.strategy, backbone=facts.backbone, doubt=facts.doubt)
    turns = Turns(partial(model.predict, max_megapixels=limits.max_megapixels))

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {
            "status": "ready",
            "thawline": __version__,
            "strategy": facts.strategy,
            "backbone": facts.backbone,
            "manifest_seal": facts.manifest_seal,
            "class_names": facts.class_names,
            "words": words,
            "limits": asdict(limits),
        }

    @app.post("/predict", openapi_extra=FORM)
    async def predict(request: Request) -> JSONResponse:
        rows = await turns.predict(await read_pictures(request, limits), request.receive)
        status = 422 if all(row.error for row in rows) else 200
        return JSONResponse({"predictions": [row.to_json() for row in rows]}, status)

    @app.get("/", response_class=HTMLResponse)
    async def front() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})

    @app.exception_handler(RefusedError)
    async def refuse(_: Request, refusal: RefusedError) -> Response:
        return Response(refusal.body(), refusal.status, refusal.headers, "application/json")

    @app.exception_handler(ClientDisconnect)
    async def leave(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody is left to read it

    @app.exception_handler(Exception)
    async def fail(_: Request, __: Exception) -> Response:
        return Response(BUG.body(), BUG.status, media_type="application/json")

    return Gate(app, access or Access(), limits=limits)
