"""Prepared pixels and the name of a view -> the same picture seen another way: mirrored, cropped, recoloured, mixed.

The one idea: a view is a name, such as `augmix.3`, and what it shows depends on that name and the picture's hash
alone. So a bank can hold it, adding a view changes no other, and two machines make the same one. torchvision does the
work and is imported when the first view is made.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from thawline.core.errors import UsageError
from thawline.core.spelling import nearest

if TYPE_CHECKING:
    from thawline.core.types import Pixels

__all__ = ["PLAIN", "POLICIES", "augmented", "checked_policy", "checked_view", "seen_as", "view_names", "view_seed"]

PLAIN = "plain"
"""The view that leaves a picture as it is."""

_BASES = ("flip", "crop", "trivial", "rand", "augmix")

POLICIES = ("none", *_BASES, *(f"{base}+erase" for base in _BASES))
"""How a picture can be altered.

`none` nothing; `flip` mirrors every other one; `crop` cuts out a part of 35 to 100 % of the area, 3:4 to 4:3, and
scales it up again (Szegedy et al. 2015, "Going deeper with convolutions"), then flips; `trivial` flips and applies one
operation of any strength (TrivialAugment: Müller and Hutter 2021); `rand` flips and applies two of medium strength
(RandAugment: Cubuk et al. 2019); `augmix` flips and blends three chains of operations with the picture (AugMix:
Hendrycks et al. 2020). `+erase` paints a grey rectangle over every fourth one afterwards (random erasing: Zhong et al.
2017).
"""


def checked_policy(name: str) -> str:
    """Return `name` if it is one of `POLICIES`.

    Raises:
        UsageError: It is not; the nearest that is one is named.

    >>> checked_policy("crop+erase")
    'crop+erase'
    """
    if name in POLICIES:
        return name
    near = nearest(name, POLICIES)
    hint = f"Did you mean {near[0]}? There" if near else "There"
    raise UsageError(f"--augment {name}: there is no such policy. {hint} are {', '.join(POLICIES)}.")


def view_names(policy: str, count: int) -> tuple[str, ...]:
    """Return the names of the `count` views of a picture that a bank keeps: the plain one, then the augmented ones.

    Raises:
        UsageError: An unknown policy, or one that contradicts the number of views.

    >>> view_names("augmix", 3)
    ('plain', 'augmix.1', 'augmix.2')
    """
    name = f"--augment {checked_policy(policy)}"
    if count < 1:
        raise UsageError(f"{name} --views {count}: at least 1 view, the plain one, is required. Pass --views 4.")
    if policy == "none" and count > 1:
        raise UsageError(
            f"{name} --views {count}: the views would all be the same. "
            f"Pass --views 1, or a policy such as --augment crop."
        )
    if policy != "none" and count == 1:
        raise UsageError(
            f"{name} --views 1: the only view is the plain one, so nothing would be augmented. "
            f"Pass --views {2 if policy == 'flip' else 4}, or --augment none."
        )
    if policy == "flip" and count > 2:
        raise UsageError(
            f"{name} --views {count}: a picture and its mirror image are 2 views; a third would repeat one of them. "
            f"Pass --views 2, or a policy with more to vary such as --augment crop."
        )
    return (PLAIN, *(f"{policy}.{number}" for number in range(1, count)))


def checked_view(view: str) -> str:
    """Return `view` if it is one: `plain`, or `POLICY.K` with K from 1 on.

    Raises:
        UsageError: It does not.
    """
    policy, _, number = view.rpartition(".")
    numbered = number.isascii() and number.isdigit() and not number.startswith("0")
    if view == PLAIN or (numbered and policy in POLICIES and policy != "none"):
        return view
    raise UsageError(f"view {view!r} does not exist: name {PLAIN}, or POLICY.K such as flip.1 or augmix.3.")


def view_seed(sha256: str, view: str, *, seed: int = 0) -> int:
    """Return the seed of one view of one picture, in [0, 2^63): the same on every machine and in every run.

    Args:
        sha256: Hex digest of the picture's bytes.
        view: Name of the view, or any other text that identifies one version of the picture.
        seed: Of the whole run; banks keep 0, so that runs share them.
    """
    digest = hashlib.sha256(f"{sha256} {view} {seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def augmented(pixels: Pixels, policy: str, *, seed: int) -> Pixels:
    """Return the picture as `policy` and `seed` alter it, in a new array.

    The same arguments give the same pixels whatever else runs: every draw comes from a generator made from `seed`,
    and neither torch's own random state nor NumPy's is read or moved. Safe to call from several threads.

    Args:
        pixels: (H, W, 3) uint8 RGB, as `prepare` returns them; left as they are.
        policy: One of `POLICIES`.
        seed: In [0, 2^63), from `view_seed`.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        UsageError: The policy does not exist.
    """
    if checked_policy(policy) == "none":
        return pixels.copy()
    from thawline.data.transforms import transformed

    return transformed(pixels, policy, seed=seed)


def seen_as(pixels: Pixels, view: str, *, sha256: str) -> Pixels:
    """Return what one view shows of a picture; `plain` returns `pixels` themselves.

    `flip.1` is the mirror image of every picture; every other view draws from `view_seed(sha256, view)`.

    Args:
        pixels: (H, W, 3) uint8 RGB, as `prepare` returns them; left as they are.
        view: See `checked_view`.
        sha256: Hex digest of the picture's bytes.

    Raises:
        UsageError: The view does not exist.
    """
    if checked_view(view) == PLAIN:
        return pixels
    if view == "flip.1":
        import numpy as np  # here, because the options of training runs read the names alone, and `--help` reads those

        return np.ascontiguousarray(pixels[:, ::-1])
    return augmented(pixels, view.rpartition(".")[0], seed=view_seed(sha256, view))
