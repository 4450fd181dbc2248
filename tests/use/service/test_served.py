"""What is served: every way in is counted, looked at for drift and kept for labelling; facts are in plain words."""

from __future__ import annotations

import io
import json
from contextlib import closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from thawline.use.exports.export_model import export
from thawline.use.model_place import ModelPlace
from thawline.use.onnx_model import open_onnx
from thawline.use.service.application import make_app
from thawline.use.service.gate import Limits
from thawline.use.service.request_log import RequestLog
from thawline.use.service.served import Served, model_name
from thawline.use.service.unsure import TABLE, UnsureFolder


@pytest.fixture
def doubting(doubting_model, tmp_path):
    return open_onnx(export(doubting_model("features"), "onnx-tensor", out=tmp_path / "doubting.onnx").path)


def as_body(data):
    return {"content": data, "headers": {"content-type": "image/jpeg"}}


def test_pictures_of_every_way_in_are_counted_kept_and_written_down(doubting, picture, tmp_path):
    stream, folder = io.StringIO(), tmp_path / "unsure"
    served = Served(doubting, Limits(), name="d", unsure=UnsureFolder(folder, note=print), log=RequestLog(stream))
    rows = []
    with closing(served), TestClient(make_app(served), base_url="http://localhost") as client:
        for seed in range(8):
            rows += client.post("/predict", **as_body(picture(seed))).json()["predictions"]
        files = [("image", (f"{seed}.jpg", picture(seed))) for seed in range(6, 12)]
        rows += client.post("/predict", files=files, headers={"x-request-id": "mine"}).json()["predictions"]
        given = {"name": "raw", "datatype": "UINT8", "shape": [1, 9, 9, 3], "data": [7] * 243}
        infer = client.post("/v2/models/d/infer", json={"inputs": [given]}).json()["outputs"]
        client.post("/predict", **as_body(b"none"))
        text, facts = client.get("/metrics").text, client.get("/health").json()
    abstained = {row["path"] + str(row["probability"]) for row in rows if row["abstained"]}
    doubt = next(one["data"][0] for one in infer if one["name"] == "doubt")
    num_abstained = sum(row["abstained"] for row in rows) + bool(doubt)
    assert 0 < len(abstained) < len(rows)
    table = (folder / TABLE).read_text().splitlines()
    assert len(table) - 1 == len({row["probability"] for row in rows if row["abstained"]}) + bool(doubt)
    answered = 15 - num_abstained
    assert f'thawline_pictures_total{{outcome="answered"}} {answered}.0' in text
    assert 'thawline_pictures_total{outcome="unreadable"} 1.0' in text
    assert 'thawline_requests_total{path="/v2/models/{name}/infer",status="200"} 1.0' in text
    assert facts["drift"]["num_pictures"] == 13
    assert facts["keeps_unsure"].startswith("Pictures that the model does not answer are kept")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["pictures"] for line in lines] == [*[1] * 8, 6, 1, 1, 0, 0]
    assert lines[8]["request_id"] == "mine"
    assert lines[10]["status"] == 422


def test_facts_say_in_words_what_the_model_is_and_when_it_abstains(doubting):
    with closing(Served(doubting, Limits(), name="birds")) as served:
        facts = served.facts()
    assert facts["name"] == "birds"
    assert facts["keeps_unsure"] is None
    assert facts["drift"] is None
    assert set(facts["words"]) == {"model", "sure", "none_of_these", "not_sure", "technical"}
    assert facts["words"]["none_of_these"].startswith("The picture looks unlike")
    assert facts["words"]["not_sure"].startswith("No class reaches 50 %")


def test_drift_is_told_where_what_arrives_is_strange(doubting, picture, monkeypatch):
    monkeypatch.setattr("thawline.use.service.arrivals.PICTURES_TO_FALSE_ALARM", 2)
    strange = [seed for seed in range(60) if doubting.predict("a", picture(seed)).doubt == "none of these"]
    with (
        closing(Served(doubting, Limits())) as served,
        TestClient(make_app(served), base_url="http://localhost") as client,
    ):
        for seed in strange:
            client.post("/predict", **as_body(picture(seed)))
        assert "thawline_drift 1.0" in client.get("/metrics").text
        assert client.get("/health").json()["drift"]["words"].startswith("What arrives looks unlike what was learned")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (ModelPlace(Path("a/bird feeder"), Path("a/bird feeder"), Path("a/bird feeder/model"), None), "bird-feeder"),
        (ModelPlace(Path("a/run/model"), None, Path("a/run/model"), None), "run"),
        (ModelPlace(Path("a/mine"), None, Path("a/mine"), None), "mine"),
        (ModelPlace(Path("a/model.v2.onnx"), None, None, Path("a/model.v2.onnx")), "model.v2"),
        (ModelPlace(Path("a/birds/exports/model-tensor.onnx"), None, None, Path("b")), "birds"),
        (ModelPlace(Path("a/träne/🦜"), Path("a/🦜"), None, None), "model"),
        (ModelPlace(Path("/"), Path("/"), None, None), "model"),
    ],
)
def test_a_model_is_called_as_its_run_or_file_is(place, name):
    assert model_name(place) == name
