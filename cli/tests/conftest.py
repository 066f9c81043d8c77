"""Runners that call commands as a shell would: against a client of one dict, and against a scripted router."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from kit import statuses
from kit.dict_client import DictClient
from kit.scripted_admin import ScriptedAdmin, scripted_admin
from typer.testing import CliRunner, Result

from dstk_cli.connection import Target
from dstk_cli.main import app


class Shell:
    """Calls `dstk` against the dict."""

    def __init__(self, client: DictClient) -> None:
        self.client = client

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, [*arguments], input=stdin, env={"DSTK_ROUTER": "127.0.0.1:1", "COLUMNS": "160"})


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    client = DictClient()

    @asynccontextmanager
    async def fake(target: Target, _mode: str = "gateway") -> AsyncIterator[DictClient]:
        client.timeout = target.timeout
        yield client

    async def identity(_target: Target) -> tuple[str, str]:
        return "test", client.uid

    monkeypatch.setattr(Target, "client", fake)
    monkeypatch.setattr(Target, "identity", identity)
    return Shell(client)


class OperatorsShell:
    """Calls `dstk` against the scripted router."""

    def __init__(self, router: ScriptedAdmin) -> None:
        self.router = router

    def __call__(self, *arguments: str, **env: str) -> Result:
        environment = {"DSTK_ROUTER": self.router.address, "COLUMNS": "160", **env}
        return CliRunner().invoke(app, [*arguments], env=environment)


@pytest.fixture
def operate() -> Iterator[OperatorsShell]:
    with scripted_admin() as router:
        yield OperatorsShell(router)


@pytest.fixture
def cluster(operate: OperatorsShell) -> OperatorsShell:
    """Two partitions; the second one has a learner on storage-3."""
    operate.router.shows(statuses.entry(1, "123", end=b"m"), statuses.entry(2, "21/3", start=b"m"))
    return operate
