"""Wall clocks that jump, under load: only expiry depends on them, leases and order do not."""

import pytest
from kit.process_cluster import ProcessCluster

from dstk_client import connect
from dstk_keytypes import Key, Ttl
from faults.scenario import RECONFIGURATION_SECONDS, under_load

pytestmark = pytest.mark.slow

HOUR = 3600
LOAD_SECONDS = 1.0
CLOCKS = [(HOUR, -HOUR, 0), (-HOUR, HOUR, HOUR), (24 * HOUR, 0, -24 * HOUR), (0, 0, 0)]
"""How far ahead each node's clock is, one jump after another."""


async def test_clocks_that_jump_apart_fail_no_request(tampered_cluster: ProcessCluster) -> None:
    async with under_load(tampered_cluster, "clocks") as scenario:
        for ahead in CLOCKS:
            for name, seconds in zip(scenario.cluster.names, ahead, strict=True):
                scenario.cluster.tampering(name).ahead = seconds
            await scenario.runs_for(LOAD_SECONDS)
            await scenario.calls_are_answered()
        scenario.nothing_failed()
        scenario.no_pause_above(RECONFIGURATION_SECONDS)


async def test_a_clock_that_jumps_is_the_one_that_a_time_to_live_goes_by(tampered_cluster: ProcessCluster) -> None:
    """Checks that the clocks are really set; otherwise the test above would prove nothing."""
    key = Key.text("a/lives-for-a-time")
    async with connect(tampered_cluster.address("router"), mode="gateway", timeout=60) as client:
        await client.put(key, b"v", ttl=Ttl.seconds(HOUR / 2))
        assert await client.get(key) is not None
        for name in tampered_cluster.names:
            tampered_cluster.tampering(name).ahead = HOUR
        assert await client.get(key) is None
        for name in tampered_cluster.names:
            tampered_cluster.tampering(name).ahead = 0
