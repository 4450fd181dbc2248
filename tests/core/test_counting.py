"""What is counted stands in the number that goes with it, wherever a person reads it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import thawline
from thawline.core.counting import counted, singular
from thawline.core.progress import LineProgress
from thawline.view.dataset_text import check_text

PACKAGE = Path(thawline.__file__).parent


@pytest.mark.parametrize(
    ("things", "one"),
    [
        ("pictures", "picture"),
        ("classes", "class"),
        ("near copies", "near copy"),
        ("entries", "entry"),
        ("feature sets", "feature set"),
        ("runs", "run"),
        ("held-out pictures", "held-out picture"),
    ],
)
def test_one_is_told_as_one(things, one):
    assert singular(things) == one
    assert counted(1, things) == f"1 {one}"
    assert counted(0, things) == f"0 {things}"
    assert counted(12_345, things) == f"12,345 {things}"


def test_a_stage_of_one_picture_says_so(capsys):
    with LineProgress().stage("predict") as advance:
        advance(1)
    assert re.match(r"predict: 1 picture in ", capsys.readouterr().err)


def test_a_check_of_one_of_each_says_so():
    row = {"path": "a/1.png", "label": "a", "other_path": "b/1.png", "other_label": "b", "of": "b/1.png"}
    report = {
        "used": 1,
        "class_counts": {"a": 1},
        "skipped": [],
        "repaired": [],
        "remarks": [{"path": "a/1.png", "remark": "odd"}],
        "blank": ["a/1.png"],
        "exact_copies": [["a/1.png", "b/1.png"]],
        "near_copies": [["a/1.png", "b/1.png"]],
        "leaks": [row, {**row, "group": "g"}],
        "conflicts": [row],
        "small_classes": [{"class": "a", "pictures": 4}],
        "empty_classes": ["c"],
        "similar_names": [["a", "A"]],
        "imbalance": 1,
        "cheats": [{"words": "The format alone tells."}],
        "groups": None,
        "notes": [],
    }
    text = check_text(report)
    assert "1 picture used in 1 class" in text
    assert not re.search(r"(?<![\d,.])1 (?:held-out )?(?:pictures|classes|groups|copies|files|facts|remarks)\b", text)


def test_nobody_is_left_to_choose_the_plural():
    for path in sorted(PACKAGE.rglob("*.py")) + sorted(PACKAGE.rglob("*.j2")):
        assert not re.search(
            r"\b(?:picture|file|fold|group|row|run|label|epoch)\(s\)", path.read_text(encoding="utf-8")
        ), path
