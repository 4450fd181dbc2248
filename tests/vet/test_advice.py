"""`Advice` is plain data: what a report stores of it comes back as it was, and damage is refused."""

import json
from dataclasses import asdict

import pytest

from thawline.vet.abstaining import Abstaining, CoveragePoint, Kept, Sets
from thawline.vet.advice import Advice
from thawline.vet.lookalikes import ConfusedClasses, LookalikePair
from thawline.vet.looks import Look, Looks
from thawline.vet.more_pictures import ClassGain, CurvePoint, Forecast, MorePictures
from thawline.vet.picture_map import MapPoint, PictureMap
from thawline.vet.slices import Slice, Slices
from thawline.vet.strangest import Strange, Strangest
from thawline.vet.suspects import Suspect, Suspects
from thawline.view.report_json import advice_from


def test_it_comes_back_as_it_was():
    suspect = Suspect("a/1.png", "a", "b", None, "copy", "0f", copy="b/1.png", like_label=("a/2.png",))
    dark = Slice("size", "the 2 smallest", "Of …", 2, 1, 0.5, 0.1, 0.9, 1.0, 0.9, False, 0.001, ("a/<1>.jpg",))
    look = Look("a/0.png", "surest wrong", 0, 1, 0.75, ((0, 255), (7, 12)), (-0.1, 0.0, 1.1, 1.0))
    kept = Kept(3, 2, 0.66, 0.2, 0.9, 1.0, 0.3, 1.0)
    nobody = Kept(1, 0, 0.0, 0.0, 0.8, None, 0.0, 1.0)
    curve = (CoveragePoint(0.5, 0.9, 1.0, 0.2, 1.0, 1),)
    sets = Sets(0.9, 1.0, 0.3, 1.0, 1.5, (0, 1, 1), "test", 2, 3)
    strange = Strange("b/<1>.png", "b", 1.0, 4.5, is_outside=True, is_test=False)
    point = CurvePoint(80, 0.9, 0.8, 0.95, 0.85, 0.93)
    forecast = Forecast(160, 0.92, 0.8, 0.97, 0.87, 0.95, 0.02, 0.01, 0.03)
    gain = ClassGain("<b>", 40, 0.9, 0.01, -0.01, 0.03, 0.002, 0.02, True)
    pair = LookalikePair("a/1.png", "b/2.png", 0.98, 0.4, 0.5, 0.6, 0.3)
    advice = Advice(
        num_answered=3,
        looks=Looks((look,)),
        picture_map=PictureMap((MapPoint("a/0.png", 0.0, 1.0, 0, None), MapPoint("a/1.png", 1.0, 0.5, 1, 0)), 2),
        suspects=Suspects(9, 2, 1, num_likely=1, listed=(suspect,)),
        abstaining=Abstaining(0.01, 0.95, 0.8, kept, nobody, curve, "test", sets, "note"),
        strangest=Strangest("features", 0.01, 0.05, 19, None, 0.0, 1.0, 0, (strange,)),
        more_pictures=MorePictures("accuracy", "linear", 80, (point,), (forecast,), 20, (gain,), 105, "note"),
        confused=(ConfusedClasses("a", "b", 3, 1, 40, 40, (pair,)),),
        slices=Slices(num_tried=4, found=(dark,)),
    )
    assert advice_from(json.loads(json.dumps(asdict(advice)))) == advice


def test_what_is_absent_comes_back_as_absent():
    assert advice_from({"num_answered": 3}) == Advice(num_answered=3)


def test_what_is_no_advice_is_refused():
    with pytest.raises(ValueError, match="num_answered"):
        advice_from({"num_answered": "many"})
