"""RESULTS.md is what its records give, and nobody writes a figure into it by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from unittest import mock

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
with mock.patch.object(sys, "path", [str(BENCHMARKS), *sys.path]):
    import record as recording
    import write_results as writing


@pytest.fixture
def records(tmp_path, monkeypatch):
    monkeypatch.setenv("THAWLINE_RECORDS", str(tmp_path / "results"))
    monkeypatch.setattr(sys, "argv", ["speed.py"])
    return tmp_path / "results"


def figure(value, **options):
    return recording.record("speed", options.pop("what", "reading"), value, **options)


def test_the_page_is_what_the_committed_records_give():
    assert writing.PAGE.read_text(encoding="utf-8") == writing.page_of(recording.RESULTS), "run make results"


def test_the_plots_are_of_the_committed_records():
    suites = writing.read_records(recording.RESULTS)
    made = writing.plots_of(suites, {name: writing.title_of(name, recording.RESULTS) for name in suites})
    for name, text in made.items():
        written = (recording.RESULTS / name).read_text(encoding="utf-8")
        assert tooltips(written) == tooltips(text), f"{name}: run make results"
    assert {path.name for path in recording.RESULTS.glob("*.svg")} >= set(made)


def tooltips(svg):
    """Return the words of a plot; where its lines run depends on matplotlib's version too."""
    return [part.split("</title>")[0] for part in svg.split("<title>")[1:]] + svg.split('aria-label="')[1:2][0].split(
        '"'
    )[:1]


def test_a_figure_written_by_hand_is_seen(monkeypatch, tmp_path):
    page = tmp_path / "RESULTS.md"
    page.write_text(writing.PAGE.read_text(encoding="utf-8").replace("≤ 1.25", "≤ 1.5", 1), encoding="utf-8")
    monkeypatch.setattr(writing, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["write_results.py", "--check"])
    with pytest.raises(SystemExit, match="Run make results"):
        writing.main()


def test_a_record_says_when_where_and_with_what(records):
    figure(1.5, unit="s", reach="≤ 2", rows=7)
    (line,) = (records / "speed.jsonl").read_text(encoding="utf-8").splitlines()
    row = json.loads(line)
    assert (row["value"], row["unit"], row["holds"], row["facts"]) == (1.5, "s", True, {"rows": 7})
    assert row["machine"]["cores"] >= 1
    assert {"date", "commit", "dirty", "python", "seconds"} <= set(row)
    assert "torch" in row["versions"]


def test_a_quick_run_prints_and_writes_nothing(records, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["speed.py", "--quick"])
    figure(1.5, unit="s", reach="≤ 2")
    assert capsys.readouterr().out == "- reading: 1.5 s (to reach: ≤ 2)\n"
    assert not records.exists()


def test_the_newest_record_wins_in_the_place_of_the_first(records):
    figure(1.5)
    figure(9, what="writing")
    figure(2.5)
    page = writing.page_of(records)
    assert page.index("| reading | 2.5 |") < page.index("| writing | 9 |")
    assert "1.5" not in page


def test_the_same_records_give_the_same_page_and_plots(records):
    figure(1.5, reach="≤ 2")
    figure(3, what="growth", points=[[1, 1], [1000, 3]], axes=["pictures", "s"])
    first = [records.parent / "a.md", records.parent / "b.md"]
    written = []
    for page in first:
        writing.write(records, page)
        written.append([page.read_bytes(), *(path.read_bytes() for path in sorted(records.glob("*.svg")))])
    assert written[0] == written[1]
    assert [path.name for path in sorted(records.glob("*.svg"))] == ["marks.svg", "speed.svg"]


def test_prose_has_its_tables_where_it_names_them(records):
    figure(3.0, reach="≤ 2")
    figure({"size": "7 MiB", "time": 0.25}, what="small", group="files")
    (records / "speed.md").write_text("# How fast\n\nFirst.\n\n{{files: file}}\n\nThen.\n\n{{}}\n", encoding="utf-8")
    page = writing.page_of(records)
    assert "## How fast\n\nFirst.\n\n| file | size | time |\n|---|---|---|\n| small | 7 MiB | 0.25 |\n\nThen." in page
    assert "| reading | 3 | ≤ 2, **missed** |" in page
    assert "| [How fast](#how-fast) | reading | 3 | ≤ 2 |" in page


def test_what_was_measured_under_other_conditions_is_told_apart(records):
    old = figure(3.0)
    figure(1.0, what="newer")
    lines = (records / "speed.jsonl").read_text(encoding="utf-8").splitlines()
    old = json.loads(lines[0]) | {"commit": None, "date": "2020-01-01"}
    (records / "speed.jsonl").write_text(f"{json.dumps(old)}\n{lines[1]}\n", encoding="utf-8")
    page = writing.page_of(records)
    assert "| reading¹ | 3 |" in page
    assert "| newer² | 1 |" in page
    assert "*Recorded: ¹ 2020-01-01, commit not noted" in page


def test_a_line_that_is_no_record_is_named(records):
    records.mkdir()
    (records / "speed.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"line 1 of speed\.jsonl is no record"):
        writing.page_of(records)


@pytest.mark.parametrize(
    ("value", "reach", "holds"),
    [
        (1.0, "≤ 1.15", True),
        (1.2, "≤ 1.15", False),
        ("0.94 [0.93, 0.95]", "≥ 0.94", True),
        ("1,369 a second", "≥ 2,000", False),
        (1.02, "0.95–1.05", True),
        (1.2, "0.95–1.05", False),
        ("fast", "≤ 1", None),
        ({"a": 1}, "≤ 1", None),
        (1.0, "a tie", None),
        ("0.45 s (cold)", "≤ 1.2 s", True),
        ("450 ms", "≤ 1.2 s", None),
    ],
)
def test_whether_a_mark_is_met_is_told_from_the_numbers(value, reach, holds):
    assert recording.holds_by(value, reach) is holds


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.9963, "0.9963"), (26.5123, "26.5"), (60000, "60,000"), (1234.5, "1,234"), (3.9e-5, "3.9e-05")],
)
def test_numbers_are_shown_with_the_digits_that_count(value, text):
    assert recording.cell_text(value) == text
