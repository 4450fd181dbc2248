"""Archives as the tests of the sources need them."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from thawline.data.sources import hubload


@pytest.fixture
def make_zip(tmp_path):
    """Return a function that writes (name or ZipInfo, bytes) into a new archive."""

    def make(files, name="photos.zip", compression=zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / name, "w", compression) as archive:
            for member, content in files.items() if isinstance(files, dict) else files:
                archive.writestr(member, content)
        return tmp_path / name

    return make


@pytest.fixture
def make_tar(tmp_path):
    """Return a function that writes (name or TarInfo, bytes) into a new archive."""

    def make(files, name="photos.tar", form=tarfile.PAX_FORMAT):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w", format=form) as archive:
            for member, content in files.items() if isinstance(files, dict) else files:
                info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
                info.size = len(content) if info.isreg() else 0
                archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
        return path

    return make


@pytest.fixture
def own_hub(tmp_path, monkeypatch):
    """Give the test caches of its own, and a hub that does not answer."""
    datasets = pytest.importorskip("datasets")
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf" / "datasets")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(hubload, "is_reachable", lambda _: False)
