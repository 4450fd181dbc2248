"""`thawline completion` prints a script that the shell takes, and it completes commands, options and choices."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from thawline.cli.app import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_names_every_command_and_writes_nothing(shell, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", f"/bin/{shell}")
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(word in script for word in ("thawline", "export-data", "--backbone", "balanced_accuracy"))
    assert main(["completion"]) == 0
    assert capsys.readouterr().out == script
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("named", "said"), [("", "not set"), ("/bin/tcsh", "tcsh")])
def test_another_shell_is_refused_with_those_that_are_known(named, said, capsys, monkeypatch):
    monkeypatch.setenv("SHELL", named)
    assert main(["completion"]) == 2
    assert f"completion: SHELL is {said}: bash, zsh or fish is required." in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["thawline", "pre"], "predict"),
        (["thawline", "recipe", "sh"], "show"),
        (["thawline", "fit", "--budg"], "--budget"),
        (["thawline", "fit", "--metric", "bal"], "balanced_accuracy"),
    ],
)
def test_bash_completes_by_it(words, found, capsys):
    main(["completion", "bash"])
    script = capsys.readouterr().out
    quoted = " ".join(f"'{word}'" for word in words)
    ask = f'{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _thawline; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "--norc"], input=ask, capture_output=True, text=True, check=False, timeout=600)
    assert done.stdout.split() == [found], done.stderr
