"""Tables whose bytes were changed at random are read or refused in one line, and no file outside is named."""

from __future__ import annotations

import random
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thawline.core.errors import DataError
from thawline.data.sources.listing import FileSource
from thawline.data.sources.pictures import list_pictures

TOKENS = (
    *(b",", b";", b"\t", b'"', b"'", b"\n", b"\r", b"\0", b"#", b"//", b"\xff\xfe", b"\xef\xbb\xbf", b"sep=;\n"),
    *(b"path", b"label", b"split", b"is_valid", b"nan", b"../", b"%2e%2e/", b"%00", b"C:\\", b"file://", b"file://["),
    *(b"http://x/", b"/etc/passwd", b"\\\\host\\"),
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252")


@pytest.fixture
def folder(tmp_path):
    """Return a folder of pictures that tables name."""
    for name in ("Äpfel", "Käse, jung"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(5):
            (tmp_path / "set" / name / f"{number}.jpg").write_bytes(b"picture")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    return tmp_path / "set"


def attempt(function):
    """Return what a function gives, or the refusal that it raises."""
    try:
        return function()
    except DataError as error:
        return error


def outcome(file):
    """Return what becomes of a table: `read`, or `refused` in one line."""
    listing = attempt(lambda: list_pictures(file))
    if isinstance(listing, DataError):
        assert "\n" not in str(listing)
        return "refused"
    for item in listing.candidates:
        if isinstance(item.source, FileSource):
            assert item.source.path.is_relative_to(file.parent)
        data = attempt(item.source.read)
        assert data != b"secret"
        assert isinstance(data, bytes) or "\n" not in str(data)
    return "read"


def mutated(data: bytes, random_: random.Random, *, from_end: int) -> bytes:
    """Return bytes with up to eight changes, most of them within so many bytes of the end."""
    changed = bytearray(data)
    for _ in range(random_.randint(1, 8)):
        place = max(0, len(changed) - random_.randint(0, min(from_end, len(changed))))
        kind = random_.random()
        if kind < 0.4:
            changed[place:place] = random_.choice(TOKENS)
        elif kind < 0.7:
            del changed[place : place + random_.randint(1, 40)]
        else:
            changed[place : place + 1] = bytes([random_.randrange(256)])
    return bytes(changed)


def test_1000_mutated_manifests(folder):
    random_ = random.Random(0)
    paths = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.jpg"))]
    tables = []
    for separator in ",;\t":
        rows = [separator.join(f'"{cell}"' for cell in (path, path.split("/")[0], "train")) for path in paths]
        tables.append("\n".join([separator.join(("path", "label", "split")), *rows]))
    found = Counter()
    for number in range(1_000):
        data = tables[number % 3].encode(ENCODINGS[number % 4])
        (folder / "list.csv").write_bytes(mutated(data, random_, from_end=len(data)))
        found[outcome(folder / "list.csv")] += 1
    assert min(found["read"], found["refused"]) > 100
    assert found.total() == 1_000


def test_200_mutated_parquet_tables(folder):
    random_ = random.Random(0)
    cells = pa.array(
        [{"bytes": b"\xff\xd8\xff", "path": None}] * 10, pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    )
    paths = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.jpg"))]
    for name, column in (("image", cells), ("path", paths)):
        pq.write_table(pa.table({name: column, "label": ["a", "b"] * 5}), folder / f"{name}.parquet")
    originals = [(folder / f"{name}.parquet").read_bytes() for name in ("image", "path")]
    found = Counter()
    for number in range(200):
        (folder / "t.parquet").write_bytes(mutated(originals[number % 2], random_, from_end=600))
        found[outcome(folder / "t.parquet")] += 1
    assert found.total() == 200
    assert found["refused"] > 50
