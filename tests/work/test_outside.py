"""Of a folder of other pictures each class is shown, and what cannot be read is told."""

from __future__ import annotations

from collections import Counter

import pytest

from thawline.core.errors import UsageError
from thawline.work.outside import outside_files


def test_of_a_huge_folder_every_class_is_shown(tmp_path):
    for folder, count in (("a", 60), ("b/inner", 40), ("c", 2)):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(count):
            (tmp_path / folder / f"{number:02}.jpg").touch()
    shown = outside_files(tmp_path)
    assert Counter(path.parent.name for path in shown) == {"a": 23, "inner": 23, "c": 2}
    assert list(shown) == sorted(shown)
    assert outside_files(None) == ()
    assert outside_files(tmp_path / "c" / "00.jpg") == (tmp_path / "c" / "00.jpg",)
    assert len(outside_files(tmp_path, limit=3)) == 3


def test_a_folder_without_a_picture_is_refused(tmp_path):
    (tmp_path / ".hidden").mkdir()
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match=f"--outside {folder} holds no pictures"):
            outside_files(folder)
