"""A server that answers as scripted, and a client of it."""

from collections.abc import AsyncIterator

import pytest
from kit.scripted import ScriptedServer, scripted

from dstk_client import Client, connect


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted() as made:
        yield made


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[Client]:
    async with connect(server.address, timeout=60) as made:
        yield made
