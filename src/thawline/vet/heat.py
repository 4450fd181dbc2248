"""A model and prepared pictures -> how much each place of a picture speaks for a class.

One idea: the score of a class is a function of pooled activations, and pooling is a sum over places. So each place's
share is its gradient times its activation, summed over channels and over every depth that the head reads; for heads
that are linear in means it is exact. What is read behind a network's own pooling, or at its class token, has no place
left: there the depth below is taken, and the gradient goes through the blocks in between.

Sources: Draelos & Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks",
2020; for transformers Ancona, Ceolini, Öztireli & Gross, "Towards better understanding of gradient-based attribution
methods for deep neural networks", ICLR 2018. Grad-CAM itself averages a gradient over places, which loses what is read
as a deviation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, affine_grid, grid_sample

from thawline.core.runtime import Runtime
from thawline.core.types import Floats, InputSpec, Ints, Pixels
from thawline.features.bank import Block
from thawline.features.network import Network
from thawline.features.pooling import pooled
from thawline.features.reader import FeatureReader, to_input
from thawline.heads.head import Head
from thawline.heads.nearest import VOTE_TEMPERATURE, NeighbourHead
from thawline.heads.together import TogetherHead
from thawline.use.classifier import Classifier
from thawline.use.exports.graph import head_module

__all__ = ["SIDE", "heat_scores", "place_shares", "shown_input", "why_no_heat"]

SIDE = 14
"""Cells along each side of a map: those of a network of 224 px two blocks before its end."""
COARSE, NUM_HALVES = 7, 4


@dataclass(frozen=True)
class _Leaf:
    """An activation whose places are asked about.

    Attributes:
        cut: Where it lies.
        reads: (cut, pooling) pairs that are read of it: at this cut, or behind blocks that it runs through.
    """

    cut: int
    reads: tuple[Block, ...]


def why_no_heat(classifier: Classifier) -> str:
    """Return why there is no map of where this model looks, in a sentence; empty where there is one."""
    for network, reader in zip(classifier.networks, classifier.reader.readers, strict=True):
        if _leaves(network, reader.blocks) is None:
            return (
                f"{network.backbone.name} pools its last activation in a way of its own and can be read at its stages "
                "only, so nothing says where in a picture the answer comes from."
            )
    return ""


def shown_input(classifier: Classifier) -> InputSpec:
    """Return the preparation whose square the maps are of: of several that which shows most."""
    return max(classifier.inputs, key=lambda spec: spec.crop_share)


def heat_scores(classifier: Classifier, *pixels: Pixels, classes: Ints) -> Floats:
    """Return (B, 14, 14) float32, from top to bottom: how much each cell speaks for a class, or below 0 against it.

    They are the shares of `place_shares`, on average over the picture and its mirror image, and what is left of them
    where half of the picture is erased, on average over eight halves: so that what counts alone is seen too, not only
    what counts when all the rest is there.

    Args:
        classifier: With a map: `why_no_heat` is empty.
        pixels: As in `Classifier.probabilities`.
        classes: (B,) the class that each picture's map is for.

    Raises:
        ValueError: There is no map of this model.
    """
    halves = _halves()
    cells = halves[:, _nearest(SIDE)][:, :, _nearest(SIDE)]
    maps = []
    for place, label in enumerate(classes.tolist()):
        views = [
            np.concatenate([view[place : place + 1], view[place : place + 1, :, ::-1], _erased(view[place], spec)])
            for view, spec in zip(pixels, classifier.inputs, strict=True)
        ]
        plain, mirrored, *parts = place_shares(classifier, *views, classes=np.full(2 + len(halves), label))
        kept = (np.stack(parts) * cells).sum(axis=0) / cells.sum(axis=0)
        maps.append((plain + mirrored[:, ::-1]) / 2 + kept)
    return np.stack(maps).astype(np.float32) if maps else np.empty((0, SIDE, SIDE), dtype=np.float32)


def _halves() -> Ints:
    """Return (8, 7, 7) bool: which cells of a picture are kept, four random halves and what each leaves."""
    rng = np.random.default_rng(0)
    picked = np.stack([rng.permutation(COARSE**2) < COARSE**2 // 2 for _ in range(NUM_HALVES)])
    halves: Ints = np.concatenate([picked, ~picked]).reshape(-1, COARSE, COARSE)
    return halves


def _nearest(side: int) -> Ints:
    """Return (side,) which coarse cell each of so many cells or pixels lies in."""
    cells: Ints = np.arange(side) * COARSE // side
    return cells


def _erased(picture: Pixels, spec: InputSpec) -> Pixels:
    """Return (8, H, W, 3) of one picture: half of its cells each, the others in the mean colour."""
    colour = np.round(255 * np.array(spec.mean)).astype(np.uint8)
    height, width, _ = picture.shape
    kept = _halves()[:, _nearest(height)][:, :, _nearest(width), None]
    views: Pixels = np.where(kept, picture, colour)
    return views


def place_shares(classifier: Classifier, *pixels: Pixels, classes: Ints) -> Floats:
    """Return (B, 14, 14) float32: each cell's share of a class's score, in the square of `shown_input`.

    Their mean is the score, for a head that is linear in what it reads. What is asked is the class's logit; of heads
    together the mean of their logits, and of nearest neighbours how alike those are that voted for the class.

    Args:
        classifier: As in `heat_scores`.
        pixels: As in `Classifier.probabilities`; they are read together.
        classes: (B,) the class of each.

    Raises:
        ValueError: There is no map of this model.
    """
    from captum.attr import InputXGradient

    if reason := why_no_heat(classifier):
        raise ValueError(f"heat: {reason} Ask `why_no_heat` first.")
    reader, shown = classifier.reader, shown_input(classifier)
    readouts = [_Readout(network, own.blocks) for network, own in zip(classifier.networks, reader.readers, strict=True)]
    activations = [
        _activations(own, readout, pixels[place])
        for own, readout, place in zip(reader.readers, readouts, reader.input_of, strict=True)
    ]
    flat = tuple(activation for own in activations for activation in own)
    target = torch.from_numpy(np.asarray(classes, dtype=np.int64))
    with torch.enable_grad():
        shares = InputXGradient(_Score(classifier.head, readouts)).attribute(flat, target=target)
    total, rest = torch.zeros(len(classes), SIDE, SIDE), iter(shares)
    for readout in readouts:
        for _ in readout.leaves:
            share = torch.nan_to_num(next(rest).detach().float().cpu(), 0.0, 0.0, 0.0)
            places = _places(share, readout.network.num_prefix_tokens)
            total += _in_square(places, readout.network.backbone.input, shown)
    found: Floats = total.numpy()
    return found


class _Readout(nn.Module):
    """The activations of one network that are asked about -> its columns, in the order of its blocks."""

    def __init__(self, network: Network, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.network, self.blocks = network, tuple(blocks)
        self.leaves = _leaves(network, blocks) or ()

    def forward(self, *activations: Tensor) -> Tensor:
        columns: dict[Block, Tensor] = {}
        for leaf, activation in zip(self.leaves, activations, strict=True):
            h, at = activation, leaf.cut
            for cut in sorted({cut for cut, _ in leaf.reads}):
                h, at = self._continued(h, at, cut), cut
                poolings = [pooling for other, pooling in leaf.reads if other == cut]
                read = pooled(h, poolings, num_prefix_tokens=self.network.num_prefix_tokens)
                columns |= {(cut, pooling): values for pooling, values in read.items()}
        return torch.cat([columns[block] for block in self.blocks], dim=1).cpu()

    def _continued(self, h: Tensor, start: int, stop: int) -> Tensor:
        """Return the activation at a deeper cut."""
        if start == stop:
            return h
        above, beyond = (self.network.suffix_modules(cut) for cut in (start, stop))
        for _, module in above[: len(above) - len(beyond)]:
            h = module(h)
        return h


class _Score(nn.Module):
    """The activations of all networks -> (B, K) scores of the classes, through which gradients flow.

    They are the head's logits where these never saturate. The logarithm of a mean of probabilities does, and so do
    votes: of heads together it is the mean of their logits, of neighbours the likeness of those that voted.
    """

    def __init__(self, head: Head, readouts: Sequence[_Readout]) -> None:
        super().__init__()
        self.head, self.readouts = head, tuple(readouts)

    def forward(self, *activations: Tensor) -> Tensor:
        parts, rest = [], iter(activations)
        for readout in self.readouts:
            parts.append(readout(*(next(rest) for _ in readout.leaves)))
        return _scores(self.head, torch.cat(parts, dim=1))


def _scores(head: Head, features: Tensor) -> Tensor:
    """Return (B, K) scores of (B, D) raw features."""
    if isinstance(head, TogetherHead):
        reads = [torch.from_numpy(np.flatnonzero(member.reads)) for member in head.members]
        logits = [
            _scores(member.head, features[:, places]) / member.temperature
            for member, places in zip(head.members, reads, strict=True)
        ]
        return torch.stack(logits).mean(dim=0)
    module = head_module(head)
    if not isinstance(head, NeighbourHead) or not isinstance(module, nn.Sequential):
        scores: Tensor = module(features)
        return scores
    columns = module[0](features)
    unit = columns / columns.square().sum(1, keepdim=True).sqrt().clamp_min(1e-12)
    similarity, nearest = (unit @ torch.from_numpy(head.keys.astype(np.float32)).T).topk(head.k, dim=1)
    voted = torch.from_numpy(np.eye(head.num_classes, dtype=np.bool_)[head.labels])[nearest]
    votes = (similarity / VOTE_TEMPERATURE).unsqueeze(2).expand(-1, -1, head.num_classes)
    return torch.logsumexp(votes.masked_fill(~voted, -1e4), dim=1)


def _leaves(network: Network, blocks: Sequence[Block]) -> tuple[_Leaf, ...] | None:
    """Return what is asked about of one network, or None where its places are out of reach."""
    cuts = network.backbone.cuts
    by_cut: dict[int, list[Block]] = {}
    for cut, pooling in blocks:
        asked = cut
        if pooling == "token" or _is_pooled(network, cut):
            below = [other.index for other in cuts[:cut] if not _is_pooled(network, other.index)]
            if not below or not network.backbone.has_suffix:
                return None
            asked = below[-1]
        by_cut.setdefault(asked, []).append((cut, pooling))
    return tuple(_Leaf(cut, tuple(by_cut[cut])) for cut in sorted(by_cut))


def _is_pooled(network: Network, cut: int) -> bool:
    """Return whether a cut lies behind the network's own pooling: a single position is left."""
    backbone = network.backbone
    return backbone.cuts[cut].stride >= backbone.input.size_px


def _activations(fast: FeatureReader, readout: _Readout, pixels: Pixels) -> list[Tensor]:
    """Return the activations that are asked about, each the start of a history of its own.

    Args:
        fast: Reads the network as it answers.
        readout: Of the same network, with weights through which gradients can flow.
        pixels: (B, H, W, 3) of the pictures.
    """
    network = readout.network
    own = next(network.model.parameters())
    runtime = Runtime(fast.runtime.device, fast.runtime.dtype, len(pixels))
    with torch.no_grad():
        x = to_input(pixels, network.backbone.input, runtime=runtime)
        cuts = [leaf.cut for leaf in readout.leaves]
        found = {cut: h.to(own.device, own.dtype, copy=True) for cut, h in fast.network.features(x, cuts)}
    return [found[cut].requires_grad_(True) for cut in cuts]


def _places(share: Tensor, num_prefix_tokens: int) -> Tensor:
    """Return (B, side, side) of (B, C, H, W) or (B, tokens, C): what each place gives, summed over channels.

    It is told as a density, so that depths of different resolution can be added: the mean is what all places give.
    """
    if share.ndim == 4:
        places = share.sum(1)
    else:
        patches = share[:, num_prefix_tokens:].sum(2)
        side = isqrt(patches.shape[1])
        places = patches[:, : side * side].reshape(-1, side, side)
    return places * places[0].numel()


def _in_square(places: Tensor, own: InputSpec, shown: InputSpec) -> Tensor:
    """Return (B, 14, 14) of what the places of one network's square give, laid into the square that is shown."""
    if places.shape[1] > SIDE:
        places = adaptive_avg_pool2d(places, SIDE)
    wider = shown.crop_share / own.crop_share if own.fit == "crop" else 1.0
    scale = torch.tensor([[wider, 0.0, 0.0], [0.0, wider, 0.0]]).expand(len(places), 2, 3)
    grid = affine_grid(scale, [len(places), 1, SIDE, SIDE], align_corners=False)
    beyond = "zeros" if wider > 1 else "border"
    return grid_sample(places[:, None], grid, padding_mode=beyond, align_corners=False)[:, 0]
