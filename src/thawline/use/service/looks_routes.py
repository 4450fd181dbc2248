"""One picture -> where the model looks on it, by asking it again with parts of the picture covered.

One idea: covered pictures are pictures. They wait for their turn as all others do, a few at a time, so that a map costs
nobody more than a picture's wait; and there are fewer of them where the model is slow.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import APIRouter, Request

from thawline.core.errors import DataError
from thawline.core.types import Prediction
from thawline.use.answer import Prepared
from thawline.use.occlusion import NUM_HALVES, NUM_WINDOWS, can_look, covered, covers, heat_of_covers, seen
from thawline.use.service.prediction_routes import BODY
from thawline.use.service.refusal import RefusedError, busy
from thawline.use.service.turns import Sent
from thawline.use.service.upload import read_pictures

if TYPE_CHECKING:
    from thawline.use.service.served import Served

__all__ = ["looks_routes"]

AT_ONCE = 16
"""Covered pictures that are in memory at once."""
MAX_WAITING = 8
"""Requests for a map that wait until it is their turn; one is made at a time."""
MAX_MAP_S = 20.0
"""Where all covers would take longer, the halves are left out: the windows alone are a third of the work."""


def looks_routes(served: Served) -> APIRouter:
    """Return the route `POST /looks`.

    It takes one picture and answers `{"label", "probability", "least", "rows", "box"}`: the most probable class, how
    probable it is, and how probable it still is with the one part covered that matters most; 7 rows of 7 numbers from 0
    to 255, how much each part of the square that the model sees speaks for the class; and that square's left, top,
    right and bottom in shares of the picture. Refusals are those of `/predict`, and 501 where there are no maps.

    Args:
        served: What answers.
    """
    router, making = APIRouter(tags=["Predictions"]), asyncio.Semaphore(1)
    num_waiting = 0

    @router.post("/looks", openapi_extra=BODY)
    async def looks(request: Request) -> dict[str, Any]:
        """Where the model looks on one picture."""
        nonlocal num_waiting
        if not can_look(served.model):
            raise RefusedError(
                501, "this model does not say how it prepares pictures, so there is no map of where it looks"
            )
        pictures = await read_pictures(request, served.limits)
        if len(pictures) != 1:
            raise RefusedError(422, f"there are {len(pictures):,} pictures in the request; one is required for a map")
        if num_waiting >= MAX_WAITING:
            raise busy("too many maps are asked for", retry_s=10)
        num_waiting += 1
        try:
            async with making:
                return await _map(served, pictures[0], request)
        finally:
            num_waiting -= 1

    return router


async def _map(served: Served, sent: Sent, request: Request) -> dict[str, Any]:
    most = served.limits.max_megapixels
    try:
        picture = await asyncio.to_thread(seen, served.model, sent.data, max_megapixels=most)
    except DataError as error:
        raise RefusedError(422, str(error)) from None
    begin_s = time.perf_counter()
    (answer,) = await _rows(served, [picture.prepared], request)
    label, share = str(answer.label), float(answer.probability or 0.0)
    slow = (NUM_WINDOWS + NUM_HALVES) * (time.perf_counter() - begin_s) > MAX_MAP_S
    kept = covers(0 if slow else NUM_HALVES)
    shares = []
    for start in range(0, len(kept), AT_ONCE):
        rows = await _rows(served, list(covered(picture, kept[start : start + AT_ONCE])), request)
        shares += [row.probabilities[label] for row in rows]
    heat = heat_of_covers(share, np.array(shares), kept=kept)
    least = min(share, *shares[:NUM_WINDOWS])
    return {"label": label, "probability": share, "least": least, "rows": heat.tolist(), "box": picture.box}


async def _rows(served: Served, prepared: list[Prepared], request: Request) -> list[Prediction]:
    """Return the rows of prepared pictures, which are neither counted nor kept: nobody sent them.

    Raises:
        RefusedError: The model has no answer to one.
    """
    rows = await served.turns.predict([Sent("", b"", one) for one in prepared], request.receive)
    if errors := [row.error for row in rows if row.error]:
        raise RefusedError(422, errors[0])
    return rows
