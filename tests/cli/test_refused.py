"""What the words on the command line cannot mean is told in one sentence, with what is near and the help."""

from __future__ import annotations

import pytest

from thawline.cli.app import main, make_app
from thawline.cli.refused import COMMANDS_ELSEWHERE, OPTIONS_ELSEWHERE, RENAMED

FIT = " `thawline fit --help` says what can be given."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("fit birds --quiet", "fit: there is no option --quiet." + FIT),
        ("fit birds --bugdet=3", "fit: there is no option --bugdet. Did you mean --budget?" + FIT),
        ("fit birds --imgsz 64", "fit: there is no option --imgsz. Did you mean --size?" + FIT),
        ("check birds --imgsz 64", "check: there is no option --imgsz. `thawline check --help` says"),
        ("fit birds -q", "fit: there is no option -q." + FIT),
        ("fit birds --folds", "fit: --folds needs a value after it." + FIT),
        ("fit birds two words", "fit: nothing takes two, words. Quote a name that has spaces." + FIT),
        ("fit birds --seed x", "options: --seed 'x': input should be a valid integer"),
        ("fit birds --plan", "fit: --plan needs a value after it. Name one, such as --plan"),
        ("fit birds --plan --json", "what strategies would take is forecast with --forecast." + FIT),
        ("fit birds --candidate head", "fit: there is no option --candidate. It is called --plan now"),
        ("predict", "predict: MODEL is missing. `thawline predict --help` says"),
        ("predict m", "predict: no pictures are named. Name files or folders, `-` for names on standard input."),
        ("export-data birds", "export-data: --out is missing."),
        ("export-data birds -o x --format zip", 'Invalid value "zip" for --format. Choose from: "folder", "parquet".'),
        ("pedict m", "there is no command 'pedict'. Did you mean predict? `thawline --help` says what can be given."),
        ("recipe lst", "recipe: there is no command 'lst'. Did you mean list? `thawline recipe --help` says"),
        ("recipe predict", "recipe: there is no command 'predict'. There are list, show, run."),
        ("train birds", "there is no command 'train'. Did you mean fit?"),
        ("qqq", "there is no command 'qqq'. There are fit, tune, demo, "),
    ],
)
def test_a_refusal_says_what_is_wrong_and_what_was_meant(words, said, capsys):
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("thawline: ")
    assert said in err
    assert err.count("\n") == 1


def test_a_folder_without_a_command_is_told_to_fit(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert f"name the command first, thawline fit {tmp_path}." in capsys.readouterr().err


def test_a_folder_taken_for_a_plan_is_told_of_the_forecast(tmp_path, capsys):
    assert main(["fit", "--plan", str(tmp_path)]) == 2
    said = f"--plan {tmp_path} names a file or folder, and a plan is required, such as --plan 'last 20 %'"
    err = capsys.readouterr().err
    assert said in err
    assert f"thawline fit {tmp_path} --forecast" in err


def test_what_is_called_otherwise_elsewhere_is_called_so_here():
    app = make_app()
    assert set(COMMANDS_ELSEWHERE.values()) <= set(app)
    assert not set(COMMANDS_ELSEWHERE) & set(app)
    arguments = app["fit"].assemble_argument_collection()
    names = {name for argument in arguments for name in argument.names}
    assert set(OPTIONS_ELSEWHERE.values()) <= names
    assert not set(OPTIONS_ELSEWHERE) & names
    assert "--candidate" in RENAMED
    assert "--candidate" not in names
