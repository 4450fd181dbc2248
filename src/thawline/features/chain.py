"""A model that is not written out becomes its steps, if the modules of its forward pass form a chain.

They are found by watching a shadow of the model: where one module hands the very tensor that it put out to the next,
the two are steps one after the other. A stage that is a chain of blocks is opened; a block is not. What happens before
the chain (patches get their positions) is run by the model itself, up to the first link; what follows is its own
`forward_head`. A model of whose pass a part remains unexplained has no steps.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise, takewhile
from math import isqrt
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor, nn

from thawline.features.shadow import shadow_of
from thawline.features.steps import Part, Step, ending, has_parameters, num_layers
from thawline.features.watched import Call, is_chain, watched

__all__ = ["chain_steps"]

BATCH = 13  # of the watched pass; nothing is built of 13, so this number in an argument is the batch's
ALIKE = 1e-4
Layout = Literal["channels first", "channels last", "tokens"]


def chain_steps(model: nn.Module, size_px: int) -> list[Step] | None:
    """Return the steps of a timm model for square input of `size_px`, or None where its pass is no chain.

    Takes a few passes of the shadow, tens of milliseconds. Steps share the model's modules.
    """
    shadow: Any = shadow_of(model).eval()
    picture = torch.empty(BATCH, 3, size_px, size_px, device="meta", dtype=next(model.parameters()).dtype)
    try:
        body = watched(shadow, shadow.forward_features, x=picture)
        features = body.result.tensor if body.result else picture
        head = watched(shadow, shadow.forward_head, x=features)
        pool = watched(shadow, lambda x: shadow.forward_head(x, pre_logits=True), x=features)
        whole = watched(shadow, shadow.forward, x=picture)
    except (RuntimeError, NotImplementedError, AttributeError, TypeError):  # it looks at numbers, or has no such parts
        return None
    calls = _chain_to_the_end(body)
    links = [link for call in calls for link in _opened(call)]
    stages, layouts = _stages(links), _layouts(model, body, links)
    if layouts is None or _paths(whole) != [*_paths(body), *_paths(head)] or not _is_sound(model, links, stages):
        return None
    steps = [
        Step(link.path, _placed(model, link, before, after), stage)
        for link, stage, (before, after) in zip(links, stages, pairwise(layouts), strict=True)
    ]
    last = max(stage for stage in stages if stage is not None)
    end = _end(model, _paths(head), pool, last_stage=last, layout=layouts[-1])
    start = _start(model, body, calls[0], layouts[0])
    used = {id(t) for step in (*steps, *end) for t in _tensors(step.module)}
    _give(start[0].module if start else end[-1].module, model, lambda _, tensor: id(tensor) not in used)
    return [*start, *steps, *end]


def _paths(call: Call) -> list[str]:
    """Return the paths of all modules that a call called, in order."""
    return [path for inner in call.calls for path in (inner.path, *_paths(inner))]


def _chain_to_the_end(body: Call) -> list[Call]:
    """Return the longest chain of calls that ends in what the body puts out; a module that runs twice is no link."""
    calls, count = body.calls, Counter(_paths(body))
    if not calls or body.result is None or not body.result.is_same(calls[-1].result):
        return []
    start = len(calls)
    while start > 0 and count[calls[start - 1].path] == 1 and is_chain(calls[start - 1 : start + 1]):
        start -= 1
    return calls[start:]


def _opened(call: Call) -> list[Call]:
    """Return the links of a stage that is a chain of blocks, else the call itself."""
    return [link for inner in call.calls for link in _opened(inner)] if _is_stage(call) else [call]


def _is_stage(call: Call) -> bool:
    """Whether a call does nothing but hand on, and one of those that it hands to is a block or a stage itself."""
    inner = call.calls
    if not inner or not is_chain(inner) or call.given is None or call.result is None:
        return False
    if not call.given.is_same(inner[0].given) or not call.result.is_same(inner[-1].result):
        return False
    return any((_is_numbered(link) and num_layers(link.module) > 1) or _is_stage(link) for link in inner)


def _is_numbered(call: Call) -> bool:
    """Whether a module is one of a list (`blocks.3`), or a block with a number in its name (`b3`)."""
    name = call.path.rpartition(".")[2]
    return name.isdigit() or (name[-1:].isdigit() and num_layers(call.module) > 1)


def _stages(links: Sequence[Call]) -> list[int | None]:
    """Return for each link the number of the stage whose block ends there, or None.

    A final norm or activation belongs to the last block, which is read behind it; what has weights is a block.
    """

    def is_block(link: Call) -> bool:
        named = link.path.startswith(("stem", "patch_embed")) or "downsample" in link.path
        return _is_numbered(link) and num_layers(link.module) > 0 and not named

    stages = [int(re.findall(r"\d+", link.path)[0]) if is_block(link) else None for link in links]
    blocks = [place for place, stage in enumerate(stages) if stage is not None]
    behind = range(blocks[-1] + 1 if blocks else len(links), len(links))
    working = [place for place in behind if not isinstance(links[place].module, nn.Identity)]
    if working:
        stages[working[-1]] = stages[blocks[-1]]
        if not any(num_layers(links[place].module) for place in working):
            stages[blocks[-1]] = None
    return stages


def _layouts(model: nn.Module, body: Call, links: Sequence[Call]) -> list[Layout] | None:
    """Return how the first link's input and every link's output lie in memory, or None where one is no activation."""
    held = [link.given for link in links[:1]] + [link.result for link in links]
    prefix_tokens = int(getattr(model, "num_prefix_tokens", 0))
    layouts: list[Layout] = []
    for activation in held:
        shape = activation.tensor.shape if activation else ()
        if body.given is not None and body.given.is_same(activation):
            layouts.append("channels first")
        elif len(shape) == 4 and prefix_tokens == 0:
            layouts.append("channels last" if getattr(model, "output_fmt", "") == "NHWC" else "channels first")
        elif len(shape) == 3 and _is_square(shape[1] - prefix_tokens):
            layouts.append("tokens")
        else:
            return None
    return layouts


def _is_square(count: int) -> bool:
    """Whether so many patches fill a square."""
    return count > 0 and isqrt(count) ** 2 == count


def _is_sound(model: Any, links: Sequence[Call], stages: Sequence[int | None]) -> bool:
    """Whether each link has a path of its own and knows no batch, and most of the network's scales have cuts."""
    known = list(getattr(getattr(model, "feature_info", ()), "info", getattr(model, "feature_info", ())))
    scales = {stage["reduction"] for stage in known if "reduction" in stage}
    cuts = [link.result.tensor for link, stage in zip(links, stages, strict=True) if link.result and stage is not None]
    sides = {cut.shape[2] if cut.ndim == 4 else cut.shape[1] for cut in cuts}
    enough = len(cuts) >= max(2, len(known) - 1) and 2 * len(sides) >= len(scales)
    apart = len({link.path for link in links}) == len(links)
    return enough and apart and not any(_knows_batch(link.rest) for link in links)


def _knows_batch(value: Any) -> bool:
    """Whether the number of pictures is anywhere among arguments."""
    if isinstance(value, dict):
        return any(_knows_batch(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_knows_batch(item) for item in value)
    return isinstance(value, int) and value % BATCH == 0 and value > 0


def _placed(model: nn.Module, link: Call, before: Layout, after: Layout) -> nn.Module:
    """Return the module of a link, with what else it takes, between activations with channels first."""
    module, (args, kwargs) = model.get_submodule(link.path), link.rest
    if not args and not kwargs and "channels last" not in (before, after):
        return module
    return Part(lambda x: _channels_first(module(_as_taken(x, before), *args, **kwargs), after), [module])


def _as_taken(x: Tensor, layout: Layout) -> Tensor:
    """Return an activation with channels first as the model has it."""
    return x.permute(0, 2, 3, 1) if layout == "channels last" else x


def _channels_first(x: Tensor, layout: Layout) -> Tensor:
    """Return the model's activation with channels first."""
    return x.permute(0, 3, 1, 2) if layout == "channels last" else x


class _ReachedError(Exception):
    """The pass came to where it is to stop."""

    def __init__(self, activation: Tensor) -> None:
        super().__init__()
        self.activation = activation


class _Stop(nn.Module):
    """Stands where the pass is to stop."""

    def forward(self, x: Tensor, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Stop."""
        raise _ReachedError(x)


def _start(model: nn.Module, body: Call, first: Call, layout: Layout) -> list[Step]:
    """Return the step that leads to the first link; none where that takes the picture itself."""
    if body.given is not None and body.given.is_same(first.given):
        return []
    stopping = _with_stop(model, first.path.split("."))

    def run(x: Tensor) -> Tensor:
        try:
            stopping.forward_features(x)
        except _ReachedError as reached:
            return _channels_first(reached.activation, layout)
        raise AssertionError(f"{first.path} was not reached")

    return [Step("embed", Part(run))]


def _with_stop(module: nn.Module, path: Sequence[str]) -> Any:
    """Return a copy that shares everything but what lies at `path`, where its pass stops."""
    copied = copy.copy(module)
    copied._modules = dict(module._modules)
    child = module.get_submodule(path[0])
    copied._modules[path[0]] = _with_stop(child, path[1:]) if len(path) > 1 else _Stop()
    return copied


def _end(model: Any, head: Sequence[str], pool: Call, *, last_stage: int, layout: Layout) -> list[Step]:
    """Return the steps behind the chain: pooling and classifier, or both in one where they cannot be told apart.

    Args:
        model: Its `forward_head` is what follows.
        head: Paths of the modules that it calls.
        pool: Its call without the classifier.
        last_stage: Number of the last stage.
        layout: Of what it takes.
    """
    inside = set(_paths(pool))
    behind = [path for path in head if path not in inside and model.get_submodule(path)._parameters]
    classifier = _common(behind)
    can_part = not behind or (
        classifier in head and not any(f"{path}.".startswith(f"{classifier}.") for path in inside)
    )
    if not can_part or pool.result is None or pool.result.tensor.ndim != 2:
        whole = Part(lambda x: model.forward_head(_as_taken(x, layout)))
        _give(whole, model, lambda path, _: path in inside or path in head)
        return [Step("head", whole)]
    part = Part(lambda x: model.forward_head(_as_taken(x, layout), pre_logits=True))
    _give(part, model, lambda path, _: path in inside)
    is_own = has_parameters(part) or not _is_plain(model, part, pool, layout)
    layer = model.get_submodule(classifier) if behind else nn.Identity()
    return ending(classifier or "head", layer, pool=part, last_stage=last_stage if is_own else None)


def _common(paths: Sequence[str]) -> str:
    """Return the path of the deepest module that all of `paths` lie in, or that they are."""
    levels = zip(*(path.split(".") for path in paths), strict=False)
    return ".".join(names[0] for names in takewhile(lambda names: len(set(names)) == 1, levels))


def _is_plain(model: Any, part: Part, pool: Call, layout: Layout) -> bool:
    """Whether pooling without parameters is the mean of all positions, or the class token."""
    assert pool.given is not None
    generator = torch.Generator().manual_seed(0)
    taken = torch.randn(2, *pool.given.tensor.shape[1:], generator=generator)
    x = _channels_first(taken, layout)
    prefix_tokens = int(getattr(model, "num_prefix_tokens", 0))
    plain = [x.mean((2, 3))] if x.ndim == 4 else [x[:, prefix_tokens:].mean(1)]
    plain += [x[:, 0]] if x.ndim == 3 and prefix_tokens else []
    with torch.no_grad():
        found = part(x)
    return any(found.shape == known.shape and torch.allclose(found, known, atol=ALIKE) for known in plain)


def _give(part: Any, model: nn.Module, takes: Callable[[str, Tensor], bool]) -> None:
    """Register in `part` the tensors of `model` that it takes, by path of their owner; whole layers where it can."""
    owned = [
        (path, module, {n: t for n, t in (*module._parameters.items(), *module._buffers.items()) if t is not None})
        for path, module in model.named_modules()
    ]
    taken = {id(t) for path, _, own in owned for t in own.values() if takes(path, t)}
    for path, module, own in owned:
        if own and all(id(tensor) in taken for tensor in _tensors(module)):
            part.others.append(module)
            continue
        for name, tensor in own.items():
            if id(tensor) in taken:
                _register(part, f"{path}.{name}".strip(".").replace(".", "_"), tensor)


def _register(part: nn.Module, name: str, tensor: Tensor) -> None:
    """Register one tensor under a name."""
    if isinstance(tensor, nn.Parameter):
        part.register_parameter(name, tensor)
    else:
        part.register_buffer(name, tensor, persistent=False)


def _tensors(module: nn.Module) -> list[Tensor]:
    """Return all parameters and buffers of a module."""
    return [*module.parameters(), *module.buffers()]
