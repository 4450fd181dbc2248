"""One picture -> the training pictures that lie nearest to it, where the model came with them.

One idea: it is one more pass of the model, so it waits for its turn as every picture does.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request

from thawline.core.types import Floats
from thawline.use.service.prediction_routes import BODY
from thawline.use.service.refusal import RefusedError
from thawline.use.service.upload import read_pictures

if TYPE_CHECKING:
    from thawline.use.service.served import Served

__all__ = ["neighbours_routes"]

SHOWN = 5
NONE_HERE = (
    "this model came without training pictures; whoever exports it may add them: thawline export RUN --to onnx-tensor "
    "--with-neighbours"
)


def neighbours_routes(served: Served) -> APIRouter:
    """Return the route `POST /neighbours`.

    It takes one picture and answers `{"neighbours": [{"label", "similarity", "picture"}, …]}`: the five training
    pictures most like it, most alike first, each with its class, a cosine in [-1, 1], and a thumbnail as a `data:`
    address. Refusals are those of `/predict`, and 501 where the model came without them.

    Args:
        served: What answers.
    """
    router = APIRouter(tags=["Predictions"])

    @router.post("/neighbours", openapi_extra=BODY)
    async def neighbours(request: Request) -> dict[str, Any]:
        """The training pictures most like one picture."""
        known = served.neighbours
        if known is None:
            raise RefusedError(501, NONE_HERE)
        pictures = await read_pictures(request, served.limits)
        if len(pictures) != 1:
            raise RefusedError(422, f"there are {len(pictures):,} pictures in the request; one is required here")
        places: list[Floats] = []
        (row,) = await served.turns.predict([replace(pictures[0], take_place=places.append)], request.receive)
        if row.error:
            raise RefusedError(422, row.error)
        names = served.model.class_names
        found = known.nearest(places[0], k=SHOWN)
        return {
            "neighbours": [
                {
                    "label": names[each.label],
                    "similarity": round(each.similarity, 4),
                    "picture": f"data:image/jpeg;base64,{b64encode(each.thumbnail).decode()}",
                }
                for each in found
            ]
        }

    return router
