"""An export is replaced only where every file in it is as it was written."""

from __future__ import annotations

import json

import pytest

from thawline.core.errors import DataError, StoreError
from thawline.core.owned import MARKER, read_marker
from thawline.data.export_folder import CARD, folder_size, mark_export, refuse_place, require_own_export
from thawline.data.sources.places import Place


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    return Place.of(tmp_path / "photos")


@pytest.fixture
def export(photos, tmp_path):
    """Return the folder of an export."""
    out = tmp_path / "out"
    (out / "train/a").mkdir(parents=True)
    (out / "train/a/1.png").write_bytes(b"picture")
    (out / "pictures.csv").write_text(f"path,label,sha256\ntrain/a/1.png,a,{'0' * 64}\n")
    (out / "README.md").write_text("A card")
    num_files, size_bytes = folder_size(out)
    card = {"thawline_data": 1, "num_files": num_files, "size_bytes": size_bytes}
    (out / CARD).write_text(json.dumps(card))
    mark_export(out, photos)
    return out


def test_the_marker_names_every_file_and_takes_digests_that_are_known(export):
    files = read_marker(export).files
    assert set(files) == {"train/a/1.png", "pictures.csv", "README.md", CARD}
    assert files["train/a/1.png"][0].sha256 == "0" * 64  # as it was checked, which is not computed twice
    assert folder_size(export)[0] == 3


def test_a_new_or_an_empty_folder_is_fine(photos, tmp_path):
    refuse_place(photos, tmp_path / "new")
    (tmp_path / "empty").mkdir()
    refuse_place(photos, tmp_path / "empty")
    with pytest.raises(DataError, match="inside one another"):
        refuse_place(photos, tmp_path)


def test_an_export_of_other_pictures_needs_a_word(export, tmp_path):
    (export / "pictures.csv").unlink()
    (export / "train/a/1.png").write_bytes(b"other")
    (tmp_path / "more").mkdir()
    mark_export(export, Place.of(tmp_path / "more"))
    refuse_place(Place.of(tmp_path / "more"), export)
    with pytest.raises(StoreError, match=r"holds an export of more, and this is one of photos\. .*--replace"):
        refuse_place(Place.of(tmp_path / "photos"), export)
    refuse_place(Place.of(tmp_path / "photos"), export, replace=True)


def test_one_of_an_older_version_needs_a_word_and_the_numbers_of_its_card(export):
    (export / MARKER).unlink()
    with pytest.raises(StoreError, match=r"an export of an older version.*--replace"):
        require_own_export(export, older=False)
    require_own_export(export, older=True)
    (export / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match="was changed since it was exported"):
        require_own_export(export, older=True)
    (export / CARD).unlink()
    with pytest.raises(StoreError, match="holds files that no export wrote"):
        require_own_export(export, older=True)
