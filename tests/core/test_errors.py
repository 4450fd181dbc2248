from __future__ import annotations

import pytest

from thawline.core import errors
from thawline.core.errors import first_few


def family():
    return [value for name, value in vars(errors).items() if name in errors.__all__ and isinstance(value, type)]


def test_every_error_is_a_thawline_error_with_an_exit_code():
    assert len(family()) == 7
    for kind in family():
        assert issubclass(kind, errors.ThawlineError)
        assert kind.exit_code == (2 if kind is errors.UsageError else 1)


def test_a_message_reaches_the_person_unchanged():
    assert str(errors.DataError("check: cat/09.jpg ends early.")) == "check: cat/09.jpg ends early."


@pytest.mark.parametrize(
    ("items", "limit", "text"),
    [
        ([], 10, ""),
        (["a"], 10, "a"),
        (["a", "b"], 2, "a, b"),
        (["a", "b", "c"], 2, "a, b, and 1 more"),
        (range(12_345), 3, "0, 1, 2, and 12,342 more"),
    ],
)
def test_the_first_few_are_shown_and_the_rest_counted(items, limit, text):
    assert first_few(items, limit) == text


def test_ten_are_shown_unless_asked_otherwise():
    assert first_few(range(11)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 1 more"
