"""Power laws are found again, and what is not known is not claimed."""

import numpy as np
import pytest

from thawline.vet.power_law import fit_laws

SIZES = np.array([100.0, 200.0, 400.0, 600.0, 800.0])


def spread(errors, sizes=SIZES, sd=0.002):
    return fit_laws(sizes, errors, covariance=np.eye(len(sizes)) * sd**2)


@pytest.mark.parametrize(("floor", "slope"), [(0.0, 0.5), (0.1, 0.5), (0.0, 1.0), (0.05, 0.3)])
def test_what_follows_a_law_is_forecast_by_it(floor, slope):
    def law(n):
        return floor + 0.3 * (n / 100) ** -slope

    laws = spread(law(SIZES))
    for pictures in (800, 1600, 3200):
        low, high = np.quantile(laws.errors(pictures), [0.1, 0.9])
        assert low < law(pictures) < high
    assert laws.errors(800).mean() == pytest.approx(law(800), abs=0.005)


def test_further_away_less_is_known():
    laws = spread(0.3 * (SIZES / 100) ** -0.5)
    widths = [
        np.ptp(np.quantile(laws.errors(times * 800), [0.1, 0.9])) / laws.errors(times * 800).mean()
        for times in (1, 2, 8)
    ]
    assert widths[0] < widths[1] < widths[2]


def test_what_is_measured_on_the_same_pictures_says_more_of_the_fall_than_of_the_level():
    errors = 0.3 * (SIZES / 100) ** -0.5
    shared = fit_laws(SIZES, errors, covariance=np.full((5, 5), 0.02**2))
    apart = fit_laws(SIZES, errors, covariance=np.eye(5) * 0.02**2)
    level = [laws.errors(800).std() for laws in (shared, apart)]
    fall = [(laws.errors(800) - laws.errors(1600)).std() for laws in (shared, apart)]
    assert level[0] > level[1]
    assert fall[0] / level[0] < fall[1] / level[1]


def test_no_error_at_all_and_none_but_errors_give_numbers_in_range():
    for errors in (np.zeros(5), np.ones(5), np.array([0.5, 0.6, 0.4, 0.7, 0.5])):
        laws = spread(errors, sd=0.02)
        for pictures in (1, 100, 800, 1e6):
            found = laws.errors(pictures)
            assert np.isfinite(found).all()
            assert found.min() >= 0
            assert found.max() <= 1


def test_equal_points_give_equal_laws():
    errors = 0.3 * (SIZES / 100) ** -0.5
    assert (spread(errors).errors(1600) == spread(errors).errors(1600)).all()
    assert "draws" in repr(spread(errors))
