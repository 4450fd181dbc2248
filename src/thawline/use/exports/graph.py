"""A classifier -> one torch module from prepared pixels to its answers: what `export` writes as ONNX.

One idea: normalisation, networks, pooling, head and temperature are one graph in float32, with an input for each
preparation of a picture that differs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor, nn

from thawline.core.errors import BundleError
from thawline.core.types import Floats, InputSpec
from thawline.features.folding import fold_batch_norms
from thawline.features.network import Network
from thawline.features.pooling import pooled
from thawline.heads.columns import Columns
from thawline.heads.dense import DenseHead
from thawline.heads.head import Head
from thawline.heads.linear import LinearHead
from thawline.heads.nearest import VOTE_FLOOR, VOTE_TEMPERATURE, NeighbourHead
from thawline.heads.outsiders import FAR_FLOOR, FAR_WEIGHT, STEP_FLOOR, Outsiders, Strangeness
from thawline.heads.together import TogetherHead
from thawline.use.classifier import Classifier

__all__ = ["Graph", "PreparedColumns", "head_module"]


class Graph(nn.Module):
    """Prepared pixels in, probabilities and perhaps strangeness out, all of it torch in float32 on the CPU."""

    def __init__(self, classifier: Classifier) -> None:
        """Fold the networks for inference and turn the head into a module.

        Raises:
            BundleError: The head has no form in ONNX.
        """
        super().__init__()
        reader = classifier.reader
        self.columns = nn.ModuleList(
            _Columns(network, part.blocks) for network, part in zip(classifier.networks, reader.readers, strict=True)
        )
        self.input_of = reader.input_of
        self.storage = torch.float16 if reader.storage == np.float16 else torch.float32
        self.head = head_module(classifier.head)
        self.temperature = classifier.temperature
        known = classifier.outsiders
        self.outside = None if known is None else _Outside(known)

    def forward(self, *pixels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return (B, K) probabilities of B pictures and, where the model knows, (B,) how strange each looks.

        Args:
            *pixels: One (B, H, W, 3) uint8 tensor for each of the reader's inputs.
        """
        return self.said_of(self.stored(*pixels))

    def stored(self, *pixels: Tensor) -> Tensor:
        """Return (B, C) features, rounded as those that the head was trained on."""
        parts = [columns(pixels[place]) for columns, place in zip(self.columns, self.input_of, strict=True)]
        features = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return features.to(self.storage).float()

    def said_of(self, stored: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return what `forward` does, of (B, C) features."""
        logits = self.head(stored) / self.temperature
        shares = torch.softmax(logits, dim=1)
        return shares if self.outside is None else (shares, self.outside(stored, logits))


class _Columns(nn.Module):
    """One network's columns, in the order of its blocks."""

    def __init__(self, network: Network, blocks: Sequence[tuple[int, str]]) -> None:
        super().__init__()
        model = fold_batch_norms(network.model, network.backbone.input.size_px)  # fused calls have no form in ONNX
        self.network = Network(network.backbone, model)
        self.model = self.network.model  # makes its parameters this module's
        self.scaling = _Scaling(network.backbone.input)
        self.blocks = tuple(blocks)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.scaling(pixels)
        by_cut: dict[int, list[str]] = {}
        for cut, pooling in self.blocks:
            by_cut.setdefault(cut, []).append(pooling)
        columns_by_block, num_prefix_tokens = {}, self.network.num_prefix_tokens
        for cut, activation in self.network.features(x, sorted(by_cut)):
            for pooling, columns in pooled(activation, by_cut[cut], num_prefix_tokens=num_prefix_tokens).items():
                columns_by_block[cut, pooling] = columns
        return torch.cat([columns_by_block[block] for block in self.blocks], dim=1)


class _Scaling(nn.Module):
    """Pixels -> the network's input, as `to_input` makes it."""

    mean: Tensor
    scale: Tensor

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(spec.mean) * 255)
        self.register_buffer("scale", 1 / (torch.tensor(spec.std) * 255))

    def forward(self, pixels: Tensor) -> Tensor:
        return ((pixels.float() - self.mean) * self.scale).permute(0, 3, 1, 2)


class PreparedColumns(nn.Module):
    """`Columns.apply` in torch."""

    rooted: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, columns: Columns) -> None:
        super().__init__()
        for name, values in asdict(columns).items():
            self.register_buffer(name, torch.from_numpy(values))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, C) prepared columns of (B, C) raw features."""
        root = features.abs().sqrt() * features.sign()
        return (torch.where(self.rooted, root, features) - self.mean) * self.scale


class _Votes(nn.Module):
    """`NeighbourHead.logits` behind its columns: every training picture is in the graph."""

    keys: Tensor
    members: Tensor

    def __init__(self, head: NeighbourHead) -> None:
        super().__init__()
        self.k = head.k
        self.register_buffer("keys", torch.from_numpy(head.keys.astype(np.float32)))
        self.register_buffer("members", torch.from_numpy(np.eye(head.num_classes, dtype=np.float32)[head.labels]))

    def forward(self, columns: Tensor) -> Tensor:
        unit = columns / columns.square().sum(1, keepdim=True).sqrt().clamp_min(1e-12)
        similarity, nearest = (unit @ self.keys.T).topk(self.k, dim=1)
        weights = torch.exp((similarity - 1) / VOTE_TEMPERATURE)
        votes = (weights.unsqueeze(2) * self.members[nearest]).sum(1)
        return torch.log(votes / votes.sum(1, keepdim=True) + VOTE_FLOOR)


class _Together(nn.Module):
    """`TogetherHead.logits`: each head on its columns, then the logarithm of their mean probabilities."""

    def __init__(self, head: TogetherHead) -> None:
        super().__init__()
        self.heads = nn.ModuleList(head_module(member.head) for member in head.members)
        self.temperatures = [member.temperature for member in head.members]
        for number, member in enumerate(head.members):
            self.register_buffer(f"reads{number}", torch.from_numpy(np.flatnonzero(member.reads)))

    def forward(self, features: Tensor) -> Tensor:
        shares = [
            torch.log_softmax(head(features[:, self.get_buffer(f"reads{number}")]) / temperature, dim=1)
            for number, (head, temperature) in enumerate(zip(self.heads, self.temperatures, strict=True))
        ]
        return torch.logsumexp(torch.stack(shares), dim=0) - math.log(len(shares))


class _Strangeness(nn.Module):
    """`Strangeness.score` in torch."""

    def __init__(self, score: Strangeness) -> None:
        super().__init__()
        self.columns = PreparedColumns(score.columns)
        self.near, self.far = score.near, score.far
        self.register_buffer("reads", torch.from_numpy(np.flatnonzero(score.reads)))
        for name in ("directions", "whitening", "means", "weights"):
            self.register_buffer(name, torch.from_numpy(getattr(score, name).astype(np.float32)))

    def forward(self, features: Tensor) -> Tensor:
        x = self.columns(features[:, self.get_buffer("reads")])
        z = x @ self.get_buffer("directions")
        u, means = z @ self.get_buffer("whitening"), self.get_buffer("means")
        squares = u.square()
        distances = squares.sum(1, keepdim=True) - 2 * (u @ means.T) + means.square().sum(1)
        near = distances.amin(1) - (squares * self.get_buffer("weights")).sum(1)
        rest = (x.square().sum(1) - z.square().sum(1)).clamp_min(0.0) / x.shape[1]
        far = torch.log(rest + FAR_FLOOR)
        score: Tensor = (near - self.near[0]) / self.near[1] + FAR_WEIGHT * (far - self.far[0]) / self.far[1]
        return score


class _Outside(nn.Module):
    """`Outsiders.outside` in torch."""

    def __init__(self, known: Outsiders) -> None:
        super().__init__()
        self.score = None if known.strangeness is None else _Strangeness(known.strangeness)
        steps = np.maximum(np.diff(known.quantiles), np.float32(STEP_FLOOR))
        self.register_buffer("lowest", torch.from_numpy(known.quantiles[:-1].copy()))
        self.register_buffer("steps", torch.from_numpy(steps))

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        score = -torch.logsumexp(logits, dim=1) if self.score is None else self.score(features)
        passed = (score.unsqueeze(1) - self.get_buffer("lowest")) / self.get_buffer("steps")
        share: Tensor = passed.clamp(0.0, 1.0).mean(1)
        return share


def head_module(head: Head) -> nn.Module:
    """Return raw features -> logits as a torch module in float32, through which gradients flow; weights are copies.

    Raises:
        BundleError: The head has no form in ONNX.
    """
    if isinstance(head, TogetherHead):
        return _Together(head)
    if isinstance(head, LinearHead):
        return nn.Sequential(PreparedColumns(head.columns), _linear(head.weight, head.bias))
    if isinstance(head, DenseHead):
        layers = (_linear(head.weight1, head.bias1), nn.ReLU(), _linear(head.weight2, head.bias2))
        return nn.Sequential(PreparedColumns(head.columns), *layers)
    if isinstance(head, NeighbourHead):
        return nn.Sequential(PreparedColumns(head.columns), _Votes(head))
    raise BundleError(f"export: a {type(head).__name__} cannot be expressed in ONNX. Serve the model folder instead.")


def _linear(weight: Floats, bias: Floats) -> nn.Linear:
    """Return a dense layer with a (D, K) weight and a (K,) bias."""
    layer = nn.Linear(*weight.shape)
    layer.load_state_dict({"weight": torch.from_numpy(weight.T.copy()), "bias": torch.from_numpy(bias)})
    return layer
