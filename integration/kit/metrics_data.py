"""A plausible cluster for the console: partitions with figures that are the same in each run."""

import random
from collections.abc import Iterator

from dstk.v1 import metrics_pb2
from dstk_keytypes.codec import encode

COUNTRIES = ("BR", "CA", "CN", "DE", "EG", "FR", "GB", "IN", "JP", "KE", "MX", "NG", "PL", "US", "ZA")
NOW_MS = 1_764_200_000_000
HOT = 7
"""The position of the hot partition in a busy cluster."""


def busy(count: int = 48, nodes: int = 3) -> list[metrics_pb2.PartitionStats]:
    """A cluster with one hot partition, the one at HOT, if it has so many."""
    rng = random.Random(16)
    bounds = [b"", *_keys(count - 1), b""]
    made = [_stats(number, bounds, rng, nodes) for number in range(count)]
    if count > HOT:
        hot = made[HOT]
        hot.reads, hot.read_bytes, hot.time = 41_234.5, 21_000_000, 0.83
        hot.read_latency.CopyFrom(metrics_pb2.Latency(p50_s=0.0009, p99_s=0.021))
    return made


def broken(count: int = 48, silent: str = "storage-2") -> list[metrics_pb2.PartitionStats]:
    """The busy cluster while a node is silent: its figures are old, and one of its partitions was never heard of."""
    made = busy(count)
    mine = [each for each in made if each.primary == silent]
    for each in mine:
        each.age_s, each.stale, each.serving, each.in_sync = 94.0, True, False, 2
    never = mine[0]
    identity = {name: getattr(never, name) for name in ("partition_id", "start", "end", "epoch", "primary", "replicas")}
    never.CopyFrom(metrics_pb2.PartitionStats(**identity, age_s=-1, stale=True))
    return made


def hostile() -> list[metrics_pb2.PartitionStats]:
    """Partitions whose bounds are what a page must not obey."""
    bounds = [
        b"",
        b"\x00\x01\x1b[31m",
        b"<img src=x onerror=alert(1)>",
        b"<script>window.hacked = true</script>",
        "abc\u202ecba\u202d".encode(),
        "\u05d0\u05d1\u05d2 shalom".encode(),
        b"\xff" * 1024,
        b"",
    ]
    rng = random.Random(3)
    return [_stats(number, bounds, rng, 3) for number in range(len(bounds) - 1)]


def _keys(count: int) -> list[bytes]:
    """So many keys, ascending: cities for a small cluster, numbers for a large one."""
    if count <= len(COUNTRIES) * 10:
        return sorted(encode(("city", country, 100_000 * number)) for country in COUNTRIES for number in range(10))[
            :count
        ]
    return [b"user/%08d" % number for number in range(count)]


def _stats(number: int, bounds: list[bytes], rng: random.Random, nodes: int) -> metrics_pb2.PartitionStats:
    load = rng.paretovariate(1.4)
    records = int(rng.uniform(20_000, 900_000))
    return metrics_pb2.PartitionStats(
        partition_id=number + 1,
        start=bounds[number],
        end=bounds[number + 1],
        epoch=rng.randint(1, 9),
        primary=f"storage-{number % nodes + 1}",
        age_s=rng.uniform(0.1, 9.0),
        reads=120 * load,
        writes=35 * rng.paretovariate(1.5),
        scanned=10 * rng.paretovariate(1.1),
        read_bytes=61_000 * load,
        written_bytes=18_000 * load,
        failures=metrics_pb2.FailureRates(client=rng.choice([0, 0, 0.1]), refused=0.02 * load),
        time=0.004 * load,
        queue_wait_s=0.0008,
        read_latency=metrics_pb2.Latency(p50_s=0.00021, p99_s=0.0012 * rng.uniform(0.7, 2)),
        write_latency=metrics_pb2.Latency(p50_s=0.0011, p99_s=0.006 * rng.uniform(0.7, 2)),
        records=records,
        records_error=records // 200,
        bytes=records * 410,
        bytes_error=records * 2,
        counted=True,
        sequence=rng.randint(1_000, 90_000_000),
        lag_entries=rng.choice([0, 0, 0, 3]),
        lag_s=0.01,
        replicas=3,
        in_sync=3,
        serving=True,
    )


def totals(partitions: list[metrics_pb2.PartitionStats], at_ms: int, nodes: int) -> metrics_pb2.ClusterStats:
    """The sums of all partitions."""
    total = metrics_pb2.ClusterStats(
        at_ms=at_ms, nodes=nodes, reporting_nodes=nodes, free_bytes=710 << 30, capacity_bytes=nodes * (500 << 30)
    )
    for name in ("reads", "writes", "scanned", "read_bytes", "written_bytes", "time", "records", "bytes", "replicas"):
        setattr(total, name, sum(getattr(each, name) for each in partitions))
    total.records_error, total.bytes_error = total.records // 300, total.bytes // 300
    for name in ("client", "refused", "server"):
        setattr(total.failures, name, sum(getattr(each.failures, name) for each in partitions))
    total.partitions, total.in_sync_replicas = len(partitions), sum(each.in_sync for each in partitions)
    total.serving_partitions = sum(each.serving for each in partitions)
    total.stale_partitions = sum(each.stale for each in partitions)
    total.uncounted_partitions = sum(not each.counted for each in partitions)
    total.lag_entries = max((each.lag_entries for each in partitions), default=0)
    if partitions:
        total.read_latency.CopyFrom(metrics_pb2.Latency(p50_s=0.0003, p99_s=0.0021))
        total.write_latency.CopyFrom(metrics_pb2.Latency(p50_s=0.0012, p99_s=0.0088))
    total.reporting_nodes -= len({each.primary for each in partitions if each.stale})
    return total


def column_times(from_ms: int, to_ms: int, columns: int) -> Iterator[int]:
    """When each column begins."""
    step = max(1, (to_ms - from_ms) // columns)
    return iter(range(from_ms, to_ms, step))
