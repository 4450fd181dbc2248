"""An address such as `s3://bucket/folder` -> the file system behind it, and its refusals in words.

The one idea: what is not this machine's disk is reached by fsspec, which is loaded only where an address is given;
every scheme but those of this machine needs a package of its own, and the error names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thawline.core.errors import StoreError, ThawlineError

__all__ = ["REMOTE_SCHEMES", "absolute_place", "file_system", "is_remote", "remote_errors"]

REMOTE_SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hdfs", "file", "memory")
"""What an address may begin with; no web pages, and nothing that reads one file system through another."""

PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
}
SERVICES = ("aiobotocore", "aiohttp", "azure", "adlfs", "botocore", "gcsfs", "google", "s3fs")


def is_remote(place: str) -> bool:
    """Return whether a place is an address that fsspec reads, `SCHEME://…`, and no path."""
    scheme, colon, _ = place.partition("://")
    return bool(colon) and scheme in REMOTE_SCHEMES


def absolute_place(place: str) -> str:
    """Return a place that means the same from any folder: an address as it is, a folder with its whole path."""
    return place if "://" in place else str(Path(place).resolve())


def file_system(place: str, *, doing: str, kind: type[ThawlineError] = StoreError) -> tuple[Any, str]:
    """Return the file system of an address or a folder, and the path in it, without a slash at its end.

    Args:
        place: `SCHEME://…`, or a folder of this machine or of a disk that several share.
        doing: What it is for, for the error.
        kind: Of the error.

    Raises:
        ThawlineError: Of that kind: an unknown scheme, or its package is not installed.
    """
    try:
        import fsspec
    except ImportError:
        raise kind(
            f"{doing}: {place} is read by fsspec, which is not installed. Run `pip install 'thawline[cluster]'`."
        ) from None
    if "://" in place and not is_remote(place):
        known = ", ".join(f"{scheme}://" for scheme in REMOTE_SCHEMES[:-1])
        raise kind(f"{doing}: {place} begins with none of {known}. Name one of these, or a folder.")
    if "::" in place:
        raise kind(f"{doing}: {place} reads one file system through another, which is not supported. Name one address.")
    try:
        system, path = fsspec.core.url_to_fs(place)
    except ImportError:
        package = PACKAGES.get(re.split(r"[:/]", place)[0], "the package of its scheme")
        raise kind(
            f"{doing}: {place} is read by {package}, which is not installed. Run `pip install {package}`."
        ) from None
    except Exception as error:
        raise kind(f"{doing}: {place} is no address: {str(error)[:200]}. Check its spelling.") from None
    return system, str(path).rstrip("/")


@contextmanager
def remote_errors(doing: str, place: str, *, kind: type[ThawlineError] = StoreError) -> Iterator[None]:
    """Turn what a file system far away refuses into an error of a kind that says what to do.

    Args:
        doing: What is being done.
        place: Address or path.
        kind: Of the error.
    """
    try:
        yield
    except ThawlineError:
        raise
    except PermissionError as error:
        raise kind(
            f"{doing}: {place}: no permission ({_brief(error)}). Check the credentials, and that they may do this."
        ) from None
    except FileNotFoundError:
        raise kind(f"{doing}: {place} does not exist. Check the spelling of bucket and folder.") from None
    except Exception as error:
        is_theirs = type(error).__module__.partition(".")[0] in SERVICES
        if not is_theirs and not isinstance(error, OSError):
            raise
        if "Credentials" in type(error).__name__:
            raise kind(
                f"{doing}: {place}: no credentials were found. Give them as its service has it, such as in "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or GOOGLE_APPLICATION_CREDENTIALS."
            ) from None
        raise kind(f"{doing}: {place}: {_brief(error)}. What was written is kept; run again.") from None


def _brief(error: Exception) -> str:
    """Return the first 160 letters of an error, on one line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:160].rstrip(". ")
