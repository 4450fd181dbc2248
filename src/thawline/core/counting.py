"""A number and what is counted, in the plural -> both as people say them: `1 picture`, `1,301 pictures`.

One idea: the plural is what a sentence is written in, so it is what is given; the one case that differs is made of it.
"""

from __future__ import annotations

__all__ = ["counted", "singular"]


def counted(number: int, things: str) -> str:
    """Return a number with thousands set off, and the things in the number that goes with it.

    Args:
        number: How many; at least 0.
        things: The plural, with what stands before it: `near copies`.

    >>> counted(1, "near copies"), counted(0, "classes"), counted(1301, "pictures")
    ('1 near copy', '0 classes', '1,301 pictures')
    """
    return f"{number:,} {singular(things) if number == 1 else things}"


def singular(things: str) -> str:
    """Return one of the things, of which the plural is given; regular ones only.

    >>> [singular(things) for things in ("pictures", "classes", "copies", "feature sets")]
    ['picture', 'class', 'copy', 'feature set']
    """
    for plural, single in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if things.endswith(plural):
            return things.removesuffix(plural) + single
    return things
