"""Records and prose -> `RESULTS.md` and its plots: `python benchmarks/write_results.py`, or `make results`.

One idea: nobody writes a figure by hand. A section is `results/SUITE.md`, whose first line is its title; a line
`{{group}}` (or `{{group: head of the first column}}`) becomes the table of the newest records of that group, in the
order in which they first came. `--check` writes nothing and ends with 1 where the page is not what would be written.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from record import RESULTS, limit_of, number_of, text_of
from result_plots import lines_svg, marks_svg

PAGE = RESULTS.parent / "RESULTS.md"
FIRST = (
    "peers",
    "floor",
    "main_job",
    "growth",
    "bank",
    "cluster",
    "thaw",
    "gpu",
    "calibration",
    "yardstick",
    "coverage",
)
"""The suites that the page begins with, in order; others follow by name."""
_PLACE = re.compile(r"^\{\{([\w -]*)(?:: ([^}]+))?\}\}$", re.MULTILINE)
_DIGITS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

Row = Mapping[str, Any]
HEAD = """<!-- Written by benchmarks/write_results.py from benchmarks/results/: edit those, then `make results`. -->

# Results

Every figure is a record in `benchmarks/results/SUITE.jsonl`, with its date, machine, versions and commit, as the script
measured it; this page shows the newest of each and is written from them (`make results`). `make bench` measures again.
A mark that is missed says so in bold. Records before 2026-11-29 that name no commit were carried over from this page as
it was written by hand.
"""


def read_records(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the newest record of each group and words, by suite, in the order in which they first came.

    Raises:
        SystemExit: A line is no record; the message names it.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        newest: dict[tuple[str, str], dict[str, Any]] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
                newest[(row["group"], row["what"])] = row  # a key that is there keeps its place
            except (ValueError, KeyError, TypeError) as error:
                sys.exit(
                    f"results: line {number} of {path.name} is no record ({error}). Take it out, or measure again."
                )
        found[path.stem] = list(newest.values())
    return found


def page_of(folder: Path) -> str:
    """Return the page as Markdown; the same records and prose give the same text."""
    suites = read_records(folder)
    order = in_order({path.stem for path in folder.glob("*.md")} | set(suites))
    sections = [section_of(name, suites.get(name, []), folder=folder) for name in order]
    return "\n".join([HEAD, overview(suites, [title_of(name, folder) for name in order], order), *sections])


def in_order(names: Iterable[str]) -> list[str]:
    """Return suites as the page has them: those of FIRST, then the others by name."""
    return sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))


def title_of(name: str, folder: Path) -> str:
    """Return the heading of a suite: the first line of its prose, or its name."""
    path = folder / f"{name}.md"
    return path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") if path.is_file() else name


def overview(suites: Mapping[str, list[dict[str, Any]]], titles: list[str], order: list[str]) -> str:
    """Return how many marks are met, the plot of all, and the misses as a table."""
    judged = [row for rows in suites.values() for row in rows if row["holds"] is not None]
    missed = [(name, row) for name in order for row in suites.get(name, []) if row["holds"] is False]
    title = dict(zip(order, titles, strict=True))
    lines = [f"{len(judged) - len(missed)} of {len(judged)} marks are met. These are not:\n"]
    if not missed:
        lines = [f"All {len(judged)} marks are met.\n"]
    else:
        lines += ["| where | what | measured | to reach |", "|---|---|---|---|"]
        lines += [
            f"| [{title[name]}](#{anchor(title[name])}) | {row['what']} | {text_of(row)} | {row['reach'] or ''} |"
            for name, row in missed
        ]
    if any(_is_plain(row) for row in judged):
        lines.append("\n![Every figure as a share of what is allowed, a row a section](results/marks.svg)")
    return "\n".join(lines) + "\n"


def anchor(title: str) -> str:
    """Return the fragment that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def section_of(name: str, rows: list[dict[str, Any]], *, folder: Path) -> str:
    """Return a suite's section: its prose with the tables in their places, those without a place at the end."""
    path = folder / f"{name}.md"
    prose = path.read_text(encoding="utf-8") if path.is_file() else f"# {name}\n"
    groups = list(dict.fromkeys(row["group"] for row in rows))
    placed = {found[1].strip() for found in _PLACE.finditer(prose)}
    prose += "".join(f"\n{{{{{group}}}}}\n" for group in groups if group not in placed)
    conditions = list(dict.fromkeys(condition_of(row) for row in rows))

    def table(found: re.Match[str]) -> str:
        group = found[1].strip()
        return table_of([row for row in rows if row["group"] == group], found[2] or "what", conditions, name)

    text = re.sub(r"^# ", "## ", _PLACE.sub(table, prose).strip(), count=1)
    told = [f"{_mark(at, conditions)}{condition}" for at, condition in enumerate(conditions)]
    return f"{text}\n" + (f"\n*Recorded: {'; '.join(told)}.*\n" if told else "")


def table_of(rows: list[dict[str, Any]], head: str, conditions: list[str], suite: str) -> str:
    """Return rows as a Markdown table, and the plot of those that carry points."""
    if not rows:
        return "*Not measured yet.*"
    columns = list(dict.fromkeys(name for row in rows for name in _cells(row)))
    has_reach = any(row["reach"] for row in rows)
    names = [head, *columns, *(["to reach"] if has_reach else [])]
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    for row in rows:
        cells = _cells(row)
        reach = (row["reach"] or "") + (", **missed**" if row["holds"] is False else "")
        what = row["what"] + _mark(conditions.index(condition_of(row)), conditions).rstrip()
        shown = [what, *(cells.get(name, "") for name in columns), *([reach.removeprefix(", ")] if has_reach else [])]
        lines.append("| " + " | ".join(shown).replace("\n", " ") + " |")
    drawn = [row for row in rows if row["facts"].get("points")]
    if drawn:
        title = drawn[0]["facts"].get("title", "The figures above as lines")
        lines.append(f"\n![{title}](results/{plot_name(suite, drawn[0]['group'])})")
    return "\n".join(lines)


def condition_of(row: Row) -> str:
    """Return when, at which commit, on what and with which versions a record was made; what was not noted is said."""
    machine, facts = row["machine"] or {}, row["facts"]
    at = f"commit {row['commit']}{' with changes' if row['dirty'] else ''}" if row["commit"] else "commit not noted"
    where = [f"{machine['cores']} cores" if "cores" in machine else "", machine.get("processor", "")]
    where += [f"{machine['memory_gib']} GiB" if "memory_gib" in machine else "", machine.get("accelerator", "")]
    versions = [f"Python {row['python']}" if row["python"] else ""]
    versions += [f"{name} {number}" for name, number in (row["versions"] or {}).items()]
    return ", ".join(part for part in [row["date"], at, *where, *versions, facts.get("conditions", "")] if part)


def plots_of(suites: Mapping[str, list[dict[str, Any]]], titles: Mapping[str, str]) -> dict[str, str]:
    """Return the SVG text of every plot by its file's name."""
    found = {}
    marks = {titles[name]: [row for row in suites[name] if _is_plain(row)] for name in in_order(suites)}
    shares = {name: [share_of(row) for row in rows] for name, rows in marks.items() if rows}
    if shares:
        found["marks.svg"] = marks_svg(shares)
    for suite, rows in suites.items():
        for group in dict.fromkeys(row["group"] for row in rows):
            lines = [row for row in rows if row["group"] == group and row["facts"].get("points")]
            if lines:
                found[plot_name(suite, group)] = lines_svg(lines)
    return found


def plot_name(suite: str, group: str) -> str:
    """Return the name of the file of a group's plot."""
    return f"{suite}{'-' if group else ''}{group.replace(' ', '-')}.svg"


def share_of(row: Row) -> tuple[str, float, bool]:
    """Return (words, figure ÷ what is allowed, whether it holds): at most 1 where it does."""
    sign, limit = limit_of(row["reach"]) or ("≤", 1.0)
    value = number_of(row["value"]) or 0.0
    share = value / limit if sign == "≤" else limit / value
    return row["what"], share, bool(row["holds"])


def write(folder: Path, page: Path) -> None:
    """Write page and plots; plots of records that are no more are removed."""
    page.write_text(page_of(folder), encoding="utf-8")
    suites = read_records(folder)
    made = plots_of(suites, {name: title_of(name, folder) for name in suites})
    for path in folder.glob("*.svg"):
        if path.name not in made and "thawline-results" in path.read_text(encoding="utf-8"):
            path.unlink()
    for name, text in made.items():
        (folder / name).write_text(text + "\n", encoding="utf-8")


def _is_plain(row: Row) -> bool:
    """Return whether a record is one number with one limit, neither of them zero."""
    limit, value = limit_of(row["reach"]), number_of(row["value"])
    return row["holds"] is not None and limit is not None and bool(limit[1]) and bool(value) and value > 0


def _cells(row: Row) -> dict[str, str]:
    value = row["value"]
    if not isinstance(value, Mapping):
        return {"measured": text_of(row)}
    return {name: text_of({"value": cell, "unit": "", "note": ""}) for name, cell in value.items()}


def _mark(at: int, conditions: Iterable[str]) -> str:
    return f"{str(at + 1).translate(_DIGITS)} " if len(list(conditions)) > 1 else ""


def main() -> None:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 where the page is out of date")
    if parser.parse_args().check:
        if PAGE.read_text(encoding="utf-8") != page_of(RESULTS):
            sys.exit("results: benchmarks/RESULTS.md is not what its records and prose give. Run make results.")
        return
    write(RESULTS, PAGE)


if __name__ == "__main__":
    main()
