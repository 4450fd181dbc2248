"""Routes of the Open Inference Protocol (V2), so that Triton's and KServe's clients can ask a model.

One idea: whatever a client sends, encoded pictures, raw ones or prepared pixels, goes through the turns that all
requests take; raw ones get a header and are pictures from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from thawline.core.types import Floats, Pixels, Prediction
from thawline.core.version import __version__
from thawline.use.service.inference_tensors import BINARY_HEADER, InferenceRequest, Tensor, read_request, reply_body
from thawline.use.service.refusal import RefusedError
from thawline.use.service.turns import Sent

if TYPE_CHECKING:
    from thawline.use.service.served import Served

__all__ = ["open_inference_routes"]

ENCODED, RAW, VERSION = "pictures", "raw", "1"
JSON_EXAMPLE = {
    "inputs": [{"name": ENCODED, "datatype": "BYTES", "shape": [1], "data": ["a picture in base64"]}],
    "outputs": [{"name": "label"}],
}
INFER_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object", "required": ["inputs"]}, "example": JSON_EXAMPLE}
        },
    }
}


def open_inference_routes(served: Served) -> APIRouter:
    """Return the routes.

    Errors are `{"error": …}`, with `detail` as everywhere else.

    Args:
        served: What answers.
    """
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])
    model = "/models/{name}"

    @router.get("")
    async def server() -> dict[str, Any]:
        """What the service is."""
        return {"name": "thawline", "version": __version__, "extensions": ["binary_tensor_data"]}

    @router.get("/health/live")
    async def live() -> dict[str, bool]:
        """Whether the process answers; needs no token."""
        return {"live": True}

    @router.get("/health/ready")
    async def ready() -> JSONResponse:
        """Whether requests may be sent, 200, or it is about to end, 503; needs no token."""
        return JSONResponse({"ready": not served.is_draining}, 503 if served.is_draining else 200)

    @router.get(model)
    @router.get(model + "/versions/{version}", include_in_schema=False)
    async def metadata(name: str, version: str = VERSION) -> dict[str, Any]:
        """What the model takes, in one of three forms, and what it answers."""
        _require_model(served, name, version)
        return {"name": name, "versions": [VERSION], "platform": "thawline_onnx", **_signature(served)}

    @router.get(model + "/ready")
    @router.get(model + "/versions/{version}/ready", include_in_schema=False)
    async def model_ready(name: str, version: str = VERSION) -> JSONResponse:
        """Whether the model answers."""
        _require_model(served, name, version)
        return JSONResponse({"name": name, "ready": not served.is_draining}, 503 if served.is_draining else 200)

    @router.post(model + "/infer", openapi_extra=INFER_BODY)
    @router.post(model + "/versions/{version}/infer", include_in_schema=False)
    async def infer(request: Request, name: str, version: str = VERSION) -> Response:
        """Probabilities, label, and where the model knows them `outside` and `doubt`, of a batch of pictures."""
        _require_model(served, name, version)
        return await _infer(served, request)

    return router


async def _infer(served: Served, request: Request) -> Response:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusedError(415, "compressed bodies are not read: pictures are compressed already; send it as it is")
    asked = read_request(await request.body(), request.headers.get(BINARY_HEADER))
    wanted = _wanted(served, asked)
    rows = await served.answer(_pictures(served, asked), request)
    for number, row in enumerate(rows, start=1):
        if row.error:
            raise RefusedError(422, f"picture {number} of {len(rows)}: {row.error}")
    facts = {
        "model_name": served.name,
        "model_version": VERSION,
        "id": asked.id or request.scope["state"]["request_id"],
    }
    outputs = {output: values for output, values in _outputs(served, rows).items() if output in wanted}
    body, length = reply_body(facts, {output: outputs[output] for output in wanted}, binary=wanted)
    if length is None:
        return Response(body, media_type="application/json")
    return Response(body, headers={BINARY_HEADER: str(length)}, media_type="application/octet-stream")


def _require_model(served: Served, name: str, version: str) -> None:
    if name != served.name or version != VERSION:
        raise RefusedError(404, f"no such model; version {VERSION} of `{served.name}` is here")


def _signature(served: Served) -> dict[str, Any]:
    """Return inputs and outputs as the protocol describes them; -1 is a side of any length."""
    prepared = [
        {"name": name, "datatype": "UINT8", "shape": [-1, side, side, 3]} for name, side in _prepared_inputs(served)
    ]
    count = len(served.model.class_names)
    outputs = [{"name": "probabilities", "datatype": "FP32", "shape": [-1, count]}]
    outputs += [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in ("label", "doubt")]
    if served.knows_outside:
        outputs.append({"name": "outside", "datatype": "FP32", "shape": [-1]})
    return {
        "inputs": [
            {"name": ENCODED, "datatype": "BYTES", "shape": [-1]},
            {"name": RAW, "datatype": "UINT8", "shape": [-1, -1, -1, 3]},
            *prepared,
        ],
        "outputs": outputs,
        "parameters": {
            "class_names": list(served.model.class_names),
            "inputs": _choice(served),
        },
    }


def _choice(served: Served) -> str:
    """Return in words what a request may hold."""
    prepared = " with ".join(f"`{name}`" for name, _ in _prepared_inputs(served))
    ways = [f"`{ENCODED}` (BYTES: encoded pictures)", f"`{RAW}` (UINT8 [pictures, height, width, 3], RGB)"]
    if prepared:
        ways.append(f"{prepared} (UINT8: pictures prepared as the model takes them)")
    return f"one of: {', '.join(ways)}"


def _prepared_inputs(served: Served) -> list[tuple[str, int]]:
    """Return name and side of every input of a graph that takes prepared pixels; none of one that takes pictures."""
    if served.model.facts.takes is not None:
        return []
    names = ["pixels", *(f"pixels_{number}" for number in range(2, len(served.model.inputs) + 1))]
    return [(name, spec.size_px) for name, spec in zip(names, served.model.inputs, strict=True)]


def _wanted(served: Served, asked: InferenceRequest) -> dict[str, bool]:
    """Return the outputs that are asked for, in their order, and whether each comes as bytes."""
    known = [output["name"] for output in _signature(served)["outputs"]]
    wanted = dict.fromkeys(known, asked.is_binary) if asked.outputs is None else dict(asked.outputs)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise RefusedError(400, f"no output is called `{unknown[0][:100]}`; there are {', '.join(known)}")
    return wanted


def _pictures(served: Served, asked: InferenceRequest) -> list[Sent]:
    """Return the pictures of a request, in whichever of the three forms they come."""
    prepared = [name for name, _ in _prepared_inputs(served)]
    names = set(asked.inputs)
    if names == {ENCODED}:
        data = asked.inputs[ENCODED].texts()
    elif names == {RAW}:
        data = [_as_picture(pixels) for pixels in _raw(asked.inputs[RAW])]
    elif prepared and names == set(prepared):
        return _as_prepared(served, [asked.inputs[name] for name in prepared])
    else:
        found = ", ".join(sorted(name[:40] for name in names)) or "none"
        raise RefusedError(
            400,
            f"the inputs are {found}; required is {_choice(served)}",
        )
    served.require_count(len(data))
    return [Sent(f"picture {number}", picture) for number, picture in enumerate(data, start=1)]


def _raw(tensor: Tensor) -> Pixels:
    shape = tensor.shape
    if len(shape) != 4 or shape[3] != 3 or 0 in shape:
        raise RefusedError(400, f"the shape of input `{RAW}` must be [pictures, height, width, 3], each at least 1")
    return tensor.pixels()


def _as_picture(pixels: Pixels) -> bytes:
    """Return (H, W, 3) values as a picture that every decoder knows: a header of PPM, and the values."""
    return b"P6 %d %d 255\n" % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes()


def _as_prepared(served: Served, tensors: Sequence[Tensor]) -> list[Sent]:
    """Return pictures that the client prepared by itself, from a tensor for each input of the graph."""
    batches = []
    for tensor, (name, side) in zip(tensors, _prepared_inputs(served), strict=True):
        if len(tensor.shape) != 4 or tensor.shape[1:] != (side, side, 3) or tensor.shape[0] != tensors[0].shape[0]:
            raise RefusedError(400, f"the shape of input `{name}` must be [pictures, {side}, {side}, 3]")
        batches.append(tensor.pixels())
    served.require_count(len(batches[0]))
    return [Sent(f"picture {number}", b"", views) for number, views in enumerate(zip(*batches, strict=True), start=1)]


def _outputs(served: Served, rows: Sequence[Prediction]) -> dict[str, Floats | list[str]]:
    names = served.model.class_names
    shares = np.array([[row.probabilities[name] for name in names] for row in rows], dtype=np.float32)
    outputs: dict[str, Floats | list[str]] = {
        "probabilities": shares,
        "label": [str(row.label) for row in rows],
        "doubt": [row.doubt or "" for row in rows],
    }
    if served.knows_outside:
        outputs["outside"] = np.array([row.outside for row in rows], dtype=np.float32)
    return outputs
