"""A column of a table that says which pictures belong together: found by its name, named by the person, or refused."""

from __future__ import annotations

import csv
import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thawline.core.errors import DataError
from thawline.core.options import CheckOptions
from thawline.data.check import check
from thawline.data.sources.group_columns import GroupError, choose_group
from thawline.data.sources.headings import Wanted
from thawline.data.sources.pictures import list_pictures

PATIENTS = ["p1", "p1", "p2", "", "p2", "p3", "p3", "p1"]


@pytest.fixture
def photos(make_folder):
    return make_folder({f"{index}.png": index for index in range(8)})


@pytest.fixture(params=["csv", "semicolon", "parquet manifest", "parquet", "hf"])
def table(request, photos):
    """Return eight pictures of two classes in a table with a column of groups, in each of the forms."""
    names = [f"{index}.png" for index in range(8)]
    columns = {"label": ["a", "b"] * 4, "Patient ID": PATIENTS, "age": list(range(8))}
    if request.param in ("csv", "semicolon"):
        with (photos / "list.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter="," if request.param == "csv" else ";")
            writer.writerows([["path", *columns], *zip(names, *columns.values(), strict=True)])
        return photos / "list.csv"
    if request.param == "parquet manifest":
        pq.write_table(pa.table({"path": names, **columns}), photos / "list.parquet")
        return photos / "list.parquet"
    cells = [{"bytes": (photos / name).read_bytes(), "path": name} for name in names]
    (photos / "t").mkdir()
    if request.param == "parquet":
        pq.write_table(pa.table({"image": cells, **columns}), photos / "t" / "list.parquet")
        return photos / "t" / "list.parquet"
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"image": cells, **columns}).cast_column("image", datasets.Image()).save_to_disk(
        photos / "t" / "saved"
    )
    return f"hf:{photos / 't' / 'saved'}"


def test_a_usual_column_is_honoured_in_every_form(table, monkeypatch, tmp_path):
    dataset, report = check(table)
    assert [sample.named_group for sample in dataset.samples] == PATIENTS
    assert dataset.groups.tolist() == [0, 0, 1, 2, 1, 3, 3, 0]
    assert report.to_json()["groups"] == {
        "by": "the column Patient ID", "groups": 3, "pictures": 7, "alone": 1, "counted": 4,
    }  # fmt: skip


def test_another_column_or_none_can_be_named(table):
    dataset, report = check(table, CheckOptions(group_column="none"))
    assert (dataset.has_named_groups, report.groups) == (False, None)
    dataset, report = check(table, CheckOptions(group_column="AGE"))  # another value for every picture
    assert (dataset.has_named_groups, report.groups) == (False, None)
    assert "the column age has another value for every picture, so that it groups nothing" in report.notes
    with pytest.raises(GroupError, match=r"has no column 'ward'.*Name one of them with --group-column"):
        check(table, CheckOptions(group_column="ward"))


def test_groups_from_names_go_before_a_column(photos):
    rows = "".join(f"{index}.png,{'ab'[index % 2]},x\n" for index in range(8))
    (photos / "list.csv").write_text(f"path,label,group\n{rows}", encoding="utf-8")
    dataset, report = check(photos / "list.csv", CheckOptions(group_from="[0-3]"))
    assert not dataset.has_named_groups  # a group for each of the four, and none for the others
    assert report.groups is None
    dataset, report = check(photos / "list.csv", CheckOptions(group_from="(0|1|2)|(png)"))
    assert [sample.named_group for sample in dataset.samples] == ["0", "1", "2", *["png"] * 5]
    assert report.groups.by == "--group-from (0|1|2)|(png)"


def test_a_folder_has_no_column(make_folder):
    root = make_folder({"a/1.png": 1, "a/2.png": 2, "b/3.png": 3, "b/4.png": 4})
    assert check(root, CheckOptions(group_column="none"))[1].groups is None
    with pytest.raises(GroupError, match=r"has no column .* called 'patient'.*--group-from"):
        check(root, CheckOptions(group_column="patient"))


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["age", "PatientID"], "PatientID"),
        (["camera_id", "age"], "camera_id"),
        (["site", "patient", "age"], "patient"),
        (["Video Name", "frame"], "Video Name"),
        (["subjects"], "subjects"),
        (["sha256", "age", "grouping", "sites_total", "id"], None),
    ],
)
def test_the_usual_names(names, chosen):
    found, notes = choose_group(names, where="list.csv", wanted=Wanted())
    assert found == chosen
    assert bool(notes) == ("site" in names)


def test_groups_of_several_tables_are_one(photos):
    (photos / "t").mkdir()
    for part, rows in (("train", range(6)), ("test", (6, 7))):
        cells = [{"bytes": (photos / f"{row}.png").read_bytes(), "path": None} for row in rows]
        columns = {"image": cells, "label": ["ab"[row % 2] for row in rows], "camera": [float(row % 3) for row in rows]}
        pq.write_table(pa.table(columns), photos / "t" / f"{part}.parquet")
    dataset, report = check(photos / "t")
    assert [sample.named_group for sample in dataset.samples] == ["0", "1", "0", "1", "2", "0", "1", "2"]
    assert [leak[2] for leak in report.group_leaks] == ["0", "1"]


def test_what_export_data_writes_keeps_its_groups(photos, tmp_path):
    from thawline.data.exported import export_data

    rows = "".join(f"{index}.png,{'ab'[index % 2]},{PATIENTS[index]}\n" for index in range(8))
    (photos / "list.csv").write_text(f"path,label,patient\n{rows}", encoding="utf-8")
    for form, name in (("folder", "pictures.csv"), ("parquet", "")):
        export_data(photos / "list.csv", tmp_path / form, form=form, held_out="none")
        dataset, _ = check(tmp_path / form / name)
        alike = {sample.sha256: sample.group for sample in dataset.samples}
        digests = [row.sha256 for row in sorted(check(photos / "list.csv")[0].samples, key=lambda item: item.path)]
        assert [alike[digest] == alike[digests[0]] for digest in digests] == [group == "p1" for group in PATIENTS]


def test_a_class_in_one_group_is_refused_with_the_reason(photos):
    from thawline.data.split import make_split

    rows = "".join(f"{index}.png,{'ab'[index % 2]},{'xy'[index % 2]}\n" for index in range(8))
    (photos / "list.csv").write_text(f"path,label,group\n{rows}", encoding="utf-8")
    with pytest.raises(DataError, match=r"all 4 pictures of a are of one group \(x\).*--group-column none"):
        make_split(check(photos / "list.csv")[0])


def test_a_key_of_a_shards_json_is_honoured(photos):
    with tarfile.open(photos / "shard.tar", "w") as tar:
        for index, patient in enumerate(PATIENTS):
            facts = {"label": "ab"[index % 2], "patient": patient, "boxes": [1, 2], "score": index}
            for name, data in ((f"{index}.png", (photos / f"{index}.png").read_bytes()), (f"{index}.json", facts)):
                content = data if isinstance(data, bytes) else json.dumps(data).encode()
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    for place in (photos / "shard.tar", f"webdataset:{photos / 'shard.tar'}"):
        dataset, report = check(place)
        assert [sample.named_group for sample in dataset.samples] == PATIENTS
        assert report.groups.by == "patient in .json"
        assert check(place, CheckOptions(group_column="none"))[1].groups is None
        with pytest.raises(GroupError, match="called 'ward'"):
            check(place, CheckOptions(group_column="ward"))


def test_listing_alone_says_where_groups_come_from(photos):
    (photos / "list.csv").write_text("path,label,group\n0.png,a,x\n1.png,b,\n", encoding="utf-8")
    listing = list_pictures(photos / "list.csv")
    assert ([item.group for item in listing.candidates], listing.grouped_by) == (["x", ""], "the column group")
