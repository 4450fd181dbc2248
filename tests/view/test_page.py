"""What a check found is put into words and counts, and what strangers named stays text."""

from __future__ import annotations

from dataclasses import replace

import pytest
import report_cases as cases

from thawline.view.report import render_report


def text_of(check):
    return cases.words(render_report(replace(cases.make_choice(), check=check)))


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        ({"skipped": [{"path": "a.txt", "reason": "text"}]}, "1 file skipped"),
        ({"skipped": [{"path": "a.txt", "reason": "text"}] * 2}, "2 files skipped"),
        ({"conflicts": [{"path": "a.jpg"}] * 3}, "3 same picture, two labels"),
        ({"empty_classes": ["cow"]}, "1 class left with nothing"),
        ({"used": 1}, "1 picture used"),
        ({"used": 5, "imbalance": 1.4}, "Nothing to fix: every file is a picture that can be used"),
        ({"used": 5, "imbalance": 1.5}, "The largest class has 1.5 times the pictures of the smallest."),
    ],
)
def test_each_finding_is_counted_and_named(check, sentence):
    assert sentence in text_of(check)


def test_a_finding_is_marked_where_a_person_should_look():
    html = render_report(
        replace(cases.make_choice(), check={"used": 7, "skipped": [], "repaired": [{"path": "a.jpg"}]})
    )
    tiles = html[html.index('<div class="tiles four">') :]
    assert tiles.count('<div class="seen">') == 1
    assert '<div class="seen"><b>1</b>picture repaired</div>' in tiles


def test_the_command_is_told_where_there_was_one():
    data = cases.make_choice()
    assert "command thawline fit garden -o run created" in cases.words(render_report(data))
    assert "command thawline" not in cases.words(render_report(replace(data, command="")))


def test_classes_stand_weakest_first_and_those_without_pictures_last():
    data = cases.make_choice()
    recalls, supports = (0.9, 0.2, 0.0), (4, 4, 0)
    rows = [
        replace(row, recall=recall, support=support)
        for row, recall, support in zip(data.evaluation.per_class, recalls, supports, strict=True)
    ]
    html = render_report(replace(data, evaluation=replace(data.evaluation, per_class=tuple(rows))))
    table = cases.words(html[html.index("By class, weakest first") : html.index('<section id="sure"')])
    assert table.index("bee") < table.index("ant") < table.index("crow")
    assert "no test picture" in table


def test_leaks_by_group_are_called_so_and_shown_with_their_group():
    leaks = [{"path": "test/1.jpg", "of": "train/1.jpg"}, {"path": "test/2.jpg", "of": "train/3.jpg", "group": "p<7>"}]
    groups = {"by": "the column patient", "groups": 4, "pictures": 60, "alone": 0, "counted": 4}
    data = cases.make_choice()
    page = render_report(replace(data, check={**data.check, "leaks": leaks, "groups": groups}))
    assert "2 held-out pictures with a copy or their group in training" in page
    assert "p&lt;7&gt;" in page
    assert "4 groups by the column patient, with 60 pictures; no fold or test" in page
    plain = render_report(replace(data, check={**data.check, "leaks": leaks[:1]}))
    assert "1 held-out picture with a copy in training" in plain
