"""Every command and option stands in one section of the help, with its default and its short name."""

from __future__ import annotations

from dataclasses import fields
from inspect import Parameter as Inspected
from pathlib import Path

import pytest
from rich.console import Console, ConsoleDimensions

from thawline.cli.app import main, make_app
from thawline.cli.sections import COMMAND_SECTIONS, OPTION_SECTIONS, SHORT, default_text
from thawline.core.options import Options


def help_of(capsys, *words):
    """Return the help of a command, as wide as it likes, as {section: lines}, with what stands above under ''."""
    assert main([*words, "--help"]) == 0
    sections, current = {"": []}, ""
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("╭"):
            current = line.strip("╭─╮ ")
            sections[current] = []
        elif not line.startswith("╰"):
            sections[current].append(line.strip("│ "))
    return sections


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setattr(Console, "size", property(lambda self: ConsoleDimensions(200, 50)))


def test_every_command_stands_in_one_section():
    listed = [name for names in COMMAND_SECTIONS.values() for name in names]
    assert len(listed) == len(set(listed))
    assert {name for name in make_app() if name != "-h"} <= set(listed)


def test_the_help_shows_the_sections_in_their_order_and_the_main_job_first(capsys):
    sections = help_of(capsys)
    assert list(sections)[1:] == list(COMMAND_SECTIONS)
    assert [line.split()[0] for line in sections["Make a model"]] == list(COMMAND_SECTIONS["Make a model"])
    assert "thawline fit PHOTOS" in " ".join(sections[""])


def test_every_option_of_a_run_stands_in_one_section():
    listed = [name for names in OPTION_SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(item.name for item in fields(Options))


@pytest.mark.parametrize("words", ["fit", "tune", "recipe run"])
def test_the_help_of_a_run_has_sections(words, capsys):
    sections = help_of(capsys, *words.split())
    assert list(sections)[1:] == ["Parameters", *OPTION_SECTIONS, "Training"]
    machine = "--device --engine --dtype --storage --memory --cluster --store --cache-dir"
    assert sorted(line.split()[0] for line in sections["Machine"]) == sorted(machine.split())
    assert any(line.startswith("--out -o") for line in sections["Parameters"])


def test_defaults_are_shown_as_they_are_typed_and_only_where_they_say_something(capsys):
    text = "\n".join(line for lines in help_of(capsys, "fit").values() for line in lines)
    for shown in ("[default: mean std]", "[default: efficientnet_lite0]", "[default: 5]", "[default: runs/fit]"):
        assert shown in text
    for silly in ("[default: False]", "[default: ()]", "[default: None]", "[default: ]", "[default: (", "<class"):
        assert silly not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (False, ""),
        ((), ""),
        (Inspected.empty, ""),
        (0, "0"),
        (0.01, "0.01"),
        ("auto", "auto"),
        (("mean", "std"), "mean std"),
        (Path("runs/fit"), str(Path("runs/fit"))),
    ],
)
def test_a_default_is_told_as_it_is_typed(value, text):
    assert default_text(value) == text


def test_short_names_mean_the_same_in_every_command():
    assert len(set(SHORT.values())) == len(SHORT)
    app = make_app()
    for words in ("fit", "tune", "demo", "compare", "extract", "check", "predict", "evaluate", "export", "export-data"):
        for argument in app[words].assemble_argument_collection():
            name = argument.keys[-1] if argument.keys else argument.field_info.name
            shorts = [option for option in argument.names if option.startswith("-") and len(option) == 2]
            assert shorts == ([SHORT[name]] if name in SHORT and not argument.children else [])


def test_a_short_name_is_taken_as_the_long_one(capsys):
    assert main(["fit", "birds", "-s", "3"]) == 2
    assert "--size 3: between 32 and 2048" in capsys.readouterr().err
    assert main(["tune", "birds", "-p", "last 0 %", "-b", "efficientnet_lite0", "-l", "20"]) == 2
    assert "plan 'last 0 %'" in capsys.readouterr().err
