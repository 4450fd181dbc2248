"""Every network has its bank; with a time to spend, or by auto, further ones race to be read too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thawline.features.joined_bank import banks_in
from thawline.work import reading as module
from thawline.work.order import Row
from thawline.work.race import Raced
from thawline.work.reading import read_pictures


@pytest.fixture
def read(compared, monkeypatch):
    """Return what reads the drawn pictures for an order, and what was asked of the race."""
    session, asked = compared.session, []

    def race(context, found, *, pool, pace_s, deadline):
        asked.append((found, len(pool), deadline))
        return tuple(Raced(entrant, network=entrant.loaded) for entrant in found)

    monkeypatch.setattr(module, "race", race)

    def run(order, *, networks=None, views=("plain",)):
        context = replace(session.context, options=order.options)
        if networks is not None:
            context = replace(context, network=networks[0], further=tuple(networks[1:]))
        return read_pictures(context, order, pool=compared.split.pool, views=views, started_at=100.0), asked

    return run


def pretended(network):
    """Return the network as if its weights had been learnt."""
    return type(network)(replace(network.backbone, weights_origin="hub"), network.model)


def test_without_a_time_to_spend_nothing_races(read, order):
    reading, asked = read(order)
    assert (len(reading.extractions), reading.raced, asked) == (1, (), [])
    assert reading.context.further == ()


def test_a_named_size_is_kept_with_a_budget_too(read, order):
    reading, asked = read(replace(order, budget_s=60.0))  # its size is 32
    assert (reading.raced, asked) == ((), [])


def test_a_network_from_nothing_does_not_race(read, order):
    options = replace(order.options, size=None)
    reading, asked = read(replace(order, options=options, budget_s=60.0))
    assert (reading.raced, asked) == ((), [])


def test_with_a_budget_half_of_it_is_for_reading(read, order, compared):
    network = pretended(compared.session.context.network)
    options = replace(order.options, size=None)
    reading, asked = read(replace(order, options=options, budget_s=60.0), networks=[network])
    ((_, num_pool, deadline),) = asked
    assert (num_pool, deadline) == (len(compared.split.pool), 130.0)
    assert reading.context.further == ()


def test_by_auto_the_others_race_and_what_comes_through_is_read(read, order, compared):
    network = compared.session.context.network
    other = type(network)(replace(network.backbone, name="other"), network.model)
    options = replace(order.options, backbone=("auto",))
    reading, asked = read(replace(order, options=options), networks=[network, other])
    ((found, _, _),) = asked
    assert [entrant.name for entrant in found] == ["other"]
    assert [one.backbone.name for one in reading.context.networks] == ["simple_cnn", "other"]
    assert len(reading.extractions) == 2


def test_rows_that_are_answered_one_by_one_read_the_first_network_alone(read, order, compared):
    network = compared.session.context.network
    rows = (Row(name="solved", frozen="whole"),)
    reading, _ = read(replace(order, protocol="folds", rows=rows), networks=[network, network])
    assert (len(reading.extractions), reading.context.further) == (1, ())


def test_views_of_several_networks_are_joined(read, order, compared):
    network = compared.session.context.network
    other = type(network)(replace(network.backbone, name="other"), network.model)
    reading, _ = read(order, networks=[network, other], views=("plain", "flip.1"))
    (flipped,) = reading.view_banks
    assert [bank.spec.views for bank in banks_in(flipped)] == [("flip.1",)] * 2
