"""Columns that overlap in several sets of features in, each set rotated out: what `rotate` gives, for less.

One idea: the inner products of rows are sums over columns. Those of all rows with the drawn ones are computed once for
every group of columns and added up for each set that has the group; a set's own part is one small decomposition.
Source: Williams & Seeger, "Using the Nyström method to speed up kernel machines", NeurIPS 2000.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from thawline.features.extract import in_streams
from thawline.heads.columns import Columns, prepare_columns
from thawline.heads.rotation import ROWS_OF_SCALES, Rotated, Table, drawn_rows, leading, squared_lengths

__all__ = ["rotate_sets"]

ROWS_AT_ONCE = 1024
"""Rows whose inner products are computed in one piece."""


def rotate_sets(groups: Sequence[Table], sets: Sequence[Sequence[int]], *, max_directions: int) -> list[Rotated]:
    """Return the features of each set rotated as by `rotate`, without what `Rotated.back` needs.

    Each set is to have more columns than `max_directions`, and N is to be larger too: else `rotate` takes less.
    Memory is that of S × N × `max_directions` floats.

    Args:
        groups: (N, d) raw features of each group of columns.
        sets: Places in `groups` that S sets are made of, in the order of their columns.
        max_directions: Directions kept at most.
    """
    n = groups[0].shape[0]
    of_scales, drawn = drawn_rows(n, ROWS_OF_SCALES), drawn_rows(n, max_directions)
    columns, keys = [], []
    for group in groups:
        prepared, _ = prepare_columns(group[of_scales])
        columns.append(prepared)
        keys.append(torch.from_numpy(prepared.apply(group[drawn])))
    products = [torch.zeros(n, max_directions) for _ in sets]

    def add(start: int) -> None:
        part = slice(start, start + ROWS_AT_ONCE)
        for place, group in enumerate(groups):
            inner = torch.from_numpy(columns[place].apply(group[part])) @ keys[place].T
            for which, product in zip(sets, products, strict=True):
                if place in which:
                    product[part] += inner

    for _ in in_streams(add, list(range(0, n, ROWS_AT_ONCE))):
        pass
    places = np.arange(n)[drawn]

    def turn(number: int) -> Rotated:
        values, vectors = leading(products[number][places])
        z = products[number] @ (vectors / values.sqrt())
        products[number] = torch.empty(0)
        own = [columns[place] for place in sets[number]]
        nothing = torch.empty(0, sum(len(one.mean) for one in own))
        return Rotated(_joined(own), z, squared_lengths(z), nothing, torch.empty(0, z.shape[1]))

    return list(in_streams(turn, list(range(len(sets)))))


def _joined(columns: Sequence[Columns]) -> Columns:
    """Return the preparation of columns side by side."""
    return Columns(
        np.concatenate([one.rooted for one in columns]),
        np.concatenate([one.mean for one in columns]),
        np.concatenate([one.scale for one in columns]),
    )
