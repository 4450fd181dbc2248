"""Copies: proposed by hash, confirmed by pixels, each against the picture that stands for its group."""

from __future__ import annotations

import io

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from thawline.data import copies
from thawline.data.copies import group_copies, group_equal, hash_thumbnails, is_large


def thumbnails(*pictures: Image.Image) -> np.ndarray:
    return np.stack(
        [np.asarray(picture.convert("RGB").resize((32, 32), Image.Resampling.LANCZOS)) for picture in pictures]
    )


def groups_of(stack: np.ndarray, labels=None) -> list[int]:
    """Return the groups of pictures with distinct bytes."""
    return grouped(stack, labels)[0].tolist()


def grouped(stack: np.ndarray, labels=None) -> tuple[np.ndarray, np.ndarray]:
    names = [f"{index:064x}" for index in range(len(stack))]
    return group_copies(names, stack, labels=np.zeros(len(stack), int) if labels is None else np.asarray(labels))


def photo(seed: int, size: int = 256) -> Image.Image:
    """Return a drawn picture with edges and fine detail, as a photo has them."""
    rng = np.random.default_rng(seed)
    picture = Image.fromarray(rng.integers(40, 216, (7, 7, 3), dtype=np.uint8)).resize((size, size), 3)
    pen = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y, w, h = (rng.random(4) * size * (1, 1, 0.4, 0.4)).astype(int).tolist()
        pen.ellipse((x, y, x + w, y + h), fill=tuple(rng.integers(0, 256, 3).tolist()))
    grain = rng.normal(0, 5, (size, size, 3))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))


def as_jpeg(picture: Image.Image, quality: int = 85) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def frame(scene: Image.Image, seed: int, noise: float = 5.0) -> Image.Image:
    """Return what a fixed camera sees: the scene with the noise of its sensor."""
    levels = np.asarray(scene) + np.random.default_rng(seed).normal(0, noise, (*scene.size[::-1], 3))
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def scratched(picture: Image.Image, at: tuple[int, int]) -> Image.Image:
    ImageDraw.Draw(picture).line((*at, at[0] + 34, at[1] + 12), fill=(250, 250, 245), width=3)
    return picture


COPIES = {
    "recompressed": lambda p: as_jpeg(p, 30),
    "smaller": lambda p: as_jpeg(p.resize((110, 110), Image.Resampling.BICUBIC)),
    "larger": lambda p: p.resize((400, 400), Image.Resampling.LANCZOS),
    "cropped": lambda p: as_jpeg(p.crop((0, 1, 254, 255))),
    "brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.12),
    "mirrored": lambda p: as_jpeg(p.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "mirrored and smaller": lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((96, 96)),
}


def test_hashes_are_those_of_imagehash_for_a_picture_and_its_mirror_image(draw):
    stack = thumbnails(*(draw(seed) for seed in range(20)))
    own, flipped = hash_thumbnails(stack)
    assert own.tolist() == [int(str(imagehash.phash(Image.fromarray(item))), 16) for item in stack]
    assert flipped.tolist() == [int(str(imagehash.phash(Image.fromarray(item[:, ::-1]))), 16) for item in stack]


@pytest.mark.parametrize("kind", COPIES)
def test_what_people_do_to_a_photo_leaves_it_a_copy(kind):
    photos = [photo(seed) for seed in range(12)]
    stack = thumbnails(*photos, *map(COPIES[kind], photos))
    assert groups_of(stack) == [*range(12), *range(12)]
    in_another_class = groups_of(stack, [0] * 12 + [1] * 12)[12:]  # these are looked at closely
    assert np.count_nonzero(np.array(in_another_class) == np.arange(12)) >= 11


def test_blocks_and_tiles_change_nothing(draw, monkeypatch):
    rng = np.random.default_rng(0)
    base = thumbnails(*(draw(seed % 40) for seed in range(60))).astype(int)
    stack = np.clip(base + rng.integers(-3, 4, base.shape), 0, 255).astype(np.uint8)
    monkeypatch.setattr(copies, "_TILE", (7, 11))
    monkeypatch.setattr(copies, "_BLOCK", 5)
    assert groups_of(stack) == [*range(40), *range(20)]


def test_white_ground_and_flat_pictures_are_not_copies(draw):
    white = [Image.new("RGB", (64, 64), "white") for _ in range(2)]
    for picture, seed in zip(white, (1, 2), strict=True):
        picture.paste(draw(seed, (20, 20)), (22, 22))
    colours = [Image.new("RGB", (64, 64), colour) for colour in ("red", "darkred", "blue")]
    assert groups_of(thumbnails(*white, *colours)) == [0, 1, 2, 3, 4]


def test_what_the_hash_takes_for_a_copy_is_settled_by_pixels(draw):
    stack = np.repeat(thumbnails(draw(5)), 2, axis=0)
    stripes = np.where(np.arange(32) % 2, 12, -12)[None, :, None]  # too fine for the hash to see
    stack[1] = np.clip(stack[1].astype(int) + stripes, 0, 255)
    hashes, _ = hash_thumbnails(stack)
    assert int(np.bitwise_count(hashes[0] ^ hashes[1])) <= 8
    assert groups_of(stack) == [0, 1]


def test_empty_pages_are_not_copies_of_one_another():
    stack = np.full((2, 32, 32, 3), 250, dtype=np.uint8)
    stack[:, :10] -= 1  # the same faint shadow of the scanner
    assert groups_of(stack) == [0, 1]


def test_the_same_shape_in_another_colour_is_no_copy(draw):
    levels = np.asarray(draw(5).convert("L")).astype(int) // 3
    tinted = [np.stack([levels + shift for shift in shifts], axis=2) for shifts in ((150, 0, 0), (0, 0, 150))]
    assert groups_of(thumbnails(*(Image.fromarray(item.astype(np.uint8)) for item in tinted))) == [0, 1]


def test_a_negative_is_no_copy():
    original = photo(3)
    negative = Image.fromarray(255 - np.asarray(original))
    assert groups_of(thumbnails(original, negative)) == [0, 1]


def test_equal_bytes_are_one_group_whatever_they_show(draw):
    stack = thumbnails(draw(1), draw(2), draw(1), draw(3))
    stack[2, 0, 0, 0] ^= 1
    groups, scenes = group_copies(["x", "y", "z", "y"], stack, labels=np.zeros(4, int))
    assert (groups.tolist(), scenes.tolist()) == ([0, 1, 0, 1], [0, 1, 0, 1])
    assert group_equal(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]


def test_defects_under_a_fixed_camera_are_pictures_of_their_own_and_the_good_parts_are_copies():
    part = photo(7)
    good = [frame(part, seed) for seed in range(12)]
    bad = [scratched(frame(part, 100 + k), (20 + 40 * (k % 4), 40 + 60 * (k // 4))) for k in range(12)]
    groups, scenes = grouped(thumbnails(*good, *bad), [0] * 12 + [1] * 12)
    assert groups.tolist() == [0] * 12 + list(range(1, 13))
    assert len(set(scenes.tolist())) == 1


def test_the_same_part_photographed_again_is_found_among_others_of_the_scene():
    part = photo(7)
    bad = [scratched(frame(part, k), (20 + 40 * (k % 4), 40 + 60 * (k // 4))) for k in range(8)]
    again = [as_jpeg(scratched(frame(part, 50), (20, 40)), 70), as_jpeg(bad[5], 60)]
    assert groups_of(thumbnails(*bad, *again), [0] * 8 + [1, 0]) == [0, 1, 2, 3, 4, 5, 6, 7, 0, 5]


def test_an_empty_ground_and_a_bird_on_it_are_two_pictures():
    empty = photo(11)
    visited = []
    for k in range(4):
        ground = frame(empty, 10 + k)
        bird = photo(50 + k, 30)
        ground.paste(bird, (20 + 50 * k, 150))
        visited.append(as_jpeg(ground, 90))
    stack = thumbnails(*(as_jpeg(frame(empty, k), 90) for k in range(4)), *visited)
    assert groups_of(stack, [0] * 4 + [1] * 4) == [0, 0, 0, 0, 1, 2, 3, 4]


def test_a_watermark_leaves_a_photo_a_copy_where_a_class_has_many_pictures():
    photos = [photo(seed) for seed in range(20)]
    marked = photos[0].copy()
    ImageDraw.Draw(marked).text((60, 120), "PHOTOS", fill=(255, 255, 255))
    assert groups_of(thumbnails(*photos, marked)) == [*range(20), 0]


def test_groups_do_not_chain():
    """A time lapse: each frame is a copy of the next one, and the first is none of the last."""
    dawn, dusk = (np.asarray(photo(seed)).astype(float) for seed in (21, 22))
    frames = [Image.fromarray((dawn + (dusk - dawn) * k / 60).astype(np.uint8)) for k in range(61)]
    stack = thumbnails(*frames)
    pairs = [groups_of(stack[k : k + 2]) for k in range(60)]
    assert pairs == [[0, 0]] * 60
    groups, scenes = grouped(stack)
    assert 4 <= len(set(scenes.tolist())) <= len(set(groups.tolist())) <= 30
    assert all(np.ptp(np.flatnonzero(scenes == scene)) < 30 for scene in set(scenes.tolist()))


def test_the_picture_with_most_neighbours_stands_for_a_group():
    """The middle one of three crops is a copy of both others, which are none of each other."""
    whole = photo(5)
    crops = [
        whole.transform((246, 256), Image.Transform.AFFINE, (1, 0, shift, 0, 1, 0), Image.Resampling.BICUBIC)
        for shift in (0, 3, 6)
    ]
    stack = thumbnails(*crops)
    assert groups_of(stack[[0, 2]]) == [0, 1]
    assert groups_of(stack) == [0, 0, 0]


def test_many_alike_pictures_are_large_by_number_and_share():
    assert is_large(5, np.array([0.1, 0.21]))
    assert not is_large(4, np.array([1.0]))
    assert not is_large(500, np.array([0.2]))


def test_ten_thousand_frames_of_one_scene_take_seconds():
    """A comparison of all pairs would take an hour, and the pairs alone 800 MB."""
    scene = thumbnails(photo(1))[0].astype(np.int16)
    noise = np.random.default_rng(0).integers(-1, 2, (10_000, 32, 32, 3), dtype=np.int8)
    groups, _ = grouped(np.clip(scene + noise, 0, 255).astype(np.uint8))
    assert (groups == 0).all()
