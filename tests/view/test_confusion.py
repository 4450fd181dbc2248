"""The confusion matrix as a figure: every cell where it belongs, few classes whole, of many those with mistakes."""

from __future__ import annotations

import re

import numpy as np

from thawline.use.evaluate import evaluate
from thawline.view.confusion import MOST_CLASSES, confusion_svg


def make_evaluation(confusion, names=None):
    labels, predicted = np.repeat(np.indices(confusion.shape).reshape(2, -1), confusion.ravel(), axis=1)
    return evaluate(
        labels, np.eye(len(confusion))[predicted], strategy="s",
        class_names=names or [f"class {k}" for k in range(len(confusion))], paths=[""] * len(labels),
        groups=np.arange(len(labels)), leaked=np.zeros_like(labels),
    )  # fmt: skip


def test_every_cell_with_pictures_says_what_it_is():
    svg = confusion_svg(make_evaluation(np.array([[5, 2, 0], [0, 7, 0], [1, 0, 3]])))
    tips = re.findall(r"<title>([^<]*)</title>", svg)
    assert tips == ["class 0 → class 0: 5 of 7", "class 0 → class 1: 2 of 7", "class 1 → class 1: 7 of 7",
                    "class 2 → class 0: 1 of 4", "class 2 → class 2: 3 of 4"]  # fmt: skip
    assert "15 of 18 pictures on the diagonal" in svg
    assert re.findall(r">(\d)</text>", svg) == ["5", "2", "7", "1", "3"]


def test_names_of_strangers_are_text():
    svg = confusion_svg(make_evaluation(np.eye(2, dtype=int), ["<script>alert(1)</script>", "\udcff $x_1$ " * 9]))
    assert "<script>" not in svg
    assert "&lt;script&gt;" in svg
    svg.encode()


def test_of_many_classes_those_with_most_mistakes_are_drawn():
    counts = 3 * np.eye(90, dtype=int)
    counts[88, 3] = 2
    svg = confusion_svg(make_evaluation(counts))
    assert f"the {MOST_CLASSES} of 90 classes with most mistakes" in svg
    assert "class 88 → class 3: 2 of 5" in svg
    assert svg == confusion_svg(make_evaluation(counts))
