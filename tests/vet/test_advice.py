"""`Advice` is plain data: what a report stores of it comes back as it was, and damage is refused."""

from dataclasses import asdict

import pytest

from thawline.vet.advice import Advice
from thawline.view.report_json import advice_from


def test_it_comes_back_as_it_was():
    advice = Advice(num_answered=3)
    assert advice_from(asdict(advice)) == advice


def test_what_is_no_advice_is_refused():
    with pytest.raises(ValueError, match="num_answered"):
        advice_from({"num_answered": "many"})
