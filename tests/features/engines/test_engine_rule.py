"""An engine has to earn its start; ties and small gains stay eager."""

from __future__ import annotations

import pytest

from thawline.features.engines.engine_rule import Pace, fastest


@pytest.mark.parametrize(
    ("paces", "num", "engine"),
    [
        ({"openvino": (2, 0.0025)}, 1_000, "eager"),  # 4.0 s against 4.5
        ({"openvino": (2, 0.0025)}, 60_000, "openvino"),
        ({"openvino": (0, 0.0039)}, 1_000_000, "eager"),  # 2.5 % are no gain
        ({"openvino": (0, 0.0030)}, 900, "eager"),  # 0.9 s are none either
        ({"openvino": (0, 0.0030)}, 1_100, "openvino"),
        ({"openvino": (2, 0.0025), "onnxruntime": (1, 0.0024)}, 60_000, "onnxruntime"),
        ({"inductor": (90, 0.002)}, 40_000, "eager"),
        ({}, 60_000, "eager"),
    ],
)
def test_the_engine_that_is_done_first_reads(paces, num, engine):
    every = {"eager": Pace(0, 0.004), **{name: Pace(*pace) for name, pace in paces.items()}}
    assert fastest(every, dict.fromkeys(every, num)) == engine


def test_what_an_engine_has_read_already_counts():
    paces = {"eager": Pace(0, 0.004), "openvino": Pace(2, 0.003)}
    assert fastest(paces, {"eager": 2_000, "openvino": 2_000}) == "eager"
    assert fastest(paces, {"eager": 2_000, "openvino": 20}) == "openvino"
    assert fastest(paces, {"eager": 20, "openvino": 2_000}) == "eager"
    assert fastest(paces, {"eager": 2_000, "openvino": 0}) == "openvino"
