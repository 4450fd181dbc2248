"""The house's floors: who may import whom, and what a light import must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import thawline
from thawline.cli.app import make_app

PACKAGE = Path(thawline.__file__).parent
DOORS = ("api", "cli", "__main__", "__init__")
FLOORS = tuple(sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py") if path.parent.name not in DOORS))
HEAVY = ("torch", "torchvision", "timm", "sklearn", "scipy", "pandas", "matplotlib", "pyarrow", "PIL")


def command_words(app, words=()):
    """Yield the words of every command and group of commands: `()`, `("fit",)`, `("recipe",)`, `("recipe", "list")`."""
    yield words
    for name in app:
        if not name.startswith("-"):
            yield from command_words(app[name], (*words, name))


COMMANDS = list(command_words(make_app()))


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def name_of(path):
    return str(path.relative_to(PACKAGE))


def imported_names(tree, package=()):
    """Yield (line, dotted name below `thawline`, imported names) of our own imports, relative ones resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "thawline":
                    yield node.lineno, tuple(alias.name.split(".")[1:]), ()
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = (*package[: len(package) - node.level + 1], *(node.module or "").split("."))
                yield node.lineno, tuple(part for part in base if part), tuple(alias.name for alias in node.names)
            elif node.module and node.module.split(".")[0] == "thawline":
                yield node.lineno, tuple(node.module.split(".")[1:]), tuple(alias.name for alias in node.names)


def violations(relative, source):
    """Return what in a module's source reaches upwards: `line: what`."""
    parts = Path(relative).parts
    if parts[0].removesuffix(".py") in DOORS:
        return []
    assert len(parts) > 1, f"{relative} stands on no floor"
    floor, found = parts[0], []
    for line, dotted, names in imported_names(ast.parse(source), parts[:-1]):
        for target in [dotted[0]] if dotted else names:
            if target not in FLOORS or target > floor:
                found.append(f"{relative}:{line} imports thawline.{target}")
    return found


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_imports_only_from_its_own_floor_or_an_earlier_one(path):
    assert violations(path.relative_to(PACKAGE), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("relative", "source", "refused"),
    [
        ("core/a.py", "from thawline.data.check import x", True),
        ("core/a.py", "import thawline.view.report", True),
        ("core/a.py", "from thawline import data", True),
        ("core/a.py", "from ..heads import linear", True),
        ("core/a.py", "def f():\n    from thawline.api import fit", True),
        ("heads/a.py", "from thawline.search.strategy import Strategy", True),
        ("heads/a.py", "from thawline.heads.b import x\nfrom thawline.core import errors\nimport numpy", False),
        ("heads/a.py", "from . import b\nfrom ..core import errors", False),
        ("use/a.py", "from thawline import __version__", True),
        ("use/a.py", "from thawline.core.version import __version__", False),
        ("api.py", "from thawline.use import report", False),
    ],
)
def test_the_rule_sees_what_breaks_it(relative, source, refused):
    assert bool(violations(relative, source)) == refused


def test_the_house_has_the_floors_that_the_design_names():
    assert FLOORS == ("core", "data", "features", "heads", "search", "train", "use", "vet", "view", "work")


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_no_star_imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert [alias.name for alias in node.names] != ["*"], f"line {node.lineno}"


def test_only_the_features_floor_touches_timm():
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "timm" for name in names):
                assert path.parent.name == "features", f"{name_of(path)}:{node.lineno}"


def loaded_by(code, heavy=HEAVY):
    """Return which heavy packages a fresh interpreter has loaded after `code`."""
    program = f"import sys\n{code}\nprint('loaded:', *sorted(set({heavy!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].removeprefix("loaded:").split()


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import thawline; thawline.__version__") == []


HELP = [(*words, "--help") for words in COMMANDS]


@pytest.mark.parametrize("words", [*HELP, ("--version",), ("recipe", "list"), ("pedict",)], ids=" ".join)
def test_what_answers_at_once_loads_nothing_heavy(words):
    assert loaded_by(f"from thawline.cli.app import main\nmain({words!r})", (*HEAVY, "numpy")) == []


def test_facts_are_read_without_torch():
    modules = ["features.backbone", "features.bank", "features.drift", "features.scratch"]
    modules += ["search.answers", "search.leaderboard", "search.strategy", "search.ties", "use.evaluation"]
    assert loaded_by("import " + ", ".join(f"thawline.{module}" for module in modules)) == []
