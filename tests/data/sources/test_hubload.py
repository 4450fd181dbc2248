"""Names of data sets are parsed, and what cannot be loaded is explained."""

from __future__ import annotations

import builtins

import pytest

from thawline.core.errors import DataError, UsageError
from thawline.data.sources.hubload import HubName, parse_hub
from thawline.data.sources.pictures import list_pictures

datasets = pytest.importorskip("datasets")
constants = pytest.importorskip("huggingface_hub").constants
pytestmark = pytest.mark.usefixtures("own_hub")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("beans", HubName("beans")),
        ("ethz/food101", HubName("ethz/food101")),
        ("a/b/large@v1.0:train", HubName("a/b", "large", "v1.0", "train")),
        ("a/b@refs/convert/parquet:train[:10%]", HubName("a/b", None, "refs/convert/parquet", "train[:10%]")),
        ("./birds", HubName("./birds", is_local=True)),
        ("../birds:val", HubName("../birds", split="val", is_local=True)),
    ],
)
def test_names(text, name):
    assert parse_hub(text) == name


@pytest.mark.parametrize("text", ["a b", "a/b/c/d", "a/b:", "a/b@", "a/b:x y", "a//b", "a/b;rm"])
def test_names_of_no_known_form_are_refused(text):
    with pytest.raises(UsageError, match="required is hf:OWNER/NAME"):
        list_pictures(f"hf:{text}")


def test_a_folder_with_a_script_is_refused(make_folder):
    root = make_folder({"a/1.png": 1, "b/1.png": 2, "photos.py": b"raise SystemExit"})
    with pytest.raises(DataError, match="scripts are no longer supported"):
        list_pictures(f"hf:{root}")


def test_without_network_and_cache_the_error_says_what_to_bring():
    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    with pytest.raises(DataError, match=r"not in the cache of `datasets`, and the network cannot be reached.*HF_HOME"):
        list_pictures("hf:someone/something")
    assert before == (datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE)


def test_without_the_library_the_error_says_which_extra(monkeypatch):
    real = builtins.__import__

    def guarded(name, *rest):
        if name == "datasets":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", guarded)
    with pytest.raises(DataError, match=r"pip install 'thawline\[hub\]'"):
        list_pictures("hf:beans")


def test_a_missing_folder_a_file_and_a_name_that_is_a_folder_here(tmp_path, monkeypatch):
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    for name in ("gone", "t.parquet"):
        with pytest.raises(DataError, match="the folder does not exist; tables and archives are named without hf:"):
            list_pictures(f"hf:{tmp_path}/{name}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beans").mkdir()
    with pytest.raises(UsageError, match=r"Write hf:\./beans"):
        list_pictures("hf:beans")
