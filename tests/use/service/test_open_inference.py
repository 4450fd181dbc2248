"""The Open Inference Protocol: the same answers in every form of input, and Triton's own client gets them."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from thawline.use.exports.export_model import export
from thawline.use.onnx_model import open_onnx
from thawline.use.service.application import make_app
from thawline.use.service.gate import Limits
from thawline.use.service.served import Served


@pytest.fixture(scope="module")
def served(drawn_onnx):
    with closing(Served(open_onnx(drawn_onnx), Limits(max_pictures=3), name="drawn")) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(served):
    with TestClient(make_app(served), base_url="http://localhost") as opened:
        yield opened


def infer(client, *inputs, model="drawn", **more):
    return client.post(f"/v2/models/{model}/infer", json={"inputs": list(inputs), **more})


def tensor(name, datatype, shape, data):
    return {"name": name, "datatype": datatype, "shape": list(shape), "data": data}


def encoded(*pictures):
    return tensor("pictures", "BYTES", [len(pictures)], [base64.b64encode(data).decode() for data in pictures])


def outputs(response):
    assert response.status_code == 200, response.text
    return {one["name"]: one for one in response.json()["outputs"]}


def test_the_service_and_its_model_are_described(client, drawn_model):
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    for place in ("/v2/models/drawn", "/v2/models/drawn/versions/1"):
        said = client.get(place).json()
        assert (said["name"], said["versions"]) == ("drawn", ["1"])
        assert [(one["name"], one["shape"]) for one in said["inputs"]] == [
            ("pictures", [-1]),
            ("raw", [-1, -1, -1, 3]),
            ("pixels", [-1, 64, 64, 3]),
        ]
        assert [one["name"] for one in said["outputs"]] == ["probabilities", "label", "doubt"]
        assert said["parameters"]["class_names"] == list(drawn_model.class_names)
    for place in ("/v2/models/other", "/v2/models/drawn/versions/2", "/v2/models/other/ready"):
        response = client.get(place)
        assert response.status_code == 404
        assert response.json()["error"] == "no such model; version 1 of `drawn` is here"


def test_it_is_live_and_ready_until_it_is_told_to_end(client, served):
    for place in ("live", "ready"):
        assert client.get(f"/v2/health/{place}").status_code == 200
    served.is_draining = True
    try:
        assert [
            client.get(f"/v2/{place}").status_code for place in ("health/live", "health/ready", "models/drawn/ready")
        ] == [200, 503, 503]
        assert client.get("/health").json()["status"] == "draining"
    finally:
        served.is_draining = False


def test_encoded_raw_and_prepared_pictures_get_the_answers_of_predict(client, served, picture):
    pictures = [picture(1), picture(2)]
    rows = [
        client.post("/predict", content=data, headers={"content-type": "image/jpeg"}).json()["predictions"][0]
        for data in pictures
    ]
    names = served.model.class_names
    wanted = [row["probabilities"][name] for row in rows for name in names]
    raw = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in pictures]
    pixels = np.stack([served.model.prepare(data)[0][0] for data in pictures])
    for given in (
        encoded(*pictures),
        tensor("raw", "UINT8", [2, 50, 70, 3], np.stack(raw).ravel().tolist()),
        tensor("pixels", "UINT8", [2, 64, 64, 3], pixels.tolist()),
    ):
        response = infer(client, given, id="mine")
        found = outputs(response)
        assert response.json()["id"] == "mine"
        assert response.json()["model_name"] == "drawn"
        assert found["probabilities"]["shape"] == [2, 3]
        assert found["probabilities"]["data"] == pytest.approx(wanted, abs=1e-6)
        assert found["label"]["data"] == [row["label"] for row in rows]
        assert found["doubt"]["data"] == ["", ""]


def test_only_the_outputs_that_are_asked_for_are_sent(client, picture):
    response = infer(client, encoded(picture(1)), outputs=[{"name": "label"}])
    assert list(outputs(response)) == ["label"]
    assert response.json()["id"] == response.headers["x-request-id"]
    response = infer(client, encoded(picture(1)), outputs=[{"name": "nothing"}])
    assert (response.status_code, response.json()["error"]) == (
        400,
        "no output is called `nothing`; there are probabilities, label, doubt",
    )


def test_doubts_come_as_predict_has_them(doubting_model, picture, tmp_path):
    file = export(doubting_model("features"), "onnx-tensor", out=tmp_path / "doubting.onnx").path
    with (
        closing(Served(open_onnx(file), Limits(), name="d")) as served,
        TestClient(make_app(served), base_url="http://localhost") as client,
    ):
        pictures = [picture(seed) for seed in range(12)]
        found = outputs(infer(client, encoded(*pictures), model="d"))
        rows = [
            client.post("/predict", content=data, headers={"content-type": "image/jpeg"}).json()["predictions"][0]
            for data in pictures
        ]
    assert found["doubt"]["data"] == [row.get("doubt", "") for row in rows]
    assert len(set(found["doubt"]["data"])) > 1
    assert found["outside"]["data"] == pytest.approx([row["outside"] for row in rows], abs=1e-6)


@pytest.mark.parametrize(
    ("given", "status", "reason"),
    [
        (encoded(), 400, "there is no picture in the request"),
        (encoded(b"a", b"b", b"c", b"d"), 413, "4 pictures are more than the 3 allowed in a request"),
        (encoded(b"a"), 422, "picture 1 of 1: "),
        (tensor("image", "BYTES", [1], ["YQ=="]), 400, "the inputs are image; required is one of: `pictures` (BYTES"),
        (tensor("raw", "UINT8", [1, 2, 3], [1] * 6), 400, "the shape of input `raw` must be [pictures,"),
        (tensor("raw", "UINT8", [1, 0, 2, 3], []), 400, "the shape of input `raw` must be [pictures,"),
        (tensor("raw", "FP32", [1, 1, 1, 3], [1] * 3), 400, "input `raw` is FP32; UINT8 is required"),
        (tensor("pixels", "UINT8", [1, 2, 2, 3], [1] * 12), 400, "the shape of input `pixels` must be"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_an_error_of_the_protocol(client, given, status, reason):
    response = infer(client, given)
    assert (response.status_code, response.json()["error"][: len(reason)]) == (status, reason)
    assert response.json()["detail"] == response.json()["error"]


def test_a_compressed_body_is_refused_in_a_sentence(client):
    response = client.post("/v2/models/drawn/infer", content=b"{}", headers={"content-encoding": "gzip"})
    assert response.status_code == 415
    assert "send it as it is" in response.json()["error"]


def test_several_preparations_are_several_inputs(joined_model, picture, tmp_path):
    file = export(joined_model, "onnx-tensor", out=tmp_path / "joined.onnx").path
    with (
        closing(Served(open_onnx(file), Limits(), name="j")) as served,
        TestClient(make_app(served), base_url="http://localhost") as client,
    ):
        prepared, _ = served.model.prepare(picture(1))
        names = ["pixels", *(f"pixels_{number}" for number in range(2, len(prepared) + 1))]
        given = [
            tensor(name, "UINT8", [1, *one.shape], one.tolist()) for name, one in zip(names, prepared, strict=True)
        ]
        assert len(given) > 1
        found = outputs(infer(client, *given, model="j"))
        wanted = outputs(infer(client, encoded(picture(1)), model="j"))
        assert found["probabilities"]["data"] == pytest.approx(wanted["probabilities"]["data"], abs=1e-6)
        assert infer(client, given[0], model="j").status_code == 400


TRITON = """
import json, sys
import numpy as np
import tritonclient.http as http

address, name, *files = sys.argv[1:]
client = http.InferenceServerClient(address)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(name)
facts = client.get_model_metadata(name)
data = [open(file, "rb").read() for file in files]

def ask(values, *, binary, outputs=None):
    kind = "BYTES" if values.dtype == object else "UINT8"
    given = http.InferInput("pictures" if kind == "BYTES" else "raw", list(values.shape), kind)
    given.set_data_from_numpy(values, binary_data=binary)
    result = client.infer(name, [given], outputs=outputs, request_id="seven")
    return result

whole = ask(np.array(data, dtype=object), binary=True)
wanted = [http.InferRequestedOutput("label", binary_data=False), http.InferRequestedOutput("probabilities")]
some = ask(np.array(data, dtype=object), binary=True, outputs=wanted)
assert some.as_numpy("doubt") is None
assert (some.as_numpy("probabilities") == whole.as_numpy("probabilities")).all()
raw = ask(np.zeros((2, 40, 50, 3), dtype=np.uint8), binary=True)
try:
    client.infer("other", [http.InferInput("pictures", [0], "BYTES")])
    error = ""
except Exception as refused:
    error = str(refused)
print(json.dumps({
    "outputs": [one["name"] for one in facts["outputs"]],
    "id": whole.get_response()["id"],
    "probabilities": whole.as_numpy("probabilities").tolist(),
    "labels": [text.decode() for text in whole.as_numpy("label")],
    "some": list(map(str, some.as_numpy("label"))),
    "raw": list(raw.as_numpy("probabilities").shape),
    "error": error,
}))
"""


@pytest.mark.skipif(find_spec("tritonclient") is None, reason="tritonclient is not installed")
def test_tritons_client_gets_the_same_answers(drawn_onnx, picture, tmp_path):
    files = [tmp_path / f"{seed}.jpg" for seed in (1, 2)]
    for seed, file in enumerate(files, start=1):
        file.write_bytes(picture(seed))
    call = [sys.executable, "-m", "thawline", "serve", str(drawn_onnx), "--port", "0"]
    with subprocess.Popen(call, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = re.search(r"http://(\S+)", process.stderr.readline())[1]
            done = subprocess.run(
                [sys.executable, "-c", TRITON, address, "run", *files], capture_output=True, text=True, check=False
            )
        finally:
            process.kill()
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    model = open_onnx(drawn_onnx)
    rows = [model.predict("a", file.read_bytes()) for file in files]
    assert said["outputs"] == ["probabilities", "label", "doubt"]
    assert said["id"] == "seven"
    for found, row in zip(said["probabilities"], rows, strict=True):
        assert found == pytest.approx([row.probabilities[name] for name in model.class_names], abs=1e-5)
    assert said["labels"] == said["some"] == [row.label for row in rows]
    assert said["raw"] == [2, 3]
    assert "no such model; version 1 of `run` is here" in said["error"]
