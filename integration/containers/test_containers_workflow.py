"""From nothing to nothing: start etcd and the nodes one by one, verify with many clients, stop, clean up."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack

from dotenv import dotenv_values
from faults.scenario import under_load

from containers.cluster import ETCD, HEALTHY_SECONDS, METRICS, ROUTERS, STORAGE, ContainerCluster
from containers.docker import ROOT, orphaned_ranges
from dstk_client import Client, connect
from dstk_keytypes import Key, KeyRange
from dstk_service.errors import EtagMismatched
from dstk_service.testing import eventually

CLIENTS_OF_EACH_KIND = 8
RECORDS = 200
"""That each client puts and reads again."""
INCREMENTS = 20
"""That each client adds to a counter."""
COUNTERS = [Key.of("counter", number) for number in range(4)]
"""Few, so that clients get in each other's way; more than one, so that they do not only do that."""


async def test_start_one_by_one_verify_stop_and_clean_up(fresh: ContainerCluster) -> None:
    await fresh.up(*ETCD)
    for node in STORAGE[:2]:
        await fresh.launch(node)
        await is_ready(fresh, node, ready=False)  # the cluster is made when the third one has come
    await fresh.launch(STORAGE[2])
    for node in STORAGE:
        await is_ready(fresh, node, ready=True)
    await fresh.up()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(each) for each in (*thick(fresh), *gateway(fresh))]
        await verify(clients)
        checking = clients[0]
        assert len([record async for record in checking.scan(KeyRange.tuple_prefix("record"))]) == RECORDS * len(
            clients
        )
    await a_limit_is_far(fresh)
    await fresh.down(volumes=True)
    assert not list(orphaned_ranges(fresh.client, fresh.project))


async def test_volumes_survive_down_and_the_whole_stack_a_power_cut(fresh: ContainerCluster) -> None:
    await fresh.up()
    async with connect(fresh.address("router"), mode="gateway", timeout=60) as client:
        etags = {key: await client.put(key, b"kept") for key in (Key.of("kept", number) for number in range(500))}
    await fresh.down()
    await fresh.up()
    await holds(fresh, etags)
    everything = [*ETCD, *STORAGE, *ROUTERS, METRICS, "gateway"]
    await fresh.kill(*everything)
    await fresh.start(*reversed(everything))
    await holds(fresh, etags)
    async with under_load(fresh, "after", keys_each=2) as scenario:
        await scenario.runs_for(1)


async def is_ready(cluster: ContainerCluster, node: str, *, ready: bool) -> None:
    """Waits until the container's own health check says so of the node."""

    async def answers() -> bool:
        _, said = await cluster.attempt(node, "dstk-ready")
        return said.startswith("{") and json.loads(said)["ready"] is ready

    await eventually(answers, within=HEALTHY_SECONDS)


async def verify(clients: Sequence[Client]) -> None:
    """Every client puts records of its own, reads them again, and counts in common with the others: it must add up."""
    for counter in COUNTERS:
        await clients[0].put(counter, b"0")
    await asyncio.gather(*(work(number, client) for number, client in enumerate(clients)))
    counted = [record.value async for record in clients[-1].scan(KeyRange.tuple_prefix("counter"))]
    assert sum(map(int, counted)) == INCREMENTS * len(clients)


async def work(number: int, client: Client) -> None:
    """Of one client."""
    for at in range(RECORDS):
        await client.put(Key.of("record", number, at), b"%d" % at)
    for _ in range(INCREMENTS):
        await increment(client, COUNTERS[number % len(COUNTERS)])
    mine = [record async for record in client.scan(KeyRange.tuple_prefix("record", number))]
    assert [record.value for record in mine] == [b"%d" % at for at in range(RECORDS)]


async def increment(client: Client, counter: Key) -> None:
    """Adds one, however many others do."""
    while True:
        found = await client.get(counter)
        assert found is not None
        try:
            await client.put(counter, b"%d" % (int(found.value) + 1), if_etag=found.etag)
        except EtagMismatched:
            continue
        return


async def holds(cluster: ContainerCluster, etags: dict[Key, int]) -> None:
    """Every record is there, with the etag that its write was given."""
    async with connect(cluster.address("router"), mode="gateway", timeout=60) as client:
        found = {record.key: record.etag async for record in client.scan(KeyRange.tuple_prefix("kept"))}
    assert found == etags


async def a_limit_is_far(cluster: ContainerCluster) -> None:
    """No container came near the memory that it may take."""
    for service, variable in (
        ("etcd-1", "ETCD_MEMORY"),
        ("storage-1", "STORAGE_MEMORY"),
        ("router-1", "ROUTER_MEMORY"),
        (METRICS, "METRICS_MEMORY"),
        ("gateway", "GATEWAY_MEMORY"),
    ):
        limit = int(str(dotenv_values(ROOT / ".env")[variable]).removesuffix("m")) << 20
        assert cluster.memory(service) < limit // 2, f"{service} takes {cluster.memory(service) >> 20} MiB"


def thick(cluster: ContainerCluster) -> list[Client]:
    """Clients that talk to the nodes themselves."""
    return [connect(*map(cluster.address, STORAGE), timeout=60) for _ in range(CLIENTS_OF_EACH_KIND)]


def gateway(cluster: ContainerCluster) -> list[Client]:
    """Clients that know one address."""
    return [connect(cluster.address("router"), mode="gateway", timeout=60) for _ in range(CLIENTS_OF_EACH_KIND)]
