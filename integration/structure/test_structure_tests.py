"""How tests are built: from one kit, in short modules, along the types, and without an event loop where none is needed."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = ["libs/*", "services/*", "cli", "demo", "bench", "observability"]
GENERATED = ROOT / "libs/protos"
MAX_LINES = 300
IGNORE = "# type" + ": ignore"
MAY_IGNORE = {
    "integration/kit/scripted.py": "the servicer of a stream that writes through its context, as the product's do"
}

KIT = ROOT / "integration/kit"
BUILDERS = [
    "admin_apis",
    "answers",
    "appends",
    "coordinators",
    "engines",
    "free_space",
    "logs",
    "machines",
    "map_entries",
    "observers",
    "offloads",
    "owners",
    "partitions",
    "proposers",
    "refusals",
    "servers",
    "stores",
]
"""Modules of the kit that build values and fakes for tests of one piece."""
PURE = {"kit.machines.PureNode", "kit.situations.situation", "kit.logs.chain"}
"""Builders that need no event loop; neither does what is built with them."""


def sources() -> list[Path]:
    found = [path for member in [*MEMBERS, "integration"] for path in ROOT.glob(f"{member}/**/*.py")]
    return [path for path in found if not path.is_relative_to(GENERATED)]


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def directories_of_tests() -> list[Path]:
    return [path for member in MEMBERS for path in sorted(ROOT.glob(f"{member}/tests"))]


def builders(path: Path) -> Iterator[str]:
    """Names of the classes and functions of a module that are no tests, no fixtures and not private."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            fixture = any("fixture" in ast.unparse(each) for each in node.decorator_list)
            if not fixture and not node.name.startswith(("test_", "_")):
                yield node.name


def imported(tree: ast.Module) -> set[str]:
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}.{alias.name}" for node in froms for alias in node.names}


def test_no_module_has_more_than_300_lines() -> None:
    assert len(sources()) > 300
    assert not {shown(path): n for path in sources() if (n := len(path.read_text().splitlines())) > MAX_LINES}


def test_no_test_works_against_the_types() -> None:
    found = Counter(
        shown(path)
        for path in sources()
        if "/src/" not in shown(path) and path != Path(__file__)
        for line in path.read_text().splitlines()
        if IGNORE in line
    )
    assert found == dict.fromkeys(MAY_IGNORE, 1)


@pytest.mark.parametrize("tests", directories_of_tests(), ids=shown)
def test_no_two_test_modules_of_a_member_have_a_builder_of_one_name(tests: Path) -> None:
    """What two modules need is built in the kit; what differs has another name."""
    names = Counter(name for path in tests.glob("*.py") for name in builders(path))
    assert not [name for name, count in names.items() if count > 1]


def test_no_test_module_builds_what_the_kit_builds() -> None:
    kit = {name: module for module in BUILDERS for name in builders(KIT / f"{module}.py")}
    own = {
        (shown(path), name)
        for tests in directories_of_tests()
        for path in tests.glob("*.py")
        for name in builders(path)
    }
    assert not {(path, name, kit[name]) for path, name in own if name in kit}


def test_what_is_pure_is_tested_without_an_event_loop() -> None:
    looped, pure = [], 0
    for path in [each for tests in directories_of_tests() for each in tests.glob("test_*.py")]:
        tree = ast.parse(path.read_text())
        if imported(tree) & PURE:
            pure += 1
            looped += [shown(path) for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]
    assert pure >= 8
    assert not looped
