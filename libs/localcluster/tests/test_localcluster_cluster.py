"""A real cluster through the library alone: started, its processes killed, stopped and started, gone at the end."""

from pathlib import Path

import pytest

from dstk_client import connect
from dstk_keytypes import Key
from dstk_localcluster import AlreadyUp, ClusterSpec, ClusterState, InvalidSpec, Phase, local_cluster
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]

K = Key.text("hello")


async def test_a_process_that_was_killed_stays_down_until_it_is_started(tmp_path: Path) -> None:
    changes: list[ClusterState] = []
    async with local_cluster(tmp_path, ClusterSpec(nodes=1), changes.append) as cluster:
        assert list(cluster.addresses) == ["etcd", "storage-1", "router", "metrics"]
        async with connect(cluster.router, timeout=60) as client:
            await client.put(K, b"world")
            killed = cluster.process("storage-1").process
            await cluster.kill("storage-1")
            assert killed is not None
            assert not killed.alive
            assert (cluster.process("storage-1").phase, cluster.state.phase) == (Phase.STOPPED, Phase.DEGRADED)
            await cluster.start("storage-1")
            await cluster.restart("router")
        async with connect(cluster.router, timeout=60) as client:
            record = await client.get(K)
        assert record is not None
        assert record.value == b"world"
        assert (cluster.state.phase, cluster.process("storage-1").restarts) == (Phase.SERVING, 0)
        with pytest.raises(AlreadyUp):
            await local_cluster(tmp_path).__aenter__()
        left = cluster.state.running()
    assert changes[-1].phase is Phase.STOPPED
    assert not any(process.alive for process in left)


async def test_a_spec_that_cannot_be_met_names_its_field_and_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="nodes 33 is out of bounds") as refusal:
        await local_cluster(tmp_path, ClusterSpec(nodes=33)).__aenter__()
    assert refusal.value.field == "nodes"
    await eventually(lambda: not (tmp_path / "run.json").exists())
