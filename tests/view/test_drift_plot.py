"""The drawing shows what was measured, where thawing began, and stays readable for any drift."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from thawline.features.drift import CutDrift, Drift, HeadScore
from thawline.view.drift_plot import drift_svg, head_words
from thawline.view.words import GAP

HEAD = HeadScore(0.876, 0.824, 0.914, 0.812, 0.753, 0.860, 1218, ("howler", "macaque"))


def make_drift(ckas, unpooled=None, spread=0.03, head=HEAD):
    cuts = tuple(
        CutDrift(
            f"{place}.0",
            place // 2,
            (place + 1) / len(ckas),
            cka,
            max(0.0, cka - spread) if cka < 1 else 1.0,
            min(1.0, cka + spread),
            other,
        )
        for place, (cka, other) in enumerate(zip(ckas, unpooled or ckas, strict=True))
    )
    return Drift(cuts, 265, head, "" if head else "resnet18 started from nothing (random, seed 0).")


def lines(svg, colour):
    """Return the points of every line of a colour: [[(x, y), …], …]."""
    found = re.findall(rf'<path d="([^"]*)"[^>]*fill: none; stroke: var\(--{colour}\)', svg)
    return [[tuple(map(float, pair)) for pair in re.findall(r"[ML] (-?[\d.]+) (-?[\d.]+)", path)] for path in found]


def ticks(svg):
    """Return where the ruled values stand: {value: y}."""
    ruled = re.findall(r'text-anchor: end[^>]* y="([\d.]+)"[^>]*>(\d\.\d+)<', svg)
    return {float(value): float(y) for y, value in ruled}


def test_what_is_frozen_is_ice_and_what_has_thawed_is_warm():
    svg = drift_svg(make_drift([1.0, 1.0, 1.0, 0.9, 0.7]), prefix="a")
    (ice,), (warm,) = lines(svg, "ice"), lines(svg, "warm")
    assert (len(ice), len(warm)) == (3, 3)
    assert ice[-1] == warm[0]
    assert ">unchanged<" in svg
    assert ">0.70 pooled<" in svg
    assert "var(--glow)" in svg


def test_heights_are_what_was_measured():
    drift = make_drift([1.0, 0.9, 0.75, 0.6], [1.0, 0.95, 0.5, 0.55])
    svg = drift_svg(drift, prefix="a")
    at = ticks(svg)
    assert {1.0, 0.8, 0.6} <= set(at)
    slope = (at[0.6] - at[1.0]) / 0.4
    (ice, warm), (thin,) = lines(svg, "ice") + lines(svg, "warm"), lines(svg, "muted")
    top = ice[0][1]
    assert [(y - top) / slope for _, y in warm] == pytest.approx([0, 0.1, 0.25, 0.4], abs=0.002)
    assert [(y - top) / slope for _, y in thin] == pytest.approx([0, 0.05, 0.5, 0.45], abs=0.002)
    assert sorted(x for x, _ in warm) == [x for x, _ in warm]


def test_every_cut_has_its_name_its_cost_and_its_numbers():
    svg = drift_svg(make_drift([1.0, 0.9, 0.7]), prefix="a")
    assert "<title>2.0, stage 1: 0.70 (0.67 to 0.73); unpooled 0.70</title>" in svg
    assert svg.count("<title>") == 3
    for text in ("0.0", "1.0", "2.0", f"33{GAP}%", f"67{GAP}%", f"100{GAP}%"):
        assert f">{text}<" in svg


def test_a_change_too_small_to_matter_does_not_look_like_one():
    svg = drift_svg(make_drift([1.0, 0.999, 0.995], spread=0.001), prefix="a")
    assert min(ticks(svg)) == 0.8
    assert min(ticks(drift_svg(make_drift([1.0, 0.9, 0.31], spread=0.0), prefix="a"))) == pytest.approx(0.4)


@pytest.mark.parametrize("width_px", [320, 360, 920])
@pytest.mark.parametrize(
    "ckas",
    [[1.0], [0.4], [1.0] * 17, [0.0, 0.0], [0.9, 1.0, 0.2], [1.0] * 10 + [0.5] * 14],
    ids=["frozen", "moved", "all frozen", "nothing left", "back again", "deep"],
)
def test_any_drift_can_be_drawn(ckas, width_px):
    svg = drift_svg(make_drift(ckas), prefix="a", width_px=width_px)
    root = ET.fromstring(svg)
    assert root.get("width") == str(width_px)
    assert "nan" not in svg.lower()
    assert ("unchanged at every cut" in svg) == (set(ckas) == {1.0})
    assert (">unchanged<" in svg) == (ckas[0] == 1.0 and set(ckas) != {1.0})
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert all(name.startswith("a-") for name in ids)


def test_equal_drifts_are_equal_bytes():
    drift = make_drift([1.0, 0.9])
    assert drift_svg(drift, prefix="a") == drift_svg(drift, prefix="a")


def test_the_heads_score_is_one_line():
    assert head_words(make_drift([1.0])) == (
        "ImageNet’s own head, on 1,218 pictures of 2 classes that it knows: "
        f"87.6{GAP}% right before tuning (82.4–91.4{GAP}%), 81.2{GAP}% after (75.3–86.0{GAP}%)."
    )
    assert head_words(make_drift([1.0], head=None)) == (
        "ImageNet’s own head was not scored: resnet18 started from nothing (random, seed 0)."
    )
