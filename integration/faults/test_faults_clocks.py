"""Clocks that are set, under load: only what lives for a time goes by them, no lease and no order does."""

import pytest
from kit.process_cluster import ProcessCluster

from dstk_client import connect
from dstk_keytypes import Key, Ttl
from faults.stage import HITCH_SECONDS, under_load

pytestmark = pytest.mark.slow

HOUR = 3600
LOAD_SECONDS = 1.0
CLOCKS = [(HOUR, -HOUR, 0), (-HOUR, HOUR, HOUR), (24 * HOUR, 0, -24 * HOUR), (0, 0, 0)]
"""How far ahead each node's clock is, one jump after another."""


async def test_clocks_that_jump_apart_fail_no_request(tampered_cluster: ProcessCluster) -> None:
    async with under_load(tampered_cluster, "clocks") as stage:
        for ahead in CLOCKS:
            for name, seconds in zip(stage.cluster.names, ahead, strict=True):
                stage.cluster.tampering(name).ahead = seconds
            await stage.goes_on_for(LOAD_SECONDS)
            await stage.calls_are_answered()
        stage.nothing_failed()
        stage.no_pause_above(HITCH_SECONDS)


async def test_a_clock_that_jumps_is_the_one_that_a_time_to_live_goes_by(tampered_cluster: ProcessCluster) -> None:
    """Else the test above would show nothing."""
    key = Key.text("a/lives-for-a-time")
    async with connect(tampered_cluster.address("router"), mode="gateway") as client:
        await client.put(key, b"v", ttl=Ttl.seconds(HOUR / 2))
        assert await client.get(key) is not None
        for name in tampered_cluster.names:
            tampered_cluster.tampering(name).ahead = HOUR
        assert await client.get(key) is None
        for name in tampered_cluster.names:
            tampered_cluster.tampering(name).ahead = 0
