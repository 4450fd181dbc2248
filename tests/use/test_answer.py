"""The row that people read of a model's answer."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from thawline.use.answer import Answer, row_of
from thawline.use.doubt import NONE_OF_THESE, NOT_SURE, Doubt

ANSWER = Answer(np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], dtype=np.float32), np.array([0.2, 0.3, 0.999]))


@pytest.mark.parametrize(("place", "label", "doubt"), [(0, "a", None), (1, "b", NOT_SURE), (2, "b", NONE_OF_THESE)])
def test_a_row_has_its_own_place_in_the_answer_and_its_doubt(place, label, doubt):
    facts = Doubt(read_from="answers", false_alarms=0.01, num_groups=9, error_rate=0.05, min_probability=0.7)
    row = row_of(SimpleNamespace(class_names=("a", "b"), doubt=facts), "x.jpg", answer=ANSWER, place=place)
    assert (row.path, row.label, row.doubt) == ("x.jpg", label, doubt)
    assert row.outside == pytest.approx(float(ANSWER.outside[place]))


def test_a_model_without_thresholds_never_abstains():
    model = SimpleNamespace(class_names=("a", "b"), doubt=None)
    row = row_of(model, "x.jpg", answer=Answer(ANSWER.probabilities, None), place=1, remarks=["odd"])
    assert (row.doubt, row.outside, row.remark) == (None, None, "odd")
