"""Services in etcd: registered while they serve, found by kind, through whatever happens to etcd and whatever it holds."""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.port import Coordinator, Delete, Put
from dstk_cluster.records import Keys
from dstk_cluster.services import (
    ServiceDirectory,
    ServiceInfo,
    ServiceKind,
    ServiceRegistration,
    dump_service,
    load_service,
    new_id,
)
from dstk_service.clock import Clock, SystemClock
from dstk_service.service import Service
from dstk_service.testing import ManualClock, eventually

METRICS = ServiceKind.METRICS
LEASE = 6
ONE = ServiceInfo("1", "127.0.0.1:7300", "0.1", "http://127.0.0.1:7200")
TWO = ServiceInfo("2", "127.0.0.1:7301", "0.1")


@asynccontextmanager
async def directory(
    coordinator: Coordinator, cluster: str = "c", clock: Clock | None = None
) -> AsyncIterator[ServiceDirectory]:
    made = ServiceDirectory(coordinator, cluster, METRICS, clock or SystemClock(), random.Random(1))
    task = asyncio.create_task(made.run())
    try:
        yield made
        assert not task.done()
    finally:
        task.cancel()


@asynccontextmanager
async def service(
    coordinator: Coordinator, info: ServiceInfo, cluster: str = "c", clock: Clock | None = None
) -> AsyncIterator["asyncio.Task[None]"]:
    """Runs a service whose only part is its registration."""
    describe: Callable[[], ServiceInfo] = lambda: info
    made = ServiceRegistration(coordinator, cluster, METRICS, describe, LEASE, clock or SystemClock(), random.Random(1))
    stop = asyncio.Event()
    task = asyncio.create_task(Service([made]).run(stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.gather(task, return_exceptions=True)


async def write(coordinator: Coordinator, name: str, value: bytes, cluster: str = "c") -> None:
    await coordinator.txn([], [Put(Keys(cluster).service(METRICS, name), value)])


async def test_a_service_is_listed_while_it_runs_and_gone_once_it_has_stopped(
    coordinator: Coordinator, cluster: str
) -> None:
    async with directory(coordinator, cluster) as found:
        async with service(coordinator, ONE, cluster):
            await eventually(lambda: found.services == (ONE,))
            async with service(coordinator, TWO, cluster):
                await eventually(lambda: found.services == (ONE, TWO))
            await eventually(lambda: found.services == (ONE,))
        await eventually(lambda: not found.services)


async def test_a_service_of_another_kind_is_not_listed(coordinator: Coordinator, cluster: str) -> None:
    keys = Keys(cluster)
    await coordinator.txn([], [Put(keys.service("backup", "3"), dump_service(ONE))])
    await write(coordinator, "2", dump_service(TWO), cluster)
    async with directory(coordinator, cluster) as found:
        await eventually(lambda: found.services == (TWO,))


async def test_a_service_that_is_killed_is_gone_after_its_lease() -> None:
    clock = ManualClock()
    coordinator = MemoryCoordinator(clock)
    async with directory(coordinator, clock=clock) as found, service(coordinator, ONE, clock=clock) as running:
        await eventually(lambda: found.services == (ONE,))
        await clock.advance(4 * LEASE)
        assert found.services == (ONE,), "its lease is renewed"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await clock.advance(LEASE + 0.1)
        await coordinator.get(b"")  # time passes for leases when the store is asked
        await eventually(lambda: not found.services)


async def test_while_etcd_is_away_the_last_known_services_stay_and_changes_are_not_missed() -> None:
    clock = ManualClock()
    coordinator = MemoryCoordinator(clock)
    async with directory(coordinator, clock=clock) as found, service(coordinator, ONE, clock=clock):
        await eventually(lambda: found.services == (ONE,))
        coordinator.unreachable = True
        coordinator.break_watches()
        await clock.advance(5 * LEASE)
        assert found.services == (ONE,)
        coordinator.unreachable = False
        await write(coordinator, "2", dump_service(TWO))
        await clock.advance(5)
        await eventually(lambda: found.services == (ONE, TWO))


async def test_after_a_compaction_services_that_left_meanwhile_are_gone() -> None:
    clock = ManualClock()
    coordinator = MemoryCoordinator(clock)
    await write(coordinator, "1", dump_service(ONE))
    async with directory(coordinator, clock=clock) as found:
        await eventually(lambda: found.services == (ONE,))
        coordinator.unreachable = True
        coordinator.break_watches()
        await clock.advance(5)
        coordinator.unreachable = False
        await coordinator.txn([], [Delete(Keys("c").service(METRICS, "1"))])
        await write(coordinator, "2", dump_service(TWO))
        coordinator.compact()
        await clock.advance(5)
        await eventually(lambda: found.services == (TWO,))


async def test_two_services_with_one_address_keep_their_entries_and_are_listed_once() -> None:
    clock = ManualClock()
    coordinator = MemoryCoordinator(clock)
    again = ServiceInfo("9", ONE.address, ONE.software)
    async with (
        directory(coordinator, clock=clock) as found,
        service(coordinator, again, clock=clock) as second,
        service(coordinator, ONE, clock=clock) as first,
    ):
        await clock.advance(10 * LEASE)
        await eventually(lambda: found.services == (ONE,))
        assert len((await coordinator.range(Keys("c").services(METRICS)))[0]) == 2
        assert not first.done()
        assert not second.done()


def test_ids_differ() -> None:
    rng = random.Random(1)
    assert new_id(rng) != new_id(rng)


GOOD = json.loads(dump_service(ONE))
WRONG = [
    b"",
    b"\xff\xfe",
    b"null",
    b"[1]",
    b'"x"',
    b"[" * 4000,
    b'{"version": 2}',
    b'{"version": 1}',
    json.dumps({**GOOD, "address": "127.0.0.1"}).encode(),
    json.dumps({**GOOD, "address": "127.0.0.1:0"}).encode(),
    json.dumps({**GOOD, "address": 7300}).encode(),
    json.dumps({**GOOD, "address": None}).encode(),
    json.dumps({**GOOD, "software": ["0.1"]}).encode(),
    json.dumps({**GOOD, "software": "\x1b[31m"}).encode(),
    json.dumps({**GOOD, "console": "javascript:alert(1)"}).encode(),
    json.dumps({**GOOD, "console": "x" * 300}).encode(),
    json.dumps({**GOOD, "more": "x" * 5000}).encode(),
]


@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value[:24]))
async def test_a_wrong_value_is_skipped_and_named_and_harms_no_other(
    value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    coordinator = MemoryCoordinator()
    await write(coordinator, "0-wrong", value)
    await write(coordinator, "2", dump_service(TWO))
    with caplog.at_level(logging.WARNING):
        async with directory(coordinator) as found:
            await eventually(lambda: found.services == (TWO,))
            assert "0-wrong" in caplog.text
            await write(coordinator, "1", dump_service(ONE))
            await eventually(lambda: found.services == (ONE, TWO))
            await write(coordinator, "1", value)
            await eventually(lambda: found.services == (TWO,))


async def test_an_id_that_is_no_text_is_skipped() -> None:
    coordinator = MemoryCoordinator()
    await coordinator.txn([], [Put(Keys("c").services(METRICS) + b"\xff", dump_service(ONE))])
    await write(coordinator, "2", dump_service(TWO))
    async with directory(coordinator) as found:
        await eventually(lambda: found.services == (TWO,))


async def test_a_service_whose_entry_was_overwritten_goes_on() -> None:
    clock = ManualClock()
    coordinator = MemoryCoordinator(clock)
    async with directory(coordinator, clock=clock) as found, service(coordinator, ONE, clock=clock) as running:
        await eventually(lambda: found.services == (ONE,))
        await write(coordinator, ONE.id, b"nonsense")
        await eventually(lambda: not found.services)
        coordinator.unreachable = True
        await clock.advance(2 * LEASE)
        coordinator.unreachable = False
        await clock.advance(LEASE)
        await eventually(lambda: found.services == (ONE,))
        assert not running.done()


@pytest.mark.parametrize("info", [ONE, TWO])
def test_a_service_is_read_as_it_was_written(info: ServiceInfo) -> None:
    assert load_service(info.id, dump_service(info)) == info
