"""Every metric of the registry is exported by the services that it names, and moves when it should: on real processes."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kit.metrics_calls import metrics_at, until_fresh
from kit.process_cluster import ProcessCluster
from kit.scrape import Figures, answer, scrape

from dstk_client import DeadlineExceeded, EtagMismatched, Key, KeyRange, NotServing, WriteAmbiguous, connect
from dstk_client.admin import AdminClient
from dstk_client.client import Client
from dstk_service.errors import DstkError
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC
from dstk_telemetry.registry import metrics_of
from dstk_telemetry.registry.kinds import Owner

pytestmark = [pytest.mark.slow]

KEYS = [Key.of(letter, number) for letter in "ahr" for number in range(100)]


class Scraped:
    """What all storage nodes, and the router, have said at one moment."""

    def __init__(self, nodes: Sequence[Figures], router: Figures) -> None:
        self.nodes, self.router = nodes, router

    def sum(self, name: str, **labels: str) -> float:
        """Over all storage nodes."""
        return sum(figures.sum(name, **labels) for figures in self.nodes)


async def scraped(cluster: ProcessCluster) -> Scraped:
    *nodes, router = await asyncio.gather(*(scrape(cluster.operations(name)) for name in (*cluster.names, "router")))
    return Scraped(nodes, router)


@asynccontextmanager
async def three_nodes(path: Path) -> AsyncIterator[tuple[ProcessCluster, Client, Client]]:
    """A cluster with a thick client and one through its router."""
    async with (
        ProcessCluster(path, nodes=3, splits=["g", "p"], router=True) as cluster,
        connect(cluster.address("storage-1"), timeout=60) as thick,
        connect(cluster.address("router"), mode="gateway", timeout=60) as gateway,
    ):
        yield cluster, thick, gateway


async def put(client: Client, key: Key, value: bytes, ttl: timedelta | None = None) -> None:
    """Again where a busy machine has failed the write, or made its outcome ambiguous."""
    while True:
        with suppress(WriteAmbiguous, DeadlineExceeded, NotServing):
            await client.put(key, value, ttl=ttl)
            return


async def read(client: Client, key: Key) -> None:
    """Likewise."""
    while True:
        with suppress(DeadlineExceeded, NotServing):
            await client.get(key)
            return


async def test_every_metric_is_there_and_traffic_moves_it(tmp_path: Path) -> None:
    async with three_nodes(tmp_path) as (cluster, thick, gateway):
        await asyncio.gather(*(put(thick, key, b"v" * 100) for key in KEYS))
        await asyncio.gather(*(gateway.get(key) for key in KEYS))
        assert await gateway.get(Key.of("a", "nothing")) is None
        assert [record async for record in gateway.scan(KeyRange.everything())]
        with suppress(WriteAmbiguous, DeadlineExceeded, NotServing):
            await gateway.delete(KEYS[0])
        with pytest.raises(EtagMismatched):
            await thick.put(KEYS[1], b"w", if_etag=1 << 40)
        await put(thick, KEYS[0], b"short-lived", timedelta(milliseconds=1))

        async def everything_is_seen() -> bool:
            found = await scraped(cluster)
            for owner, figures in [(Owner.ROUTER, found.router), *((Owner.STORAGE, node) for node in found.nodes)]:
                assert {metric.name for metric in metrics_of(owner)} - figures.names == set(), owner
            assert found.sum("dstk_expired_records_total") >= 1
            _served(found)
            _stored(found)
            _coordinated(found)
            return True

        await eventually(everything_is_seen)


def _served(found: Scraped) -> None:
    """Calls and operations."""
    for figures in (found.router, found):
        assert figures.sum("dstk_operations_total", operation="get", outcome="ok") >= len(KEYS) + 1
        assert figures.sum("dstk_operations_total", operation="delete") >= 1
        assert figures.sum("dstk_operations_total", operation="scan") >= 1
        assert figures.sum("dstk_execute_seconds_count") == figures.sum("dstk_execute_operations_count") > 0
        assert figures.sum("dstk_execute_response_bytes_total") > 0
        assert figures.sum("dstk_rpc_ended_total", rpc_method="ScanPages") >= 1
    assert found.sum("dstk_operations_total", operation="put", outcome="ok") >= len(KEYS) + 1
    assert found.sum("dstk_operations_total", operation="put", outcome="client") >= 1
    assert found.sum("dstk_rpc_seconds_count") > 0
    assert found.sum("dstk_rpc_bytes_total") > 0
    router = found.router
    assert router.sum("dstk_client_batch_operations_sum") >= len(KEYS)
    assert 0 < router.sum("dstk_client_message_seconds_count") <= router.sum("dstk_client_batch_operations_count")
    assert router.sum("dstk_client_queued_operations") == 0


def _stored(found: Scraped) -> None:
    """The commit pipeline, partitions and replicas."""
    assert found.sum("dstk_commit_records_total") >= 3 * len(KEYS)
    assert found.sum("dstk_commit_bytes_total") >= 3 * 100 * len(KEYS)
    assert found.sum("dstk_commit_write_seconds_sum") > 0
    assert found.sum("dstk_commit_failures_total") == found.sum("dstk_disk_read_only") == 0
    assert found.sum("dstk_disk_capacity_bytes") > found.sum("dstk_disk_free_bytes") > 0
    assert found.sum("dstk_partition_writes_total") >= len(KEYS)
    assert found.sum("dstk_partition_reads_total") >= len(KEYS)
    assert found.sum("dstk_partition_records") == pytest.approx(len(KEYS), rel=0.1)
    assert found.sum("dstk_partition_size_bytes") > 100 * len(KEYS) / 2
    assert found.sum("dstk_replicas", role="primary") == 3
    assert found.sum("dstk_replicas", role="follower") + found.sum("dstk_replicas", role="learner") == 6
    assert found.sum("dstk_partitions_not_serving") == 0


def _coordinated(found: Scraped) -> None:
    """etcd, the map and the process."""
    for figures in (found.router, *found.nodes):
        assert figures.sum("dstk_map_partitions") == 3
        assert figures.sum("dstk_map_revision") > 0
        assert figures.sum("dstk_map_silence_seconds") == 0
        assert figures.sum("dstk_etcd_requests_total", request="watch", result="ok") >= 1
        assert figures.sum("dstk_etcd_requests_total", request="range", result="ok") >= 1
        assert figures.sum("dstk_ready", part="serving") == figures.sum("dstk_ready", part="map") == 1
        assert figures.sum("dstk_event_loop_tasks") > 0
        assert figures.sum("dstk_observer_failures_total") == 0
        assert figures.sum("process_resident_memory_bytes") > 1 << 20
        assert not [name for name in figures.names if name.endswith("_created")]
    for node in found.nodes:
        assert node.sum("dstk_etcd_requests_total", request="lease", result="ok") >= 1
        assert node.sum("dstk_etcd_lease_silence_seconds") > 0
    assert found.sum("dstk_controller_leads") <= 1


async def test_a_metrics_service_exports_what_it_hears_and_keeps(tmp_path: Path) -> None:
    async with (
        ProcessCluster(tmp_path, nodes=2, splits=["g", "p"], metrics=1) as cluster,
        connect(cluster.address("storage-1"), timeout=60) as thick,
    ):
        await asyncio.gather(*(put(thick, key, b"v" * 100) for key in KEYS))
        assert (await answer(urlsplit(cluster.console()).netloc, "/"))[0] == 200
        async with metrics_at(cluster.address("metrics")) as metrics:
            await until_fresh(metrics, 3)
            assert (await metrics.estimate(KeyRange(KEYS[10], KEYS[50]))).records

        async def everything_is_seen() -> bool:
            found = await scrape(cluster.operations("metrics"))
            assert {metric.name for metric in metrics_of(Owner.METRICS)} - found.names == set()
            assert found.sum("dstk_feed_connected") == 2
            assert found.sum("dstk_statistics_partitions", freshness="fresh") == 3
            assert found.sum("dstk_cluster_partition_records") == pytest.approx(len(KEYS), rel=0.1)
            assert found.sum("dstk_history_size_bytes") > 0
            assert found.sum("dstk_measure_requests_total", result="ok") >= 1
            assert found.sum("dstk_measure_records_total") >= 40
            assert found.sum("dstk_feed_refused_rows_total") == found.sum("dstk_observer_failures_total") == 0
            return True

        await eventually(everything_is_seen, within=60)
        _, text = await answer(cluster.operations("metrics"), "/metrics/partitions")
        assert text.count("dstk_cluster_partition_records{") == 3


async def test_a_failover_and_a_change_of_the_map_are_seen(tmp_path: Path) -> None:
    async with three_nodes(tmp_path) as (cluster, thick, gateway):
        await asyncio.gather(*(put(thick, key, b"v") for key in KEYS))
        async with GRPC.connect(cluster.address("router")) as channel:
            admin = AdminClient(channel, "router", 60)

            async def is_split() -> bool:
                with suppress(DstkError):  # it is tried again, or done already
                    await admin.split(at=Key.of("a", 50))
                return (await scraped(cluster)).sum("dstk_map_changes_total", change="split") == 1

            await eventually(is_split)
            victim = (await admin.partitions()).partitions[0].partition.primary
        cluster.kill(victim)
        await asyncio.gather(*(read(gateway, key) for key in KEYS))
        await asyncio.gather(*(put(gateway, key, b"w") for key in KEYS))
        survivors = [cluster.operations(name) for name in cluster.names if name != victim]

        async def is_seen() -> bool:
            nodes = Scraped(await asyncio.gather(*map(scrape, survivors)), await scrape(cluster.operations("router")))
            assert nodes.sum("dstk_failovers_total") >= 1
            assert nodes.sum("dstk_elections_total", result="won") > nodes.sum("dstk_failovers_total")
            assert nodes.sum("dstk_in_sync_changes_total", change="evicted") >= 1
            assert nodes.sum("dstk_partitions_under_replicated") == 4
            assert nodes.router.sum("dstk_client_retries_total") >= 1
            return True

        await eventually(is_seen)
        await cluster.start(victim)

        async def is_admitted() -> bool:
            found = await scraped(cluster)
            assert found.sum("dstk_partitions_under_replicated") == 0
            # an election just after an admission can come to its primary's notice first, and then it counts nothing
            assert found.sum("dstk_in_sync_changes_total", change="admitted") >= 1
            return True

        await eventually(is_admitted)


async def test_an_absent_etcd_is_seen_and_does_not_make_a_node_unready(tmp_path: Path) -> None:
    async with ProcessCluster(tmp_path) as cluster:
        address = cluster.operations("storage-1")
        cluster.kill("etcd")

        async def is_seen() -> bool:
            figures = await scrape(address)
            return figures.sum("dstk_map_silence_seconds") > 0 and figures.sum("dstk_etcd_watch_restarts_total") >= 1

        await eventually(is_seen)
        assert (await answer(address, "/readyz"))[0] == 200
        await cluster.start("etcd")

        async def is_over() -> bool:
            return (await scrape(address)).sum("dstk_map_silence_seconds") == 0

        await eventually(is_over)


async def test_a_node_without_room_is_alive_and_says_why_it_is_not_ready(tmp_path: Path) -> None:
    async with ProcessCluster(tmp_path, storage_options=["--disk-reserve-bytes", str(1 << 60)]) as cluster:
        operations = cluster.operations("storage-1")
        assert (await answer(operations, "/healthz"))[0] == 200

        async def is_not_ready() -> bool:
            status, body = await answer(operations, "/readyz")
            parts = json.loads(body)["parts"]
            assert (status, parts["serving"], parts["map"]) == (503, "ready", "ready")
            assert "its disk has" in parts["disk"]
            return (await scrape(operations)).sum("dstk_ready", part="disk") == 0

        await eventually(is_not_ready)

        async def key_value_is_not_serving() -> bool:
            health = {name: await _health(cluster.address("storage-1"), name) for name in ("dstk.v1.KeyValue", "")}
            return health == {
                "dstk.v1.KeyValue": health_pb2.HealthCheckResponse.NOT_SERVING,
                "": health_pb2.HealthCheckResponse.SERVING,
            }

        await eventually(key_value_is_not_serving)


async def _health(address: str, service: str) -> int:
    async with GRPC.connect(address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        response = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=60)
        return int(response.status)


async def test_a_service_that_is_switched_off_has_no_operations_server(tmp_path: Path) -> None:
    async with ProcessCluster(tmp_path, storage_options=["--operations-listen", "off"]) as cluster:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*cluster.operations("storage-1").split(":"))
        assert await _health(cluster.address("storage-1"), "") == health_pb2.HealthCheckResponse.SERVING
