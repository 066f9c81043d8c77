"""Addresses come and go: what the map names no more is closed, and routers are used as long as they answer."""

import asyncio
import time

import pytest
from kit.map_entries import map_entry
from kit.ports import free_port
from kit.scripted import ScriptedServer, found, scripted

from dstk.v1 import topology_pb2
from dstk_client import Client, ClientClosed, connect
from dstk_client.locating import ThickLocator
from dstk_client.topology import Topology
from dstk_keytypes import Key
from dstk_service.errors import DeadlineExceeded, NotServing
from dstk_service.testing import eventually

K = Key.text("k")


def locator_of(client: Client) -> ThickLocator:
    locator = client._core._locator
    assert isinstance(locator, ThickLocator)
    return locator


async def test_a_node_that_comes_back_300_times_elsewhere_leaves_one_connection(server: ScriptedServer) -> None:
    async with connect(server.address, timeout=60) as client:
        locator, topology = locator_of(client), locator_of(client).topology
        await client.get(K)
        before = len(asyncio.all_tasks())
        for _ in range(300):
            elsewhere = topology_pb2.Node(id="storage-1", address=f"127.0.0.1:{free_port()}")
            topology.apply(topology_pb2.TopologyUpdate(nodes=[elsewhere]))
            locator.node("storage-1")
        topology.apply(topology_pb2.TopologyUpdate(nodes=[topology_pb2.Node(id="storage-1", address=server.address)]))
        assert await client.get(K) is None
        assert set(locator._nodes) == {server.address}
        await eventually(lambda: not locator._retiring)
        await eventually(lambda: len(asyncio.all_tasks()) <= before + 2)


async def test_what_waits_at_an_address_that_is_left_is_still_answered(server: ScriptedServer, client: Client) -> None:
    server.script(K, found(etag=7))
    server.gate.clear()
    writing = asyncio.create_task(client.put(K, b"v"))
    await eventually(lambda: server.messages)
    locator = locator_of(client)
    old = locator.node("storage-1")
    async with scripted() as other:
        locator.topology.heal(map_entry(1, epoch=2), other.address)
        assert await client.get(Key.text("new")) is None
        assert other.times(Key.text("new")) == 1
        assert not old.lane.closed
        server.gate.set()
        assert await writing == 7
        await eventually(lambda: old.lane.closed)


async def test_a_client_that_is_closed_opens_no_connection_whatever_the_map_says(server: ScriptedServer) -> None:
    async with connect(server.address, timeout=60) as client:
        locator = locator_of(client)
    locator.topology.heal(map_entry(1, epoch=2, primary="storage-2"), f"127.0.0.1:{free_port()}")
    with pytest.raises(ClientClosed):
        await client.get(K)
    assert set(locator._nodes) <= {server.address}


async def test_an_address_of_the_map_that_is_none_is_the_nodes_fault_and_not_the_callers(
    server: ScriptedServer,
) -> None:
    async with connect(server.address, timeout=60) as client:
        locator_of(client).topology.heal(map_entry(1, epoch=2, primary="storage-2"), "http://nowhere")
        with pytest.raises(NotServing, match="storage-2"):
            await client.get(K, timeout=0.3)


def test_names_that_have_left_and_lead_nothing_are_forgotten() -> None:
    topology = Topology()
    for number in range(1000):
        name = f"storage-{number}"
        topology.apply(
            topology_pb2.TopologyUpdate(
                nodes=[topology_pb2.Node(id=name, address=f"a:{number + 1}")],
                partitions=[map_entry(1, epoch=number + 1, primary=name)],
                removed_nodes=[f"storage-{number - 1}"],
            )
        )
    assert set(topology.addresses) == {"storage-999"}
    topology.apply(topology_pb2.TopologyUpdate(removed_nodes=["storage-999"]))
    assert set(topology.addresses) == {"storage-999"}, "it leads a partition, and may only be slow to renew its lease"


async def test_a_router_that_lives_and_answers_nothing_is_left_at_the_deadline(server: ScriptedServer) -> None:
    """It may wait for a node itself, so nothing is given up before; the next call goes elsewhere."""
    server.script(K, "hang")
    async with scripted() as other:
        other.script(K, found(b"there"))
        async with connect(server.address, other.address, mode="gateway", timeout=60) as client:
            with pytest.raises((DeadlineExceeded, NotServing)):
                await client.get(K, timeout=0.9)
            record = await client.get(K)
            assert record is not None
            assert record.value == b"there"


async def test_many_callers_of_a_router_that_ends_all_turn_to_the_same_other_one(server: ScriptedServer) -> None:
    keys = [Key.of(number) for number in range(48)]
    for key in keys:
        server.script(key, "break")
    async with (
        scripted() as other,
        connect(server.address, other.address, mode="gateway", timeout=60) as client,
    ):
        begun = time.monotonic()
        assert await asyncio.gather(*map(client.get, keys)) == [None] * 48
        assert time.monotonic() - begun < 30, "nobody waits for a deadline"
        assert len(other.asked) == 48
        assert len(server.asked) == 48, "nobody goes back"


async def test_a_router_that_refuses_is_not_the_only_one_asked(server: ScriptedServer) -> None:
    server.script(K, NotServing("this router has no map yet", 0.1))
    async with scripted() as other:
        other.script(K, found(b"there"))
        async with connect(server.address, other.address, mode="gateway", timeout=60) as client:
            record = await client.get(K)
            assert record is not None
            assert server.times(K) <= 3
