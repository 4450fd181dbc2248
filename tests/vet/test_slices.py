"""Parts of a set on which a model is less often right."""

from thawline.vet.slices import Slices


def test_nothing_found_is_plain():
    assert Slices(num_tried=3, found=()).found == ()
