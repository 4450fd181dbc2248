"""What tells strange pictures comes back from its tensors as it was, and what does not fit is refused by name."""

import numpy as np
import pytest

from thawline.core.errors import BundleError
from thawline.heads.outsider_tensors import outsider_tensors, outsiders_from_tensors
from thawline.heads.outsiders import Outsiders, fit_strangeness, standardised


@pytest.fixture
def known():
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (40, 6)).astype(np.float32)
    score = fit_strangeness(features, np.arange(40) % 3, reads=np.arange(6) > 1)
    near, far = score.near_far(features)
    return Outsiders(standardised(score, near=near, far=far), np.linspace(0, 1, 11, dtype=np.float32))


def test_it_comes_back_as_it_was(known):
    again = outsiders_from_tensors(outsider_tensors(known), num_columns=6, read_from="features")
    asked = np.random.default_rng(1).normal(0, 2, (9, 6)).astype(np.float32)
    np.testing.assert_array_equal(again.outside(asked, asked), known.outside(asked, asked))


def test_answers_need_quantiles_alone(known):
    of_answers = Outsiders(None, known.quantiles)
    tensors = outsider_tensors(of_answers)
    assert list(tensors) == ["quantiles"]
    assert outsiders_from_tensors(tensors, num_columns=6, read_from="answers").strangeness is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": np.zeros((3, 1), np.float32)}, "means is float32"),
        ({"weights": np.zeros(2, np.float64)}, "weights is float64"),
        ({"mean": np.array([np.nan] * 4, np.float32)}, "mean is float32"),
        ({"quantiles": np.array([1.0, 0.0], np.float32)}, "do not ascend"),
        ({"quantiles": np.array([1.0], np.float32)}, "quantiles is float32"),
        ({"standard": np.array([0.0, 0.0, 0.0, 1.0], np.float32)}, "not above 0"),
        ({"reads": np.ones(5, np.uint8)}, "reads is uint8"),
        ({"further": np.ones(5, np.uint8)}, "required"),
    ],
)
def test_what_does_not_fit_is_refused(known, change, message):
    with pytest.raises(BundleError, match=message):
        outsiders_from_tensors(outsider_tensors(known) | change, num_columns=6, read_from="features")
