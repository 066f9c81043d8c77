"""The crash: a storage node dies by SIGKILL while writes go on. Others take over; when it returns, it catches up."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.table import Table

from dstk.v1 import topology_pb2
from dstk_demo.basics import FIRST_EXTRA_ID
from dstk_demo.context import ClaimFailedError, Demo, Rate
from dstk_demo.places import key_of
from dstk_demo.waiting import until
from dstk_keytypes import Key, KeyRange
from dstk_service.errors import DstkError

WRITERS_PER_PARTITION = 4
_BEFORE = 2_000
_AFTER = 50
_WITHIN_S = 60.0
_PAUSE_S = 0.02

Partitions = Callable[[], Awaitable[Sequence[topology_pb2.Partition]]]
"""Returns the partition map as it is now."""


class Target(NamedTuple):
    """A partition to write to: its primary before the crash, and a country whose keys lie in it."""

    partition: int
    primary: str
    country: str


@dataclass(slots=True)
class Writes:
    """What the writers saw. By partition, since the kill: `after` counts acknowledgements, and `paused` is the longest time in
    seconds between two of one writer.
    """

    acknowledged: int = 0
    failed: int = 0
    killed_at: float = 0.0
    after: dict[int, int] = field(default_factory=dict)
    paused: dict[int, float] = field(default_factory=dict)

    def acknowledge(self, partition: int, previous: float) -> None:
        """Records an acknowledged write; the writer's previous one was at `previous`."""
        self.acknowledged += 1
        if self.killed_at:
            now = time.monotonic()
            self.after[partition] = self.after.get(partition, 0) + 1
            gap = now - max(previous, self.killed_at)
            self.paused[partition] = max(self.paused.get(partition, 0.0), gap)


async def kill_one(demo: Demo, targets: Sequence[Target], partitions: Partitions) -> None:
    """Kills a node that leads partitions while all partitions are written to; restarts it once the others have taken over."""
    demo.step("Kill a storage node with SIGKILL while writes go on")
    victim = targets[0].primary
    writes, stop = Writes(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number, target in enumerate([*targets] * WRITERS_PER_PARTITION):
            group.create_task(_write(demo, writes, stop, target, number))
        try:
            await _until(lambda: writes.acknowledged >= _BEFORE, "the first writes")
            await _kill(demo, writes, victim)
            await _until(lambda: all(writes.after.get(t.partition, 0) >= _AFTER for t in targets), "all partitions")
            await _claim_takeover(demo, writes, targets, victim, partitions)
            await _return(demo, victim, partitions)
        finally:
            stop.set()
    demo.screen.print(
        f"  {writes.acknowledged:,} writes acknowledged in all, {writes.failed:,} failed and may or may not have been applied"
    )


async def _write(demo: Demo, writes: Writes, stop: asyncio.Event, target: Target, number: int) -> None:
    """Puts one record after the other until `stop`."""
    at, previous = 0, time.monotonic()
    while not stop.is_set():
        key = key_of(target.country, FIRST_EXTRA_ID + (number + 1) * 10_000_000 + at)
        value, at = b'{"writer":%d,"write":%d}' % (number, at), at + 1
        try:
            await demo.client.put(key, value, timeout=10.0)
        except DstkError:
            writes.failed += 1
            demo.ambiguous.add(key)
            await asyncio.sleep(_PAUSE_S)
        else:
            demo.model[key] = value
            writes.acknowledge(target.partition, previous)
            previous = time.monotonic()


async def _kill(demo: Demo, writes: Writes, victim: str) -> None:
    process = demo.cluster.process(victim).process
    assert process is not None
    demo.screen.print(f"  {writes.acknowledged:,} writes acknowledged so far; each is on three disks")
    demo.code(f"kill -9 {process.pid}   # {victim}; it stays down")
    writes.killed_at = time.monotonic()
    await demo.cluster.kill(victim)


async def _claim_takeover(
    demo: Demo, writes: Writes, targets: Sequence[Target], victim: str, partitions: Partitions
) -> None:
    led = [target for target in targets if target.primary == victim]
    now = {partition.id: partition for partition in await partitions()}
    demo.screen.print(_takeovers(led, now, writes.paused))
    others = sorted({now[target.partition].primary for target in led})
    pause = max(writes.paused[target.partition] for target in led)
    elsewhere = max((writes.paused[target.partition] for target in targets if target not in led), default=0.0)
    demo.claim(victim not in others, f"{' and '.join(others)} took over the {len(led)} partitions that {victim} led")
    text = f"writes to these paused for {pause:.2f} s at most, to all others for {elsewhere:.2f} s"
    demo.claim(pause < _WITHIN_S, text)


def _takeovers(led: Sequence[Target], now: Mapping[int, topology_pb2.Partition], paused: Mapping[int, float]) -> Table:
    table = Table(box=None, header_style="bold")
    for title in ("partition", "led by", "now", "epoch", "in sync", "writes paused"):
        table.add_column(title, justify="right" if title in {"epoch", "writes paused"} else "left")
    for target in led:
        entry = now[target.partition]
        cells = (str(entry.id), target.primary, entry.primary, str(entry.epoch), ", ".join(entry.in_sync))
        table.add_row(*cells, f"{paused[target.partition]:.2f} s")
    return table


async def _return(demo: Demo, victim: str, partitions: Partitions) -> None:
    """Starts the node again and waits until every replica is in sync."""

    async def under_replicated() -> int:
        return sum(len(partition.in_sync) < len(partition.replicas) for partition in await partitions())

    async def whole() -> bool:
        return not await under_replicated()

    before = await under_replicated()
    demo.claim(before > 0, f"{before} partitions serve under-replicated while {victim} is gone")
    demo.code(f"# {victim} starts again")
    began = time.monotonic()
    await demo.cluster.start(victim)
    await _until_true(whole, "all replicas to be in sync")
    demo.claim(True, f"it caught up: 0 under-replicated partitions {time.monotonic() - began:.1f} s after its start")


async def compare(demo: Demo) -> dict[Key, bytes]:
    """Compares every acknowledged record with a scan of everything, which it returns."""
    demo.step("Nothing is lost")
    found = await _scan_all(demo)
    lost = [key for key, value in demo.model.items() if found.get(key) != value and key not in demo.ambiguous]
    strange = [key for key in found if key not in demo.model and key not in demo.ambiguous]
    demo.claim(not lost, f"all {len(demo.model):,} acknowledged records exist, each with its value")
    applied = len(found) - len(demo.model)
    text = f"nothing else exists, except for {applied:,} of the {len(demo.ambiguous):,} writes that failed"
    demo.claim(not strange, text)
    places = sum(key in found for key in demo.places.records)
    demo.claim(places == len(demo.places.records), f"all {places:,} places are among them")
    return found


async def _scan_all(demo: Demo) -> dict[Key, bytes]:
    began = time.monotonic()
    with demo.screen.status("  scanning everything ..."):
        pages = demo.client.scan(KeyRange.tuple_prefix("city")).pages()
        found = {record.key: record.value async for page in pages for record in page}
    demo.rates.append(Rate("scan of everything", len(found), time.monotonic() - began))
    return found


async def _until(condition: Callable[[], bool], what: str) -> None:
    async def holds() -> bool:
        return condition()

    await _until_true(holds, what)


async def _until_true(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(_WITHIN_S):
            await until(condition, _PAUSE_S)
    except TimeoutError:
        raise ClaimFailedError(f"waited {_WITHIN_S:g} s in vain for {what}") from None
