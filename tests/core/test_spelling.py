"""What is near is suggested, and what is not near is not."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thawline.core.options import Options
from thawline.core.spelling import SLIPS_PER_LETTER, _slips, did_you_mean, nearest
from thawline.train.hyperparameters import TrainOptions

FLAGS = [f"--{item.name.replace('_', '-')}" for item in (*fields(Options), *fields(TrainOptions))]
FLAGS += ["--out", "--json", "--budget", "--plan", "--goal", "--replace", "--config"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--bugdet", "--budget"),
        ("--epoch", "--epochs"),
        ("--output", "--out"),
        ("--lr", "--learning-rate"),
        ("--wd", "--weight-decay"),
        ("--learning_rate", "--learning-rate"),
        ("--LearningRate", "--learning-rate"),
        ("--batch", "--batch-size"),
        ("--num-epochs", "--epochs"),
        ("--limt", "--limit"),
        ("--jsno", "--json"),
        ("--dropuot", "--dropout"),
        ("--poolng", "--pooling"),
    ],
)
def test_the_nearest_is_what_was_meant(word, meant):
    assert nearest(word, FLAGS) == [meant]


@pytest.mark.parametrize(
    "word",
    ["--quiet", "--verbose", "--help-me", "--gpu", "--force", "--name", "--workers", "-q", "-v", "--n", "", "--"],
)
def test_nothing_is_suggested_for_what_is_like_nothing(word):
    assert nearest(word, FLAGS) == []


@pytest.mark.parametrize("flag", FLAGS)
def test_every_option_is_nearest_to_itself(flag):
    assert nearest(flag, FLAGS)[0] == flag


def test_several_stand_in_the_order_of_their_nearness():
    assert nearest("--batch", ["--watch", "--batch-size", "--out"], limit=3) == ["--batch-size", "--watch"]
    assert nearest("lats 20 %", ["all", "last 7 blocks", "last 20 %"]) == ["last 20 %"]


def test_the_hint_is_a_question_or_what_is_said_otherwise():
    assert did_you_mean("monkeis", ["donkeys", "monkeys"], limit=2) == "Did you mean monkeys or donkeys?"
    assert did_you_mean("birds", ["monkeys"], otherwise="There is monkeys.") == "There is monkeys."
    assert did_you_mean("birds", ["monkeys"]) == ""


@pytest.mark.parametrize(
    ("one", "other", "slips"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("budget", "bugdet", 1),
        ("kitten", "sitting", 3),
        ("list", "lst", 1),
        ("ab", "ba", 1),
    ],
)
def test_slips_are_letters_added_dropped_changed_or_swapped(one, other, slips):
    assert _slips(one, other) == _slips(other, one) == slips


@given(st.text("abc", max_size=6), st.text("abc", max_size=6), st.integers(0, 6))
def test_one_letter_more_is_one_slip_more_at_most(one, other, place):
    longer = one[:place] + "x" + one[place:]
    assert _slips(longer, one) == 1
    assert abs(_slips(longer, other) - _slips(one, other)) <= 1
    assert abs(len(one) - len(other)) <= _slips(one, other) <= max(len(one), len(other))


@given(st.text("abcdefgh", min_size=6, max_size=12), st.integers(0, 5))
def test_a_swap_is_forgiven_in_any_word_of_six_letters(word, place):
    assert SLIPS_PER_LETTER >= 1 / 6
    swapped = word[:place] + word[place : place + 2][::-1] + word[place + 2 :]
    assert nearest(swapped, [word]) == [word]
