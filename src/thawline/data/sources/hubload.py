"""`OWNER/NAME[/CONFIG][@REVISION][:SPLIT]` or a folder -> its splits, loaded by the `datasets` library.

The one idea: one request finds out whether the hub answers; where it does not, only the cache of `datasets` is read,
and a copy there counts only as the revision that it is. No code of a data set runs: since version 4 `datasets` cannot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thawline.core.errors import DataError, UsageError, first_few
from thawline.core.online import is_reachable
from thawline.core.store import expand_user
from thawline.data.sources.places import Place

__all__ = ["HubName", "hub_errors", "hub_or_cache", "load_builder", "load_splits", "parse_hub", "require_datasets"]

LOADERS = ("parquet", "imagefolder", "arrow", "webdataset", "json", "csv", "cache")


@dataclass(frozen=True)
class HubName:
    """What `hf:` is followed by.

    Attributes:
        path: `OWNER/NAME`, or a folder of this machine.
        config: Which of several data sets under one name, or None.
        revision: Branch, tag or commit, or None.
        split: The one split to take, or None for all that are train, validation or test.
        is_local: Whether `path` is a folder.
    """

    path: str
    config: str | None = None
    revision: str | None = None
    split: str | None = None
    is_local: bool = False


def parse_hub(rest: str) -> HubName:
    """Return the parts of a name.

    >>> parse_hub("ethz/food101@main:validation")
    HubName(path='ethz/food101', config=None, revision='main', split='validation', is_local=False)
    >>> parse_hub("./birds:train").path
    './birds'

    Raises:
        UsageError: The name has no known form.
    """
    if rest.startswith((".", "/", "~")):
        folder, _, split = (rest, "", "") if expand_user(rest).exists() else rest.rpartition(":")
        return HubName(folder or rest, split=split if folder and split else None, is_local=True)
    form = r"([\w.-]+(?:/[\w.-]+)?)(?:/([\w.-]+))?(?:@([\w./-]+))?(?::([\w.-]+(?:\[[\w:%+.-]*\])?))?"
    match = re.fullmatch(form, rest)
    if not match:
        raise UsageError(
            f"hf:{rest}: required is hf:OWNER/NAME[/CONFIG][@REVISION][:SPLIT], or hf:./FOLDER for a folder that "
            "`datasets` can read."
        )
    path, config, revision, split = match.groups()
    return HubName(path, config, revision, split)


def require_datasets(place: Place) -> Any:
    """Return the `datasets` library, made quiet.

    Raises:
        DataError: It is not installed.
    """
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"list: {place}: this needs the `datasets` library. Install the extra: pip install 'thawline[hub]', or "
            "name a folder or a Parquet table."
        ) from None
    datasets.disable_progress_bars()
    datasets.utils.logging.set_verbosity_error()
    return datasets


@contextmanager
def hub_or_cache(datasets: Any) -> Iterator[tuple[str, ...]]:
    """Let `datasets` read only its cache where the hub does not answer, instead of trying for half a minute.

    Yields:
        Notes: none, or that the hub was not reached.
    """
    from huggingface_hub import constants

    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    online = not any(before) and is_reachable(datasets.config.HF_ENDPOINT)
    try:
        if not online:
            datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
        yield () if online else ("the hub was not reached: the copy in the cache of `datasets` was used",)
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before


def load_builder(place: Place, name: HubName, *, datasets: Any, is_online: bool) -> Any:
    """Return the builder of a data set of the hub, refusing a copy in the cache of another revision."""
    with hub_errors(place, name):
        builder = datasets.load_dataset_builder(name.path, name.config, revision=name.revision)
    kind = type(builder).__module__.split(".")[-1]
    if kind not in LOADERS:
        raise DataError(f"list: {place}: it consists of {kind} files, which hold no pictures. Name another data set.")
    if not is_online and name.revision and not _is_commit(builder.hash, name):
        raise DataError(
            f"list: {place}: the network cannot be reached, and the copy in the cache of `datasets` is another "
            f"revision ({builder.hash}). Leave the revision out to use it, or try again with a network."
        )
    return builder


def _is_commit(commit: str | None, name: HubName) -> bool:
    """Whether the requested revision is this commit, as far as the cache knows."""
    from huggingface_hub import try_to_load_from_cache

    if commit and commit.startswith(str(name.revision)) and len(str(name.revision)) >= 7:
        return True
    card = try_to_load_from_cache(name.path, "README.md", revision=name.revision, repo_type="dataset")
    return isinstance(card, str) and Path(card).parent.name == commit


def load_splits(place: Place, name: HubName, *, datasets: Any) -> Mapping[str, Any]:
    """Return the splits of a data set, downloaded into the cache of `datasets` where they are not there yet."""
    path = expand_user(name.path)
    with hub_errors(place, name):
        if name.is_local and not path.is_dir():
            raise DataError("the folder does not exist; tables and archives are named without hf:")
        if name.is_local and any((path / file).is_file() for file in ("dataset_dict.json", "state.json")):
            saved = datasets.load_from_disk(str(path))
            if isinstance(saved, datasets.Dataset):
                return {name.split or "all": saved}
            if name.split and name.split not in saved:
                raise DataError(f"it has the splits {first_few(list(saved))}, no {name.split}")
            return {name.split: saved[name.split]} if name.split else dict(saved)
        source = str(path) if name.is_local else name.path
        loaded = datasets.load_dataset(source, name.config, revision=name.revision, split=name.split)
        return {name.split: loaded} if name.split else dict(loaded)


@contextmanager
def hub_errors(place: Place, name: HubName) -> Iterator[None]:
    """Turn whatever `datasets` and its HTTP library raise into an error that says what to do."""
    try:
        yield
    except ConnectionError:
        raise DataError(
            f"list: {place}: it is not in the cache of `datasets`, and the network cannot be reached. On a machine "
            "with a network run the same command and copy its HF_HOME here, or copy the data set here as Parquet or "
            "as a folder and name that."
        ) from None
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        remedy = "Check the folder" if name.is_local else "Check the name, the revision and the split"
        raise DataError(f"list: {place}: {reason.rstrip('.')}. {remedy}, or name Parquet or class folders.") from None
