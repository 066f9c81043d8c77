"""Channels are opened in one place, which keeps proxies and other people's options out of them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
THE_ONE = ROOT / "libs/service/src/dstk_service/channels.py"
OPENERS = {"insecure_channel", "secure_channel", "Channel"}
"""What gRPC opens a channel with, in both of its flavours; `Channel` as a call, not as a type."""


def sources() -> Iterator[Path]:
    """All that a user runs."""
    for folder in ("libs", "services", "cli", "bench"):
        yield from (path for path in (ROOT / folder).glob("**/src/**/*.py") if "dstk/v1" not in str(path))


def opened_in(source: str) -> list[int]:
    """Lines that open a gRPC channel, or take the means to do so from gRPC."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in OPENERS:
                lines.append(node.lineno)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("grpc"):
            lines += [node.lineno for alias in node.names if alias.name in OPENERS]
    return lines


def test_nothing_but_the_one_module_opens_a_channel() -> None:
    paths = list(sources())
    assert len(paths) > 100
    elsewhere = {str(path.relative_to(ROOT)): lines for path in paths if (lines := opened_in(path.read_text()))}
    assert list(elsewhere) == [str(THE_ONE.relative_to(ROOT))]


def test_another_opener_would_be_seen() -> None:
    assert opened_in("import grpc\nwith grpc.aio.insecure_channel('a:1') as c: pass") == [2]
    assert opened_in("from grpc.aio import secure_channel as s") == [1]
    assert opened_in("def f(channel: grpc.aio.Channel) -> None: ...") == []
