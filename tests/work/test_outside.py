"""Of a folder of other pictures each class is shown, and what cannot be read is told."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thawline.core.errors import UsageError
from thawline.work.outside import outside_pictures


def test_of_a_huge_folder_every_class_is_shown(tmp_path):
    for folder, count in (("a", 60), ("b/inner", 40), ("c", 2)):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(count):
            (tmp_path / folder / f"{number:02}.jpg").touch()
    shown = outside_pictures(tmp_path)
    assert Counter(PurePath(name).parent.name for name, _ in shown) == {"a": 23, "inner": 23, "c": 2}
    names = [name for name, _ in shown]
    assert names == sorted(names)
    assert outside_pictures(None) == ()
    (only,) = outside_pictures(tmp_path / "c" / "00.jpg")
    assert only[0].endswith("c/00.jpg")
    assert len(outside_pictures(tmp_path, limit=3)) == 3


def test_a_folder_without_a_picture_is_refused(tmp_path):
    (tmp_path / ".hidden").mkdir()
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match=f"--outside {folder} holds no pictures"):
            outside_pictures(folder)


def test_pictures_of_a_table_are_shown_one_by_one(tmp_path):
    data = b"no picture, but its own bytes"
    pq.write_table(
        pa.table({"image": [{"bytes": data, "path": None}] * 3, "label": ["a", "b", "a"]}), tmp_path / "t.parquet"
    )
    shown = outside_pictures(tmp_path)
    assert len(shown) == 3
    assert all(source.read() == data for _, source in shown)
