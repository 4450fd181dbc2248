"""The plan language: what it says, how it is spelled, what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thawline.core.errors import UsageError
from thawline.data.dataset import LedgerRow
from thawline.train.plan import EXAMPLES, Plan, default_epochs, default_learning_rate, parse_plan, scratch_size_px


@pytest.mark.parametrize(
    ("text", "plan", "kind"),
    [
        ("all", Plan("all", share=1.0), "full"),
        ("last 20 %", Plan("last 20 %", share=0.2), "partial"),
        ("last 7 blocks", Plan("last 7 blocks", blocks=7), "partial"),
        ("head", Plan("head", blocks=0), "frozen"),
        ("head, 2 blocks cut", Plan("head, 2 blocks cut", blocks=0, blocks_cut=2), "frozen"),
        ("head, then all", Plan("head, then all", head_first=True, share=1.0), "full"),
        ("head, then last 7 blocks", Plan("head, then last 7 blocks", head_first=True, blocks=7), "partial"),
        (
            "gradual last 7 blocks",
            Plan("gradual last 7 blocks", head_first=True, gradual=True, blocks=7),
            "partial",
        ),
        (
            "simple_cnn from nothing",
            Plan("from nothing", network="simple_cnn", from_nothing=True, share=1.0),
            "scratch",
        ),
        ("resnet18 from nothing", Plan("from nothing", network="resnet18", from_nothing=True, share=1.0), "scratch"),
    ],
)
def test_a_plan_says_what_is_trained(text, plan, kind):
    assert parse_plan(text) == plan
    assert parse_plan(text).kind == kind


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ALL", "all"),
        ("  Last  20% ", "last 20 %"),
        ("last 20.0 %", "last 20 %"),
        ("last 12.5%", "last 12.5 %"),
        ("last 100 %", "all"),
        ("last 1 blocks", "last 1 block"),
        ("last 2 block", "last 2 blocks"),
        ("Head,then Last 7 Blocks", "head, then last 7 blocks"),
        ("head  , then all", "head, then all"),
        ("head, then last 100%", "head, then all"),
        ("Gradual  last 3 blocks", "gradual last 3 blocks"),
        ("HEAD ,2 block cut", "head, 2 blocks cut"),
        ("head on 3 blocks cut", "head, 3 blocks cut"),
        ("head 1.0 blocks cut", "head, 1 block cut"),
        ("deep cnn", "from nothing"),
        ("deep_cnn · from nothing", "from nothing"),
    ],
)
def test_a_plan_has_one_spelling(text, name):
    assert parse_plan(text).name == name


@given(
    st.sampled_from(["", "head, then ", "gradual "]),
    st.one_of(
        st.integers(1, 300).map(lambda count: f"last {count} blocks"),
        st.integers(1, 300).map(lambda count: f"head, {count} blocks cut"),
        st.floats(1e-3, 100).map(lambda share: f"last {share:f} %"),
    ),
)
def test_the_name_of_a_plan_is_that_plan(lead, amount):
    if (lead == "gradual " and amount.endswith("%")) or (lead and amount.endswith("cut")):
        return
    plan = parse_plan(lead + amount)
    assert parse_plan(plan.name) == plan
    assert 0 < (plan.share or 1) <= 1


def test_the_examples_in_messages_are_plans_in_their_one_spelling():
    assert [parse_plan(text).name for text in EXAMPLES] == list(EXAMPLES)


def test_on_the_leaderboard_a_plan_stands_behind_its_network():
    assert parse_plan("Last 20%").strategy_name("resnet18") == "resnet18 · last 20 %"
    assert parse_plan("Simple CNN").strategy_name("resnet18") == "simple_cnn · from nothing"
    assert parse_plan("head 2 blocks cut").strategy_name("resnet18", 64) == "resnet18 · head, 2 blocks cut, 64 hidden"


KNOWN = (
    "A plan is one of all; last 20 %; last 7 blocks; head; head, 2 blocks cut; head, then all; gradual last 7 blocks; "
    "or a network from nothing: tutorial_cnn, simple_cnn, deep_cnn."
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("last 0 %", "a share above 0 and up to 100 % is required. To train nothing but a head, write: head."),
        ("last 120 %", "a share above 0 and up to 100 % is required. To train nothing but a head, write: head."),
        ("last 0 blocks", "a whole number of blocks, 1 or more, is required."),
        ("last 1.5 blocks", "a whole number of blocks, 1 or more, is required."),
        ("head, 0 blocks cut", "a whole number of blocks, 1 or more, is required."),
        ("head, 1.5 blocks cut", "a whole number of blocks, 1 or more, is required."),
        ("gradual all", "thawing goes block by block. Name a number: gradual last 7 blocks."),
        ("gradual last 20 %", "thawing goes block by block. Name a number: gradual last 7 blocks."),
        (
            "from nothing",
            (
                "which network is to start from nothing? Name one of tutorial_cnn, simple_cnn, deep_cnn, or a timm "
                "architecture: resnet18 from nothing."
            ),
        ),
    ],
)
def test_an_impossible_plan_is_refused_with_what_is_required(text, message):
    with pytest.raises(UsageError) as caught:
        parse_plan(text)
    assert str(caught.value) == f"plan {text!r}: {message}"


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("head, then head", "head"),
        ("gradual head", "head"),
        ("head, then head, 2 blocks cut", "head, 2 blocks cut"),
    ],
)
def test_nothing_but_the_head_cannot_come_after_the_head(text, instead):
    with pytest.raises(UsageError) as caught:
        parse_plan(text)
    assert str(caught.value) == f"plan {text!r} contradicts itself: the head is all it trains. Write just: {instead}."


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("gradual 20 %", "last 20 %"),
        ("lst 20 %", "last 20 %"),
        ("Head then all", "head, then all"),
        ("head, then", "head, then all"),
        ("last 7 layers", "last 7 blocks"),
        ("gradual", "gradual last 7 blocks"),
        ("head, 2 block", "head, 2 blocks cut"),
    ],
)
def test_an_unknown_plan_is_answered_with_the_nearest(text, nearest):
    with pytest.raises(UsageError) as caught:
        parse_plan(text)
    assert str(caught.value) == f"plan {text!r} is not known. Did you mean {nearest!r}? {KNOWN}"


@pytest.mark.parametrize("text", ["", "fine-tune it", "last -5 %", "last 1e2 %"])
def test_an_unknown_plan_without_a_near_one_still_lists_them(text):
    with pytest.raises(UsageError) as caught:
        parse_plan(text)
    assert str(caught.value).startswith(f"plan {text!r} is not known. ")
    assert str(caught.value).endswith(KNOWN)


def test_fewer_pictures_have_more_epochs_within_limits():
    for text in ("all", "simple_cnn"):
        epochs = [default_epochs(parse_plan(text), count) for count in (20, 300, 1000, 3000, 50_000)]
        assert epochs == sorted(epochs, reverse=True)
        assert 4 <= epochs[-1] < epochs[0] <= 60
    assert default_epochs(parse_plan("simple_cnn"), 1000) > default_epochs(parse_plan("all"), 1000)


def test_the_step_is_smaller_the_more_there_is_to_lose():
    rates = [
        default_learning_rate(parse_plan(text), "adamw")
        for text in ("simple_cnn", "head", "last 20 %", "head, then all")
    ]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 4
    assert default_learning_rate(parse_plan("all"), "adam") == default_learning_rate(parse_plan("all"), "adamw")
    assert default_learning_rate(parse_plan("all"), "sgd") == pytest.approx(
        20 * default_learning_rate(parse_plan("all"), "adamw")
    )


def test_networks_from_nothing_look_at_small_pictures_as_they_are(drawn):
    def dataset(*sizes):
        rows = (
            LedgerRow(f"{n}.png", "used", "", "", 1, width, height, "PNG", "a", "", n)
            for n, (width, height) in enumerate(sizes)
        )
        skipped = LedgerRow("x", "skipped", "", "", 0, 0, 0, "", "", "", -1)
        return replace(drawn(1), ledger=(*rows, skipped, skipped, skipped))

    small, photos = dataset((32, 32), (32, 32), (640, 480)), dataset((32, 32), (640, 480), (640, 60))
    assert [scratch_size_px(name, small) for name in ("simple_cnn", "deep_cnn", "tutorial_cnn")] == [32, 32, None]
    assert [scratch_size_px(name, photos) for name in ("simple_cnn", "deep_cnn", "resnet18")] == [96, 96, None]
    assert scratch_size_px("simple_cnn", replace(small, ledger=())) == 96
