"""Views of a picture: named, seeded by the picture, the same whatever runs beside, and never what nobody asked for."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from thawline.core.errors import UsageError
from thawline.data.augment import (
    POLICIES,
    augmented,
    checked_policy,
    checked_view,
    seen_as,
    view_names,
    view_seed,
)

ALTERING = tuple(policy for policy in POLICIES if policy != "none")
SHA256 = hashlib.sha256(b"a picture").hexdigest()


@pytest.fixture(scope="module")
def pixels():
    """Return a colourful picture without symmetries, 48 px."""
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_seed_settles_the_pixels_and_the_picture_is_left_alone(pixels, policy):
    kept = pixels.copy()
    for seed in (0, 5, 2**63 - 1):
        once, again = augmented(pixels, policy, seed=seed), augmented(pixels, policy, seed=seed)
        assert np.array_equal(once, again)
        assert (once.shape, once.dtype, once.flags.c_contiguous) == ((48, 48, 3), np.uint8, True)
        assert not np.shares_memory(once, pixels)
    assert np.array_equal(pixels, kept)


def test_none_alters_nothing(pixels):
    assert all(np.array_equal(augmented(pixels, "none", seed=seed), pixels) for seed in range(3))


@pytest.mark.parametrize("policy", ALTERING)
def test_other_seeds_give_other_pixels(pixels, policy):
    seen = {augmented(pixels, policy, seed=seed).tobytes() for seed in range(30)}
    assert len(seen) == 2 if policy == "flip" else len(seen) >= (6 if policy == "flip+erase" else 15)


def test_flip_mirrors_half_the_pictures_and_nothing_else(pixels):
    found = [augmented(pixels, "flip", seed=seed) for seed in range(200)]
    mirrored = sum(np.array_equal(one, pixels[:, ::-1]) for one in found)
    assert mirrored + sum(np.array_equal(one, pixels) for one in found) == 200
    assert 70 <= mirrored <= 130


def test_crops_keep_from_a_third_of_the_picture_to_all_of_it():
    """Read off a picture whose red and green say where a pixel comes from."""
    ramp = np.linspace(0, 255, 64).round().astype(np.uint8)
    place = np.stack([*np.meshgrid(ramp, ramp), np.zeros((64, 64), dtype=np.uint8)], axis=2)
    areas, ratios = [], []
    for seed in range(200):
        crop = augmented(place, "crop", seed=seed).astype(np.float64) / 255
        width, height = np.ptp(crop[:, :, 0]), np.ptp(crop[:, :, 1])
        areas.append(width * height)
        ratios.append(width / height)
    assert 0.30 < min(areas) < 0.45
    assert 0.9 < max(areas) <= 1
    assert 0.68 < min(ratios) < 0.85
    assert 1.18 < max(ratios) < 1.47


def test_erasing_paints_over_a_quarter_of_the_pictures(pixels):
    changed = 0
    for seed in range(300):
        erased = (augmented(pixels, "flip+erase", seed=seed) == 128).all(axis=2)
        if erased.any():
            rows, columns = np.flatnonzero(erased.any(1)), np.flatnonzero(erased.any(0))
            box = erased[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            changed += bool(box.all() and 0.01 < box.size / erased.size < 0.36)
    assert 45 <= changed <= 105


def test_neither_other_threads_nor_their_random_numbers_matter(pixels):
    """Four threads draw from torch's global generator all the while; it goes on as if nothing else had happened."""
    jobs = [(policy, seed) for policy in ALTERING for seed in range(6)]
    alone = [augmented(pixels, job[0], seed=job[1]) for job in jobs]
    stop = threading.Event()

    def hammer():
        while not stop.is_set():
            torch.rand(8)
            torch.randint(9, (3,))

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda job: augmented(pixels, job[0], seed=job[1]), jobs))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for job, one, other in zip(jobs, alone, together, strict=True):
        assert np.array_equal(one, other), job


@pytest.mark.parametrize("policy", ALTERING)
def test_no_other_random_state_is_moved_or_read(pixels, policy):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = [augmented(pixels, policy, seed=seed) for seed in range(8)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert all(np.array_equal(one, augmented(pixels, policy, seed=seed)) for seed, one in enumerate(first))


def test_the_first_mirrored_view_is_the_mirror_image_of_every_picture(pixels):
    for number in range(10):
        sha256 = hashlib.sha256(bytes([number])).hexdigest()
        assert np.array_equal(seen_as(pixels, "flip.1", sha256=sha256), pixels[:, ::-1])


def test_a_view_is_settled_by_its_name_and_its_picture(pixels):
    assert seen_as(pixels, "plain", sha256=SHA256) is pixels
    view = seen_as(pixels, "augmix.2", sha256=SHA256)
    assert np.array_equal(view, augmented(pixels, "augmix", seed=view_seed(SHA256, "augmix.2")))
    assert not np.array_equal(view, seen_as(pixels, "augmix.1", sha256=SHA256))
    assert not np.array_equal(view, seen_as(pixels, "augmix.2", sha256=hashlib.sha256(b"another").hexdigest()))


def test_seeds_differ_and_stay_what_they_are():
    assert view_seed(SHA256, "augmix.3") == 1579117551912700488
    others = {
        view_seed(SHA256, f"{policy}.{k}", seed=seed) for policy in ALTERING for k in range(1, 9) for seed in range(3)
    }
    assert len(others) == len(ALTERING) * 8 * 3
    assert all(0 <= seed < 2**63 for seed in others)


def test_views_are_named():
    assert view_names("none", 1) == ("plain",)
    assert view_names("flip", 2) == ("plain", "flip.1")
    assert view_names("crop+erase", 4) == ("plain", "crop+erase.1", "crop+erase.2", "crop+erase.3")
    assert all(checked_view(view) == view for policy in ALTERING for view in view_names(policy, 2))


@pytest.mark.parametrize(
    ("policy", "count", "message"),
    [
        ("augmix", 1, "--augment augmix --views 1: the only view is the plain one, .* Pass --views 4, or --aug"),
        ("flip", 1, "--augment flip --views 1: .* Pass --views 2, or --augment none."),
        ("none", 3, "--augment none --views 3: the views would all be the same. Pass --views 1, or a policy"),
        ("flip", 3, "--augment flip --views 3: a picture and its mirror image are 2 views; .* Pass --views 2, or"),
        ("crop", 0, "--augment crop --views 0: at least 1 view, the plain one, is required. Pass --views 4."),
    ],
)  # fmt: skip
def test_contradictions_are_refused_with_the_way_out(policy, count, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        view_names(policy, count)


def test_an_unknown_policy_is_refused_with_the_nearest_one():
    assert checked_policy("trivial+erase") == "trivial+erase"
    with pytest.raises(
        UsageError, match=r"^--augment augmx: there is no such policy\. Did you mean augmix\? There are"
    ):
        checked_policy("augmx")
    with pytest.raises(UsageError, match=r"^--augment zzz: there is no such policy\. There are none, flip, crop, "):
        checked_policy("zzz")
    with pytest.raises(UsageError, match="no such policy"):
        augmented(np.zeros((4, 4, 3), dtype=np.uint8), "mirror", seed=0)


@pytest.mark.parametrize("view", ["", "flip", "flip.0", "flip.01", "flip.-1", "flip.x", "none.1", "plain.1", "flip.²"])
def test_what_names_no_view_is_refused(view):
    with pytest.raises(UsageError, match=r"does not exist: name plain, or POLICY\.K such as flip\.1 or augmix\.3\.$"):
        checked_view(view)
