"""croissant.json says of an export what is true of it, in the words of the standard, and nothing else."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from pathlib import Path

import pytest

from thawline.data.check import check
from thawline.data.croissant import CROISSANT, SPLITS
from thawline.data.exported import export

FILES = {f"{name}/{number}.png": 10 * place + number for place, name in enumerate("ab") for number in range(5)}


@pytest.fixture
def photos(make_folder) -> Path:
    return make_folder(FILES)


def described(photos, out, **how):
    done = export(*check(photos), out=out, **how)
    return done, json.loads((done.out / CROISSANT).read_text(encoding="utf-8"))


def by_id(nodes):
    return {node["@id"]: node for node in nodes}


def identifiers(node):
    """Yield every `@id` that a part of the description refers to."""
    if isinstance(node, dict):
        if set(node) == {"@id"}:
            yield node["@id"]
        for value in node.values():
            yield from identifiers(value)
    elif isinstance(node, list):
        for value in node:
            yield from identifiers(value)


@pytest.mark.parametrize("form", ["folder", "parquet"])
def test_files_are_named_with_their_hashes_and_sizes(form, photos, tmp_path):
    done, facts = described(photos, tmp_path / "out", form=form)
    objects = [node for node in facts["distribution"] if node["@type"] == "cr:FileObject"]
    tables = {path.name for path in done.out.iterdir() if path.suffix in {".csv", ".parquet"}}
    assert {node["contentUrl"] for node in objects} == tables
    for node in objects:
        data = (done.out / node["contentUrl"]).read_bytes()
        assert node["sha256"] == hashlib.sha256(data).hexdigest()
        assert node["contentSize"] == f"{len(data)} B"


def test_the_set_of_pictures_is_all_of_them(photos, tmp_path):
    done, facts = described(photos, tmp_path / "out")
    pictures = by_id(facts["distribution"])["picture-files"]
    found = {str(path.relative_to(done.out)) for glob in pictures["includes"] for path in done.out.glob(glob)}
    with (done.out / "pictures.csv").open(encoding="utf-8", newline="") as stream:
        assert found == {row["path"] for row in csv.DictReader(stream)}
    assert pictures["encodingFormat"] == "image/png"


@pytest.mark.parametrize("form", ["folder", "parquet"])
def test_parts_and_classes_are_enumerations_that_the_records_refer_to(form, photos, tmp_path):
    done, facts = described(photos, tmp_path / "out", form=form)
    sets = by_id(facts["recordSet"])
    assert [(row["splits/name"], row["splits/url"]) for row in sets["splits"]["data"]] == [
        (part, SPLITS[part]) for part in done.card["counts"]
    ]
    assert [row["classes/name"] for row in sets["classes"]["data"]] == done.card["class_names"] == ["a", "b"]
    fields = [field for records in sets.values() for field in records["field"]]
    known = {node["@id"] for node in [*facts["distribution"], *sets.values(), *fields]}
    assert set(identifiers(facts)) <= known
    assert len(fields) == len(by_id(fields))
    assert by_id(sets["pictures"]["field"])["pictures/split"]["references"] == {"field": {"@id": "splits/name"}}


@pytest.mark.parametrize("form", ["folder", "parquet"])
def test_columns_that_it_names_are_there(form, photos, tmp_path):
    import pyarrow.parquet as pq

    done, facts = described(photos, tmp_path / "out", form=form)
    sources = [field["source"] for field in by_id(facts["recordSet"])["pictures"]["field"]]
    columns = {source["extract"]["column"] for source in sources if "column" in source["extract"]}
    if form == "folder":
        with (done.out / "pictures.csv").open(encoding="utf-8", newline="") as stream:
            assert columns == set(csv.DictReader(stream).fieldnames)
    else:
        tables = sorted(done.out.glob("*.parquet"))
        assert columns == set(pq.read_schema(tables[0]).names)
        patterns = [source["transform"]["regex"] for source in sources if "regex" in source.get("transform", {})]
        assert [re.match(patterns[0], table.name)[1] for table in tables] == ["test", "train"]


def test_a_licence_is_named_where_it_is_known_and_said_to_be_unknown_where_not(photos, tmp_path):
    done, facts = described(photos, tmp_path / "unknown")
    assert "license" not in facts
    assert "licence is not known" in facts["description"]
    assert done.card["licence"] is None
    assert "Licence: not known" in (done.out / "README.md").read_text(encoding="utf-8")
    done, facts = described(photos, tmp_path / "known", licence="CC-BY-4.0")
    assert facts["license"] == done.card["licence"] == "CC-BY-4.0"
    assert "not known" not in facts["description"]
    assert "Licence: CC-BY-4.0" in (done.out / "README.md").read_text(encoding="utf-8")


def test_it_conforms_to_the_standard_and_holds_no_path_of_this_machine(photos, tmp_path):
    _, facts = described(photos, tmp_path / "out")
    assert (facts["@type"], facts["conformsTo"]) == ("sc:Dataset", "http://mlcommons.org/croissant/1.0")
    assert facts["@context"]["@vocab"] == "https://schema.org/"
    assert re.fullmatch(r"[\w.-]+", facts["name"])
    assert str(tmp_path) not in json.dumps(facts)


def test_a_validator_reads_it(photos, tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant", reason="the validator of the standard is not installed")
    for form in ("folder", "parquet"):
        done, _ = described(photos, tmp_path / form, form=form)
        read = mlcroissant.Dataset(str(done.out / CROISSANT))
        assert not read.metadata.issues.errors
        assert len(list(read.records("pictures"))) == len(FILES)
