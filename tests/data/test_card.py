"""The card of an export: counts and what was left out, and no name that could become markup."""

from __future__ import annotations

import pytest

from thawline.data.card import card_markdown


def card(**changes: object) -> dict[str, object]:
    left_out = {"skipped": [], "exact_copies": [], "conflicts": []}
    return {
        "made_from": "photos",
        "thawline": "1.2.3",
        "form": "folder",
        "split": "all in one part",
        "pictures": 1500,
        "class_names": ["cat", "dog"],
        "counts": {"train": {"cat": 1200, "dog": 200}, "test": {"cat": 60, "dog": 40}},
        "groups_of_near_copies": 1234,
        "held_out_near_copies": 0,
        "images_key": "abc",
        "renamed_folders": {},
        "notes": [],
        "left_out": left_out,
    } | changes


def test_the_whole_of_a_plain_card():
    assert card_markdown(card()) == (
        "# photos\n\n"
        "1,500 pictures in 2 classes, checked and written by Thawline 1.2.3. Split: all in one part. Every picture "
        "keeps its original bytes.\n\n"
        "Licence: not known; ask whoever made the pictures.\n\n"
        "| class | train | test |\n|---|---:|---:|\n| cat | 1,200 | 60 |\n| dog | 200 | 40 |\n\n"
        "Exact copies are kept once. Near copies are all kept: pictures with the same number in the column `group` of "
        "`pictures.csv` show the same photo; there are 1,234 such groups. Keep them together when you split further."
        "\n\n"
        "Key of the pictures: `abc`. `dataset.json` lists all that was left out.\n"
    )


def test_what_there_is_gets_a_section():
    left_out = {
        "skipped": [{"path": f"{number}.txt", "reason": "text"} for number in range(23)],
        "exact_copies": [{"path": "b.jpg", "of": "a.jpg"}],
        "conflicts": [{"path": f"{number}.png", "label": "cat"} for number in range(20)],
    }
    text = card_markdown(
        card(form="parquet", held_out_near_copies=7, renamed_folders={"_con": "con"}, notes=["odd"], left_out=left_out)
    )
    assert "column `group` of the tables show" in text
    assert "\n7 held-out pictures have a near copy in training or validation.\n" in text
    assert "\n\nClass folders with other names than their classes:\n\n- \\_con: con\n\n" in text
    assert "\n\nLeft out, not readable: 23\n\n- 0.txt: text\n" in text
    assert (
        "\n- 19.txt: text\n- … and 3 more in `dataset.json`\n\nLeft out, exact copies: 1\n\n- b.jpg: of a.jpg\n" in text
    )
    assert "20.txt" not in text
    assert "Left out, one picture, several labels: 20\n" in text
    assert "19.png: cat\n\nNotes:\n\n- odd\n" in text
    assert text.count("… and") == 1


@pytest.mark.parametrize("place", ["made_from", "class", "folder", "skipped", "of", "label", "note"])
def test_a_name_stays_one_line_and_no_markup(place):
    hostile = "<b>x</b> `y` [z](http://x) | *w*\n# title"
    names = dict.fromkeys(("made_from", "class", "folder", "skipped", "of", "label", "note"), "plain") | {
        place: hostile
    }
    text = card_markdown(
        card(
            made_from=names["made_from"],
            class_names=[names["class"]],
            counts={"train": {names["class"]: 1}},
            renamed_folders={names["folder"]: "plain"},
            notes=[names["note"]],
            left_out={
                "skipped": [{"path": names["skipped"], "reason": "text"}],
                "exact_copies": [{"path": "plain", "of": names["of"]}],
                "conflicts": [{"path": "plain", "label": names["label"]}],
            },
        )
    )
    assert r"\<b\>x\</b\> \`y\` \[z\](http://x) \| \*w\* \# title" in text
    assert "\n# title" not in text
