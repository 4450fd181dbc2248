from __future__ import annotations

import pytest

from thawline.core import errors
from thawline.core.errors import by_reason, first_few


def family():
    return [value for name, value in vars(errors).items() if name in errors.__all__ and isinstance(value, type)]


def test_every_error_is_a_thawline_error_with_an_exit_code():
    assert len(family()) == 10
    for kind in family():
        assert issubclass(kind, errors.ThawlineError)
        assert kind.exit_code == (2 if kind is errors.UsageError else 1)


def test_what_python_may_catch_as_its_own():
    assert issubclass(errors.MissingError, FileNotFoundError)
    assert issubclass(errors.InputError, ValueError)
    assert (
        str(errors.MissingError("predict typo.jpg: there is no such file."))
        == "predict typo.jpg: there is no such file."
    )


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


def test_reasons_that_differ_in_numbers_are_one_and_the_most_frequent_comes_first():
    rows = [("a", "ends after 5,000 bytes"), ("b", "text"), ("c", "ends after 7 bytes"), ("d", "text"), ("e", "text")]
    assert by_reason(rows) == [("text", ["b", "d", "e"]), ("ends after … bytes", ["a", "c"])]
    assert by_reason([("a", "3 of 4, and 1.5 more")]) == [("3 of 4, and 1.5 more", ["a"])]


def test_ten_are_shown_unless_asked_otherwise():
    assert first_few(range(11)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 1 more"
