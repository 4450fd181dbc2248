"""The record of how far a network has moved: through JSON and back, and refused where it is damaged."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from thawline.core.errors import StoreError
from thawline.features.drift import CutDrift, Drift, HeadScore, drift_from_json

DRIFT = Drift(
    cuts=(CutDrift("4.0", 4, 0.5, 1.0, 1.0, 1.0, 1.0), CutDrift("head", 7, 1.0, 0.7, 0.6, 0.8, 0.65)),
    num_pictures=40,
    head=HeadScore(0.9, 0.8, 0.95, 0.5, 0.4, 0.6, 30, ("howler", "macaque")),
    no_head="",
)


@pytest.mark.parametrize("drift", [DRIFT, replace(DRIFT, head=None, no_head="why")])
def test_it_survives_json(drift):
    assert drift_from_json(json.loads(json.dumps(asdict(drift), allow_nan=False))) == drift


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        (lambda raw: raw.pop("cuts"), "cuts"),
        (lambda raw: raw["cuts"][0].update(cka=1.5), r"cuts\.0\.cka"),
        (lambda raw: raw["cuts"][0].update(low=float("nan")), r"cuts\.0\.low"),
        (lambda raw: raw.update(num_pictures=-1), "num_pictures"),
        (lambda raw: raw.update(head=[]), "head"),
    ],
)
def test_a_damaged_record_is_refused(damage, place):
    raw = json.loads(json.dumps(asdict(DRIFT)))
    damage(raw)
    with pytest.raises(StoreError, match=rf"drift: the stored measurement cannot be read: {place}: .*Measure it again"):
        drift_from_json(raw)


def test_it_prints_in_a_few_lines():
    many = replace(DRIFT, cuts=DRIFT.cuts * 12)
    assert repr(many).startswith("<Drift: 24 cuts, 40 pictures, HeadScore(before=0.9,")
    assert len(repr(many)) < 300
    assert repr(replace(many, head=None, no_head="why")) == "<Drift: 24 cuts, 40 pictures, why>"
