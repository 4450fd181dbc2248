"""Golden pictures of a folder that is to be published: the answers that they must get, without the pictures.

One idea: golden pictures are somebody's training pictures, so a folder for strangers holds only what proves it where
the pictures are: `verify` takes them from the model folder of the run.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from thawline.core.errors import BundleError, DataError
from thawline.core.store import write_json
from thawline.data.formats import format_of
from thawline.data.jpeg_end import lacks_end
from thawline.use.exports.golden import GOLDEN_FILE, GoldenSet
from thawline.use.manifest import read_manifest
from thawline.use.onnx_facts import OnnxFacts

__all__ = ["BROWSER_FORMATS", "read_bare_golden", "readable_golden", "write_bare_golden"]

BROWSER_FORMATS = frozenset({"JPEG", "PNG", "GIF", "WEBP", "BMP", "AVIF"})
"""What the page takes in, by the names of `thawline.data.formats`; browsers do not read others, or not alike."""

_PNG_DEPTH_AT, _DEEP = 24, 16


def readable_golden(golden: GoldenSet) -> GoldenSet:
    """Return the golden pictures that browsers read, of those of a model.

    Raises:
        BundleError: There are none: the page would read no picture like those that the model is for.
    """
    kept = [picture for picture in golden.pictures if _is_read(picture.picture)]
    if not kept:
        raise BundleError(
            "export --to web: browsers read none of the model's golden pictures: they read "
            f"{', '.join(sorted(BROWSER_FORMATS))}, of 8 bits a colour. See `thawline export --list`."
        )
    return golden.model_copy(update={"kind": "web", "pictures": kept})


def _is_read(data: bytes) -> bool:
    try:
        name = format_of(data).name
    except DataError:
        return False
    is_deep = name == "PNG" and data[_PNG_DEPTH_AT : _PNG_DEPTH_AT + 1] == bytes([_DEEP])
    return name in BROWSER_FORMATS and not is_deep and not (name == "JPEG" and lacks_end(data))


def write_bare_golden(folder: Path, golden: GoldenSet) -> None:
    """Write `golden.json` into a folder: answers and names of pictures, and no picture.

    Raises:
        StoreError: The disk is full or cannot be written.
    """
    bare = [picture.model_copy(update={"data": None}) for picture in golden.pictures]
    write_json(folder / GOLDEN_FILE, golden.model_copy(update={"pictures": bare}).model_dump())


def read_bare_golden(folder: Path, facts: OnnxFacts, *, model: Path) -> GoldenSet:
    """Return what `write_bare_golden` wrote, with the pictures of a model folder.

    Args:
        folder: The exported folder.
        facts: What it says of its model.
        model: The model folder that it was made of.

    Raises:
        BundleError: That folder is not there or is another model's, or what was written says something else.
    """
    try:
        golden = GoldenSet.model_validate_json((folder / GOLDEN_FILE).read_bytes())
    except (OSError, ValidationError):
        raise BundleError(f"load {folder / GOLDEN_FILE}: not what `thawline export` wrote. Export it again.") from None
    try:
        is_its_own = read_manifest(model).seal == facts.manifest_seal
    except BundleError:
        is_its_own = False
    if not is_its_own:
        raise BundleError(
            f"verify {folder}: its files are whole, but its answers were not compared: golden pictures are training "
            f"pictures, so it carries none, and {model} is not the model that it was made of. Verify it in its run."
        )
    return golden.with_pictures(lambda file: (model / file).read_bytes())
