"""The commands of a page have the run's own paths, safe to paste, and do what their titles say."""

from __future__ import annotations

import ast
import shlex
from dataclasses import replace

import pytest
import report_cases as cases

from thawline.cli.app import app
from thawline.view.usage import commands_of


@pytest.mark.parametrize("place", ["runs/garden", "my runs/it's 5", "$(touch pwned)", "", "a\nb\x1b[2J"])
def test_every_line_is_a_command_that_exists_with_one_word_for_the_folder(place):
    commands = commands_of(replace(cases.make_choice(), place=place))
    lines = [line for command in commands for line in command.text.splitlines() if line.startswith("thawline")]
    words = [shlex.split(line) for line in lines]
    assert [first[1] for first in words] == ["predict", "evaluate", "export", "serve", "report"]
    for name in {first[1] for first in words}:
        assert name in app
    shown = "a b?[2J" if "\n" in place else place or "RUN"
    assert words[0][2] == f"{shown}/model"
    assert (words[2][2], words[3][2]) == (shown, f"{shown}/exports/model.onnx")
    assert words[4][2] == shown


def test_the_lines_of_python_are_python():
    place = 'it\'s "mine" \\ here'
    (python,) = (
        command for command in commands_of(replace(cases.make_choice(), place=place)) if "import" in command.text
    )
    texts = [node.value for node in ast.walk(ast.parse(python.text)) if isinstance(node, ast.Constant)]
    assert f"{place}/model" in texts
