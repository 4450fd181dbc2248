"""What determines an answer, and how to compute it -> the answer: from the cache where the same was computed before.

One idea: an answer that is a pure function of content has a key made of everything that determines it: the facts
that the caller names, this program's source, the versions that it computes with, and the kind of processor. Nothing is
looked up by name, path or time, so nothing can be stale; what is damaged is noticed and computed again. Outside
`remembering` everything is computed.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.numpy import load, save

from thawline.core.cache import cache_entries, remove_entry
from thawline.core.errors import StoreError
from thawline.core.runtime import num_workers, package_versions
from thawline.core.store import commit_directory, disk_errors, staging_directory, write_json
from thawline.core.version import __version__

__all__ = ["facts_key", "known_before", "note", "noted", "recalled", "remembering"]

T = TypeVar("T")
Arrays = dict[str, npt.NDArray[Any]]

KIND, ENTRY, ANSWER = "answers", "entry.json", "answer.safetensors"
LARGEST_BYTES, MOST_BYTES = 256 << 20, 1 << 30
"""Of one answer, above which it is not kept; and of all together, beyond which the least recently used ones go."""
LARGEST_TREE_BYTES = 64 << 20
"""Of what is no array: safetensors takes 100 MB."""
FURTHER_PACKAGES = ("captum", "cleanlab", "mapie", "matplotlib")
OURS, TREE = "thawline.", "tree"
HEADER = 8
"""Bytes of the length of a safetensors file's header."""


@dataclass
class _Memory:
    """Where answers are kept, and whether any was added."""

    root: Path
    has_new: bool = False


_MEMORY: ContextVar[_Memory | None] = ContextVar("memory", default=None)


@contextmanager
def remembering(root: Path) -> Iterator[None]:
    """Within it, and in its own thread, `recalled` looks into a cache folder and keeps there what it computes.

    On leaving, the least recently used answers are removed until the others fit into a gibibyte.

    Args:
        root: From `core.store.cache_root`.
    """
    memory = _Memory(root)
    token = _MEMORY.set(memory)
    try:
        yield
    finally:
        _MEMORY.reset(token)
        if memory.has_new:
            _forget_oldest(root)


def recalled(what: str, facts: object, *, make: Callable[[], T]) -> T:
    """Return `make()`, or what it returned when it was called with the same facts before.

    Args:
        what: Name of the answer; the same facts may have several.
        facts: Everything that determines it but the program: plain data, arrays and dataclasses of them.
        make: Computes it: the same data, with the same types, as `facts` may hold, and bytes. It must depend on nothing
            else: no time, no chance without a seed, no file whose content is not among the facts.

    Raises:
        TypeError: Facts or answer hold something that is no data.
    """
    memory = _MEMORY.get()
    if memory is None:
        return make()
    directory = memory.root / KIND / _key(what, facts)
    if (found := _read(directory)) is not None:
        known: T = found[0]
        return known
    answer = make()
    _keep(memory, directory, what=what, answer=answer)
    return answer


def noted(what: str, address: object) -> Any | None:
    """Return what `note` kept last at an address, or None: for what is checked against content before it is used.

    Args:
        what: As in `recalled`.
        address: Where to look: facts, as there, that need not determine it.
    """
    memory = _MEMORY.get()
    found = None if memory is None else _read(memory.root / KIND / _key(what, address))
    return None if found is None else found[0]


def note(what: str, address: object, *, value: object) -> None:
    """Keep a value at an address, in the place of an older one.

    Args:
        what: As in `noted`.
        address: As there.
        value: As an answer of `recalled`.
    """
    if (memory := _MEMORY.get()) is not None:
        _keep(memory, memory.root / KIND / _key(what, address), what=what, answer=value)


def known_before(what: str, facts: object) -> bool:
    """Return whether `recalled` would find an answer, without reading it: for what is said before it is asked."""
    memory = _MEMORY.get()
    return memory is not None and (memory.root / KIND / _key(what, facts) / ENTRY).is_file()


def _read(directory: Path) -> tuple[Any] | None:
    """Return an answer that is kept; None where there is none, or a damaged one."""
    try:
        facts = json.loads((directory / ENTRY).read_bytes())
        data = (directory / ANSWER).read_bytes()
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            return None
        header = json.loads(data[HEADER : HEADER + int.from_bytes(data[:HEADER], "little")])
        arrays = {name: np.array(array) for name, array in load(data).items()}  # aligned, and they may be written to
        answer = _Decoder(arrays).decode(json.loads(header["__metadata__"][TREE]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RecursionError, SafetensorError):
        return None
    with suppress(OSError):  # the time of last use is useful, not needed
        os.utime(directory)
    return (answer,)


def _keep(memory: _Memory, directory: Path, *, what: str, answer: object) -> None:
    """Put an answer into the cache, in the place of a damaged one if there is one."""
    coder = _Encoder(shares=True)
    tree = coder.encode(answer)
    if sum(array.nbytes for array in coder.arrays.values()) > LARGEST_BYTES:
        return
    text = json.dumps(tree, separators=(",", ":"))
    if len(text) > LARGEST_TREE_BYTES:
        return
    # a full disk, or a cache that cannot be written: then it is computed again next time
    with suppress(StoreError), disk_errors("keep an answer", directory), staging_directory(memory.root) as staged:
        data = save(coder.arrays, metadata={TREE: text})
        (staged / ANSWER).write_bytes(data)
        facts = {"what": what, "thawline": __version__, "sha256": hashlib.sha256(data).hexdigest()}
        write_json(staged / ENTRY, facts)
        if not commit_directory(staged, directory):  # another run was first, or it is damaged
            for name in (ANSWER, ENTRY):
                (staged / name).replace(directory / name)
    memory.has_new = True


def _forget_oldest(root: Path) -> None:
    left = MOST_BYTES
    for entry in cache_entries(root):
        if entry.kind == KIND:
            left -= entry.size_bytes
            if left < 0:
                with suppress(StoreError):
                    remove_entry(entry, root)


def _key(what: str, facts: object) -> str:
    """Return 32 hex digits that identify an answer."""
    return facts_key([what, program(), facts])


def facts_key(facts: object) -> str:
    """Return 32 hex digits that identify facts, such as `recalled` takes: a short name of many.

    Args:
        facts: As in `recalled`.
    """
    coder = _Encoder(shares=False)
    tree = coder.encode(facts)
    digest = hashlib.sha256(json.dumps(tree, separators=(",", ":")).encode())
    for array in coder.arrays.values():
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:32]


@cache
def program() -> dict[str, str]:
    """Return what computes: this program's source, the versions of what it calls, the processor and its threads."""
    import torch

    folder = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix in {".py", ".j2", ".css", ".js"} and file.is_file():
            digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    processor = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    threads = f"{num_workers()} {torch.get_num_threads()}"
    found = {**package_versions(), **{name: version(name) for name in FURTHER_PACKAGES}}
    return {**found, "source": digest.hexdigest(), "processor": processor, "threads": threads}


def _is_ours(value: object) -> bool:
    """Return whether a value is a dataclass of this package."""
    return is_dataclass(value) and type(value).__module__.startswith(OURS)


class _Encoder:
    """Data -> a tree for JSON, and the arrays that it names.

    An object is a list of its kind and its parts. With `shares`, a dataclass or an array that comes a second time is
    named by its number, and is one object again when it is read.
    """

    def __init__(self, *, shares: bool) -> None:
        self.arrays: Arrays = {}
        self._shares, self._numbers = shares, dict[int, int]()
        self._kept: list[object] = []  # so that no number of an object is given twice

    def encode(self, value: object) -> Any:
        """Return the tree of a value."""
        if value is None or type(value) in (bool, int, float, str):
            return value
        if self._shares and (isinstance(value, np.ndarray) or _is_ours(value)):
            if id(value) in self._numbers:
                return ["same", self._numbers[id(value)]]
            self._numbers[id(value)] = len(self._numbers)
            self._kept.append(value)
        return self._of_kind(value)

    def _of_kind(self, value: object) -> Any:
        if isinstance(value, np.ndarray | np.generic):
            return self._array("array" if isinstance(value, np.ndarray) else "number", np.asarray(value))
        if isinstance(value, bytes):
            return self._array("bytes", np.frombuffer(value, dtype=np.uint8))
        if isinstance(value, PurePath):
            return ["path", str(value)]
        if isinstance(value, Mapping):
            return ["dict", *([self.encode(key), self.encode(item)] for key, item in value.items())]
        if isinstance(value, set | frozenset):
            items = sorted((self.encode(item) for item in value), key=json.dumps)
            return ["set" if isinstance(value, set) else "frozenset", *items]
        if isinstance(value, list | tuple):
            return [type(value).__name__, *(self.encode(item) for item in value)]
        if _is_ours(value) or isinstance(value, BaseModel):
            kind: Any = type(value)
            names = [one.name for one in fields(kind)] if is_dataclass(kind) else list(kind.model_fields)
            return [f"{kind.__module__}:{kind.__qualname__}", *([n, self.encode(getattr(value, n))] for n in names)]
        raise TypeError(f"remember: a {type(value).__module__}.{type(value).__qualname__} is no data.")

    def _array(self, kind: str, array: npt.NDArray[Any]) -> Any:
        if array.dtype.kind not in "biuf":
            raise TypeError(f"remember: an array of {array.dtype} is no data.")
        name = str(len(self.arrays))
        turned = kind == "array" and array.flags.f_contiguous and not array.flags.c_contiguous
        stored = array.T if turned else array  # sums depend on the order in memory, in their last bits
        self.arrays[name] = np.ascontiguousarray(stored).reshape(stored.shape)
        return ["turned" if turned else kind, name]


class _Decoder:
    """A tree and its arrays -> the data that they were made of."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._objects: list[object] = []

    def decode(self, tree: Any) -> Any:
        """Return the value of a tree."""
        if not isinstance(tree, list):
            return tree
        kind, *parts = tree
        if kind == "same":
            return self._objects[parts[0]]
        if kind in ("array", "turned"):
            array = self._arrays[parts[0]]
            self._objects.append(array.T if kind == "turned" else array)
            return self._objects[-1]
        if kind in ("number", "bytes"):
            array = self._arrays[parts[0]]
            return array[()] if kind == "number" else array.tobytes()
        if kind == "path":
            return Path(parts[0])
        if kind == "dict":
            return {self.decode(key): self.decode(item) for key, item in parts}
        plain = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
        return plain[kind](map(self.decode, parts)) if kind in plain else self._object(kind, parts)

    def _object(self, kind: str, parts: list[Any]) -> object:
        module, _, name = kind.partition(":")
        if not module.startswith(OURS):
            raise ValueError(f"{kind} is none of ours.")
        found: object = getattr(importlib.import_module(module), name)
        made: Any = found
        if is_dataclass(found):
            place = len(self._objects)
            self._objects.append(None)
            self._objects[place] = made(**{field: self.decode(part) for field, part in parts})
            return self._objects[place]
        if not issubclass(made, BaseModel):
            raise ValueError(f"{kind} is no data.")
        return made(**{field: self.decode(part) for field, part in parts})
