"""/metrics/partitions: all of them, a few answers at a time, off the event loop."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
from kit.scrape import answer
from prometheus_client.parser import text_string_to_metric_families

from dstk_metrics.adapters.every_partition import PATH, every_partition
from dstk_metrics.domain.partition_table import AMOUNTS, DONE, PartitionTable
from dstk_service.testing import eventually
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.operations import OperationsServer
from dstk_telemetry.registry import cluster_partitions
from dstk_telemetry.registry.kinds import Owner
from dstk_telemetry.streamed import MOST_AT_ONCE, StreamedText

MANY = 100_000


class Tables:
    """Tables of so many partitions, whose figures all differ. `made`: how many were asked for."""

    def __init__(self, partitions: int) -> None:
        self.partitions, self.made = partitions, 0

    def __call__(self) -> PartitionTable:
        self.made += 1
        ids = np.arange(1, self.partitions + 1)
        return PartitionTable(ids, ids, self._figures(len(DONE), 1), self._figures(len(AMOUNTS), 100))

    def _figures(self, columns: int, factor: int) -> "np.typing.NDArray[np.float64]":
        return np.outer(np.arange(1, self.partitions + 1), np.arange(1, columns + 1)) * float(factor)


@pytest.fixture
def tables(request: pytest.FixtureRequest) -> Tables:
    return Tables(getattr(request, "param", 3))


@pytest.fixture
async def server(tables: Tables) -> AsyncIterator[OperationsServer]:
    route = StreamedText(PATH, lambda: every_partition(tables())).route
    made = OperationsServer("127.0.0.1:0", Instruments(Owner.METRICS), dict, [route])
    await made.start(asyncio.create_task)
    yield made
    await made.close()


async def test_every_partition_has_every_series(server: OperationsServer) -> None:
    status, text = await answer(server.address, PATH)
    assert status == 200
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert len(samples) == 3 * len(cluster_partitions.METRICS)
    found = {(sample.name, sample.labels["partition"]): sample.value for sample in samples}
    assert found[cluster_partitions.READS.name, "2"] == 2
    assert found[cluster_partitions.TIME.name, "3"] == 3 * len(DONE)
    assert found[cluster_partitions.SIZE.name, "1"] == 200


def reading_nothing(server: OperationsServer) -> socket.socket:
    host, port = server.address.split(":")
    caller = socket.create_connection((host, int(port)))
    caller.sendall(f"GET {PATH} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    return caller


@pytest.mark.parametrize("tables", [20_000], indirect=True)
async def test_callers_that_do_not_read_hold_up_others_only_until_they_leave(
    server: OperationsServer, tables: Tables
) -> None:
    """An answer of 10 MB fits into no buffer."""
    silent = [reading_nothing(server) for _ in range(MOST_AT_ONCE)]
    await eventually(lambda: tables.made == len(silent))
    waiting = asyncio.create_task(answer(server.address, PATH))
    assert (await answer(server.address, "/healthz"))[0] == 200
    assert tables.made == len(silent), "the next caller waits for its turn"
    silent.pop().close()
    assert (await waiting)[0] == 200
    silent.pop().close()


@pytest.mark.slow
def test_a_hundred_thousand_partitions_are_made_in_small_pieces() -> None:
    """CPU time: while a piece is made, the event loop has to wait for the interpreter at most so long."""
    size, seconds = 0, []
    for piece in every_partition(Tables(MANY)()):
        begun = time.thread_time()
        size += len(piece())
        seconds.append(time.thread_time() - begun)
    assert MANY * len(cluster_partitions.METRICS) * 40 < size < 80_000_000
    assert sum(seconds) < 3, sum(seconds)
    assert max(seconds) < 0.02, max(seconds)
