"""Log lines: each field and action in the code is in the registry, and the registry has none that the code does not use."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from dstk_cluster.events import Origin
from dstk_service.logs.actions import ACTIONS
from dstk_service.logs.fields import FIELDS
from dstk_storage.domain.controller.model import Action
from dstk_storage.domain.events import MapChange

ROOT = Path(__file__).parents[2]
METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
LOGGERS = {"log", "logger", "logging", "self._log"}
NO_CALLER = {"trace_id", "span_id"}
"""Fields that the tracing of calls adds to lines."""


def sources() -> list[Path]:
    return [*ROOT.glob("libs/*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")]


def log_calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            target, _, method = ast.unparse(node.func).rpartition(".")
            if target in LOGGERS and method in METHODS:
                yield node


def is_declared(tree: ast.AST, extra: ast.expr) -> bool:
    """Whether `extra` is made by LogFields, here or where the variable is assigned, or by a function that returns them: so the
    type checker knows its keys.
    """
    if isinstance(extra, ast.Name):
        assigned = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == extra.id
        ]
        return bool(assigned) and all(is_declared(tree, value) for value in assigned)
    if not isinstance(extra, ast.Call) or not isinstance(extra.func, ast.Name):
        return False
    makers = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.returns is not None and ast.unparse(node.returns) == "LogFields"
    }
    return extra.func.id == "LogFields" or extra.func.id in makers


def undeclared(source: str) -> list[int]:
    """The lines of a module that log with keys that the type checker does not see."""
    tree = ast.parse(source)
    return [
        call.lineno
        for call in log_calls(tree)
        for keyword in call.keywords
        if keyword.arg == "extra" and not is_declared(tree, keyword.value)
    ]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def given(name: str | None = None) -> Iterator[ast.keyword]:
    """The arguments of all calls of LogFields, or those of that name."""
    for path in sources():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "LogFields":
                yield from (each for each in node.keywords if each.arg and name in {None, each.arg})


def test_every_line_gives_its_fields_as_log_fields() -> None:
    assert sum(len(list(log_calls(parsed(path)))) for path in sources()) > 60
    found = {str(path.relative_to(ROOT)): lines for path in sources() if (lines := undeclared(path.read_text()))}
    assert not found


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("log.info('x', extra={'partition': 3})", [1]),
        ("extra = {'partition': 3}\nlog.info('x', extra=extra)", [2]),
        ("log.info('x', extra=given)", [1]),
        ("log.info('x', extra=LogFields(partition=3))", []),
        ("extra = LogFields(partition=3)\nlog.info('x', extra=extra)", []),
        ("def f() -> LogFields: ...\nlog.info('x', extra=f())", []),
    ],
)
def test_the_scan_finds_what_the_type_checker_does_not_see(source: str, wrong: list[int]) -> None:
    assert undeclared(source) == wrong


def test_every_field_is_used_and_declared() -> None:
    used = {str(each.arg) for each in given()} | NO_CALLER
    added = set(
        re.findall(r"record\.(\w+), bucket", (ROOT / "libs/service/src/dstk_service/logs/throttle.py").read_text())
    )
    assert used | added | {"node", "upper", "position"} == set(FIELDS)


def test_every_action_is_used_and_declared() -> None:
    literals = {
        value.value
        for each in given("action")
        for value in ast.walk(each.value)
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    }
    recorded = (ROOT / "services/storage/src/dstk_storage/servicers/recorded.py").read_text()
    operators = set(re.findall(r'self\._record\(context, "(\w+)"', recorded)) | {"pause", "resume", "desired_state"}
    changes = {change.value for change in MapChange} - {MapChange.TRANSFER.value}
    assert literals | operators | changes | set(Action) == set(ACTIONS)
    assert len(operators) > 8
    assert set(Origin) == {"controller", "operator", "node"}
