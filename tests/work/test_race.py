"""Networks race for the time: few pictures are read by all that fit, of many a sample halves them; nothing twice."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from thawline.data.dataset import LedgerRow
from thawline.features.bank import open_bank
from thawline.features.extract import bank_spec, extract
from thawline.features.network import Network, load_backbone
from thawline.work import race as module
from thawline.work.race import Entrant, entrants, pace_of, race, race_words


def named(name, size_px):
    network = load_backbone("simple_cnn", pretrained=False, size_px=size_px)
    return Network(replace(network.backbone, name=name), network.model)


NETWORKS = (named("small", 32), named("large", 64))


def pictures_of(dataset, width, height):
    row = LedgerRow("a", "used", "", "", 1, width, height, "PNG", "", "", 0)
    return replace(dataset, ledger=(row,))


def test_larger_sizes_come_first_then_other_networks_then_other_fits(compared):
    dataset = pictures_of(compared.dataset, 300, 200)
    found = entrants(NETWORKS, dataset, fit="crop", is_auto=True)
    assert [entrant.name for entrant in found] == [
        "small 64 px",
        "large 96 px",
        "large",
        "small letterbox",
        "small stretch",
    ]
    assert [entrant.loaded for entrant in found if entrant.name == "large"] == [NETWORKS[1]]


def test_named_networks_do_not_race_and_a_named_size_is_kept(compared):
    dataset = pictures_of(compared.dataset, 200, 200)
    assert "large" not in [entrant.name for entrant in entrants(NETWORKS, dataset, fit="crop", is_auto=False)]
    assert entrants(NETWORKS, dataset, fit="crop", is_auto=False, keeps_size=True) == ()
    found = entrants(NETWORKS, dataset, fit="stretch", is_auto=True, keeps_size=True)
    assert [(entrant.name, entrant.fit) for entrant in found] == [("large", "stretch")]


def test_pictures_that_would_only_be_enlarged_are_not(compared):
    for side, names in ((40, []), (52, ["small 64 px"]), (80, ["small 64 px", "large 96 px"])):
        found = entrants(NETWORKS, pictures_of(compared.dataset, side, side), fit="crop", is_auto=False)
        assert list(dict.fromkeys(entrant.name for entrant in found)) == names


def entrant_of(name, size_px):
    return Entrant(name, "simple_cnn", size_px, "crop")


@pytest.fixture
def ready(compared, tmp_path):
    """Return what races entrants on the drawn pictures, in a cache of its own."""
    session = compared.session
    context = replace(session.context, options=replace(session.context.options, cache_dir=tmp_path / "cache"))

    def run(found, *, pace_s=0.0, seconds=60.0, labels=None):
        own = context
        if labels is not None:
            samples = zip(context.dataset.samples, labels, strict=True)
            dataset = replace(context.dataset, samples=tuple(replace(s, label=int(label)) for s, label in samples))
            own = replace(context, dataset=dataset)
        deadline = time.perf_counter() + seconds
        return race(own, found, pool=compared.split.pool, pace_s=pace_s, deadline=deadline)

    return context, run


def test_few_pictures_are_read_by_every_network_that_the_time_allows(ready):
    context, run = ready
    raced = run([entrant_of("simple_cnn 48 px", 48), entrant_of("simple_cnn 64 px", 64)])
    assert [(one.pictures, one.score, one.outcome) for one in raced] == [(len(context.dataset), None, "")] * 2
    assert [one.network.backbone.name for one in raced] == ["simple_cnn 48 px", "simple_cnn 64 px"]
    again = run([entrant_of("simple_cnn 48 px", 48)])
    assert [one.pictures for one in again] == [0]  # it lies in the cache


def test_what_takes_too_long_is_left_out_and_told(ready):
    _, run = ready
    (raced,) = run([entrant_of("simple_cnn 48 px", 48)], pace_s=1.0)
    assert raced.pictures == 0
    assert raced.outcome.startswith("left out: 36 pictures would have taken ")
    assert not raced.reads_all


def test_what_lies_in_the_cache_takes_no_time(ready):
    _, run = ready
    run([entrant_of("simple_cnn 48 px", 48)])
    (raced,) = run([entrant_of("simple_cnn 48 px", 48)], pace_s=1.0, seconds=0.0)
    assert (raced.pictures, raced.reads_all) == (0, True)


def test_no_more_than_a_few_are_read_whole(ready, monkeypatch):
    _, run = ready
    monkeypatch.setattr(module, "MOST_READ", 1)
    first, second = run([entrant_of("simple_cnn 48 px", 48), entrant_of("simple_cnn 64 px", 64)])
    assert first.reads_all
    assert second.outcome == "left out: 1 others came before it"


def test_what_is_too_dear_makes_room_for_the_next(ready, monkeypatch):
    context, run = ready
    monkeypatch.setattr(module, "MOST_READ", 1)
    found = [entrant_of("simple_cnn 224 px", 224), entrant_of("simple_cnn 48 px", 48)]
    macs = [load_backbone("simple_cnn", pretrained=False, size_px=size).backbone.num_macs for size in (224, 48)]
    pace_s = 3600 / macs[0] / len(context.dataset)  # an hour for the larger one
    dear, cheap = run(found, pace_s=pace_s, seconds=1800)
    assert dear.outcome.startswith("left out: 36 pictures would have taken 3,600 s")
    assert cheap.reads_all


def test_of_many_pictures_a_sample_halves_the_networks(ready, monkeypatch, compared):
    context, run = ready
    monkeypatch.setattr(module, "SAMPLE", 12)
    monkeypatch.setattr(module, "LEAST_A_CLASS", 4)
    raced = run([entrant_of(f"simple_cnn {size} px", size) for size in (48, 64, 96)])
    whole = [one for one in raced if one.reads_all]
    assert len(whole) == 2
    assert [one.pictures for one in whole] == [len(context.dataset)] * 2  # the sample's pictures once
    (out,) = [one for one in raced if not one.reads_all]
    assert out.outcome == f"left out: {out.score:.3f} on a sample of 12 pictures"
    assert out.score <= min(one.score for one in whole)
    spec = bank_spec(out.network.backbone, context.runtime, poolings=context.options.pooling)
    bank = open_bank(context.cache, spec)
    test = {compared.dataset.samples[row].sha256 for row in compared.split.test}
    assert len(bank) == 12
    assert len(bank.missing(sorted(test))) == len(test)  # no test picture was in the sample


def test_scrambled_test_labels_change_nothing(ready, monkeypatch, compared):
    _, run = ready
    monkeypatch.setattr(module, "SAMPLE", 12)
    monkeypatch.setattr(module, "LEAST_A_CLASS", 4)
    found = [entrant_of(f"simple_cnn {size} px", size) for size in (48, 64, 96)]
    labels = compared.dataset.labels.copy()
    labels[compared.split.test] = 1 - labels[compared.split.test]
    outcomes = [[(one.score, one.outcome) for one in run(found, labels=own)] for own in (None, labels)]
    assert outcomes[0] == outcomes[1]


def test_the_pace_is_that_of_the_extraction_or_of_a_pass(compared, tmp_path):
    context = compared.session.context
    done = extract(context.dataset, context.network, runtime=context.runtime, cache=tmp_path)
    macs = context.network.backbone.num_macs
    assert pace_of(context, done) == pytest.approx(done.seconds / 36 / macs)
    cached = replace(done, num_lacking=0, seconds=1e-9)
    assert pace_of(context, cached) * macs > 1e-7


def test_a_sample_has_its_share_of_every_class():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    order = module._dealt(labels, 0)
    assert np.bincount(labels[order[:10]]).tolist() == [6, 3, 1]
    assert sorted(order.tolist()) == list(range(100))


def test_what_was_raced_is_told(ready):
    _, run = ready
    raced = run([entrant_of("simple_cnn 48 px", 48), entrant_of("simple_cnn 64 px", 64)])
    raced[1].outcome, raced[1].score = "left out: 0.500 on a sample of 12 pictures", 0.5
    assert race_words(raced) == (
        "Networks that raced for the time: simple_cnn 48 px (read whole), simple_cnn 64 px (left out: 0.500 on a "
        "sample of 12 pictures)."
    )
    facts = raced[1].to_json()
    assert facts.pop("seconds") >= 0
    assert facts == {
        "network": "simple_cnn 64 px",
        "pictures": 36,
        "score": 0.5,
        "outcome": "left out: 0.500 on a sample of 12 pictures",
    }
