"""Connecting: the one place that puts a client together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

from dstk_client.core import CoreClient
from dstk_client.nodes import GatewayLocator, ThickLocator
from dstk_client.topology import MapSource, Topology
from dstk_client.watch import WatchSource
from dstk_service.errors import NotServing

Mode = Literal["thick", "gateway"]


@asynccontextmanager
async def connect(*addresses: str, mode: Mode = "thick", timeout: float = 5.0) -> AsyncIterator[CoreClient]:
    """A client of the cluster that can be reached at `addresses` (host:port).

    thick: reads the map from any of them, storage node or router, then talks straight to the storage nodes, which is
    fastest. gateway: sends everything to them; they must be routers. `timeout`: seconds for calls that name none, and for
    the map to arrive. Raises NotServing when it does not.
    """
    if not addresses:
        raise ValueError("name at least one address to connect to, such as '127.0.0.1:7000'")
    if mode == "gateway":
        locator = GatewayLocator(addresses)
        try:
            yield CoreClient(locator, timeout)
        finally:
            await locator.close()
        return
    async with routed(WatchSource(addresses), timeout) as (client, locator_):
        await _map_arrives(locator_.topology, addresses, timeout)
        yield client


@asynccontextmanager
async def routed(source: MapSource, timeout: float) -> AsyncIterator[tuple[CoreClient, ThickLocator]]:
    """A client that follows the map of `source`; it may have none yet."""
    topology = Topology()
    locator = ThickLocator(topology)
    following = asyncio.create_task(_follow(source, topology))
    try:
        yield CoreClient(locator, timeout), locator
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await locator.close()


async def _follow(source: MapSource, topology: Topology) -> None:
    async for update in source.updates():
        topology.apply(update)


async def _map_arrives(topology: Topology, addresses: tuple[str, ...], timeout: float) -> None:
    try:
        async with asyncio.timeout(timeout):
            await topology.ready.wait()
    except TimeoutError:
        why = f"no partition map from {', '.join(addresses)} within {timeout:g} s: is the cluster up, and bootstrapped?"
        raise NotServing(why, 1.0) from None
