"""The house's rules of size, names, arguments and imports, read off the source without running it."""

from __future__ import annotations

import ast
import graphlib
from collections import Counter
from pathlib import Path

import pytest

import thawline

PACKAGE = Path(thawline.__file__).parent
TESTS = Path(__file__).parents[1]
SOURCES = {
    path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
    if "__pycache__" not in path.parts
}
TEST_SOURCES = {
    path.relative_to(TESTS).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(TESTS.rglob("*.py"))
    if "__pycache__" not in path.parts
}
MOST_LINES, MOST_FUNCTION_LINES = 350, 60
PATIENCE_S = 600  # a busy machine may need this long for what a quiet one does in seconds
MOST_POSITIONAL, MOST_POSITIONAL_PRIVATE = 2, 4
TESTED_BY_NAME = ("core", "data", "features", "heads", "search", "train", "use", "vet", "view", "work")

# Signatures that a library or Python gives, not we.
GIVEN_SIGNATURES = ("train/depthwise.py:_Depthwise.forward",)  # torch's autograd hands its inputs by position

# Floors and doors that still break a rule. Each must still break it, so that these lists only become shorter.
TOO_LONG = ()
CROWDED = ()
READS_ARGV = ()
UNTESTED = ()


def area_of(relative):
    """Return the floor or door that a module belongs to."""
    return Path(relative).parts[0].removesuffix(".py")


def functions_of(source):
    """Yield (qualified name, function, whether it is public, whether it is a method); nested ones are private."""

    def walk(node, names, public, in_class):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                path = (*names, child.name)
                yield ".".join(path), child, public and not child.name.startswith("_"), in_class
                yield from walk(child, path, False, False)
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, (*names, child.name), public and not child.name.startswith("_"), True)
            else:
                yield from walk(child, names, public, in_class)

    return walk(ast.parse(source), (), True, False)


def too_long(relative, source):
    """Return what is longer than a module or a function may be."""
    count = len(source.splitlines())
    found = [f"{relative} has {count} lines"] if count > MOST_LINES else []
    for name, function, *_ in functions_of(source):
        count = function.end_lineno - function.lineno + 1
        if count > MOST_FUNCTION_LINES:
            found.append(f"{relative}:{name} has {count} lines")
    return found


def crowded(relative, source):
    """Return the functions that take more by position than they may."""
    found = []
    for name, function, public, in_class in functions_of(source):
        if function.name.startswith("__") or f"{relative}:{name}" in GIVEN_SIGNATURES:
            continue
        is_static = any(ast.unparse(mark) == "staticmethod" for mark in function.decorator_list)
        count = len(function.args.posonlyargs) + len(function.args.args) - (in_class and not is_static)
        if count > (MOST_POSITIONAL if public else MOST_POSITIONAL_PRIVATE):
            found.append(f"{relative}:{name} takes {count} by position")
    return found


def reads_argv(relative, source):
    """Return where a module other than the command line reads the words that its process was started with."""
    found = []
    for node in ast.walk(ast.parse(source)):
        is_read = isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.argv"
        is_import = isinstance(node, ast.ImportFrom) and node.module == "sys"
        if is_read or (is_import and any(alias.name == "argv" for alias in node.names)):
            found.append(f"{relative}:{node.lineno} reads sys.argv")
    return [] if area_of(relative) == "cli" else found


def untested(relative, _source):
    """Return the test file that a module should have and has not."""
    path = Path(relative)
    test = path.with_name(f"test_{path.name}").as_posix()
    is_due = path.parts[0] in TESTED_BY_NAME and path.stem != "__init__"
    return [f"{relative} has no tests/{test}"] if is_due and test not in TEST_SOURCES else []


RULES = {
    "length": (too_long, TOO_LONG),
    "arguments": (crowded, CROWDED),
    "argv": (reads_argv, READS_ARGV),
    "tests": (untested, UNTESTED),
}


@pytest.mark.parametrize("area", sorted({area_of(relative) for relative in SOURCES}))
@pytest.mark.parametrize("rule", RULES)
def test_every_floor_and_door_keeps_the_rules(rule, area):
    check, still_broken = RULES[rule]
    found = [
        line for relative, source in SOURCES.items() if area_of(relative) == area for line in check(relative, source)
    ]
    if area in still_broken:
        assert found, f"{area} keeps the rule now: take it off the list of those that break it"
    else:
        assert found == []


@pytest.mark.parametrize(
    ("rule", "relative", "source", "is_broken"),
    [
        ("length", "use/a.py", "x = 1\n" * 350, False),
        ("length", "use/a.py", "x = 1\n" * 351, True),
        ("length", "use/a.py", "def f():\n" + "    x = 1\n" * 59, False),
        ("length", "use/a.py", "class C:\n  def f(self):\n    '''\n" + "\n" * 57 + "    '''\n    x = 1", True),
        ("arguments", "use/a.py", "def f(a, b, *, c): ...", False),
        ("arguments", "use/a.py", "def f(a, b, c): ...", True),
        ("arguments", "use/a.py", "async def f(a, /, b, c): ...", True),
        ("arguments", "use/a.py", "def _f(a, b, c, d): ...", False),
        ("arguments", "use/a.py", "def _f(a, b, c, d, e): ...", True),
        ("arguments", "use/a.py", "def f():\n  def g(a, b, c, d, e): ...", True),
        ("arguments", "use/a.py", "def f():\n  def g(a, b, c, d): ...", False),
        ("arguments", "use/a.py", "class C:\n  def f(self, a, b): ...\n  def __init__(self, a, b, c): ...", False),
        ("arguments", "use/a.py", "class C:\n  def f(self, a, b, c): ...", True),
        ("arguments", "use/a.py", "class C:\n  @classmethod\n  def f(cls, a, b, c): ...", True),
        ("arguments", "use/a.py", "class C:\n  @staticmethod\n  def f(a, b): ...", False),
        ("arguments", "use/a.py", "class C:\n  @staticmethod\n  def f(a, b, c): ...", True),
        ("arguments", "use/a.py", "class _C:\n  def f(self, a, b, c, d): ...", False),
        ("argv", "work/a.py", "import sys\nsys.argv[1:]", True),
        ("argv", "work/a.py", "from sys import argv", True),
        ("argv", "work/a.py", "import sys\nsys.path", False),
        ("argv", "cli/a.py", "import sys\nsys.argv[1:]", False),
        ("tests", "use/no_such_module.py", "", True),
        ("tests", "use/bundle.py", "", False),
        ("tests", "use/__init__.py", "", False),
    ],
)
def test_the_rules_see_what_breaks_them(rule, relative, source, is_broken):
    assert bool(RULES[rule][0](relative, source)) == is_broken


def test_no_two_modules_have_the_same_name():
    count_by_stem = Counter(Path(relative).stem for relative in SOURCES if not relative.endswith("__init__.py"))
    assert [stem for stem, count in count_by_stem.items() if count > 1] == []


def test_given_signatures_are_those_of_functions_that_exist():
    present = {f"{relative}:{name}" for relative, source in SOURCES.items() for name, *_ in functions_of(source)}
    assert set(GIVEN_SIGNATURES) <= present


def imported(relative, source, *, for_types=False):
    """Return the modules that a module imports, in functions too; those for type checkers only where asked."""
    found = set()

    def visit(node):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING") and not for_types:
            for child in node.orelse:
                visit(child)
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ("thawline", *Path(relative).parent.parts)[: 1 - node.level or None] if node.level else ()
            whole = ".".join((*base, node.module) if node.module else base)
            found.update(f"{whole}.{alias.name}" for alias in node.names)
            found.add(whole)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(source))
    return found


def import_graph(sources):
    """Return {module: modules of ours that it imports}."""
    name_by_path = {
        relative: ".".join(("thawline", *Path(relative).with_suffix("").parts)).removesuffix(".__init__")
        for relative in sources
    }
    ours = set(name_by_path.values())
    return {
        name_by_path[relative]: (imported(relative, source) & ours) - {name_by_path[relative]}
        for relative, source in sources.items()
    }


def circle_in(sources):
    """Return one circle of imports, or nothing."""
    try:
        graphlib.TopologicalSorter(import_graph(sources)).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_no_circle_of_imports_even_where_they_are_deferred():
    assert circle_in(SOURCES) == []


@pytest.mark.parametrize(
    ("first", "second", "is_circle"),
    [
        ("from thawline.use.b import x", "import thawline.use.a", True),
        ("from thawline.use import b", "from . import a", True),
        ("def f():\n    from .b import x", "def g():\n    from thawline.use.a import y", True),
        ("from ..use.b import x", "from ..core import errors\nif True:\n    from .a import x", True),
        ("from thawline.use.b import x", "if TYPE_CHECKING:\n    from thawline.use.a import y", False),
        ("from thawline.use.b import x", "import thawline.data.check", False),
    ],
)
def test_the_search_for_circles_sees_them(first, second, is_circle):
    sources = {"use/a.py": first, "use/b.py": second, "use/__init__.py": "", "data/check.py": "", "core/errors.py": ""}
    assert bool(circle_in(sources)) == is_circle


def test_what_people_see_is_made_without_the_floor_that_trains():
    for relative, source in SOURCES.items():
        if area_of(relative) == "view":
            names = imported(relative, source, for_types=True)
            assert [name for name in names if name.startswith("thawline.train")] == [], relative


def impatient(source):
    """Return the lines of a test that give up, or fail, sooner than a busy machine may need."""
    clocks = ("time.monotonic()", "time.perf_counter()", "time.time()")
    found = []
    for node in ast.walk(ast.parse(source)):
        limits = []
        if isinstance(node, ast.Call):
            limits += [word.value for word in node.keywords if word.arg in {"timeout", "timeout_s"}]
            if isinstance(node.func, ast.Attribute) and node.func.attr in {"wait", "join", "communicate"}:
                limits += node.args
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and ast.unparse(node.left) in clocks:
            limits.append(node.right)
        elif isinstance(node, ast.Compare) and isinstance(node.left, ast.BinOp):
            limits += node.comparators if ast.unparse(node.left.left) in clocks else []
        for limit in limits:
            if isinstance(limit, ast.Constant) and isinstance(limit.value, int | float) and limit.value < PATIENCE_S:
                found.append(f"line {node.lineno}: {limit.value} s")
    return found


def test_no_test_has_a_deadline_that_a_busy_machine_breaks():
    found = {relative: impatient(source) for relative, source in TEST_SOURCES.items()}
    assert {relative: lines for relative, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("source", "is_impatient"),
    [
        ("subprocess.run(call, timeout=60)", True),
        ("subprocess.run(call, timeout=600)", False),
        ("event.wait(5)", True),
        ("child.wait()", False),
        ("', '.join(names)", False),
        ("deadline = time.monotonic() + 60", True),
        ("deadline = time.monotonic() + 600", False),
        ("assert time.perf_counter() - start < 5", True),
        ("time.sleep(0.1)", False),
    ],
)
def test_the_rule_sees_deadlines(source, is_impatient):
    assert bool(impatient(source)) == is_impatient
