"""The same pictures in another form, by the verbs that a person has: nothing is extracted anew, scores are equal."""

from __future__ import annotations

import json
import tarfile
import zipfile

import pytest


@pytest.fixture
def forms(run, tmp_path):
    """Return the run's pictures as a zip archive and as shards, by what a person types."""
    with (
        zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive,
        tarfile.open(tmp_path / "train-000.tar", "w") as train,
        tarfile.open(tmp_path / "test-000.tar", "w") as test,
    ):
        for number, path in enumerate(sorted(run.photos.rglob("*.png"))):
            part, label, _ = path.relative_to(run.photos).parts
            archive.write(path, f"photos/{part}/{label}/{path.name}")
            (tmp_path / "label").write_text(label)
            shard = train if part == "train" else test
            shard.add(path, f"{number:04d}.png")
            shard.add(tmp_path / "label", f"{number:04d}.cls")
    return {"zip": tmp_path / "photos.zip", "webdataset": f"webdataset:{tmp_path}/{{train,test}}-000.tar"}


@pytest.mark.parametrize("form", ["zip", "webdataset"])
def test_another_form_extracts_nothing_and_scores_the_same(run, thawline, shared_cache, forms, form):
    assert thawline("check", forms[form], "--json").json["used"] == 55
    assert thawline("extract", forms[form], "--json").json["extracted"] == 0
    scored = thawline("evaluate", run.out / "model", forms[form], "--json")
    assert scored.json == thawline("evaluate", run.out / "model", run.photos, "--json").json


def test_an_archive_has_the_leaderboard_of_its_folder(run, thawline, shared_cache, forms):
    boards = [thawline("compare", place, "--json").json["trials"] for place in (run.photos, forms["zip"])]
    first, second = ({trial["strategy"]: (trial["mean"], trial["low"]) for trial in board} for board in boards)
    assert len(first) > 1
    assert first == second


def test_a_report_is_titled_by_what_the_person_named(thawline, shared_cache, forms, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = thawline("fit", "webdataset:{train,test}-000.tar", "-o", "out")
    assert said.code == 0, said.err
    assert json.loads((tmp_path / "out" / "report.json").read_bytes())["title"] == "{train,test}-000.tar"


def test_results_do_not_go_among_the_shards(thawline, forms, tmp_path):
    said = thawline("fit", f"webdataset:{tmp_path}", "-o", tmp_path / "out")
    assert said.code == 1
    assert "lies inside the pictures" in said.err
