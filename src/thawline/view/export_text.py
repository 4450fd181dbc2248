"""Forms of a model, what was exported, what came of verifying it -> text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from thawline.use.exports.kinds import ExportKind
from thawline.use.exports.verify import Verified
from thawline.use.neighbours import neighbours_path
from thawline.view.words import printable, size_text

if TYPE_CHECKING:  # it needs torch, and neither listing nor verifying does
    from thawline.use.exports.write_export import Exported

__all__ = ["exported_text", "kinds_text", "verified_text"]


def kinds_text(kinds: Sequence[ExportKind]) -> str:
    """Return a line a form: its name, where it lies, what it is, and what it needs that is not installed."""
    name_width = max(len(kind.name) for kind in kinds)
    place_width = max(len(_place(kind)) for kind in kinds)
    return "\n".join(
        f"{kind.name:<{name_width}}  {_place(kind):<{place_width}}  {kind.line}; {_needs(kind)}" for kind in kinds
    )


def exported_text(done: Exported) -> str:
    """Return what was written and how exact it is, in two lines; and a third where there is more to say."""
    pictures = "1 golden picture" if done.num_golden == 1 else f"{done.num_golden:,} golden pictures"
    return (
        f"{printable(str(done.path))}  {size_text(done.size_bytes)}\n"
        f"  {pictures} went through it: answers differ by at most {done.max_difference:.1e} from those of the model "
        f"folder, and the class is the same for {done.agreement:.0%}"
        + "".join(f"\n  {each}" for each in (done.note, done.words, _beside(done)) if each)
    )


def _beside(done: Exported) -> str:
    """Return what lies next to it, or nothing where nothing does."""
    if not done.num_neighbours:
        return ""
    return (
        f"{printable(neighbours_path(done.path).name)} next to it holds {done.num_neighbours:,} training pictures as "
        "thumbnails with their labels: whoever gets that file sees them"
    )


def verified_text(results: Sequence[Verified]) -> str:
    """Return exports side by side, a line each, and below them why one does not pass or is not known to."""
    rows = [("export", "size", "memory", "ms a picture", "difference", "agreement", "passed")]
    for result in results:
        rows.append(
            (
                printable(str(result.path)),
                size_text(result.bytes),
                "-" if result.memory_bytes is None else size_text(result.memory_bytes),
                "-" if result.milliseconds is None else f"{result.milliseconds:.1f}",
                "-" if result.max_difference is None else f"{result.max_difference:.1e}",
                "-" if result.agreement is None else f"{result.agreement:.1%}",
                {True: "yes", False: "no", None: "not known here"}[result.passed],
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            f"{text:<{width}}" if place == 0 else f"{text:>{width}}"
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines += [f"{printable(str(each.path))}: {printable(each.words)}" for each in results if not each.passed]
    return "\n".join(line.rstrip() for line in lines)


def _place(kind: ExportKind) -> str:
    return f"{kind.place}/" if kind.is_folder else kind.place


def _needs(kind: ExportKind) -> str:
    if not kind.needs:
        return "needs nothing more"
    if kind.missing:
        return f"needs {', '.join(kind.missing)}: `pip install 'thawline[{kind.extra}]'`"
    return f"needs {', '.join(kind.needs)}: installed"
