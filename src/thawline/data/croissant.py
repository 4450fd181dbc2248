"""What `dataset.json` holds, and the files next to it -> croissant.json, which other tools read the export by.

One idea: nothing is said that is not known. Croissant (MLCommons, version 1.0) is JSON-LD on schema.org: files with
their hashes, then records with typed fields over them, the split and the classes as enumerations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["CROISSANT", "croissant"]

CROISSANT = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.0"

SPLITS = {"train": "cr:TrainingSplit", "validation": "cr:ValidationSplit", "test": "cr:TestSplit"}
"""Part → what Croissant calls it."""

ENCODINGS = {
    ".bmp": "image/bmp",
    ".heic": "image/heic",
    ".jpg": "image/jpeg",
    ".pgm": "image/x-portable-graymap",
    ".ppm": "image/x-portable-pixmap",
    ".tif": "image/tiff",
}
"""Ending of an exported picture → its media type, where this is not `image/` and the ending."""

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that the standard gives; validators compare it."""


def croissant(card: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the description of an exported data set as Croissant JSON-LD, as plain data.

    Args:
        card: As `data/exported.py` makes it: form, classes, counts, parts, and the licence, which is said to be unknown
            where it is None.
        folder: Where the export lies; the table or tables in it are hashed, pictures are not read again.
    """
    parts, licence = list(card["counts"]), card["licence"]
    tables = _tables(card, folder, parts)
    kind = "a table of paths, and pictures in class folders" if card["form"] == "folder" else "tables that hold them"
    description = (
        f"{card['pictures']:,} pictures in {len(card['class_names']):,} classes ({kind}), checked and written by "
        f"Thawline {card['thawline']}. Split: {card['split']}. Exact copies are kept once; pictures with the same "
        f"`group` show the same photo and belong together. {'' if licence else 'Their licence is not known.'}"
    )
    facts: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": _name(card["made_from"]),
        "description": description.rstrip(),
        "conformsTo": CONFORMS_TO,
        "isLiveDataset": False,
        "distribution": [*map(_file, tables), *_sets(card, folder, tables)],
        "recordSet": [_splits(parts), _classes(card["class_names"]), _pictures(card)],
    }
    if card["form"] == "folder":
        facts["recordSet"].append(_files())
    return facts if licence is None else {**facts, "license": licence}


def _tables(card: Mapping[str, Any], folder: Path, parts: Sequence[str]) -> list[Path]:
    if card["form"] == "folder":
        return [folder / "pictures.csv"]
    return [file for part in parts for file in sorted(folder.glob(f"{part}-*-of-*.parquet"))]


def _name(title: str) -> str:
    """Return a name in the letters that Croissant's tools take for one."""
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in title).strip("-.")
    return kept or "pictures"


def _file(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "text/csv" if path.suffix == ".csv" else "application/x-parquet",
        "sha256": digest,
    }


def _sets(card: Mapping[str, Any], folder: Path, tables: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the sets of files: the pictures of an export in folders, or all of its tables."""
    kinds = ["application/x-parquet"]
    if card["form"] == "folder":
        includes = [f"{part}/*/*" for part in card["counts"]]
        name, about = "picture-files", "The pictures; pictures.csv has the SHA-256 of each."
        endings = sorted({path.suffix for part in card["counts"] for path in (folder / part).glob("*/*")})
        kinds = [ENCODINGS.get(ending, f"image/{ending.removeprefix('.')}") for ending in endings]
    else:
        includes = [path.name for path in tables]
        name, about = "tables", "All tables, each with its SHA-256 above."
    return [
        {
            "@type": "cr:FileSet",
            "@id": name,
            "name": name,
            "description": about,
            "encodingFormat": kinds if len(kinds) > 1 else kinds[0],
            "includes": includes if len(includes) > 1 else includes[0],
        }
    ]


def _splits(parts: Sequence[str]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "What each part is for.",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            _field("splits/name", "Name of the part.", "sc:Text"),
            _field("splits/url", "What Croissant calls it.", "sc:URL"),
        ],
        "data": [{"splits/name": part, "splits/url": SPLITS[part]} for part in parts],
    }


def _classes(class_names: Sequence[str]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "description": "The classes, in the order of their numbers.",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/number"},
        "field": [
            _field("classes/number", "Number of the class, from 0.", "sc:Integer"),
            _field("classes/name", "Name of the class.", "sc:Text"),
        ],
        "data": [{"classes/number": number, "classes/name": name} for number, name in enumerate(class_names)],
    }


def _pictures(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the records: a picture each, with its class and part."""

    def of(column: str, **rest: Any) -> dict[str, Any]:
        place = {"fileObject": {"@id": "pictures.csv"}} if is_folder else {"fileSet": {"@id": "tables"}}
        return {"source": {**place, "extract": {"column": column}, **rest}}

    is_folder = card["form"] == "folder"
    group = _field("pictures/group", "Pictures with the same number show the same photo.", "sc:Integer") | of("group")
    source = _field("pictures/source", "Where the picture was found.", "sc:Text") | of("source")
    if is_folder:
        split = of("split")
        fields = [
            _field("pictures/path", "Where the picture lies in this folder.", "sc:Text") | of("path"),
            _field("pictures/label", "Its class.", ["sc:Text", "cr:Label"])
            | of("label")
            | {"references": {"field": {"@id": "classes/name"}}},
            _field("pictures/sha256", "SHA-256 of the file's bytes.", "sc:Text") | of("sha256"),
        ]
    else:
        by_name = {"fileSet": {"@id": "tables"}, "extract": {"fileProperty": "filename"}}
        split = {"source": {**by_name, "transform": {"regex": "^(train|validation|test)-.*$"}}}
        fields = [
            _field("pictures/image", "The picture, in its original bytes.", "sc:ImageObject")
            | of("image", transform={"jsonPath": "bytes"}),
            _field("pictures/label", "Number of its class.", ["sc:Integer", "cr:Label"])
            | of("label")
            | {"references": {"field": {"@id": "classes/number"}}},
        ]
    part = _field("pictures/split", "Its part.", "sc:Text") | split | {"references": {"field": {"@id": "splits/name"}}}
    return {
        "@type": "cr:RecordSet",
        "@id": "pictures",
        "name": "pictures",
        "description": "A picture each.",
        "field": [*fields, part, group, source],
    }


def _files() -> dict[str, Any]:
    """Return the records of an export in folders that hold the pictures themselves, by the path that the table has."""

    def of(what: str) -> dict[str, Any]:
        return {"source": {"fileSet": {"@id": "picture-files"}, "extract": {"fileProperty": what}}}

    return {
        "@type": "cr:RecordSet",
        "@id": "files",
        "name": "files",
        "description": "The pictures themselves, by the path that `pictures` has.",
        "field": [
            _field("files/path", "Where the picture lies in this folder.", "sc:Text") | of("fullpath"),
            _field("files/image", "The picture, in its original bytes.", "sc:ImageObject") | of("content"),
        ],
    }


def _field(name: str, description: str, kind: str | list[str]) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": name, "name": name, "description": description, "dataType": kind}
