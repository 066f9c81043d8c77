"""The map is read from whoever serves it: a source that fails, hangs, is behind or belongs to another cluster is left."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from kit.map_entries import map_entry
from kit.ports import free_port
from kit.scripted import ScriptedServer, scripted
from kit.spoiled import holds_once, sees
from kit.turns import turns

from dstk.v1 import topology_pb2
from dstk_client import connect
from dstk_client.locating import ThickLocator
from dstk_client.watch import WatchSource
from dstk_keytypes import Key
from dstk_service.errors import NotServing
from dstk_service.testing import eventually

K = Key.text("k")


@asynccontextmanager
async def mute() -> AsyncIterator[str]:
    """Takes connections, and says nothing."""
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    writers: list[asyncio.StreamWriter] = []
    try:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
    finally:
        server.close()
        await turns()  # connections that were accepted are handed over
        for writer in writers:
            writer.transport.abort()
        await turns()


async def hangs(self: Any, request: Any, context: Any) -> AsyncIterator[topology_pb2.TopologyUpdate]:
    await asyncio.Event().wait()
    yield topology_pb2.TopologyUpdate()


async def test_a_seed_that_takes_connections_and_is_mute_is_left_within_a_second(server: ScriptedServer) -> None:
    async def is_left(address: str) -> None:
        begun = time.monotonic()
        async with connect(address, server.address, timeout=60) as client:
            assert await client.get(K) is None
        assert time.monotonic() - begun < 3

    async with mute() as address:
        await holds_once(is_left, [address] * 5)


async def test_a_seed_that_lives_but_gives_no_map_is_left_within_a_second(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted() as other:
        monkeypatch.setattr(ScriptedServer, "Watch", _unless(other, ScriptedServer.Watch))
        async with connect(other.address, server.address, timeout=60) as client:
            assert await client.get(K) is None


def _unless(mute_one: ScriptedServer, watch: Any) -> Any:
    def choose(self: ScriptedServer, request: Any, context: Any) -> Any:
        return (hangs if self is mute_one else watch)(self, request, context)

    return choose


async def test_a_node_of_the_map_serves_it_when_the_seed_is_gone() -> None:
    async with scripted() as node:
        async with scripted() as seed:
            seed.owns(map_entry(1), nodes={"storage-1": node.address})
            client = await connect(seed.address, timeout=60)
        node.owns(map_entry(1, epoch=2), nodes={"storage-1": node.address})
        locator = client._core._locator
        assert isinstance(locator, ThickLocator)
        await eventually(lambda: locator.topology.entries[1].epoch == 2)
        assert await client.get(K) is None
        assert [operation.epoch for operation in node.asked] == [2]
        await client.close()


async def test_a_map_of_another_cluster_is_never_taken_over(server: ScriptedServer) -> None:
    server.update.cluster_uid = "a" * 16
    async with scripted() as stranger:
        stranger.update.cluster_uid = "b" * 16
        stranger.update.revision = 9
        source = WatchSource([server.address, stranger.address])
        async with aclosing(source.updates()) as updates:
            assert (await anext(updates)).cluster_uid == "a" * 16
            coming = asyncio.ensure_future(anext(updates))
            server.ends_watches()
            assert (await asyncio.wait_for(coming, 60)).cluster_uid == "a" * 16
        assert stranger.watchers >= 1


async def test_a_map_that_is_older_than_what_is_known_is_taken_over_only_when_there_is_no_other(
    server: ScriptedServer,
) -> None:
    server.update.revision = 9
    async with scripted() as other:
        other.update.revision = 5
        source = WatchSource([server.address, other.address])
        async with aclosing(source.updates()) as updates:
            assert (await anext(updates)).revision == 9
            coming = asyncio.ensure_future(anext(updates))
            server.ends_watches()
            assert (await asyncio.wait_for(coming, 60)).revision == 9
            assert other.watchers >= 1, "it was asked, and left"
            server.update.revision = 4
            coming = asyncio.ensure_future(anext(updates))
            server.ends_watches()
            assert (await asyncio.wait_for(coming, 60)).revision in {4, 5}


async def test_why_no_map_arrives_is_said() -> None:
    async with mute() as address:
        refusing = f"127.0.0.1:{free_port()}"

        async def is_said(seconds: float) -> None:
            with pytest.raises(NotServing) as caught:
                await connect(refusing, address, timeout=seconds)
            message = str(caught.value)
            assert f"{refusing}: UNAVAILABLE" in message
            assert "refused" in message
            assert f"{address}: " in message

        await holds_once(is_said, (1.5, 6, 24))


async def test_a_map_without_partitions_is_said_to_be_empty(server: ScriptedServer) -> None:
    server.owns()

    async def is_empty(seconds: float) -> None:
        await sees(NotServing, connect(server.address, timeout=seconds), "the map is empty")

    await holds_once(is_empty, (0.5, 5, 20))


async def test_a_defect_while_the_map_is_followed_is_logged_and_passes(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(server.address, timeout=60) as client:
        locator = client._core._locator
        assert isinstance(locator, ThickLocator)
        topology, apply = locator.topology, locator.topology.apply
        failed: list[int] = []

        def fails_once(update: topology_pb2.TopologyUpdate) -> None:
            if not failed:
                failed.append(1)
                raise ZeroDivisionError("a defect")
            apply(update)

        monkeypatch.setattr(topology, "apply", fails_once)
        server.owns(map_entry(1, epoch=5))
        await eventually(lambda: topology.entries[1].epoch == 5)
        assert "ZeroDivisionError" in caplog.text
