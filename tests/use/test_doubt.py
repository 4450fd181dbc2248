"""Two thresholds say why a model abstains, strangeness first, and neither holds where it is not set."""

import pytest
from pydantic import ValidationError

from thawline.use.doubt import Doubt


def doubt(**changes):
    facts = {"read_from": "features", "false_alarms": 0.01, "num_groups": 500, "error_rate": 0.02}
    return Doubt(**(facts | {"min_probability": 0.8} | changes))


@pytest.mark.parametrize(
    ("probability", "outside", "why"),
    [
        (0.9, 0.5, None),
        (0.8, 0.99, None),  # at the thresholds it answers
        (0.79, 0.5, "not sure"),
        (0.9, 0.995, "none of these"),
        (0.1, 1.0, "none of these"),
        (0.1, None, "not sure"),
        (0.9, None, None),
    ],
)
def test_why_a_model_abstains(probability, outside, why):
    assert doubt().about(probability, outside) == why


def test_without_a_promise_only_strange_pictures_are_left_unanswered():
    quiet = doubt(error_rate=None, min_probability=None)
    assert (quiet.about(0.01, 0.5), quiet.about(0.01, 1.0)) == (None, "none of these")


@pytest.mark.parametrize("change", [{"false_alarms": 0.0}, {"error_rate": 1.0}, {"read_from": "x"}, {"more": 1}])
def test_what_is_no_doubt_is_refused(change):
    with pytest.raises(ValidationError):
        doubt(**change)
