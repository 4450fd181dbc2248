"""Features and labels in, the curves of a dense layer trained by steps out: what tutorials do, for comparison only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam

from thawline.core.types import Curve, Floats, Ints
from thawline.heads.columns import fit_columns

__all__ = ["train_epochs"]


def train_epochs(
    features: Floats,
    labels: Ints,
    *,
    train: Ints,
    validation: Ints,
    num_classes: int,
    num_epochs: int = 20,
    learning_rate: float = 0.01,
    weight_decay: float = 1e-4,
    batch_size: int = 64,
    seed: int = 0,
) -> Curve:
    """Return the curves of a dense layer trained by Adam on frozen features, epoch by epoch.

    Tutorials train a head so. The curve is for comparison; predictions come from the solved head. Defaults are those of
    the project that the method comes from. Columns are prepared with the training rows. A seed fixes the result
    on a CPU.

    Args:
        features: (N, D) raw features.
        labels: (N,) class indices.
        train: Rows to train on.
        validation: Rows to watch.
        num_classes: K.
        num_epochs: Passes over the training rows.
        learning_rate: Adam's.
        weight_decay: Adam's L2 term.
        batch_size: Rows a step.
        seed: Of the order of rows and the initial weights.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.from_numpy(fit_columns(features[train]).apply(features))
    y = torch.from_numpy(labels)
    dense = torch.nn.Linear(x.shape[1], num_classes)
    with torch.no_grad():
        dense.weight.normal_(0, 0.01, generator=generator)
        dense.bias.zero_()
    step = _adam([dense.weight, dense.bias], learning_rate=learning_rate, weight_decay=weight_decay)
    rows = {"train": torch.from_numpy(train), "validation": torch.from_numpy(validation)}
    history: dict[str, list[float]] = {f"{name}_{score}": [] for name in rows for score in ("loss", "accuracy")}
    for _ in range(num_epochs):
        order = rows["train"][torch.randperm(len(train), generator=generator)]
        for batch in torch.split(order, batch_size):
            loss = torch.nn.functional.cross_entropy(dense(x[batch]), y[batch])
            step(torch.autograd.grad(loss, [dense.weight, dense.bias]))
        with torch.no_grad():
            for name, part in rows.items():
                logits = dense(x[part])
                history[f"{name}_loss"].append(float(torch.nn.functional.cross_entropy(logits, y[part])))
                history[f"{name}_accuracy"].append(float((logits.argmax(1) == y[part]).float().mean()))
    return Curve(**{name: tuple(values) for name, values in history.items()})


def _adam(parameters: list[Tensor], *, learning_rate: float, weight_decay: float) -> Callable[[Sequence[Tensor]], None]:
    """Return a step of Adam on some parameters by their gradients.

    torch's class takes the same steps, but loads torch's compiler, a second's work, when the first one is made.
    """
    means, squares = [torch.zeros_like(one) for one in parameters], [torch.zeros_like(one) for one in parameters]
    counts = [torch.tensor(0.0) for _ in parameters]

    def step(gradients: Sequence[Tensor]) -> None:
        with torch.no_grad():
            adam(
                parameters,
                list(gradients),
                means,
                squares,
                [],
                counts,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=learning_rate,
                weight_decay=weight_decay,
                eps=1e-8,
                maximize=False,
            )

    return step
