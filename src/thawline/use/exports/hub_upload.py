"""An export -> a repository on Hugging Face's hub; only when asked, and without the golden pictures unless asked.

One idea: golden pictures are training pictures of the person, so what goes up is a list that is made, shown, and then
sent: nothing else. The token comes from the environment and from nowhere else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from thawline.core.errors import BundleError, StoreError, UsageError
from thawline.use.bundle import Bundle, load_bundle
from thawline.use.exports.hub_card import hub_card
from thawline.use.exports.sealed_folder import FOLDER_FILE, read_folder
from thawline.use.model_place import find_model
from thawline.use.onnx_facts import GOLDEN_KEY, SEAL_KEY, is_sealed, sealed

__all__ = ["PUSHED_KINDS", "Pushed", "files_for_hub", "push", "push_export", "require_pushable"]

TOKEN = "HF_TOKEN"  # noqa: S105  # the name of a variable
PUSHED_KINDS = ("timm", "onnx")
TIMM_FILES = ("README.md", "config.json", "model.safetensors")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}")


@dataclass(frozen=True)
class Pushed:
    """What went up.

    Attributes:
        url: Page of the repository.
        is_private: Whether only its owner sees it.
        size_bytes: File name in the repository → its size.
        with_golden: Whether golden pictures, which are training pictures, are among them.
    """

    url: str
    is_private: bool
    size_bytes: Mapping[str, int]
    with_golden: bool


def require_pushable(repository: str, kinds: Sequence[str]) -> None:
    """Refuse a push that cannot work, before anything is exported.

    Args:
        repository: As it was given.
        kinds: Of the exports, by their names in `KINDS`.

    Raises:
        UsageError: The repository is not OWNER/NAME, there is no token in the environment, or it is not one export of
            a kind that the hub has a use for.
    """
    if not _REPOSITORY.fullmatch(repository) or ".." in repository or "--" in repository:
        raise UsageError(f"push to {repository!r}: OWNER/NAME is required, such as ada/birds.")
    if len(kinds) != 1 or kinds[0] not in PUSHED_KINDS:
        raise UsageError(
            f"push to {repository}: one export of kind {' or '.join(PUSHED_KINDS)} is required; {', '.join(kinds)} "
            "was asked for. Name it: --to timm."
        )
    if not os.environ.get(TOKEN, "").strip():
        raise UsageError(
            f"push to {repository}: there is no token in the environment; it is read from nowhere else. Make one that "
            f"may write in your hub's settings, and set {TOKEN}."
        )


def push_export(
    model: Path | str,
    export: Path,
    *,
    repository: str,
    kind: str,
    private: bool = True,
    with_golden: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> Pushed:
    """Send an export of a model to a repository on the hub.

    Args:
        model: The run or model folder that it was made from.
        export: The file or folder.
        repository: OWNER/NAME.
        kind: By its name in `KINDS`.
        private: As in `push`.
        with_golden: Whether golden pictures go too, which are training pictures.
        say: As in `push`.

    Raises:
        BundleError: The model or the export is damaged or altered.
        StoreError: As `push`.
        UsageError: As `require_pushable`.
    """
    require_pushable(repository, [kind])
    place = find_model(model)
    bundle = load_bundle(place.folder or place.named, device="cpu")
    files = files_for_hub(bundle, export, kind=kind, with_golden=with_golden)
    return push(files, repository, private=private, with_golden=with_golden, say=say)


def files_for_hub(bundle: Bundle, export: Path, *, kind: str, with_golden: bool = False) -> dict[str, bytes]:
    """Return what goes up: name in the repository → content.

    Golden pictures are training pictures of the person: unless `with_golden`, a folder goes without them and without
    what names them, and an ONNX file without those in its metadata.

    Args:
        bundle: The model, for the README of an ONNX file.
        export: The export.
        kind: `timm` or `onnx`.
        with_golden: Send them too.

    Raises:
        BundleError: The export is damaged or altered.
    """
    if kind == "timm":
        own = read_folder(export)
        names = sorted([*own.files, FOLDER_FILE]) if with_golden else list(TIMM_FILES)
        return {name: (export / name).read_bytes() for name in names}
    content = export.read_bytes()
    if not is_sealed(content):
        raise BundleError(f"push {export}: its content is not what `thawline export` wrote. Export it again.")
    return {
        "README.md": hub_card(bundle, "onnx").encode("utf-8", "replace"),
        "model.onnx": content if with_golden else _without_golden(content),
    }


def push(
    files: Mapping[str, bytes],
    repository: str,
    *,
    private: bool = True,
    with_golden: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> Pushed:
    """Send files to a repository on the hub in one commit; it is made, private, if it is not there.

    What goes up is told first. A repository that is there keeps who sees it.

    Args:
        files: From `files_for_hub`.
        repository: OWNER/NAME, which `require_pushable` has passed.
        private: Whether a new repository is seen by its owner alone.
        with_golden: Whether golden pictures are among the files.
        say: Told what goes up, line by line, before anything does.

    Raises:
        StoreError: The hub cannot be reached, or refuses; the message says why.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError

    token = os.environ.get(TOKEN, "").strip()
    say(f"push to {repository}: {len(files)} files go up")
    for name, content in files.items():
        say(f"  {name}  {len(content):,} bytes")
    say(
        "  golden pictures, which are training pictures, are among them"
        if with_golden
        else "  golden pictures, which are training pictures, stay here"
    )
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=token, library_name="thawline")
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        adding = [CommitOperationAdd(name, content) for name, content in files.items()]
        api.create_commit(repository, adding, commit_message="A model made by Thawline")
        is_private = bool(api.model_info(repository).private)
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        reasons = {
            401: "the token is not accepted",
            403: "the token may not write there",
            404: "there is no such owner",
        }
        reason = reasons.get(status) or " ".join(str(error.server_message or error).split())[:200]
        raise StoreError(
            f"push to {repository}: the hub refused ({status or 'no answer'}): {reason}. The export lies here "
            "unharmed; put it right and push again."
        ) from None
    except Exception as error:  # of whichever HTTP library the hub's client is built on
        reason = (" ".join(str(error.__cause__ or error).split()) or type(error).__name__)[:200]
        raise StoreError(
            f"push to {repository}: the hub cannot be reached or asks for something else: {reason}. The export lies "
            "here unharmed; push again."
        ) from None
    sizes = {name: len(content) for name, content in files.items()}
    return Pushed(f"{api.endpoint}/{repository}", is_private, sizes, with_golden)


def _without_golden(content: bytes) -> bytes:
    """Return an ONNX file without golden pictures in its metadata, sealed again."""
    import onnx

    model = onnx.load_model_from_string(content)
    kept = [(each.key, each.value) for each in model.metadata_props if each.key not in {GOLDEN_KEY, SEAL_KEY}]
    del model.metadata_props[:]
    for key, value in kept:
        model.metadata_props.add(key=key, value=value)
    return sealed(model.SerializeToString(deterministic=True))
