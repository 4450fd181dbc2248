"""A model that is served -> an ASGI application: predictions, a page, the Open Inference Protocol, numbers.

One idea: pictures go through the same decoder as in training, then through the ONNX file. What strangers send is
bounded in three places: `connection` by time, `gate` by who they are and how much it is, `turns` by how many pictures
are decoded at once. Each group of routes is a module of its own, and `ROUTES` lists them.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from thawline.core.version import __version__
from thawline.use.service.access import Access
from thawline.use.service.docs_page import docs_routes
from thawline.use.service.gate import Gate
from thawline.use.service.looks_routes import looks_routes
from thawline.use.service.neighbours_routes import neighbours_routes
from thawline.use.service.open_inference import open_inference_routes
from thawline.use.service.prediction_routes import prediction_routes
from thawline.use.service.refusal import RefusedError
from thawline.use.service.served import Served

__all__ = ["ROUTES", "make_app"]

BUG = RefusedError(500, "a bug of the service; its log says more")
LEFT = 499

ROUTES: tuple[Callable[[Served], APIRouter], ...] = (
    prediction_routes,
    looks_routes,
    neighbours_routes,
    open_inference_routes,
    docs_routes,
)


def make_app(served: Served, *, access: Access | None = None) -> Gate:
    """Return the service as an ASGI application.

    `POST /predict` takes a form with pictures, or one as the body, and returns a row a picture in their order, as
    `thawline predict --json` does; a picture that cannot be read gets a row with its error. `GET /health` returns the
    facts of the model, `POST /looks` where it looks on a picture, `POST /neighbours` training
    pictures that are like it, `/metrics` numbers for Prometheus, `/v2/…` speaks
    the Open Inference Protocol, `/docs` and `/openapi.json` describe all of it, and `GET /` is a page to try it.
    Refusals are JSON, `{"detail": …}`: 400: no HTTP or no form, or a host that is not ours; 401: no token; 403:
    another site's page; 404: no such place; 408: the body does not arrive; 411: the request has no length; 413: too
    much; 415: compressed; 422: none could be read; 503, with `Retry-After`: too busy.

    Args:
        served: What answers.
        access: Who is answered; by default whoever calls the service by a name of this machine's loopback.
    """
    app = FastAPI(title="Thawline", version=__version__, openapi_url=None, redirect_slashes=False)
    routers = [routes(served) for routes in ROUTES]
    for router in routers:
        app.include_router(router)

    @app.exception_handler(RefusedError)
    async def refuse(request: Request, refusal: RefusedError) -> Response:
        return Response(refusal.body(request.url.path), refusal.status, refusal.headers, "application/json")

    @app.exception_handler(ClientDisconnect)
    async def leave(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=LEFT)  # nobody is left to read it

    @app.exception_handler(Exception)
    async def fail(request: Request, __: Exception) -> Response:
        return Response(BUG.body(request.url.path), BUG.status, media_type="application/json")

    served.knows_paths([getattr(route, "path", "") for router in routers for route in router.routes])
    return Gate(app, access or Access(), limits=served.limits, end=served.end)
