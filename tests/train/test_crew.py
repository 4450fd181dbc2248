"""Training runs are given to whoever is there, as many at once as there are processors, each its even share."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from thawline.train.crew import Alone, Fit, crew_of, have_done, share_of


class Recorder:
    """A crew that ends what it was given last first, and notes how much it had at once."""

    speed = 1.0

    def __init__(self, count):
        self.count, self.running, self.begun, self.most = count, [], [], 0

    def begin(self, fit, *, share=1):
        self.begun.append((fit, share))
        self.running.append((fit, share))
        self.most = max(self.most, sum(share for _, share in self.running))

    def wait(self):
        return self.running.pop()[0]


def fits_of(count):
    plan = SimpleNamespace(name="all")
    return [Fit(plan, None, fold) for fold in range(count)]


@pytest.mark.parametrize(
    ("count", "num_fits", "share"), [(1, 5, 1), (2, 1, 2), (8, 3, 2), (64, 5, 12), (4, 9, 1), (4, 0, 4)]
)
def test_each_gets_an_even_share_and_one_processor_at_least(count, num_fits, share):
    assert share_of(count, num_fits) == share


@pytest.mark.parametrize(("count", "num_fits"), [(1, 3), (2, 5), (5, 5), (8, 3), (64, 1)])
def test_all_are_done_and_never_more_at_once_than_there_are_processors(count, num_fits):
    crew, fits = Recorder(count), fits_of(num_fits)
    have_done(fits, crew)
    assert [fit for fit, _ in crew.begun] == fits  # begun in their order, whichever ends first
    assert not crew.running
    share = share_of(count, num_fits)
    assert crew.most == share * min(num_fits, count // share) <= count


def test_a_crew_that_grows_is_used():
    crew, fits = Recorder(1), fits_of(6)
    wait = crew.wait
    crew.wait = lambda: (setattr(crew, "count", 3), wait())[1]
    have_done(fits, crew)
    assert crew.most == 3


def test_alone_what_is_begun_first_is_done_first():
    crew, (first, second) = Alone(), fits_of(2)
    crew.begin(first)
    crew.begin(second, share=4)
    assert (crew.wait(), crew.wait()) == (first, second)


def test_a_run_without_a_cluster_has_this_process_alone():
    there = Recorder(2)
    of = lambda crew: SimpleNamespace(context=SimpleNamespace(machine=SimpleNamespace(crew=crew)))  # noqa: E731
    assert isinstance(crew_of(of(None)), Alone)
    assert crew_of(of(there)) is there


def test_a_fit_says_what_it_is():
    plan = SimpleNamespace(name="last 2 blocks")
    assert repr(Fit(plan, None, 2)) == "Fit(last 2 blocks, fold 3)"
    assert repr(Fit(plan, None, part="final-again")) == "Fit(last 2 blocks, final again)"
