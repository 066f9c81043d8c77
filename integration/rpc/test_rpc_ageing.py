"""A server that sends its clients away again and again, by gRPC's own GOAWAY, under a steady load."""

import pytest
from kit.map_entries import map_entry
from kit.scripted import scripted
from kit.wire import wire

from dstk_keytypes import Key
from dstk_service.errors import WriteAmbiguous
from dstk_service.testing import PATIENCE_SECONDS
from rpc.operations import filled
from rpc.paths import ROUTER, THICK, to_node

AGE_MS, GRACE_MS = 200, 50
"""How old a connection becomes, and how long its streams may then go on: an Execute stream never ends by itself."""

CONNECTIONS = 8


@pytest.mark.parametrize("path", [THICK, ROUTER])
async def test_connections_that_grow_old_lose_no_write_and_repeat_none(path: str) -> None:
    ageing = {"grpc.max_connection_age_ms": AGE_MS, "grpc.max_connection_age_grace_ms": GRACE_MS}
    store = filled()
    acknowledged: list[Key] = []
    unknown: list[Key] = []
    async with scripted(options=ageing) as server, wire(server.address) as between:
        server.owns(map_entry(1), nodes={"storage-1": between.address})
        async with to_node(path, server, between.address, PATIENCE_SECONDS) as client:
            while between.connections < CONNECTIONS:
                key = Key.of(len(acknowledged), len(unknown))
                server.script(key, store.operation)
                try:
                    await client.put(key, b"v")
                    acknowledged.append(key)
                except WriteAmbiguous:
                    unknown.append(key)
                assert await client.get(key) is not None or key in unknown
    assert all(store.effects[key] == 1 for key in acknowledged)
    assert all(store.effects[key] <= 1 for key in unknown)
    assert len(unknown) <= between.connections, "only what was on its way when a connection ended can be unknown"
