"""Cells become classes by one rule; labels that hold several at once are told from names with a comma in them."""

from __future__ import annotations

import unicodedata
from collections import Counter

import pytest

from thawline.data.sources.label_values import label_of, several_in_one, spelt_alike, text_of


@pytest.mark.parametrize(
    ("value", "label"),
    [("007", "007"), ("7", "7"), (7, "7"), (7.0, "7"), (0.5, "0.5"), (True, "True"), (b"c0", "c0"), (" cat ", "cat")],
)
def test_a_value_is_its_own_name(value, label):
    assert label_of(value) == (label, "")


@pytest.mark.parametrize("value", [None, "", " ", "nan", "NaN", "None", "NULL", "<NA>", float("nan"), b"", b"nan"])
def test_nothing_is_no_label(value):
    label, reason = label_of(value)
    assert label == ""
    assert reason.startswith("no label")


@pytest.mark.parametrize("value", ["none", "N/A", "NA", "null value", "Nan bread"])
def test_words_that_only_resemble_nothing_are_classes(value):
    assert label_of(value) == (value, "")


def test_numbered_classes_have_names_or_are_told():
    names = ("dog", "cat")
    assert [label_of(value, names) for value in (0, 1.0, "cat")] == [("dog", ""), ("cat", ""), ("cat", "")]
    assert label_of(2, names) == ("", "label 2 has no name")
    assert label_of(-1, names) == ("", "label -1 has no name")
    assert label_of(None, names) == ("", "no label")


def test_bytes_of_two_classes_never_become_one():
    labels = {label_of(value)[0] for value in (b"K\xe4se", b"K\xf6se")}
    assert len(labels) == 2
    assert text_of("Käse".encode()) == "Käse"


def test_two_spellings_of_one_name_are_one_class_and_found():
    composed, decomposed = unicodedata.normalize("NFC", "Käse"), unicodedata.normalize("NFD", "Käse")
    assert label_of(decomposed) == (composed, "")
    assert spelt_alike([composed, decomposed, "Brot"]) == [composed]
    assert spelt_alike([decomposed, "Brot"]) == []


@pytest.mark.parametrize(
    "labels",
    [
        ["cat", "cat,outdoor", "dog", "dog,outdoor"],
        ["cat|outdoor", "dog|outdoor", "cat|indoor", "dog|indoor"],
        ["['cat']", "['cat', 'dog']", "['dog', 'bird']", "['bird']"],
        ["cat;dog", "dog", "cat"],
        ["clear primary", "clear primary water", "cloudy", "partly primary", "partly water", "partly"],
    ],
)
def test_labels_of_shared_parts_look_like_several(labels):
    example = several_in_one(Counter(labels))
    assert example in labels
    assert len(example.replace("|", " ").replace(",", " ").replace(";", " ").split()) > 1


@pytest.mark.parametrize(
    "labels",
    [
        ["Käse, jung", "Brot", "Äpfel"],
        ["tench, Tinca tinca", "goldfish, Carassius auratus", "hammerhead, hammerhead shark"],
        ["red fox", "arctic fox", "red panda"],
        ["african elephant", "asian elephant", "african lion", "asian lion"],
        ["Smith, John", "Smith, Mary"],
        ["cat", "dog"],
        [],
    ],
)
def test_names_with_commas_and_blanks_do_not(labels):
    assert several_in_one(Counter(labels)) == ""
