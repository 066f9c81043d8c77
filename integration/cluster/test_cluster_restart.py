"""A node and a router that are restarted while callers write: every write is answered, and none is in doubt."""

import asyncio
from pathlib import Path

from kit.process_cluster import ProcessCluster

from dstk_client import Client, connect
from dstk_keytypes import Key

CALLERS = 60
ROUNDS = 3


async def _write(client: Client, key: Key, stop: asyncio.Event) -> int:
    """Counts up a key by blind writes, each of which must be answered; the last one is what there is in the end."""
    etag, count = await client.put(key, b"0", if_absent=True), 0
    while not stop.is_set():
        count += 1
        etag = await client.put(key, b"%d" % count, timeout=60)
    record = await client.get(key)
    assert record is not None
    assert (record.value, record.etag) == (b"%d" % count, etag)
    return count


async def test_no_write_is_in_doubt_when_a_server_is_restarted(tmp_path: Path) -> None:
    async with (
        ProcessCluster(tmp_path, router=True) as cluster,
        connect(cluster.address("storage-1"), timeout=60) as thick,
        connect(cluster.address("router"), mode="gateway", timeout=60) as gateway,
    ):
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as callers:
            for number in range(CALLERS):
                for name, client in (("thick", thick), ("gateway", gateway)):
                    callers.create_task(_write(client, Key.text(f"{name}/{number}"), stop))
            for _ in range(ROUNDS):
                for name in ("router", "storage-1"):
                    await asyncio.sleep(0.3)
                    await cluster.restart(name)
            stop.set()
