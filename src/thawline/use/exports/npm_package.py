"""A package of npm, pinned by its version and its hash -> the few of its files that are wanted, in memory.

One idea: the hash is ours, so it does not matter who brings the bytes: the cache, a file that the person names, npm, or
a registry that the environment names. What has another hash is never unpacked, and nothing of a package is ever run.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

from thawline.core.errors import StoreError, UsageError
from thawline.core.online import is_reachable
from thawline.core.store import cache_root, commit_directory, content_key, disk_errors, staging_directory, write_json

__all__ = ["PACKAGES", "Package", "kept_tarball", "package_files"]

PACKAGES = "packages"
"""Folder of the cache in which packages lie; `thawline.core.cache` lists and prunes it."""

PATIENCE_S = 300.0
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Package:
    """One version of one package.

    Attributes:
        name: As npm calls it.
        version: Exact.
        integrity: `sha512-` and the hash of its tarball in base64, as the registry and lock files have it.
        size_bytes: Length of the tarball.
        option: What a person passes to name the tarball, such as `--ort-web`.
    """

    name: str
    version: str
    integrity: str
    size_bytes: int
    option: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def is_in(self, content: bytes) -> bool:
        """Return whether these are the bytes of the tarball."""
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
        return f"sha512-{digest}" == self.integrity


def package_files(
    package: Package, wanted: Collection[str], *, tarball: Path | None = None, cache_dir: Path | None = None
) -> dict[str, bytes]:
    """Return the contents of files of a package by their paths in it; fetched at most once, then kept in the cache.

    Args:
        package: Which, with its hash.
        wanted: Paths inside the package, such as `dist/a.mjs`; all of them are regular files in it.
        tarball: The package as a file; None takes the cache's, npm's or the registry's.
        cache_dir: The cache, or None for the usual one.

    Raises:
        StoreError: Nobody has it; or what came is another thing, and is not used.
        UsageError: `tarball` is not it.
    """
    file = tarball or kept_tarball(package, cache_dir=cache_dir)
    return _unpacked(package, _named(package, file), wanted)


def kept_tarball(package: Package, *, cache_dir: Path | None = None) -> Path:
    """Return where the cache holds the tarball of a package, fetched first where it does not.

    Args:
        package: Which, with its hash.
        cache_dir: The cache, or None for the usual one.

    Raises:
        StoreError: Nobody has it; or what came is another thing, and is not kept.
    """
    file = _place(package, cache_dir) / "package.tgz"
    if not _is_sound(package, file):
        _fetch(package, cache_dir)
    return file


def _named(package: Package, tarball: Path) -> bytes:
    """Return the content of a tarball that a person names."""
    try:
        is_of_its_size = tarball.stat().st_size == package.size_bytes
        content = tarball.read_bytes() if is_of_its_size else b""
    except OSError as error:
        raise UsageError(
            f"export: {tarball} cannot be read: {error.strerror}. Name the tarball of {package} with {package.option}."
        ) from None
    if not package.is_in(content):
        raise UsageError(
            f"export: {tarball} is not the tarball of {package}: its SHA-512 is not {package.integrity}. Make it with "
            f"`npm pack {package.name}@{package.version}` where there is a network."
        )
    return content


def _place(package: Package, cache_dir: Path | None) -> Path:
    return cache_root(cache_dir) / PACKAGES / content_key([package.name, package.version, package.integrity])


def _is_sound(package: Package, file: Path) -> bool:
    """Return whether the cache holds a tarball in which no bit has changed; then it counts as used."""
    with suppress(OSError):
        if package.is_in(file.read_bytes()):
            with suppress(OSError):  # a cache that may only be read serves as well
                os.utime(file.parent)
            return True
    return False


def _fetch(package: Package, cache_dir: Path | None) -> None:
    """Put the tarball into the cache, from whoever has it."""
    reasons = []
    for bring in (_from_npm, _from_registry):
        content, reason = bring(package)
        if content is None:
            reasons.append(reason)
        elif package.is_in(content):
            _keep(package, content, cache_dir)
            return
        else:
            reasons.append(f"{reason} brought {len(content):,} bytes with another SHA-512 than {package.integrity}")
    raise StoreError(
        f"export: {package} is needed once and cannot be fetched: {'; '.join(reasons)}. Connect to the network, or "
        f"run `npm pack {package.name}@{package.version}` elsewhere and pass {package.option} FILE.tgz."
    )


def _keep(package: Package, content: bytes, cache_dir: Path | None) -> None:
    """Put a tarball into the cache, in the place of one that was damaged."""
    final = _place(package, cache_dir)
    root = cache_root(cache_dir)
    with disk_errors("keep the package", root), staging_directory(root) as staged:
        if final.exists():
            final.rename(staged / "damaged")
        new = staged / "new"
        new.mkdir()
        (new / "package.tgz").write_bytes(content)
        facts = {"source": "npm", "name": str(package), "integrity": package.integrity}
        write_json(new / "source.json", facts)
        commit_directory(new, final)


def _from_npm(package: Package) -> tuple[bytes | None, str]:
    """Return what `npm pack` brings, which knows the person's registry, proxy and token; or None and why not."""
    npm = shutil.which("npm")
    if npm is None:
        return None, "npm is not installed"
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"{package.name}@{package.version}", "--ignore-scripts", "--silent"]
        quiet = {"npm_config_update_notifier": "false", "npm_config_fetch_retries": "0"}
        try:
            done = subprocess.run(  # noqa: S603  # npm as the person has it, with arguments of ours
                [*command, "--pack-destination", folder],
                cwd=folder,
                env={**os.environ, **quiet},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PATIENCE_S,
                check=False,
            )
            files = list(Path(folder).glob("*.tgz"))
            if done.returncode == 0 and len(files) == 1:
                return files[0].read_bytes(), "npm"
        except (OSError, subprocess.TimeoutExpired):
            pass
    return None, "npm cannot fetch it"


def _from_registry(package: Package) -> tuple[bytes | None, str]:
    """Return what the registry that `npm_config_registry` names sends, or None and why not."""
    named = [os.environ.get(name) for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY")]
    base = next(filter(None, named), None)
    if base is None:
        return None, "npm_config_registry names no registry"
    name = package.name.rpartition("/")[2]
    address = f"{base.rstrip('/')}/{quote(package.name, safe='@/')}/-/{quote(name)}-{package.version}.tgz"
    if not address.startswith(("https://", "http://")):
        return None, f"{base} is no registry"
    if not is_reachable(address):
        return None, "the registry does not answer"
    try:
        request = Request(address, headers={"User-Agent": "thawline"})  # noqa: S310  # its scheme is checked above
        with urlopen(request, timeout=30) as answer:  # noqa: S310
            return b"".join(_bounded(answer, package.size_bytes)), "the registry"
    except (OSError, ValueError, HTTPException) as error:
        return None, f"the registry refuses ({error})"


def _bounded(answer: io.BufferedIOBase, size_bytes: int) -> Iterator[bytes]:
    """Yield what is read, and stop once it is longer than what is wanted."""
    length = 0
    while length <= size_bytes and (part := answer.read(_READ_BYTES)):
        length += len(part)
        yield part


def _unpacked(package: Package, content: bytes, wanted: Collection[str]) -> dict[str, bytes]:
    """Return the wanted files of a tarball whose hash is right; nothing is written anywhere."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for member in archive:
            name = member.name.removeprefix("package/")
            if name in wanted and member.isreg() and (file := archive.extractfile(member)) is not None:
                found[name] = file.read()
    if missing := sorted(set(wanted) - set(found)):
        raise StoreError(f"export: {package} has no {', '.join(missing)}: another version of Thawline is needed.")
    return found
