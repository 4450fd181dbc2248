"""Notes say what was decided for the person, and nothing that was asked for by name."""

from dataclasses import replace

from thawline.work.choice import choose
from thawline.work.notes import notes, num_refitted, stated, warnings
from thawline.work.order import Row
from thawline.work.rows import answer_rows


def test_choosing_says_what_became_the_test_and_how_a_picture_becomes_the_square(compared):
    outcome = choose(compared)
    test, choice, square = notes(compared, outcome)
    held_out = f"{len(compared.split.test)} pictures were held out, copies kept together."
    assert test == f"Test: there was no held-out folder, so {held_out}"
    assert choice == f"Choice: {compared.split.rule}; scores are accuracy."
    assert square.startswith("Input: `--fit crop`: the shorter side fills the square")
    assert num_refitted(compared, outcome) == len(compared.split.test)
    assert stated(compared, outcome) is None


def test_rows_one_by_one_say_what_they_answered_and_which_model_is_kept(compared_for, order):
    rows = (Row(name="solved", frozen="whole"), Row(name="by epochs", plan="head"))
    compared = compared_for(replace(order, rows=rows, protocol="test", deliver="solved"))
    said = notes(compared, answer_rows(compared))
    assert said[0].startswith("Held out: a stratified fifth, copies kept together")
    assert said[1] == "The model kept is that of the row “solved”, named in the recipe beforehand."
    assert said[-1].startswith("The recipe states no scores for these pictures")


def test_classes_that_no_training_picture_has_are_warned_of(compared):
    assert warnings(compared) == ()
    session = compared.session
    report = replace(session.report, untaught={"yak": 1})
    (text,) = warnings(replace(compared, session=replace(session, report=report)))
    assert text.startswith("1 held-out picture of 'yak' is left out")
