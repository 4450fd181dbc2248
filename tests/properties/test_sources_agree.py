"""The same pictures are the same data set whatever form they come in."""

from __future__ import annotations

import tarfile
import zipfile
from collections import defaultdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thawline.data.check import check

PICTURES = 40


@pytest.fixture(scope="module")
def forms(shared_data, tmp_path_factory):
    """Return 40 pictures of monkeys in every form: {form: what a person names}."""
    root = tmp_path_factory.mktemp("forms")
    files = []
    for part, count in (("training", 3), ("validation", 1)):
        for folder in sorted((shared_data / "monkeys" / part).rglob("n?"))[:10]:
            files += [(part, folder.name, path) for path in sorted(folder.iterdir())[:count]]
    assert len(files) == PICTURES
    rows = defaultdict(list)
    with (
        tarfile.open(root / "training-000.tar", "w") as training,
        tarfile.open(root / "validation-000.tar", "w") as validation,
        zipfile.ZipFile(root / "photos.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        tarfile.open(root / "photos.tar", "w") as tar,
        (root / "list.csv").open("w") as manifest,
    ):
        shards = {"training": training, "validation": validation}
        manifest.write("path,label,split\n")
        for number, (part, label, path) in enumerate(files):
            data = path.read_bytes()
            inside = f"{part}/{label}/{path.name}"
            place = root / "folder" / inside
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            manifest.write(f"folder/{inside},{label},{part}\n")
            archive.write(place, f"monkeys/{inside}")
            tar.add(place, inside)
            (root / "k.jpg").write_bytes(data)
            (root / "k.cls").write_text(label)
            for ending in ("jpg", "cls"):
                shards[part].add(root / f"k.{ending}", f"{number:05d}.{ending}")
            rows[part].append({"image": {"bytes": data, "path": None}, "label": label})
    (root / "tables").mkdir()
    for part, table in rows.items():
        pq.write_table(pa.Table.from_pylist(table), root / "tables" / f"{part}-0.parquet")
    return {
        "folder": root / "folder",
        "csv": root / "list.csv",
        "zip": root / "photos.zip",
        "tar": root / "photos.tar",
        "parquet": root / "tables",
        "webdataset": f"webdataset:{root}/{{training,validation}}-000.tar",
        "hf": f"hf:{root}/folder",
    }


def facts(place):
    """Return the pictures with label and part, as a set, and the key of the pictures."""
    dataset, _ = check(place)
    return {(item.sha256, dataset.class_names[item.label], item.split) for item in dataset.samples}, dataset.images_key


@pytest.mark.pictures
@pytest.mark.parametrize("form", ["csv", "zip", "tar", "parquet", "webdataset", "hf"])
def test_every_form_gives_the_pictures_labels_and_parts_of_the_folder(forms, form):
    if form == "hf":
        pytest.importorskip("datasets")
    expected, found = facts(forms["folder"]), facts(forms[form])
    assert len(expected[0]) == PICTURES
    assert found == expected
