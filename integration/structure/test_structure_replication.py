"""The state machines of replication do no I/O, and only the reactor awaits."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REPLICATION = ROOT / "services/storage/src/dstk_storage/domain/replication"
PURE = sorted(REPLICATION.glob("*.py"))
FORBIDDEN = {"asyncio", "time", "random", "threading", "socket"}


def imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", PURE, ids=lambda path: path.stem)
def test_a_state_machine_neither_awaits_nor_knows_the_reactor(path: Path) -> None:
    tree = ast.parse(path.read_text())
    named = imports(tree)
    assert not named & FORBIDDEN
    assert not [name for name in named if name.startswith("dstk_storage.domain.replication.runtime")]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Await)]


def users_of(module: str, root: Path) -> set[str]:
    """The modules under `root` that import the module."""
    return {
        path.stem
        for path in root.rglob("*.py")
        if any(name.endswith(module) for name in imports(ast.parse(path.read_text())))
    }


def test_nothing_takes_the_composed_whole_but_the_composition() -> None:
    """`Replication` and `Machines` are put together once; those who use them take parts, or give them events."""
    assert users_of("runtime.replication", ROOT / "services/storage/src") == {"node", "node_parts", "in_sync"}
    assert users_of("replication.machines", REPLICATION) == {"links", "reactor", "reconfigurations", "replication"}
