"""A rendering survives its way through plain data."""

from __future__ import annotations

import json
from dataclasses import asdict

from thawline.core.rendering import AS_BEFORE, Levels, Rendering


def test_a_rendering_is_the_same_after_its_way_through_json():
    for rendering in (Rendering(), AS_BEFORE, Rendering((Levels("32-bit float", -1.5, 2.0),), "grey")):
        assert Rendering.of(json.loads(json.dumps(asdict(rendering)))) == rendering
