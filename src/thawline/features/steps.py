"""The links of a forward pass: modules that take an activation and hand the next one on.

An activation is a (B, C, H, W) map or (B, tokens, C). What a network pools in its own way is a map of one position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from thawline.features.backbone import POOL

__all__ = ["Part", "Step", "Trunk", "ending", "has_parameters", "num_layers", "one_position"]


@dataclass(frozen=True)
class Step:
    """One link of the forward pass.

    Attributes:
        name: Path of the module in the model, or what the step does where it is more than one module.
        module: Called with the activation; every parameter and buffer the step uses is registered in it, and in no
            other step.
        stage: Number of the stage whose block ends here, or None where the network cannot be cut.
    """

    name: str
    module: nn.Module
    stage: int | None = None


Trunk = tuple[Step, ...]


class Part(nn.Module):
    """A stretch of a model's forward pass that is code rather than a module; holds what that code uses."""

    def __init__(
        self, run: Callable[[Tensor], Tensor], others: Iterable[nn.Module] = (), **used: nn.Module | nn.Parameter | None
    ) -> None:
        super().__init__()
        self._run = run
        for name, value in used.items():
            setattr(self, name, value)
        self.others = nn.ModuleList(others)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of this stretch for `x`."""
        return self._run(x)


def has_parameters(module: nn.Module) -> bool:
    """Return whether anything in a module can learn."""
    return next(module.parameters(), None) is not None


def num_layers(module: nn.Module) -> int:
    """Return how many weight-bearing layers a module has: convolutions, linear layers."""
    return sum(name.rpartition(".")[2] == "weight" and p.ndim > 1 for name, p in module.named_parameters())


def one_position(features: Tensor) -> Tensor:
    """Return (B, C) features as a (B, C, 1, 1) map."""
    return features[:, :, None, None]


def ending(name: str, classifier: nn.Module, *, pool: Part, last_stage: int | None) -> list[Step]:
    """Return the steps behind the last block: the pooling, then the classifier on what it gives.

    Args:
        name: Path of the classifier.
        classifier: Takes (B, C) features, or a map of one position if it is a convolution.
        pool: Gives them, from the last activation.
        last_stage: Where these features are a depth of their own, because no mean and no token gives them: the number
            of the last stage; else None.
    """

    def classify(x: Tensor) -> Tensor:
        logits: Tensor = classifier(x).flatten(1) if isinstance(classifier, nn.Conv2d) else classifier(x.flatten(1))
        return logits

    return [
        Step(POOL, Part(lambda x: one_position(pool(x)), [pool]), last_stage),
        Step(name, Part(classify, [classifier])),
    ]
