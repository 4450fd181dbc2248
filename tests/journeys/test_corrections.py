"""Planted label errors -> `suspects.csv`, edited as a person edits it -> the same pictures under their right labels."""

from __future__ import annotations

import csv
import json

import pytest

PLANTED = (("3", 3, "8"), ("8", 5, "9"), ("9", 7, "3"))
"""Class, place in its folder, and the class that the picture is put under."""


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def moved(photos):
    """Put three training pictures into a wrong folder; return {path: right class}."""
    right = {}
    for label, place, other in PLANTED:
        source = sorted((photos / "train" / label).glob("*.png"))[place]
        target = photos / "train" / other / f"moved_{source.name}"
        source.rename(target)
        right[target.relative_to(photos).as_posix()] = label
    return right


def test_what_a_person_corrects_is_corrected_and_nothing_is_extracted(photos, moved, thawline, shared_cache, tmp_path):
    out = tmp_path / "out"
    fit = ("fit", photos, "-o", out)
    assert thawline(*fit).code == 0
    suspects = table(out / "suspects.csv")
    assert list(suspects[0])[:5] == ["path", "label", "suggested", "probability", "reason"]
    doubted = {row["path"]: row["suggested"] for row in suspects}
    assert set(moved) <= set(doubted), "all three are found"

    with (out / "suspects.csv").open("w", encoding="utf-8", newline="") as file:  # edited in place, as people do
        writer = csv.DictWriter(file, list(suspects[0]))
        writer.writeheader()
        writer.writerows({**row, "suggested": moved[row["path"]]} for row in suspects if row["path"] in moved)
    refused = thawline(*fit)
    assert refused.code == 1
    assert f"To use suspects.csv as it is now, pass --corrections {out / 'suspects.csv'}" in refused.err

    renamed = {}
    for path, label in moved.items():  # a correction goes by content
        (photos / path).rename((photos / path).with_name(f"re{(photos / path).name}"))
        renamed[path.replace("moved_", "removed_")] = label
    said = thawline(*fit, "--corrections", out / "suspects.csv")
    assert said.code == 0, said.err
    assert "--corrections suspects.csv: 3 pictures under another label" in said.out
    facts = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert facts["extraction"]["pictures"] == 0
    assert {row["path"]: row["to"] for row in facts["corrections"]["relabelled"]} == renamed
    ledger = {row["path"]: (row["label"], row["corrected_from"]) for row in table(out / "ledger.csv")}
    assert {path: ledger[path] for path in renamed} == {path: (to, path.split("/")[1]) for path, to in renamed.items()}
    assert not set(renamed) & {row["path"] for row in table(out / "suspects.csv")}  # settled, not doubted again
    assert {row["path"]: row["suggested"] for row in table(out / "corrections.csv")} == renamed

    plain = thawline(*fit)
    assert plain.code == 1
    assert "stands on 3 corrections that this one would not have" in plain.err
    later = thawline(*fit, "--corrections", out / "suspects.csv")
    assert later.code == 1
    assert "which would be undone. Name both" in later.err
    checked = thawline("check", photos, "--corrections", out / "corrections.csv", "--json")
    assert len(checked.json["corrections"]["relabelled"]) == 3
