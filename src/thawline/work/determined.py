"""What was read, and how it is to be compared -> the facts that determine the comparison, for its key.

One idea: of the pictures of the test nothing is among them but which they are, since nothing else is read of them.
"""

from __future__ import annotations

from thawline.data.dataset import Dataset
from thawline.data.split import Split
from thawline.features.joined_bank import banks_in, join_banks
from thawline.search.compare import CompareOptions
from thawline.work.reading import Reading

__all__ = ["what_determines"]


def what_determines(
    dataset: Dataset, reading: Reading, *, split: Split, asked: CompareOptions, policy: str
) -> list[object]:
    """Return everything that a comparison is computed from, as `core.remembered` takes facts.

    Args:
        dataset: The pictures.
        reading: Their banks, and the networks that filled them.
        split: Folds of what is compared.
        asked: How strategies are compared.
        policy: Of augmented views.
    """
    pool, context = split.pool, reading.context
    banks = (join_banks([extraction.bank for extraction in reading.extractions]), *reading.view_banks)
    keys = [[bank.key for bank in banks_in(one)] for one in banks]
    pictures = [dataset.samples[row].sha256 for row in pool.tolist()]
    backbones = [network.backbone for network in context.networks]
    return [
        keys,
        backbones,
        context.runtime,
        pictures,
        dataset.labels[pool],
        dataset.groups[pool],
        split,
        asked,
        policy,
    ]
