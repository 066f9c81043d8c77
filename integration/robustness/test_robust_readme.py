"""Every fenced block of the README and of docs/ runs as it is printed, and prints what is shown (kit/snippets.py says how)."""

import ast
import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml
from kit import snippets
from kit.commands import trouble
from kit.ports import free_port
from kit.process_cluster import ProcessCluster, running
from kit.terminal import Terminal

from dstk_service.testing import eventually

ROOT = Path(__file__).parents[2]
KIT = ROOT / "integration" / "kit"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "integration" / "offline" / "README.md"]
BLOCKS = [block for page in PAGES for block in snippets.blocks(page)]
PORT, CONSOLE_PORT = "7000", "7200"
"""Of the router and of the console in all pages."""
TRANSIENT = {"checking the cluster"}
"""What a terminal shows only as long as it takes."""

pytestmark = [pytest.mark.slow]


class Place:
    """A directory in which a reader has installed everything, and where the router and the console listen."""

    def __init__(self, directory: Path, port: str, console_port: str, terminal: Terminal) -> None:
        self.directory = directory
        self._ports = {PORT: port, CONSOLE_PORT: console_port}
        self.terminal = terminal

    def here(self, text: str) -> str:
        """The text with this place's ports."""
        return re.sub(rf"\b({PORT}|{CONSOLE_PORT})\b", lambda found: self._ports[found[1]], text)

    def run(self, command: str) -> tuple[int, list[str]]:
        return self.terminal.run(self.here(command))


def prepared(directory: Path, port: str, **variables: str) -> Terminal:
    """A shell in a directory that looks like the tree of a reader."""
    (directory / ".venv").symlink_to(Path(sys.prefix))
    for name in ("examples", "proto", "docs", "libs"):
        (directory / name).symlink_to(ROOT / name)
    programs = directory / "programs"
    programs.mkdir()
    (programs / "grpcurl").write_text(f'#!/bin/sh\nexec {sys.executable} {KIT / "grpcurl.py"} "$@"\n')
    (programs / "grpcurl").chmod(0o755)
    # a real grpcurl goes first
    return Terminal(directory, PATH=f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}:{programs}", **variables)


@pytest.fixture(scope="module")
def readme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Without a cluster: the README starts one, and ends it."""
    directory, port = tmp_path_factory.mktemp("readme"), str(free_port())
    with prepared(directory, port) as terminal:
        try:
            yield Place(directory, port, str(free_port()), terminal)
        finally:
            subprocess.run(
                [Path(sys.prefix) / "bin" / "dstk", "local", "down"], cwd=directory, check=False, timeout=120
            )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    directory = tmp_path_factory.mktemp("docs-cluster")
    with running(ProcessCluster(directory, nodes=3, splits=["g", "p"], router=True, metrics=1)) as made:
        yield made


@pytest.fixture(scope="module")
def docs(cluster: ProcessCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """With a cluster of three nodes, whose processes are PID_STORAGE_1 and so on."""
    directory = tmp_path_factory.mktemp("docs")
    pids = {f"PID_{name.replace('-', '_').upper()}": str(cluster.pid(name)) for name in cluster.names}
    router = cluster.address("router")
    with prepared(directory, router.split(":")[1], DSTK_ROUTER=router, **pids) as terminal:
        yield Place(directory, router.split(":")[1], cluster.console().rpartition(":")[2], terminal)


@pytest.mark.parametrize("block", BLOCKS, ids=[block.place for block in BLOCKS])
def test_a_block_does_what_it_shows(block: snippets.Block, request: pytest.FixtureRequest) -> None:
    if block.not_run or block.language in {"json", "yaml", "mermaid"}:
        check(block)
        return
    place: Place = request.getfixturevalue("readme" if block.page.name == "README.md" else "docs")
    for command in block.first:
        code, printed = place.run(command)
        assert code == 0, f"{command}: {printed}"
    match block.language:
        case "console":
            console(block, place)
        case "python":
            python(block, place)
        case _:
            pytest.fail(f"{block.place}: nothing is known to run {block.language!r}; say why it is not run")


def console(block: snippets.Block, place: Place) -> None:
    commands = block.commands()
    for command in commands[:-1]:
        as_shown(command, 0, block, place)
    last = partial(as_shown, commands[-1], block.exit_code, block, place)
    if block.eventually:
        asyncio.run(eventually(partial(asyncio.to_thread, last)))
    else:
        last()


def as_shown(command: snippets.Command, expected: int, block: snippets.Block, place: Place) -> bool:
    code, printed = place.run(command.text)
    printed = [line for line in printed if line not in TRANSIENT]
    assert code == expected, f"{block.place}: {command.text} ended with {code}: {printed}"
    shown = [place.here(line) for line in command.shown or []]
    assert command.shown is None or snippets.same(shown, printed), "\n".join(
        [f"{block.place}: {command.text} prints", *printed, "and not", *shown]
    )
    return True


def python(block: snippets.Block, place: Place) -> None:
    command = [sys.executable, "-W", "error", "-c", place.here(block.text)]
    done = subprocess.run(command, cwd=place.directory, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{block.place}: {done.stderr}"
    assert not done.stderr


DIAGRAMS = ("sequenceDiagram", "stateDiagram-v2", "flowchart")


def check(block: snippets.Block) -> None:
    """What can be seen without running it."""
    match block.language:
        case "console":
            assert not [trouble(command.text) for command in block.commands() if trouble(command.text)]
        case "python":
            ast.parse(block.text)
        case "json":
            json.loads(block.text)
        case "yaml":
            yaml.safe_load(block.text)
        case "mermaid":
            assert block.text.split()[0] in DIAGRAMS
        case _:
            assert block.not_run


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_commands_within_the_prose_exist(page: Path) -> None:
    wrong = [f"{code}: {why}" for code in snippets.inline(page) if (why := trouble(code))]
    assert not wrong


def test_the_pages_have_what_is_tested() -> None:
    run = [block for block in BLOCKS if not block.not_run]
    assert len(run) >= 7
    assert {block.language for block in run} >= {"console", "python"}
