"""What a plan means for a network: which layers thaw, when, and above which cut."""

from __future__ import annotations

from itertools import pairwise

import pytest

from thawline.core.errors import BackboneError
from thawline.features.layers import trained_parameters, weight_layers
from thawline.train.phases import candidate_plans, phases
from thawline.train.plan import parse_plan
from thawline.train.thawed import working_copy

NETWORKS = ("efficientnet_lite0", "resnet18", "test_convnext", "test_vit", "deep_cnn")

NETWORKS = ("efficientnet_lite0", "resnet18", "test_convnext", "test_vit", "deep_cnn")


def layers_below(network, layers, cut):
    """Return those of the layers that lie below a cut, found by their weights."""
    held = {id(parameter) for _, step in network.prefix_modules(cut) for parameter in step.parameters()}
    return {name for name in layers if id(network.model.get_parameter(f"{name}.weight")) in held}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("share", [1, 20, 55])
def test_a_share_thaws_the_last_layers_above_the_deepest_cut_that_is_all_frozen(name, share, network):
    net = network(name)
    layers = weight_layers(net)
    (phase,) = phases(parse_plan(f"last {share} %"), net, epochs=4)
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
    (phase,) = phases(parse_plan("last 55 %"), network("resnet18"), epochs=1)
    assert len(phase.layers) == 11
    (phase,) = phases(parse_plan("last 1 %"), network("resnet18"), epochs=1)
    assert phase.layers == ("layer4.1.conv2",)


def test_all_of_the_layers_start_from_the_picture(network):
    for name in NETWORKS:
        (phase,) = phases(parse_plan("all"), network(name), epochs=3)
        assert (phase.layers, phase.cut) == (weight_layers(network(name)), None)


@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_thaw_what_lies_above_their_cut(name, network):
    net = network(name)
    layers = weight_layers(net)
    for blocks in range(1, len(net.backbone.cuts), 3):
        cut = net.backbone.cut_removing(blocks).index
        (phase,) = phases(parse_plan(f"head, then last {blocks} blocks"), net, epochs=2)
        assert phase.cut == cut
        assert set(layers) - set(phase.layers) == layers_below(net, layers, cut)


@pytest.mark.parametrize("name", [*NETWORKS, "dla34"])
def test_the_head_alone_reads_the_last_cut_or_the_one_that_is_asked_for(name, network):
    cuts = network(name).backbone.cuts
    (phase,) = phases(parse_plan("head"), network(name), epochs=5)
    assert (phase.layers, phase.cut, phase.epochs) == ((), cuts[-1].index, 5)
    for cut in (cut for cut in cuts if cut.blocks_removed):
        (phase,) = phases(parse_plan(f"head, {cut.blocks_removed} blocks cut"), network(name), epochs=5)
        assert (phase.layers, phase.cut) == ((), cut.index)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradual_phases_thaw_block_by_block_and_shrink_the_prefix(name, network):
    net = network(name)
    found, layers = phases(parse_plan("gradual last 3 blocks"), net, epochs=7), weight_layers(net)
    last = net.backbone.cut_removing(1).index + 1
    assert [phase.cut for phase in found] == [last - 1, last - 2, last - 3]
    assert [phase.epochs for phase in found] == [3, 2, 2]
    for phase in found:
        assert set(phase.layers) == set(layers) - layers_below(net, layers, phase.cut)
    for earlier, later in pairwise(found):
        assert later.layers[-len(earlier.layers) :] == earlier.layers
        assert len(later.layers) > len(earlier.layers)


def test_every_gradual_phase_gets_an_epoch_though_fewer_were_asked_for(network):
    found = phases(parse_plan("gradual last 5 blocks"), network("efficientnet_lite0"), epochs=2)
    assert [phase.epochs for phase in found] == [1, 1, 1, 1, 1]


def test_an_architecture_without_a_trunk_thaws_shares_and_refuses_blocks(network):
    net = network("dla34")
    assert not net.backbone.has_suffix
    layers = weight_layers(net)
    (phase,) = phases(parse_plan("last 25 %"), net, epochs=2)
    assert phase.layers == layers[-len(phase.layers) :]
    assert len(phase.layers) == -(-len(layers) // 4)
    assert phase.cut is None
    for text in ("last 2 blocks", "gradual last 2 blocks"):
        with pytest.raises(BackboneError) as caught:
            phases(parse_plan(text), net, epochs=2)
        assert str(caught.value) == (
            f"dla34 · {text}: this architecture can be read at its stages but not continued from one, so blocks "
            "cannot be counted. Write a share of its layers: last 20 %."
        )


def test_more_blocks_than_there_are_is_refused_with_those_there_are(network):
    with pytest.raises(BackboneError, match=r"no cut removes 17 blocks; its cuts remove 0, 1, 2"):
        phases(parse_plan("last 17 blocks"), network("efficientnet_lite0"), epochs=2)
    with pytest.raises(BackboneError, match=r"no cut removes 17 blocks; its cuts remove 0, 1, 2"):
        phases(parse_plan("head, 17 blocks cut"), network("efficientnet_lite0"), epochs=2)


@pytest.mark.parametrize("name", ["tutorial_cnn", "simple_cnn", "deep_cnn", "resnet10t", "dla34"])
def test_from_nothing_everything_is_trained(name, network):
    net = network(name)
    (phase,) = phases(parse_plan(f"{name} from nothing"), net, epochs=12)
    assert (phase.layers, phase.cut, phase.epochs) == (weight_layers(net), None, 12)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18", "test_vit"])
@pytest.mark.parametrize("text", ["all", "last 20 %", "gradual last 3 blocks"])
def test_a_plan_means_the_same_for_the_copy_that_is_trained(name, text, network):
    net = network(name)
    assert phases(parse_plan(text), working_copy(net, keeps_norms=False), epochs=4) == phases(
        parse_plan(text), net, epochs=4
    )


def test_where_a_head_has_hidden_units_no_candidate_starts_from_a_solved_one(network):
    for name in ("efficientnet_lite0", "dla34"):
        solved, drawn = candidate_plans(network(name)), candidate_plans(network(name), 64)
        assert any(plan.head_first for plan in solved)
        assert not any(plan.head_first for plan in drawn)
        assert [(plan.share, plan.blocks) for plan in drawn] == [(plan.share, plan.blocks) for plan in solved]
