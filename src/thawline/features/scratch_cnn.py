"""A name and a number of classes become a small network with random weights, for training from nothing.

Each is a row of blocks, a mean over positions and a linear classifier, so it is cut, read and continued like timm's
networks. `features.scratch` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from thawline.core.errors import BackboneError
from thawline.features.scratch import SCRATCH

__all__ = ["ScratchCNN", "create_scratch"]

NUM_CLASSES = 10


class ScratchCNN(nn.Module):
    """A row of blocks, a mean over positions, and a linear classifier.

    Inputs are (B, 3, H, W), outputs (B, classes) logits. Weights are random from torch's generator: He normal for
    convolutions, biases zero (He et al., "Delving deep into rectifiers", ICCV 2015).

    Attributes:
        blocks: What the network can be cut behind, in forward order.
        global_pool: (B, C, H, W) to (B, C).
        classifier: The last linear layer; an identity where there are no classes.
    """

    def __init__(self, blocks: Sequence[nn.Module], num_features: int, num_classes: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.global_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(num_features, num_classes) if num_classes else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(
                    module.weight, nonlinearity="relu" if module is not self.classifier else "linear"
                )
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, classes) logits of (B, 3, H, W) pictures; (B, C) features without a classifier."""
        logits: Tensor = self.classifier(self.global_pool(self.blocks(x)))
        return logits

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Return timm's description of the layer groups: every block is one, and the classifier the last."""
        return {"blocks": r"^blocks\.(\d+)"}


class _Residual(nn.Module):
    """Adds the output of two convolutions to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolution(channels, channels), _convolution(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        total: Tensor = x + self.body(x)
        return total


def _convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    """Return a 3×3 convolution with batch norm and ReLU; the map keeps its size."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def _tutorial_cnn(num_classes: int) -> ScratchCNN:
    """Two convolutions with pooling and three dense layers: a colour LeNet-5, as PyTorch's CIFAR-10 tutorial has it.

    A dense layer on a map is a convolution as large as the map (LeCun et al., "Gradient-based learning applied to
    document recognition", 1998, layer C5), so every block ends in a map; the last two have one position.
    """
    blocks = (
        nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        nn.Sequential(nn.Conv2d(6, 16, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        nn.Sequential(nn.Conv2d(16, 120, 5), nn.ReLU(inplace=True)),
        nn.Sequential(nn.Conv2d(120, 84, 1), nn.ReLU(inplace=True)),
    )
    return ScratchCNN(blocks, 84, num_classes)


def _simple_cnn(num_classes: int) -> ScratchCNN:
    """Four convolutions with batch norm, each but the last followed by pooling."""
    widths = (3, 16, 32, 64, 128)
    blocks = [_convolution(*pair) for pair in pairwise(widths)]
    pooled = [nn.Sequential(*block, nn.MaxPool2d(2)) for block in blocks[:-1]]
    return ScratchCNN((*pooled, blocks[-1]), widths[-1], num_classes)


def _deep_cnn(num_classes: int) -> ScratchCNN:
    """Eight convolutions, four of them in residual pairs: the ResNet-9 of D. Page's DAWNBench entry at half its width.

    "How to train your ResNet", 2018; the classifier makes nine.
    """
    blocks = (
        _convolution(3, 32),
        nn.Sequential(*_convolution(32, 64), nn.MaxPool2d(2), _Residual(64)),
        nn.Sequential(*_convolution(64, 128), nn.MaxPool2d(2)),
        nn.Sequential(*_convolution(128, 256), nn.MaxPool2d(2), _Residual(256)),
    )
    return ScratchCNN(blocks, 256, num_classes)


_BUILDERS: dict[str, Callable[[int], ScratchCNN]] = {
    "tutorial_cnn": _tutorial_cnn,
    "simple_cnn": _simple_cnn,
    "deep_cnn": _deep_cnn,
}


def create_scratch(name: str, *, num_classes: int = NUM_CLASSES, img_size: int | None = None) -> ScratchCNN:
    """Return the network called `name` with random weights from torch's generator.

    The counterpart of timm's `create_model`.

    Args:
        name: A key of `SCRATCH`.
        num_classes: Outputs; 0 leaves the classifier out.
        img_size: Side of the input in pixels; None is the network's own.

    Raises:
        BackboneError: The network is made for another size.

    >>> create_scratch("deep_cnn").classifier
    Linear(in_features=256, out_features=10, bias=True)
    """
    network = SCRATCH[name]
    if img_size not in {None, network.size_px} and not network.takes_any_size:
        others = ", ".join(other for other in SCRATCH if SCRATCH[other].takes_any_size)
        raise BackboneError(
            f"{name} cannot take pictures of {img_size} px: its dense layers are made for {network.size_px} px. "
            f"Leave --size out, or choose {others}."
        )
    return _BUILDERS[name](num_classes)
