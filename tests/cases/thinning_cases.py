"""Small drawn sets in five folds, and what heads that learn from fewer pictures say of them."""

import numpy as np

from thawline.search.answers import Rows
from thawline.search.strategy import Strategy
from thawline.vet.thinning import WHOLE, Head, answer_thinned

STRATEGY = Strategy("drawn", (0,), ("mean",), "linear", "drawn", 1.0)
HEADS = (Head(STRATEGY, 2),)


def drawn(n, *, num_classes=3, num_columns=20, copies=1, seed=0, apart=1.2):
    """Return features and rows in five folds; each class has its own mean."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % num_classes
    features = (rng.normal(size=(n, num_columns)) + apart * np.eye(num_classes, num_columns)[labels]).astype(np.float32)
    features, labels, groups = (np.repeat(part, copies, axis=0) for part in (features, labels, np.arange(n)))
    place = groups // num_classes % 5
    held = tuple(np.flatnonzero(place == fold) for fold in range(5))
    train = np.stack([place != fold for fold in range(5)], axis=1).astype(np.float32)
    every = np.arange(len(labels))
    return features, Rows(every, labels, groups, train, held, np.zeros(5, int), every, np.ones(len(labels)))


def answered(features, rows, plan=WHOLE, heads=HEADS):
    return answer_thinned(heads, lambda _: features, rows=rows, plan=plan)
