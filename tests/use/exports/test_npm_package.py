"""A package is used only if its hash is ours, whoever brings it; it is fetched once, and nothing of it is run."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from thawline.core.cache import cache_entries, prune_cache
from thawline.core.errors import StoreError, UsageError
from thawline.use.exports import npm_package as module
from thawline.use.exports.npm_package import Package, package_files


def packed(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in {"package/dist/a.js": b"a", "package/../../evil": b"no", **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("package/dist/link.js")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


CONTENT = packed()


@pytest.fixture
def package():
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(CONTENT).digest()).decode()
    return Package("@some/thing", "1.2.3", integrity, len(CONTENT), "--thing")


@pytest.fixture
def world(monkeypatch):
    """Return what npm and the registry send, and what they were asked for; nobody reaches a network."""
    sent = {"npm": None, "registry": None, "asked": []}

    def run(command, *, cwd, **kept):
        sent["asked"].append(command[1:])
        if sent["npm"] is not None:
            Path(cwd, "some-thing-1.2.3.tgz").write_bytes(sent["npm"])
        return subprocess.CompletedProcess(command, 0 if sent["npm"] is not None else 1)

    def urlopen(request, timeout):
        sent["asked"].append(request.full_url)
        if sent["registry"] is None:
            raise OSError("no such host")
        return io.BytesIO(sent["registry"])

    monkeypatch.setattr(module.subprocess, "run", run)
    monkeypatch.setattr(module.shutil, "which", lambda name: "/bin/npm")
    monkeypatch.setattr(module, "urlopen", urlopen)
    monkeypatch.setattr(module, "is_reachable", lambda address: True)
    monkeypatch.setenv("npm_config_registry", "https://mirror.example/npm/")
    return sent


def test_npm_brings_it_once_and_the_cache_afterwards(package, world):
    world["npm"] = CONTENT
    assert package_files(package, ["dist/a.js"]) == {"dist/a.js": b"a"}
    world["npm"] = None
    assert package_files(package, ["dist/a.js"]) == {"dist/a.js": b"a"}
    assert len(world["asked"]) == 1
    assert "--ignore-scripts" in world["asked"][0]
    (entry,) = cache_entries()
    assert (entry.kind, entry.size_bytes > len(CONTENT)) == ("packages", True)
    assert prune_cache() == (entry,)


def test_without_npm_no_registry_is_asked_that_nobody_named(package, world, monkeypatch):
    world["registry"] = CONTENT
    monkeypatch.delenv("npm_config_registry")
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)
    with pytest.raises(StoreError, match="npm_config_registry names no registry"):
        package_files(package, ["dist/a.js"])


def test_the_registry_brings_it_where_npm_cannot(package, world):
    world["registry"] = CONTENT
    assert package_files(package, ["dist/a.js"])["dist/a.js"] == b"a"
    assert world["asked"][-1] == "https://mirror.example/npm/@some/thing/-/thing-1.2.3.tgz"


def test_what_was_damaged_in_the_cache_is_fetched_again(package, world, own_cache):
    world["npm"] = CONTENT
    package_files(package, ["dist/a.js"])
    (kept,) = own_cache.rglob("package.tgz")
    kept.write_bytes(CONTENT[:-1] + b"x")
    assert package_files(package, ["dist/a.js"])["dist/a.js"] == b"a"
    assert kept.read_bytes() == CONTENT
    assert len(world["asked"]) == 2


def test_another_hash_is_refused_whoever_brings_it(package, world, own_cache, tmp_path):
    world["npm"] = world["registry"] = packed(more=b"more")
    with pytest.raises(StoreError, match=r"npm brought [\d,]+ bytes with another SHA-512") as told:
        package_files(package, ["dist/a.js"])
    assert "the registry brought" in str(told.value)
    assert not list(own_cache.rglob("*.tgz"))
    (tmp_path / "other.tgz").write_bytes(packed(more=b"more"))
    with pytest.raises(UsageError, match=r"other\.tgz is not the tarball of @some/thing 1\.2\.3.*npm pack"):
        package_files(package, ["dist/a.js"], tarball=tmp_path / "other.tgz")


def test_without_a_network_a_sentence_says_what_to_bring(package, world, tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.setattr(module, "is_reachable", lambda address: False)
    with pytest.raises(StoreError) as told:
        package_files(package, ["dist/a.js"])
    assert str(told.value) == (
        "export: @some/thing 1.2.3 is needed once and cannot be fetched: npm is not installed; the registry does not "
        "answer. Connect to the network, or run `npm pack @some/thing@1.2.3` elsewhere and pass --thing FILE.tgz."
    )
    (tmp_path / "it.tgz").write_bytes(CONTENT)
    assert package_files(package, ["dist/a.js"], tarball=tmp_path / "it.tgz") == {"dist/a.js": b"a"}
    with pytest.raises(UsageError, match=r"none\.tgz cannot be read: No such file"):
        package_files(package, ["dist/a.js"], tarball=tmp_path / "none.tgz")


def test_only_regular_files_that_are_wanted_leave_it(package, world):
    world["npm"] = CONTENT
    with pytest.raises(StoreError, match=r"has no dist/link\.js"):
        package_files(package, ["dist/a.js", "dist/link.js"])


def test_more_than_is_wanted_is_not_read(package, world, monkeypatch):
    monkeypatch.setattr(module, "_READ_BYTES", 16)
    world["registry"] = CONTENT + bytes(1000)
    with pytest.raises(StoreError, match="the registry brought"):
        package_files(package, ["dist/a.js"])
