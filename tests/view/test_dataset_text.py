"""What a check found and what was exported is said in full, and what is cut is counted."""

from __future__ import annotations

import pytest

from thawline.view.dataset_text import check_text, export_text, skipped_text

CHECKED = {
    "used": 1369,
    "class_counts": {"cat": 1300, "dog": 69},
    "skipped": [], "repaired": [], "remarks": [], "blank": [], "exact_copies": [],
    "near_copies": [], "leaks": [], "conflicts": [],
    "small_classes": [], "empty_classes": [], "similar_names": [], "imbalance": 1.5, "notes": [],
}  # fmt: skip


def test_a_check_without_findings_is_the_counts_alone():
    assert check_text(CHECKED).splitlines() == [
        "1,369 pictures used in 2 classes",
        "   1,300  cat",
        "      69  dog",
    ]


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        ({"skipped": [{"path": "a.jpg", "reason": "text"}]}, ["1 of 1,370 files skipped:", "  a.jpg: text"]),
        ({"repaired": [{"path": "a.jpg", "reason": "EXIF"}]}, ["1 repaired:", "  a.jpg: EXIF"]),
        (
            {"remarks": [{"path": "a.jpg", "remark": "no end"}]},
            ["1 remark on files that are used:", "  a.jpg: no end"],
        ),
        ({"exact_copies": [["a", "b", "c"]]}, ["1 group of exact copies:", "  a = b = c"]),
        (
            {"cheats": [{"fact": "format", "words": "The file format alone tells `dog\x1b[2J`."}]},
            ["1 fact by which alone a class can be told:", "  The file format alone tells `dog?[2J`."],
        ),
        ({"near_copies": [["a", "b"]]}, ["1 group of near copies:", "  a ≈ b"]),
        (
            {"near_copies": [[f"{number}" for number in range(1240)]]},
            ["1 group of near copies:", "  0 ≈ 1 ≈ 2 ≈ 3 ≈ 4 ≈ 1,235 more"],
        ),
        ({"leaks": [{"path": "t", "of": "a"}]}, ["1 held-out picture with a copy in training:", "  t ≈ a"]),
        (
            {"leaks": [{"path": "t", "of": "a"}, {"path": "u", "of": "b", "group": "p\n7"}]},
            [
                "1 held-out picture with a copy in training:",
                "  t ≈ a",
                "1 held-out picture of a group that is in training too:",
                "  u (p 7, as b)",
            ],
        ),
        (
            {"conflicts": [{"path": "a", "label": "cat", "other_path": "b", "other_label": "dog"}]},
            ["1 picture under two labels:", "  a (cat) = b (dog)"],
        ),
        (
            {"small_classes": [{"class": "dog", "pictures": 4}]},
            ["1 class with fewer than five pictures:", "  dog: 4"],
        ),
        (
            {"similar_names": [["Cat", "cat"]]},
            ["1 group of class names that differ in case or spaces only:", "  Cat, cat"],
        ),
        ({"imbalance": 18.84}, ["The largest class has 18.8 times the pictures of the smallest."]),
        ({"notes": ["x is inside a class folder."]}, ["x is inside a class folder."]),
        ({"empty_classes": ["cow"]}, ["1 class without a usable picture:", "  cow"]),
    ],
)
def test_each_finding_has_its_section(found, lines):
    assert check_text({**CHECKED, **found}).splitlines()[3:] == lines


@pytest.mark.parametrize(
    ("distinct", "words"),
    [
        (1, "copies of one another, which count as one picture"),
        (2, "they count as 2 different ones, the others being copies of these"),
        (6, "they count as pictures of their own"),
    ],
)
def test_a_scene_is_told_with_its_classes_and_pictures(distinct, words):
    scene = {"pictures": list("abcdef"), "classes": {"cat": 4, "dog": 2}, "distinct": distinct}
    first, line = check_text({**CHECKED, "scenes": [scene]}).splitlines()[3:]
    assert first == "1 scene of many pictures (a fixed camera, a burst? scores then speak of that only):"
    assert line == f"  6 pictures, 4 of 1,300 of cat and 2 of 69 of dog: {words} (a, b, c, d, e, and 1 more)"


def test_a_long_section_is_cut_and_says_so():
    skipped = [{"path": f"{number}.jpg", "reason": f"text of kind {'abc'[number % 3]}"} for number in range(1, 1235)]
    lines = check_text({**CHECKED, "skipped": skipped}, most=2).splitlines()[3:]
    assert lines == [
        "1,234 of 2,603 files skipped:",
        "  412 × text of kind b: 1.jpg, 4.jpg, 7.jpg, and 409 more",
        "  411 × text of kind c: 2.jpg, 5.jpg, 8.jpg, and 408 more",
        "  … and 411 more, for other reasons (--json lists them all)",
    ]


def test_a_run_says_how_many_of_how_many_were_skipped_and_why():
    assert skipped_text(CHECKED) == ""
    skipped = [{"path": f"{number}.jpg", "reason": f"ends after {number} of 900 bytes"} for number in range(5)]
    skipped.append({"path": "a", "reason": "text, not a picture"})
    assert skipped_text({**CHECKED, "skipped": skipped}) == (
        "6 of 1,375 files were skipped: 5 × ends after … of … bytes, 1 × text, not a picture. The ledger names them."
    )


def test_an_export_is_told_part_by_part_with_what_was_left_out():
    card = {
        "pictures": 12, "class_names": ["cat", "dog"], "split": "as it was",
        "counts": {"train": {"cat": 6, "dog": 4}, "test": {"cat": 1, "dog": 1}},
        "left_out": {"skipped": ["a.txt"], "exact_copies": [], "conflicts": ["b.jpg", "c.jpg"]},
        "groups_of_near_copies": 3, "held_out_near_copies": 0, "notes": ["One more thing."],
    }  # fmt: skip
    assert export_text(card).splitlines() == [
        "12 pictures in 2 classes: 10 train, 2 test (as it was)",
        "       1  left out: that cannot be used",
        "       2  left out: with the same bytes under several labels; settle which is right and export again",
        "       3  groups of near copies, kept; each has a number in `group`",
        "One more thing.",
    ]
