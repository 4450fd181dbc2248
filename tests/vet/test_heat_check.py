"""The check of maps: a map that names what the answer hangs on is better than one that does not."""

import numpy as np
import pytest

from thawline.vet.heat_check import HeatCheck, centre_scores, check_heat, random_scores

GREY = np.array([128, 128, 128], dtype=np.uint8)


def spotted(place=(3, 1)):
    """Return a grey picture of 8 × 8 cells of 4 px with one white cell."""
    pixels = np.full((32, 32, 3), 100, dtype=np.uint8)
    y, x = place
    pixels[4 * y : 4 * y + 4, 4 * x : 4 * x + 4] = 255
    return pixels


def sees_white(pictures):
    """Return how much white there is: the whole spot is certainty."""
    return (pictures == 255).all(axis=3).sum(axis=(1, 2)) / 16


def at(place):
    scores = np.zeros((8, 8))
    scores[place] = 1
    return scores


def test_a_map_that_names_the_spot_erases_it_first_and_shows_it_first():
    found = check_heat(sees_white, spotted(), scores=at((3, 1)), fill=GREY, num_steps=64)
    assert found.deletion == pytest.approx(0.5 / 64)
    assert found.insertion == pytest.approx(1 - 0.5 / 64)
    assert found.gain == pytest.approx(1 - 1 / 64)


def test_a_map_that_names_it_last_is_the_worst_there_is():
    found = check_heat(sees_white, spotted(), scores=-at((3, 1)), fill=GREY, num_steps=64)
    assert found.gain == pytest.approx(-(1 - 1 / 64))


def test_curves_begin_and_end_with_the_picture_and_what_fills_it():
    half = check_heat(lambda pictures: np.full(len(pictures), 0.4), spotted(), scores=at((0, 0)), fill=GREY)
    assert (half.deletion, half.insertion) == (pytest.approx(0.4), pytest.approx(0.4))
    asked = []
    check_heat(
        lambda pictures: asked.extend(pictures) or np.zeros(len(pictures)), spotted(), scores=at((3, 1)), fill=GREY
    )
    assert (asked[0] == spotted()).all()
    assert (asked[10] == 128).all()
    assert len(asked) == 20


def test_a_picture_can_fill_in_for_a_colour():
    found = check_heat(sees_white, spotted(), scores=at((3, 1)), fill=spotted(), num_steps=8)
    assert found == HeatCheck(1.0, 1.0)


def test_sides_that_do_not_divide_the_picture_are_fine():
    found = check_heat(sees_white, spotted(), scores=random_scores(7, seed=0), fill=GREY)
    assert 0 <= found.deletion <= 1


def test_the_maps_to_compare_with():
    centre = centre_scores(14)
    assert centre.shape == (14, 14)
    assert np.unravel_index(centre.argmax(), centre.shape) in {(6, 6), (6, 7), (7, 6), (7, 7)}
    assert centre == pytest.approx(centre[::-1])
    assert (random_scores(14, seed=1) == random_scores(14, seed=1)).all()
    assert (random_scores(14, seed=1) != random_scores(14, seed=2)).any()


def test_a_map_that_is_no_square_is_refused():
    with pytest.raises(ValueError, match=r"it has the shape \(2, 3\); a square of cells is required"):
        check_heat(sees_white, spotted(), scores=np.zeros((2, 3)), fill=GREY)
