"""A network becomes the list of its layers in forward order, and which other parameters train with some of them.

The order is not that of registration, and not guessed from names. A shadow of the network runs once up to its last
cut, and every operation that takes a parameter is recorded: what is used first comes first. So tokens, embeddings,
scales and norms have their place too, wherever an architecture keeps them.
"""

from __future__ import annotations

from thawline.features import light_import  # noqa: F401  # before timm

# isort: split

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

import torch
from timm.models import group_parameters
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from thawline.core.errors import BackboneError, first_few
from thawline.features.network import Network
from thawline.features.shadow import shadow_of

__all__ = ["layer_scales", "trained_parameters", "weight_layers"]


def weight_layers(network: Network) -> tuple[str, ...]:
    """Return the weight-bearing layers of `network` in forward order, as paths in `network.model`.

    A layer counts if it owns a parameter `weight` of two or more dimensions (convolutions, linear layers) and takes
    part in the activation at the last cut. So the original classifier is left out, and whatever else stands behind
    that cut. A layer that runs more than once has the place of its first use. Takes a fraction of a second and no
    memory for activations; where an architecture looks at numbers on its way, the network itself runs once.

    >>> from thawline.features.network import load_backbone
    >>> layers = weight_layers(load_backbone(pretrained=False))
    >>> len(layers), layers[0], layers[-1]
    (49, 'conv_stem', 'conv_head')
    """
    return _layers(network, _first_uses(network))


def trained_parameters(network: Network, layers: Collection[str]) -> tuple[str, ...]:
    """Return the parameters that move when `layers` are thawed, in forward order, as names in `network.model`.

    The rule: a weight-bearing layer moves if it is one of `layers`. Any other parameter (norms, layer scales, tokens,
    position embeddings) moves if it is first used behind the first of `layers`. What is used between that layer and the
    frozen one before it goes with the one in whose module it lies, by path; with the frozen one where they share it.
    So the norm that follows a frozen convolution stays, the norm that opens a thawed block moves, and a ViT's position
    embedding moves only with its patches'. For the layers above a cut that is just what lies above it.

    Args:
        network: Any network.
        layers: Some of its `weight_layers`, in any order; the last 20 %, say. None gives no parameters.

    Raises:
        BackboneError: One of `layers` is no weight-bearing layer of the network.
    """
    uses = _first_uses(network)
    known = _layers(network, uses)
    unknown = [layer for layer in layers if layer not in known]
    if unknown:
        raise BackboneError(
            f"{network.backbone.name}: {first_few(unknown)} cannot be thawed; its weight-bearing layers are "
            f"{first_few(known, 3)}. Choose from those that `weight_layers` gives."
        )
    thawed = [layer for layer in known if layer in layers]
    if not thawed:
        return ()
    frozen, below = set(known) - set(thawed), known[: known.index(thawed[0])]
    start, opening = uses[f"{thawed[0]}.weight"], _opening(uses, thawed[0], below[-1] if below else None)
    moving = (name for name, use in uses.items() if use >= start or name in opening)
    return tuple(name for name in moving if name.rpartition(".")[0] not in frozen)


def layer_scales(model: nn.Module, names: Sequence[str], *, decay: float) -> dict[str, float]:
    """Return for each parameter the factor on its learning rate that layer-wise decay asks for.

    Layers are grouped as timm groups them for each architecture, and by twelve parameters where it has no groups. The
    deepest group among `names` has the factor 1, and each group before it `decay` times that of the next (Clark et al.,
    "ELECTRA", ICLR 2020; Bao et al., "BEiT", ICLR 2022).

    Args:
        model: The network's `model`.
        names: Names of its parameters, those that are trained.
        decay: In (0, 1]; 1 treats all alike.

    >>> from thawline.features.scratch_cnn import create_scratch
    >>> layer_scales(create_scratch("deep_cnn"), ["blocks.1.0.weight", "blocks.3.0.weight"], decay=0.5)
    {'blocks.1.0.weight': 0.25, 'blocks.3.0.weight': 1.0}
    """
    groups = _layer_groups(model)
    deepest = max((groups[name] for name in names), default=0)
    return {name: decay ** (deepest - groups[name]) for name in names}


def _layer_groups(model: Any) -> dict[str, int]:
    """Return the group of every parameter, counted from the input."""
    if hasattr(model, "group_matcher"):
        return dict(group_parameters(model, model.group_matcher(coarse=False), reverse=True))
    import timm.optim  # here, because it takes a second to import

    grouping: Any = timm.optim  # its functions are not typed
    return dict(grouping.auto_group_layers(model))


def _layers(network: Network, uses: Collection[str]) -> tuple[str, ...]:
    """Return the modules whose `weight` is among the parameters used and has two or more dimensions."""
    owners = [name.removesuffix(".weight") for name in uses if name.endswith(".weight")]
    return tuple(name for name in owners if network.model.get_parameter(f"{name}.weight").ndim >= 2)


def _opening(uses: Mapping[str, int], first: str, before: str | None) -> set[str]:
    """Return the parameters used between the layers `before` and `first` that go with `first`."""
    low, high = uses[f"{before}.weight"] if before else 0, uses[f"{first}.weight"]
    return {
        name
        for name, use in uses.items()
        if low < use < high and (before is None or _shared(name, first) > _shared(name, before))
    }


def _shared(path: str, other: str) -> int:
    """Return how many modules two paths have in common, from the root."""
    pairs = zip(path.split("."), other.split("."), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _first_uses(network: Network) -> dict[str, int]:
    """Return the number of the operation that first takes each parameter on the way to the last cut, in that order."""
    size_px, dtype = network.backbone.input.size_px, next(network.model.parameters()).dtype
    shadow, picture = shadow_of(network.model), torch.empty(1, 3, size_px, size_px, device="meta", dtype=dtype)
    try:
        return _uses_in(Network(network.backbone, shadow.eval()), picture)
    except (RuntimeError, NotImplementedError):  # an architecture that looks at numbers on its way
        real = copy.deepcopy(network.model).cpu().eval()
        return _uses_in(Network(network.backbone, real), torch.zeros_like(picture, device="cpu"))


def _uses_in(network: Network, x: Tensor) -> dict[str, int]:
    """Return what `_first_uses` does, from one run over `x`."""
    record = _FirstUses(network.model)
    with torch.no_grad(), record:
        network.prefix(x, len(network.backbone.cuts) - 1)
    return record.uses


class _FirstUses(TorchFunctionMode):
    """Records, while it is entered, which operation takes each parameter of a model first.

    Attributes:
        uses: Parameter's name to the number of the operation, in ascending order.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.uses: dict[str, int] = {}
        self._names = {id(parameter): name for name, parameter in model.named_parameters()}
        self._num_operations = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run `func`; reading an attribute such as a shape is no use."""
        kwargs = kwargs or {}
        self._num_operations += 1
        if getattr(func, "__name__", "") != "__get__":
            for tensor in _tensors((*args, *kwargs.values())):
                if id(tensor) in self._names:
                    self.uses.setdefault(self._names[id(tensor)], self._num_operations)
        return func(*args, **kwargs)


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """Yield the tensors among `values`, those in lists and tuples too."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
