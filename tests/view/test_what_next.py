"""What to do next: a few steps with reasons that the run found and gains that it measured, most first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import report_cases as cases

from thawline.core.scores import Score
from thawline.vet.advice import Advice
from thawline.vet.suspects import Suspects
from thawline.view.album import Album
from thawline.view.what_next import MOST_STEPS, next_steps


def of_confusion(*rows):
    confusion = np.array(rows)
    num, wrong = int(confusion.sum()), int(confusion.sum() - np.trace(confusion))
    data = replace(cases.make_choice(), album=Album((), confusion, num, 0, wrong))
    test = replace(data.evaluation, scores={**data.evaluation.scores, "accuracy": Score(0.9, 0.88, 0.92, 1000)})
    return replace(data, evaluation=test)


def titles(data):
    return [step.title for step in next_steps(data, most=99)]


def test_there_are_three_steps_each_with_its_gain():
    for data in (cases.make_choice(), cases.make_rows(), of_confusion((90, 9, 1), (5, 95, 0), (0, 0, 100))):
        steps = next_steps(data)
        assert 0 < len(steps) <= MOST_STEPS
        assert all(step.title and step.text and step.gain for step in steps)
        assert [step.weight for step in steps] == sorted((step.weight for step in steps), reverse=True)


def test_the_pair_taken_for_each_other_most_is_named_with_what_it_may_bring():
    (step,) = (step for step in next_steps(of_confusion((90, 9, 1), (5, 95, 0), (0, 0, 100))) if "tells" in step.title)
    assert step.title == "Photograph what tells ant and bee apart"
    assert step.text.startswith("14 of the 15 mistakes")
    assert step.gain == "at most +4.7 points, if all of them are put right"


def test_two_classes_are_always_taken_for_each_other():
    assert not any("tells" in title for title in titles(of_confusion((90, 10), (5, 95))))


def test_the_weakest_class_is_the_one_with_the_largest_share_wrong():
    (step,) = (
        step for step in next_steps(of_confusion((190, 9, 1), (2, 8, 0), (0, 0, 100))) if "more of" in step.title
    )
    assert step.title == "Photograph more of bee"
    assert step.text.startswith("2 of its 10 pictures")


def test_few_pictures_are_told_from_many():
    assert "Keep more labelled pictures aside" in titles(cases.make_choice())
    assert "Keep more labelled pictures aside" not in titles(of_confusion((90, 9, 1), (5, 95, 0), (0, 0, 100)))


def test_time_is_asked_for_where_none_was_given():
    assert "Give it time to try more" in titles(cases.make_choice())
    assert "Give it time to try more" not in titles(replace(cases.make_choice(), budget_s=60.0))
    assert "Give it time to try more" not in titles(replace(cases.make_choice(), leaderboard=cases.make_mixed_board()))
    assert "Give it time to try more" not in titles(cases.make_rows())


@pytest.mark.parametrize(("num", "words"), [(1, "1 picture lies"), (3, "3 pictures lie")])
def test_pictures_under_two_labels_come_first(num, words):
    data = of_confusion((100, 0, 0), (0, 100, 0), (0, 0, 100))
    data = replace(data, check={"used": 300, "conflicts": [{"path": f"{n}.jpg"} for n in range(num)]})
    step = next_steps(data)[0]
    assert step.text.startswith(words)


def test_without_scores_there_is_nothing_to_do():
    assert next_steps(replace(cases.make_choice(), evaluation=None, album=Album())) == ()


def suspects_step(num_found, num_copies, num_likely):
    advice = Advice(100, suspects=Suspects(100, num_found, num_copies, num_likely, ()))
    steps = next_steps(replace(cases.make_choice(), advice=advice), most=9)
    return next(step for step in steps if "suspects.csv" in step.text)


def test_as_many_labels_are_to_be_looked_at_as_are_wrong_by_estimate():
    step = suspects_step(num_found=30, num_copies=1, num_likely=7)
    assert step.title == "Look at the first 8 labels in doubt"
    assert step.text.startswith("1 copy of a picture under another label. By estimate about 7 labels are wrong")
    assert step.gain.startswith("about 8.0")
    assert "if the estimate holds" in step.gain
    assert suspects_step(num_found=3, num_copies=0, num_likely=7).title == "Look at the first 3 labels in doubt"


def test_where_hardly_a_label_is_wrong_mistakes_are_called_hard():
    step = suspects_step(num_found=11, num_copies=0, num_likely=0)
    assert step.title == "Look at 11 pictures taken for another class"
    assert "hardly one of the labels is wrong" in step.text
    assert step.weight < suspects_step(num_found=11, num_copies=0, num_likely=5).weight
