"""The plan language: what it says, how it is spelled, what it refuses; and what it means for a network."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thawline.core.errors import BackboneError, UsageError
from thawline.data.dataset import LedgerRow
from thawline.features.layers import trained_parameters, weight_layers
from thawline.train.plan import (
    EXAMPLES,
    Plan,
    candidate_plans,
    default_epochs,
    default_learning_rate,
    parse_plan,
    phases,
    scratch_size_px,
)
from thawline.train.thawed import working_copy

NETWORKS = ("efficientnet_lite0", "resnet18", "test_convnext", "test_vit", "deep_cnn")


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


def layers_below(network, layers, cut):
    """Return those of the layers that lie below a cut, found by their weights."""
    held = {id(parameter) for _, step in network.prefix_modules(cut) for parameter in step.parameters()}
    return {name for name in layers if id(network.model.get_parameter(f"{name}.weight")) in held}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("share", [1, 20, 55])
def test_a_share_thaws_the_last_layers_above_the_deepest_cut_that_is_all_frozen(name, share, network):
    net = network(name)
    layers = weight_layers(net)
    (phase,) = phases(parse_plan(f"last {share} %"), net, 4)
    assert phase.epochs == 4
    assert phase.layers == layers[-len(phase.layers) :]
    assert len(phase.layers) - 1 < share / 100 * len(layers) <= len(phase.layers)
    frozen_cuts = [c.index for c in net.backbone.cuts if not layers_below(net, layers, c.index) & set(phase.layers)]
    assert phase.cut == (frozen_cuts[-1] if frozen_cuts else None)
    if phase.cut is not None:  # nothing that moves, a norm or a token, lies below it
        below = {id(p) for _, step in net.prefix_modules(phase.cut) for p in step.parameters()}
        assert not below & {id(net.model.get_parameter(name)) for name in trained_parameters(net, phase.layers)}


def test_a_share_is_counted_as_a_person_counts(network):
    """55 % of 20 layers are 11; in floating point they are a little more."""
    assert len(weight_layers(network("resnet18"))) == 20
    (phase,) = phases(parse_plan("last 55 %"), network("resnet18"), 1)
    assert len(phase.layers) == 11
    (phase,) = phases(parse_plan("last 1 %"), network("resnet18"), 1)
    assert phase.layers == ("layer4.1.conv2",)


def test_all_of_the_layers_start_from_the_picture(network):
    for name in NETWORKS:
        (phase,) = phases(parse_plan("all"), network(name), 3)
        assert (phase.layers, phase.cut) == (weight_layers(network(name)), None)


@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_thaw_what_lies_above_their_cut(name, network):
    net = network(name)
    layers = weight_layers(net)
    for blocks in range(1, len(net.backbone.cuts), 3):
        cut = net.backbone.cut_removing(blocks).index
        (phase,) = phases(parse_plan(f"head, then last {blocks} blocks"), net, 2)
        assert phase.cut == cut
        assert set(layers) - set(phase.layers) == layers_below(net, layers, cut)


@pytest.mark.parametrize("name", [*NETWORKS, "regnetx_002"])
def test_the_head_alone_reads_the_last_cut_or_the_one_that_is_asked_for(name, network):
    cuts = network(name).backbone.cuts
    (phase,) = phases(parse_plan("head"), network(name), 5)
    assert (phase.layers, phase.cut, phase.epochs) == ((), cuts[-1].index, 5)
    for cut in cuts[:-1]:
        (phase,) = phases(parse_plan(f"head, {cut.blocks_removed} blocks cut"), network(name), 5)
        assert (phase.layers, phase.cut) == ((), cut.index)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradual_phases_thaw_block_by_block_and_shrink_the_prefix(name, network):
    net = network(name)
    found, layers = phases(parse_plan("gradual last 3 blocks"), net, 7), weight_layers(net)
    last = net.backbone.cuts[-1].index
    assert [phase.cut for phase in found] == [last - 1, last - 2, last - 3]
    assert [phase.epochs for phase in found] == [3, 2, 2]
    for phase in found:
        assert set(phase.layers) == set(layers) - layers_below(net, layers, phase.cut)
    for earlier, later in pairwise(found):
        assert later.layers[-len(earlier.layers) :] == earlier.layers
        assert len(later.layers) > len(earlier.layers)


def test_every_gradual_phase_gets_an_epoch_though_fewer_were_asked_for(network):
    found = phases(parse_plan("gradual last 5 blocks"), network("efficientnet_lite0"), 2)
    assert [phase.epochs for phase in found] == [1, 1, 1, 1, 1]


def test_an_architecture_without_a_trunk_thaws_shares_and_refuses_blocks(network):
    net = network("regnetx_002")
    assert not net.backbone.has_suffix
    layers = weight_layers(net)
    (phase,) = phases(parse_plan("last 25 %"), net, 2)
    assert phase.layers == layers[-len(phase.layers) :]
    assert len(phase.layers) == -(-len(layers) // 4)
    assert phase.cut is None
    for text in ("last 2 blocks", "gradual last 2 blocks"):
        with pytest.raises(BackboneError) as caught:
            phases(parse_plan(text), net, 2)
        assert str(caught.value) == (
            f"regnetx_002 · {text}: this architecture can be read at its stages but not continued from one, so blocks "
            "cannot be counted. Write a share of its layers: last 20 %."
        )


def test_more_blocks_than_there_are_is_refused_with_those_there_are(network):
    with pytest.raises(BackboneError, match=r"no cut removes 17 blocks\. Those it has remove 0, 1, 2"):
        phases(parse_plan("last 17 blocks"), network("efficientnet_lite0"), 2)
    with pytest.raises(BackboneError, match=r"no cut removes 17 blocks\. Those it has remove 0, 1, 2"):
        phases(parse_plan("head, 17 blocks cut"), network("efficientnet_lite0"), 2)


@pytest.mark.parametrize("name", ["tutorial_cnn", "simple_cnn", "deep_cnn", "resnet10t", "regnetx_002"])
def test_from_nothing_everything_is_trained(name, network):
    net = network(name)
    (phase,) = phases(parse_plan(f"{name} from nothing"), net, 12)
    assert (phase.layers, phase.cut, phase.epochs) == (weight_layers(net), None, 12)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18", "test_vit"])
@pytest.mark.parametrize("text", ["all", "last 20 %", "gradual last 3 blocks"])
def test_a_plan_means_the_same_for_the_copy_that_is_trained(name, text, network):
    net = network(name)
    assert phases(parse_plan(text), working_copy(net, keeps_norms=False), 4) == phases(parse_plan(text), net, 4)


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


def test_where_a_head_has_hidden_units_no_candidate_starts_from_a_solved_one(network):
    for name in ("efficientnet_lite0", "regnetx_002"):
        solved, drawn = candidate_plans(network(name)), candidate_plans(network(name), 64)
        assert any(plan.head_first for plan in solved)
        assert not any(plan.head_first for plan in drawn)
        assert [(plan.share, plan.blocks) for plan in drawn] == [(plan.share, plan.blocks) for plan in solved]
