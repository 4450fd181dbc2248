"""What is written down is true: what is shown exists, everything public says what it is, no private place leaks."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import subprocess
from pathlib import Path

import pytest

import thawline
from thawline.cli.app import app

PACKAGE = Path(thawline.__file__).parent
REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    *sorted(REPOSITORY.glob("*.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    *sorted((REPOSITORY / "benchmarks").rglob("*.md")),
]


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def module_name(path):
    return str(path.relative_to(PACKAGE))


def targets():
    return set(re.findall(r"^([a-z][a-z-]*):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def commands_in(text):
    """Yield the command lines that a document shows: indented or fenced blocks, and inline code."""
    fenced = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in fenced for line in block.splitlines()]
    lines += [line for line in text.splitlines() if line.startswith("    ")]
    lines += re.findall(r"`([^`\n]+)`", text)
    for line in lines:
        yield re.sub(r"\s+#.*", "", line.strip().removeprefix("$ "))


def shown_targets(text):
    """Return the make targets that a document tells people to run."""
    shown = set()
    for line in commands_in(text):
        match = re.match(r"make((?: [a-z-]+)+)$", line)
        shown |= set(match.group(1).split()) if match else set()
    return shown


def shown_commands(text):
    """Return the `thawline` command words that a document tells people to type: `fit`, `cache list`."""
    shown = set()
    for line in commands_in(text):
        match = re.match(r"(?:\.venv/bin/)?thawline ((?:cache |recipe )?[a-z]+(?:-[a-z]+)*)\b", line)
        shown |= {match.group(1)} if match else set()
    return shown


def tracked_files():
    """Return the files that git tracks or would track; outside a checkout there is nothing to say."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(listing, cwd=REPOSITORY, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    found = [REPOSITORY / name for name in done.stdout.decode().split("\0") if name]
    return [path for path in found if path.is_file()]


def forbidden():
    """Return what no file may name, put together here so that this file does not name it either."""
    registries = ["py" + "pi.org", "pythonhosted" + ".org", "download." + "pytorch.org", "conda." + "anaconda.org"]
    switches = ["index-" + "url", "find-" + "links", "trusted-" + "host"]
    folders = ["home", "root", "work", "Users", "opt"]
    homes = [rf"(?<![\w.~-])/{folder}/[\w.]" for folder in folders]
    hosts = [re.escape(host) for host in registries]
    return re.compile("|".join([*hosts, *(f"--(?:extra-)?{switch}[ =]" for switch in switches), *homes]))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_shown_exists(path):
    assert shown_targets(path.read_text(encoding="utf-8")) <= targets()


def test_the_makefile_has_the_targets_of_the_house():
    assert {"demo", "test", "test-all", "check", "format", "bench", "clean"} <= targets()


def test_shown_commands_are_found_in_blocks_and_in_text():
    text = "Run `thawline check photos/`.\n\n    make check test  # both\n\n```sh\n$ thawline cache list --json\n```\n"
    assert shown_commands(text) == {"check", "cache list"}
    assert shown_targets(text) == {"check", "test"}


def exists(command):
    """Return whether the command line knows a command: `fit`, `cache list`."""
    found = app
    for word in command.split():
        if word not in found.resolved_commands():
            return False
        found = found[word]
    return True


def test_every_command_shown_exists():
    shown = set().union(*(shown_commands(path.read_text(encoding="utf-8")) for path in DOCUMENTS))
    assert shown
    assert [command for command in sorted(shown) if not exists(command)] == []
    assert not exists("thaw")
    assert not exists("recipe bake")


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_everything_public_says_what_it_is(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = [] if ast.get_docstring(tree) else ["the module"]
    owners = [(tree, "")]
    while owners:
        owner, prefix = owners.pop()
        for node in owner.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            if not ast.get_docstring(node):
                silent.append(f"{prefix}{node.name} (line {node.lineno})")
            if isinstance(node, ast.ClassDef):
                owners.append((node, f"{prefix}{node.name}."))
    assert not silent


@pytest.mark.parametrize(
    "path", [path for path in modules() if ">>>" in path.read_text(encoding="utf-8")], ids=module_name
)
def test_examples_give_what_they_show(path):
    module = importlib.import_module("thawline." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_every_folder_says_what_it_is():
    folders = [path for path in PACKAGE.rglob("*") if path.is_dir() and any(path.glob("*.py"))]
    for folder in folders:
        opening = folder / "__init__.py"
        assert opening.is_file(), folder
        assert ast.get_docstring(ast.parse(opening.read_text(encoding="utf-8"))), opening


def test_no_file_names_a_registry_or_a_private_folder():
    found = []
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" in content[:8192]:
            continue
        for number, line in enumerate(content.decode("utf-8", errors="replace").splitlines(), start=1):
            match = forbidden().search(line)
            if match:
                found.append(f"{path.relative_to(REPOSITORY)}:{number}: {match.group()}")
    assert not found


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("see https://" + "py" + "pi.org/project/timm", True),
        ("--extra-index-" + "url https://x", True),
        ("cd /" + "home/me/photos", True),
        ('Path("/' + 'work/x")', True),
        ("/" + "root/.cache", True),
        ("docs/home/plan.md", False),
        ("../shared/data and https://example.org/home/page", False),
        ("pip-compile --no-emit-index-" + "url", False),
    ],
)
def test_the_rule_knows_a_private_place(line, refused):
    assert bool(forbidden().search(line)) == refused
