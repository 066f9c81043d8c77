"""The crash: a storage node is killed for good while writes go on. Others take over, and when it returns it is made whole."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.table import Table

from dstk.v1 import topology_pb2
from dstk_cli.demo.basics import FIRST_EXTRA_ID
from dstk_cli.demo.places import key_of
from dstk_cli.demo.stage import Rate, Stage, StepFailedError
from dstk_cli.waiting import until
from dstk_keytypes import Key, KeyRange
from dstk_service.errors import DstkError

WRITERS_PER_PARTITION = 4
_BEFORE = 2_000
_AFTER = 50
_WITHIN_S = 60.0
_PAUSE_S = 0.02

Partitions = Callable[[], Awaitable[Sequence[topology_pb2.Partition]]]
"""The map as it is now."""


class Home(NamedTuple):
    """A partition, and a country that lies in it."""

    partition: int
    primary: str
    country: str


@dataclass(slots=True)
class Writes:
    """What the writers saw. `after` counts acknowledgements since the kill, by partition; `paused` is the longest time between
    two of one writer since then, in seconds.
    """

    acknowledged: int = 0
    failed: int = 0
    killed_at: float = 0.0
    after: dict[int, int] = field(default_factory=dict)
    paused: dict[int, float] = field(default_factory=dict)

    def acknowledge(self, partition: int, previous: float) -> None:
        """A write was acknowledged, and the writer's one before it at `previous`."""
        self.acknowledged += 1
        if self.killed_at:
            now = time.monotonic()
            self.after[partition] = self.after.get(partition, 0) + 1
            gap = now - max(previous, self.killed_at)
            self.paused[partition] = max(self.paused.get(partition, 0.0), gap)


async def kill_one(stage: Stage, homes: Sequence[Home], partitions: Partitions) -> None:
    """Kills a node that leads partitions, with writes going on to all; it returns only when the others have taken over."""
    stage.step("Kill a storage node for good, with SIGKILL, while writes go on")
    victim = homes[0].primary
    writes, stop = Writes(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number, home in enumerate([*homes] * WRITERS_PER_PARTITION):
            group.create_task(_write(stage, writes, stop, home, number))
        try:
            await _until(lambda: writes.acknowledged >= _BEFORE, "the first writes")
            await _kill(stage, writes, victim)
            await _taken_over(stage, writes, homes, victim, partitions)
            await _returns(stage, victim, partitions)
        finally:
            stop.set()
    stage.screen.print(
        f"  in all {writes.acknowledged:,} writes acknowledged, {writes.failed:,} answered with an error"
        " (which may or may not have happened)"
    )


async def _kill(stage: Stage, writes: Writes, victim: str) -> None:
    process = stage.cluster.process(victim).process
    assert process is not None
    stage.screen.print(f"  {writes.acknowledged:,} writes acknowledged so far; each is on three disks")
    stage.code(f"kill -9 {process.pid}   # {victim}; it stays down")
    writes.killed_at = time.monotonic()
    await stage.cluster.kill(victim)


async def _taken_over(stage: Stage, writes: Writes, homes: Sequence[Home], victim: str, partitions: Partitions) -> None:
    led = [home for home in homes if home.primary == victim]
    await _until(lambda: all(writes.after.get(h.partition, 0) >= _AFTER for h in homes), "writes to every partition")
    now = {partition.id: partition for partition in await partitions()}
    stage.screen.print(_takeovers(led, now, writes.paused))
    others = sorted({now[home.partition].primary for home in led})
    pause = max(writes.paused[home.partition] for home in led)
    elsewhere = max((writes.paused[home.partition] for home in homes if home not in led), default=0.0)
    stage.check(victim not in others, f"{' and '.join(others)} took over the {len(led)} partitions that {victim} led")
    stage.check(
        pause < _WITHIN_S, f"writes to these paused for {pause:.2f} s at most, to all others for {elsewhere:.2f} s"
    )


def _takeovers(led: Sequence[Home], now: Mapping[int, topology_pb2.Partition], paused: Mapping[int, float]) -> Table:
    table = Table(box=None, header_style="bold")
    for title in ("partition", "led by", "now", "epoch", "in sync", "writes paused"):
        table.add_column(title, justify="right" if title in {"epoch", "writes paused"} else "left")
    for home in led:
        entry = now[home.partition]
        shown = (str(entry.id), home.primary, entry.primary, str(entry.epoch), ", ".join(entry.in_sync))
        table.add_row(*shown, f"{paused[home.partition]:.2f} s")
    return table


async def _returns(stage: Stage, victim: str, partitions: Partitions) -> None:
    async def lacking() -> int:
        return sum(len(partition.in_sync) < len(partition.replicas) for partition in await partitions())

    before = await lacking()
    stage.check(before > 0, f"{before} partitions are under-replicated while {victim} is gone, and serve")
    stage.code(f"# {victim} starts again")
    began = time.monotonic()
    await stage.cluster.start(victim)

    async def whole() -> bool:
        return not await lacking()

    await _until_true(whole, "all replicas to be in sync")
    stage.check(True, f"it caught up: 0 under-replicated partitions {time.monotonic() - began:.1f} s after its start")


async def _write(stage: Stage, writes: Writes, stop: asyncio.Event, home: Home, number: int) -> None:
    at, previous = 0, time.monotonic()
    while not stop.is_set():
        key = key_of(home.country, FIRST_EXTRA_ID + (number + 1) * 10_000_000 + at)
        value, at = b'{"writer":%d,"write":%d}' % (number, at), at + 1
        try:
            await stage.client.put(key, value, timeout=10.0)
        except DstkError:
            writes.failed += 1
            stage.unsure.add(key)
            await asyncio.sleep(_PAUSE_S)
        else:
            stage.model[key] = value
            writes.acknowledge(home.partition, previous)
            previous = time.monotonic()


async def compare(stage: Stage) -> dict[Key, bytes]:
    """Every record that was ever acknowledged, against a scan of everything, which is returned."""
    stage.step("Nothing is lost")
    began = time.monotonic()
    with stage.screen.status("  scanning everything ..."):
        pages = stage.client.scan(KeyRange.tuple_prefix("city")).pages()
        found = {record.key: record.value async for page in pages for record in page}
    rate = Rate("scan of everything", len(found), time.monotonic() - began)
    stage.rates.append(rate)
    lost = [key for key, value in stage.model.items() if found.get(key) != value and key not in stage.unsure]
    strange = [key for key in found if key not in stage.model and key not in stage.unsure]
    stage.check(not lost, f"all {len(stage.model):,} acknowledged records are there, each with its value")
    kept = len(found) - len(stage.model)
    stage.check(
        not strange, f"there is nothing else, except for {kept:,} of the {len(stage.unsure):,} writes that failed"
    )
    places = sum(key in found for key in stage.places.records)
    stage.check(places == len(stage.places.records), f"all {places:,} places are among them")
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
        raise StepFailedError(f"waited {_WITHIN_S:g} s in vain for {what}") from None
