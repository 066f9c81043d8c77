"""Steady traffic of all kinds on a cluster, through its router and by the thick client, as dashboards should show it."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from dstk_client import Client, connect
from dstk_keytypes import Key, KeyRange, Ttl
from dstk_service.errors import DstkError

CALLERS = 4
"""Of each client."""
THINK_SECONDS = 0.02
KEYS = [Key.text(f"{letter}{number:02}") for letter in "bcdhijqrst" for number in range(50)]
VALUE = b"v" * 200


@asynccontextmanager
async def traffic_on(router: str, nodes: Sequence[str]) -> AsyncIterator[None]:
    """Callers at work until the block ends. They take errors as they come: faults are what the block is about."""
    async with connect(router, mode="gateway") as gateway, connect(*nodes) as thick, asyncio.TaskGroup() as callers:
        clients = [client for client in (gateway, thick) for _ in range(CALLERS)]
        tasks = [callers.create_task(_call(client, random.Random(seed))) for seed, client in enumerate(clients)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _call(client: Client, rng: random.Random) -> None:
    operations = [_get, _get, _get, _put, _put, _delete, _scan, _expiring, _conflicting]
    while True:
        try:
            await rng.choice(operations)(client, rng)
        except DstkError:
            await asyncio.sleep(THINK_SECONDS)
        await asyncio.sleep(rng.expovariate(1 / THINK_SECONDS))


def _key(rng: random.Random) -> Key:
    """Some keys are busier than others."""
    return KEYS[int(len(KEYS) * rng.random() ** 3)]


async def _get(client: Client, rng: random.Random) -> None:
    await client.get(_key(rng))


async def _put(client: Client, rng: random.Random) -> None:
    await client.put(_key(rng), VALUE)


async def _delete(client: Client, rng: random.Random) -> None:
    await client.delete(_key(rng))


async def _expiring(client: Client, rng: random.Random) -> None:
    await client.put(_key(rng), VALUE, ttl=Ttl(1000))


async def _conflicting(client: Client, rng: random.Random) -> None:
    """Mostly refused: callers make mistakes too."""
    await client.put(_key(rng), VALUE, if_etag=1)


async def _scan(client: Client, rng: random.Random) -> None:
    start = _key(rng)
    async for _ in client.scan(KeyRange(start, None), limit=20):
        pass
