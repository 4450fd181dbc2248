"""Tensors of the Open Inference Protocol: what they claim is checked, and what is read is what was sent."""

from __future__ import annotations

import base64
import json
import random
import struct

import numpy as np
import pytest

from thawline.use.service import inference_tensors as tensors_module
from thawline.use.service.inference_tensors import read_request, reply_body
from thawline.use.service.refusal import RefusedError


def body(*inputs, **more):
    return json.dumps({"inputs": list(inputs), **more}).encode()


def tensor(name="x", datatype="UINT8", shape=(2,), **more):
    return {"name": name, "datatype": datatype, "shape": list(shape), **more}


def binary(size):
    return {"parameters": {"binary_data_size": size}}


def refused(data, length=None, read=lambda asked: None):
    with pytest.raises(RefusedError) as refusal:
        read(read_request(data, length))
    return refusal.value.status, refusal.value.reason


CLASSIFIED = {"name": "a", "parameters": {"classification": 3}}


def texts(asked):
    return asked.inputs["x"].texts()


def pixels(asked):
    return asked.inputs["x"].pixels()


@pytest.mark.parametrize(
    "data", [[1, 2, 3, 4, 255, 0], [[[1], [2]], [[3], [4]], [[255], [0]]], [[1, 2], [3, 4], [255, 0]]]
)
def test_numbers_come_flat_nested_or_as_bytes(data):
    wanted = np.array([[1, 2], [3, 4], [255, 0]], dtype=np.uint8)
    found = pixels(read_request(body(tensor(shape=(3, 2), data=data)), None))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, wanted)
    head = body(tensor(shape=(3, 2), **binary(6)))
    np.testing.assert_array_equal(pixels(read_request(head + wanted.tobytes(), str(len(head)))), wanted)


def test_texts_come_in_base64_or_as_bytes():
    wanted = [b"\xff\xd8", b"", b"abc"]
    coded = [base64.b64encode(text).decode() for text in wanted]
    assert texts(read_request(body(tensor(datatype="BYTES", shape=(3,), data=coded)), None)) == wanted
    coded = [{"b64": text} for text in coded]
    assert texts(read_request(body(tensor(datatype="BYTES", shape=(3, 1), data=[[c] for c in coded])), None)) == wanted
    data = b"".join(struct.pack("<I", len(text)) + text for text in wanted)
    head = body(tensor(datatype="BYTES", shape=(3,), **binary(len(data))), tensor("y", **binary(2)))
    asked = read_request(head + data + b"\x01\x02", str(len(head)))
    assert texts(asked) == wanted
    assert asked.inputs["y"].pixels().tolist() == [1, 2]


def test_names_outputs_and_parameters_are_read():
    asked = read_request(
        body(tensor(data=[1, 2]), id="7", outputs=[{"name": "a"}, {"name": "b", "parameters": {"binary_data": True}}]),
        None,
    )
    assert (asked.id, asked.outputs, asked.is_binary) == ("7", {"a": False, "b": True}, False)
    asked = read_request(body(tensor(data=[1, 2]), parameters={"binary_data_output": True}), None)
    assert (asked.id, asked.outputs, asked.is_binary) == (None, None, True)


@pytest.mark.parametrize(
    ("data", "length", "read", "reason"),
    [
        (b"{", None, None, "the request is not JSON as it must be"),
        (b"[" * 100_000, None, None, "the request is not JSON as it must be"),
        (b"\xff\xfe", None, None, "the request is not JSON as it must be"),
        (b"[]", None, None, "the request must be a JSON object with `inputs`"),
        (b"{}", None, None, "the request has no `inputs`"),
        (b'{"inputs": {}}', None, None, "`inputs` of the request is not list"),
        (body(1), None, None, "input 1 is not a JSON object"),
        (body({"name": "x"}), None, None, "input 1 has no `datatype`"),
        (body(tensor(shape=(-1,), data=[])), None, None, "`shape` of input 1 must be at most 8 whole numbers"),
        (body(tensor(shape=(True,), data=[])), None, None, "`shape` of input 1 must be at most 8 whole numbers"),
        (body(tensor(shape=(1,) * 9, data=[])), None, None, "`shape` of input 1 must be at most 8 whole numbers"),
        (body(tensor()), None, None, "input 1 has no `data`"),
        (body(tensor(data="ab")), None, None, "`data` of input 1 is not list"),
        (body(tensor(**binary(5))), None, None, "input 1 has 0 bytes left behind the JSON, and claims 5"),
        (body(tensor(**binary(True))), None, None, "`binary_data_size` of the parameters of input 1 is not int"),
        (body(tensor(data=[1, 2]), tensor(data=[1, 2])), None, None, "two inputs have the same name"),
        (body(tensor(data=[1, 2])) + b"xx", "60", None, "the request is not JSON as it must be"),
        (body(tensor(data=[1, 2])), "9999", None, "Inference-Header-Content-Length must be a number of at most"),
        (body(tensor(data=[1, 2])), "-1", None, "Inference-Header-Content-Length must be a number of at most"),
        (body(tensor(data=[1, 2])), "٣", None, "Inference-Header-Content-Length must be a number of at most"),
        (body(tensor(data=[1, 2]), outputs=[CLASSIFIED]), None, None, "`classification` is not"),
        (body(tensor(data=[1, 2]), id=7), None, None, "`id` of the request is not str"),
        (body(tensor(data=[1, 256])), None, pixels, "input `x` must hold whole numbers from 0 to 255"),
        (body(tensor(data=[1, -1])), None, pixels, "input `x` must hold whole numbers from 0 to 255"),
        (body(tensor(data=[1, 0.5])), None, pixels, "input `x` must hold whole numbers from 0 to 255"),
        (body(tensor(data=[[1, 2], [3]])), None, pixels, "input `x` must hold whole numbers from 0 to 255"),
        (body(tensor(data=["a", "b"])), None, pixels, "input `x` must hold whole numbers from 0 to 255"),
        (body(tensor(data=[1, 2, 3])), None, pixels, "input `x` has 3 values, and its shape is 2"),
        (body(tensor(datatype="FP32", data=[1, 2])), None, pixels, "input `x` is FP32; UINT8 is required"),
        (body(tensor(data=[1, 2])), None, texts, "input `x` is UINT8; BYTES is required"),
        (body(tensor(datatype="BYTES", data=["a", "b"])), None, texts, "an element of input `x` is not text in base64"),
        (body(tensor(datatype="BYTES", data=[1, 2])), None, texts, "an element of input `x` is not text in base64"),
        (body(tensor(datatype="BYTES", data=["YQ=="])), None, texts, "input `x` has 1 values, and its shape is 2"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_sentence(data, length, read, reason):
    status, said = refused(data, length, read or (lambda asked: None))
    assert (status, said[: len(reason)]) == (400, reason)


@pytest.mark.parametrize(
    ("data", "reason"), [(b"\x05\0\0\0ab", "claims more bytes than follow"), (b"\x01\0", "ends within the length")]
)
def test_elements_that_do_not_fit_are_refused(data, reason):
    head = body(tensor(datatype="BYTES", **binary(len(data))))
    assert reason in refused(head + data, str(len(head)), texts)[1]


def test_bytes_that_belong_to_no_input_and_too_many_numbers_are_refused(monkeypatch):
    head = body(tensor(**binary(2)))
    assert refused(head + b"abc", str(len(head))) == (400, "1 bytes behind the JSON belong to no input")
    monkeypatch.setattr(tensors_module, "MAX_JSON_VALUES", 5)
    assert refused(body(tensor(data=[1] * 9)))[0] == 413


def test_any_change_of_a_request_is_read_or_refused():
    rng = random.Random(5)
    wanted = b"".join(struct.pack("<I", 3) + b"abc" for _ in range(2))
    head = body(tensor(datatype="BYTES", **binary(len(wanted))), outputs=[{"name": "a"}], parameters={})
    outcomes = set()
    for _ in range(2000):
        data = bytearray(head + wanted)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 3)] = rng.choice([b"", b"[", b'"', b"9", b"-", rng.randbytes(2)])
        try:
            for one in read_request(bytes(data), str(len(head) + rng.choice([0, 0, 1, -1]))).inputs.values():
                one.texts()
            outcomes.add(200)
        except RefusedError as refusal:
            outcomes.add(refusal.status)
    assert outcomes == {200, 400}


def test_a_reply_is_json_or_bytes_behind_it():
    outputs = {"p": np.array([[0.25, 0.75]], dtype=np.float32), "label": ["träne"]}
    data, length = reply_body({"id": "1"}, outputs, binary={"p": False, "label": False})
    assert length is None
    assert json.loads(data) == {
        "id": "1",
        "outputs": [
            {"name": "p", "datatype": "FP32", "shape": [1, 2], "data": [0.25, 0.75]},
            {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["träne"]},
        ],
    }
    data, length = reply_body({}, outputs, binary={"p": True, "label": True})
    described = json.loads(data[:length])["outputs"]
    assert [one["parameters"]["binary_data_size"] for one in described] == [8, 10]
    assert np.frombuffer(data[length : length + 8], dtype="<f4").tolist() == [0.25, 0.75]
    assert data[length + 8 :] == b"\x06\0\0\0" + "träne".encode()
