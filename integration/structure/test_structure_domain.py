"""The domain takes time from a Clock and chance from a Random that it is given: else no simulation could replay it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "asyncio": {"timeout", "timeout_at", "wait_for", "sleep"},
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep"},
    "random": {
        "random",
        "uniform",
        "choice",
        "choices",
        "shuffle",
        "sample",
        "randint",
        "randrange",
        "getrandbits",
        "seed",
    },
    "datetime.datetime": {"now", "utcnow", "today"},
}
"""By module, functions on the real clock or the shared random generator."""


def leaks(source: str) -> list[int]:
    """Lines that use the real clock or the shared generator. `asyncio.sleep(0)`, which only lets others run, is none."""
    tree = ast.parse(source)
    yields = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_yield(node)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node not in yields:
            if node.attr in FORBIDDEN.get(ast.unparse(node.value), set()):
                found.append(node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module in FORBIDDEN:
            found += [node.lineno for alias in node.names if alias.name in FORBIDDEN[node.module]]
    return found


def _is_yield(call: ast.Call) -> bool:
    return ast.unparse(call) == "asyncio.sleep(0)"


def test_the_domain_uses_no_real_clock_and_no_shared_generator() -> None:
    paths = list(ROOT.glob("services/*/src/*/domain/**/*.py"))
    assert len(paths) > 40
    assert not {str(path.relative_to(ROOT)): lines for path in paths if (lines := leaks(path.read_text()))}


@pytest.mark.parametrize(
    "line",
    [
        "async with asyncio.timeout(1): pass",
        "await asyncio.wait_for(x, 1)",
        "await asyncio.sleep(0.1)",
        "def f(monotonic=time.monotonic): pass",
        "from time import monotonic",
        "x = random.random()",
        "from random import choice as c",
    ],
)
def test_a_leak_would_be_seen(line: str) -> None:
    assert leaks(f"\nasync def outer():\n    {line}") == [3]


def test_a_yield_and_an_own_generator_are_no_leaks() -> None:
    assert not leaks("async def f(rng: random.Random):\n    await asyncio.sleep(0)\n    return rng.random()")
