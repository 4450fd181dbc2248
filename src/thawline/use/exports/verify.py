"""An export, or a run with several -> whether each still answers as the model did, here, and what it costs.

One idea: an export carries its proof, so any machine can repeat it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from thawline.core.errors import BundleError, UsageError
from thawline.core.progress import Progress, SilentProgress
from thawline.use.exports.kinds import KINDS
from thawline.use.exports.measured import measure_apart
from thawline.use.exports.sealed_folder import FOLDER_FILE, folder_kind, is_sealed_folder, size_of
from thawline.use.model_place import EXPORTS, find_model

__all__ = ["Verified", "exports_of", "verified_json", "verify", "verify_exports"]


@dataclass(frozen=True)
class Verified:
    """What came of an export.

    Attributes:
        path: The file or folder.
        kind: By its name in `KINDS`.
        passed: Whether it answers as it must; None where this kind of machine cannot say.
        max_difference: Largest difference from the answers that its golden pictures must get; None where it gave none.
        agreement: Share of them that get the same class; None where it gave none.
        milliseconds: Median time of one picture from its file to its answer; None where it gave none.
        bytes: Of all its files.
        memory_bytes: The most that a process held which did nothing else; None where it gave none.
        words: What was found, in words.
    """

    path: Path
    kind: str
    passed: bool | None
    max_difference: float | None
    agreement: float | None
    milliseconds: float | None
    bytes: int
    memory_bytes: int | None
    words: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        facts = {name: value for name, value in asdict(self).items() if name != "words"}
        return {**facts, "path": str(self.path)}


def exports_of(named: Path | str) -> tuple[Path, ...]:
    """Return the exports that a person names: one, or all of a run in the order of `KINDS`.

    Args:
        named: An exported file or folder, or the folder of a run.

    Raises:
        BundleError: There is nothing of the kind.
        UsageError: The run has no exports.
    """
    path = Path(named)
    if path.is_file() or (path / FOLDER_FILE).is_file():
        return (path,)
    folder = path if path.name == EXPORTS and path.is_dir() else find_model(path).exports
    found = tuple(folder / kind.place for kind in KINDS if (folder / kind.place).exists())
    if not found:
        raise UsageError(f"verify {named}: there are no exports in {folder}. Write one: thawline export {named}")
    return found


def verify(named: Path | str, *, progress: Progress | None = None) -> tuple[Verified, ...]:
    """Return whether exports answer as their model did: each goes through its golden pictures again, on this machine.

    Args:
        named: An exported file or folder, or the folder of a run: then all its exports.
        progress: Where to report to.

    Raises:
        BundleError: There is nothing of the kind.
        UsageError: The run has no exports.
    """
    return verify_exports(exports_of(named), progress=progress)


def verify_exports(paths: Sequence[Path], *, progress: Progress | None = None) -> tuple[Verified, ...]:
    """Return what comes of each export when its golden pictures go through it again, in order.

    Args:
        paths: From `exports_of`.
        progress: Where to report to.
    """
    results = []
    with (progress or SilentProgress()).stage(
        "verify", len(paths), unit="export" if len(paths) == 1 else "exports"
    ) as advance:
        for path in paths:
            results.append(_verified(path))
            advance(1)
    return tuple(results)


def verified_json(results: Sequence[Verified], *, named: Path | str) -> dict[str, Any]:
    """Return results as plain data: of one export that was named its own, of a run's those of all under `exports`.

    Args:
        results: Of `verify_exports`.
        named: What the person named.
    """
    if len(results) == 1 and results[0].path == Path(named):
        return results[0].to_json()
    passed = all(result.passed is not False for result in results)
    return {"passed": passed, "exports": [result.to_json() for result in results]}


def _verified(path: Path) -> Verified:
    kind = next((kind for kind in KINDS if kind.place == path.name or kind.name == folder_kind(path)), None)
    name, unproven = (kind.name, kind.unproven) if kind else ("", "")
    try:
        found = measure_apart(path)
    except (BundleError, UsageError) as error:
        passed = None if unproven and is_sealed_folder(path) else False
        words = f"{unproven}; {error}" if passed is None else str(error)
        return Verified(path, name, passed, None, None, None, size_of(path), None, words)
    size, difference, agreement = size_of(path), found["max_difference"], found["agreement"]
    if unproven:  # what it took says nothing about where it is meant to run
        words = f"{unproven}; computed here, step by step, its program differs by {difference:.1e}"
        return Verified(path, found["kind"], None, difference, agreement, None, size, None, words)
    return Verified(
        path,
        found["kind"],
        found["passed"],
        difference,
        agreement,
        found["milliseconds"],
        size,
        found["memory_bytes"],
        found["words"],
    )
