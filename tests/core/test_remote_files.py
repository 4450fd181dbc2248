"""Addresses are told from paths, and what a place far away refuses is told in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from thawline.core.errors import DataError, StoreError
from thawline.core.remote_files import absolute_place, file_system, is_remote, remote_errors


@pytest.mark.parametrize(
    ("place", "is_address"),
    [
        ("s3://bucket/folder", True),
        ("memory://rows", True),
        ("photos/", False),
        ("/photos", False),
        ("hf:beans", False),
        ("pipe://x", False),
    ],
)
def test_an_address_is_told_from_a_path(place, is_address):
    assert is_remote(place) == is_address


def test_a_folder_means_the_same_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_place("rows") == str(tmp_path / "rows")
    assert absolute_place("s3://bucket/rows") == "s3://bucket/rows"


def test_a_folder_has_a_file_system(tmp_path):
    files, path = file_system(str(tmp_path), doing="store")
    assert (Path(path), files.exists(path)) == (tmp_path, True)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("ftp://host/x", "store: ftp://host/x begins with none of s3://"),
        ("simplecache::s3://bucket/x", "begins with none of"),
        ("s3://bucket/x::zip://y", "one file system through another"),
        ("s3://bucket/x", "read by s3fs, which is not installed. Run `pip install s3fs`"),
    ],
)
def test_what_cannot_be_read_is_named(place, message, monkeypatch):
    import fsspec

    def refuse(_):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    with pytest.raises(StoreError, match=message):
        file_system(place, doing="store")


class NoCredentialsError(Exception):
    """As botocore's."""


NoCredentialsError.__module__ = "botocore.exceptions"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError("Access Denied"), "no permission .Access Denied.*credentials"),
        (FileNotFoundError("bucket"), "does not exist. Check the spelling of bucket"),
        (NoCredentialsError("none"), "no credentials were found.*AWS_ACCESS_KEY_ID"),
        (OSError("Connection reset"), "Connection reset. What was written is kept; run again"),
    ],
)
def test_refusals_say_what_to_do(error, message):
    with pytest.raises(DataError, match=f"list: s3://b:? {message}"), remote_errors("list", "s3://b", kind=DataError):
        raise error


def test_a_bug_stays_a_bug():
    with pytest.raises(ZeroDivisionError), remote_errors("list", "s3://b"):
        raise ZeroDivisionError
