"""Near copies: proposed by hash, confirmed by pixels, joined into groups."""

from __future__ import annotations

import imagehash
import numpy as np
from PIL import Image

from thawline.data import copies
from thawline.data.copies import find_near_copies, group_copies, hash_thumbnails


def thumbnails(*pictures: Image.Image) -> np.ndarray:
    return np.stack(
        [np.asarray(picture.convert("RGB").resize((32, 32), Image.Resampling.LANCZOS)) for picture in pictures]
    )


def test_hashes_are_those_of_imagehash(draw):
    stack = thumbnails(*(draw(seed) for seed in range(20)))
    expected = [int(str(imagehash.phash(Image.fromarray(item))), 16) for item in stack]
    assert hash_thumbnails(stack).tolist() == expected


def test_near_copies_agree_with_looking_at_every_pair(draw, monkeypatch):
    """Tiles and blocks change nothing: the pairs are those that a plain double loop confirms."""

    rng = np.random.default_rng(0)
    base = thumbnails(*(draw(seed % 40) for seed in range(60))).astype(int)
    stack = np.clip(base + rng.integers(-3, 4, base.shape), 0, 255).astype(np.uint8)
    monkeypatch.setattr(copies, "_TILE", (7, 11))
    monkeypatch.setattr(copies, "_BLOCK", 5)
    assert find_near_copies(stack).tolist() == [[seed, seed + 40] for seed in range(20)]


def test_pairs_are_sorted_by_their_first_and_then_their_second_picture(draw):
    stack = thumbnails(*(draw(seed) for seed in (1, 2, 2, 1, 1)))
    assert find_near_copies(stack).tolist() == [[0, 3], [0, 4], [1, 2], [3, 4]]


def test_white_ground_and_flat_pictures_are_not_copies(draw):
    white = [Image.new("RGB", (64, 64), "white") for _ in range(2)]
    for picture, seed in zip(white, (1, 2), strict=True):
        picture.paste(draw(seed, (20, 20)), (22, 22))
    colours = [Image.new("RGB", (64, 64), colour) for colour in ("red", "darkred", "blue")]
    assert find_near_copies(thumbnails(*white, *colours)).tolist() == []


def test_what_the_hash_takes_for_a_copy_is_settled_by_pixels(draw):
    stack = np.repeat(thumbnails(draw(5)), 2, axis=0)
    stripes = np.where(np.arange(32) % 2, 12, -12)[None, :, None]  # too fine for the hash to see
    stack[1] = np.clip(stack[1].astype(int) + stripes, 0, 255)
    hashes = hash_thumbnails(stack)
    assert int(np.bitwise_count(hashes[0] ^ hashes[1])) <= 8
    assert find_near_copies(stack).tolist() == []


def test_empty_pages_are_not_copies_of_one_another():
    stack = np.full((2, 32, 32, 3), 250, dtype=np.uint8)
    stack[:, :10] -= 1  # the same faint shadow of the scanner
    assert find_near_copies(stack).tolist() == []


def test_the_same_shape_in_another_colour_is_no_copy(draw):
    levels = np.asarray(draw(5).convert("L")).astype(int) // 3
    tinted = [np.stack([levels + shift for shift in shifts], axis=2) for shifts in ((150, 0, 0), (0, 0, 150))]
    stack = thumbnails(*(Image.fromarray(item.astype(np.uint8)) for item in tinted))
    assert find_near_copies(stack).tolist() == []


def test_groups_join_chains_and_exact_copies(draw):
    stack = thumbnails(draw(1), draw(2), draw(1), draw(3))
    stack[2, 0, 0, 0] ^= 1
    groups, pairs = group_copies(["x", "y", "z", "y"], stack)
    assert groups.tolist() == [0, 1, 0, 1]
    assert pairs.tolist() == [[0, 2]]
