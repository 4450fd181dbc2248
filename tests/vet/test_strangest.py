"""What is told of strange pictures is plain data."""

from thawline.vet.strangest import Strange


def test_a_strange_picture_is_named_as_people_see_it():
    assert Strange("a/<1>.png", "a", 1.0, 4.5, is_outside=True, is_test=False).path == "a/<1>.png"
