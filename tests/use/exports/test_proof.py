"""The largest difference, the worst picture and the share of equal classes decide whether a form passes."""

from __future__ import annotations

from base64 import b64encode

import numpy as np
import pytest

from thawline.core.errors import BundleError, DataError
from thawline.use.answer import Answer
from thawline.use.exports.golden import GoldenPicture
from thawline.use.exports.proof import prove


def golden(*rows, outside=None):
    data = b64encode(b"picture").decode()
    return [
        GoldenPicture(file=f"golden/{number}.png", probabilities=list(row), outside=outside, data=data)
        for number, row in enumerate(rows)
    ]


class Model:
    def __init__(self, *rows, outside=None):
        self.rows, self.outside = iter(rows), outside

    def prepare(self, data, **_):
        return (data,), ()

    def answers_to(self, batch):
        outside = None if self.outside is None else np.array([self.outside], np.float32)
        return Answer(np.array([next(self.rows)], np.float32), outside)


def test_the_worst_picture_and_the_agreement_are_told():
    proof = prove(Model((0.9, 0.1), (0.3, 0.7), (0.4, 0.6)), golden((0.9, 0.1), (0.3, 0.7), (0.7, 0.3)), allowed=1e-3)
    assert (proof.worst, proof.num_pictures, proof.passed) == ("golden/2.png", 3, False)
    assert proof.max_difference == pytest.approx(0.3, abs=1e-6)
    assert proof.agreement == pytest.approx(2 / 3)
    assert proof.words() == (
        "of 3 golden pictures golden/2.png is the worst: its answer differs by 0.3 (0.001 is allowed); the class is "
        "the same for 66.7% of them (100% is required)"
    )


def test_classes_that_are_tied_within_what_is_allowed_are_the_same():
    tied = golden((0.5002, 0.4998))
    assert prove(Model((0.4999, 0.5001)), tied, allowed=1e-3).agreement == 1
    assert prove(Model((0.4999, 0.5001)), tied, allowed=1e-4).agreement == 0


def test_how_strange_a_picture_looks_counts_too():
    proof = prove(Model((0.9, 0.1), outside=0.5), golden((0.9, 0.1), outside=0.4), allowed=1e-3)
    assert proof.max_difference == pytest.approx(0.1)
    assert not proof.passed
    assert prove(Model((0.9, 0.1), outside=0.5), golden((0.9, 0.1)), allowed=1e-3).passed


def test_where_any_difference_is_allowed_the_classes_decide():
    rows = golden((0.9, 0.1), (0.4, 0.6))
    assert prove(Model((0.6, 0.4), (0.1, 0.9)), rows, allowed=None).passed
    assert prove(Model((0.6, 0.4), (0.9, 0.1)), rows, allowed=None, least_agreement=0.5).passed
    assert not prove(Model((0.6, 0.4), (0.9, 0.1)), rows, allowed=None, least_agreement=0.51).passed


def test_an_answer_of_another_form_or_none_is_an_error():
    with pytest.raises(BundleError, match=r"golden/0\.png gets 3 probabilities; 2 are required"):
        prove(Model((0.5, 0.4, 0.1)), golden((0.9, 0.1)), allowed=1e-3)

    class Broken(Model):
        def answers_to(self, batch):
            raise DataError("the model's answer is not finite")

    with pytest.raises(BundleError, match=r"golden/0\.png gets no answer: the model's answer is not finite"):
        prove(Broken(), golden((0.9, 0.1)), allowed=1e-3)
