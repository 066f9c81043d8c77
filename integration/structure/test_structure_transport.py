"""Only the transport opens channels, listens, and handles credentials: nothing passes it by with options of its own."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRANSPORT = "libs/service/src/dstk_service/transport/"
CALLS = {
    "opens a channel": {"insecure_channel", "secure_channel", "Channel"},
    "makes a server": {"GrpcServer", "server"},
    "listens": {"add_insecure_port", "add_secure_port", "start_server", "start_unix_server"},
}
"""Names that are called, by what the call does; for `Channel` and `server` only those of grpc."""

TEXTS = {"authorization", "dstk-secret"}
"""Metadata by which callers prove who they are."""

BASELINE = "bench/src/dstk_bench/echo.py"
"""The benchmark's figure for gRPC alone; it uses nothing of ours."""


def sources() -> Iterator[Path]:
    """All code that users run."""
    for folder in ("libs", "services", "cli", "demo", "bench", "observability"):
        yield from (path for path in (ROOT / folder).glob("**/src/**/*.py") if "dstk/v1" not in str(path))


def _of_grpc(call: ast.expr) -> bool:
    return ast.unparse(call).startswith("grpc.")


def found_in(source: str) -> set[tuple[int, str]]:
    """Lines that do the transport's work, and which work."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            generic = name in {"Channel", "server"} and not _of_grpc(node.func)
            found |= {(node.lineno, work) for work, names in CALLS.items() if name in names and not generic}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("grpc"):
            names_of_grpc = {alias.name for alias in node.names}
            found |= {(node.lineno, work) for work, names in CALLS.items() if names & names_of_grpc}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value.lower()
            if text in TEXTS or text.startswith("bearer "):
                found.add((node.lineno, "handles credentials"))
    return found


def test_only_the_transport_connects_listens_and_shows_credentials() -> None:
    names = {str(path.relative_to(ROOT)): path for path in sources()}
    assert len(names) > 100
    by_name = {name: work for name, path in names.items() if (work := found_in(path.read_text()))}
    elsewhere = {name: work for name, work in by_name.items() if not name.startswith(TRANSPORT)}
    assert list(elsewhere) == [BASELINE]
    inside = {work for name, found in by_name.items() if name.startswith(TRANSPORT) for _, work in found}
    assert inside == {*CALLS, "handles credentials"}


@pytest.mark.parametrize(
    ("source", "work"),
    [
        ("import grpc\nwith grpc.aio.insecure_channel('a:1') as c: pass", "opens a channel"),
        ("\nfrom grpc.aio import secure_channel as s", "opens a channel"),
        ("\nserver = GrpcServer('a:1')", "makes a server"),
        ("\nserver = grpc.aio.server()", "makes a server"),
        ("\nserver.add_insecure_port('a:1')", "listens"),
        ("\nawait asyncio.start_server(f, 'a', 1)", "listens"),
        ("\nm = (('authorization', token),)", "handles credentials"),
        ("\nm = f'Bearer {token}'", "handles credentials"),
    ],
)
def test_another_place_would_be_seen(source: str, work: str) -> None:
    assert found_in(source) == {(2, work)}


def test_types_of_channels_are_no_channels() -> None:
    assert not found_in("def f(channel: grpc.aio.Channel) -> None: ...")
