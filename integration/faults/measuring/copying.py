"""Measures the copy of a large partition to an empty node: without callers, and during calls."""

import asyncio
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dstk_keytypes import Key
from dstk_service.testing import eventually
from faults.measuring.bed import cluster_of
from faults.measuring.foreground import Foreground, Stretch, foreground, stretch
from faults.measuring.judging import FAILED
from faults.measuring.model import Figure, Measured, Settings, Tell
from faults.measuring.values import fill
from faults.scenario import Access

NAME = "copying"
VALUE_BYTES = 1024
RATE_GOAL, COST_GOAL = 60.0, 20.0
LOOK_SECONDS = 0.1
WARM_UP_SECONDS, BEFORE_SECONDS = 3.0, 20.0
SLOWEST_BYTES_PER_SECOND = 1e6
"""The measurement fails if a copy is slower."""

FEWEST_CALLS_PER_SECOND = 100.0
FILL, ALONE, BESIDE = (0.0, 0.2), (0.2, 0.4), (0.4, 1.0)
"""Which part of the whole time each step takes, roughly."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A partition that is copied, and the target node."""

    access: Access
    partition: int
    target: str
    records: int

    @property
    def bytes(self) -> int:
        """Of values."""
        return self.records * VALUE_BYTES


async def measure(settings: Settings, tell: Tell) -> Measured:
    """Fills a partition of two replicas, then makes a third one twice."""
    records = round(settings.gigabytes * 1e9 / VALUE_BYTES)
    async with cluster_of(settings, nodes=3, replicas=2) as access:
        copy = await _prepared(access, records)
        await _fill(copy, partial(_part, tell, *FILL))
        alone = await _made(copy, partial(_part, tell, *ALONE))
        await _unmade(copy)
        async with foreground(access.clients[0], _key, records, VALUE_BYTES) as state:
            before, during = await _beside(copy, state, partial(_part, tell, *BESIDE))
        return _judged(copy, alone, state, before, during)


def _part(tell: Tell, begin: float, end: float, done: float, text: str) -> None:
    tell(begin + (end - begin) * min(done, 1.0), text)


def _key(number: int) -> Key:
    return Key.text(f"{number:012d}")


async def _prepared(access: Access, records: int) -> Copy:
    """Pauses the controller, which would make the third replica itself, and fills the partition."""
    await access.operator.pause_controller()
    (entry,) = [status.partition for status in await access.operator.partitions()]
    target = next(name for name in reversed(access.cluster.names) if name not in list(entry.replicas)[:2])
    copy = Copy(access, entry.id, target, records)
    await _unmade(copy)
    return copy


async def _fill(copy: Copy, tell: Tell) -> None:
    def note(done: int) -> None:
        tell(done / copy.records, "filling the partition")

    await fill(copy.access.clients[0], _key, copy.records, VALUE_BYTES, note)


async def _made(copy: Copy, tell: Tell) -> float:
    """Seconds until the target is in sync."""
    operator, begun = copy.access.operator, time.monotonic()
    deadline = begun + 30 + copy.bytes / SLOWEST_BYTES_PER_SECOND
    await operator.add_replica(copy.partition, copy.target)
    while copy.target not in (await operator.partitions())[0].partition.in_sync:
        assert time.monotonic() < deadline, f"no replica after {time.monotonic() - begun:.0f} s"
        tell(_size(copy.access.cluster.data_dir(copy.target)) / copy.bytes, f"copying to {copy.target}")
        await asyncio.sleep(LOOK_SECONDS)
    return time.monotonic() - begun


def _size(directory: Path) -> int:
    def sizes() -> Iterable[int]:
        for path in directory.rglob("*"):
            try:
                yield path.stat().st_size
            except FileNotFoundError:  # LevelDB deletes compacted tables
                continue

    return sum(sizes())


async def _unmade(copy: Copy) -> None:
    """Empties the target at once: deleting in the background would take minutes, and the next copy would be written into files
    with deletion markers.
    """
    cluster, operator = copy.access.cluster, copy.access.operator
    await operator.remove_replica(copy.partition, copy.target)
    await cluster.stop(copy.target)
    shutil.rmtree(cluster.data_dir(copy.target))
    await cluster.start(copy.target)

    async def is_alive() -> bool:
        return bool((await operator.nodes())[copy.target].alive)

    await eventually(is_alive)
    await operator.healed(replicas=2)


async def _beside(copy: Copy, state: Foreground, tell: Tell) -> tuple[Stretch, Stretch]:
    tell(0.0, "callers alone")
    await asyncio.sleep(WARM_UP_SECONDS)
    async with stretch(state) as before:
        await asyncio.sleep(BEFORE_SECONDS)
    async with stretch(state) as during:
        await _made(copy, tell)
    return before, during


def _judged(copy: Copy, alone: float, state: Foreground, before: Stretch, during: Stretch) -> Measured:
    cost = 100 * (1 - during.rate / before.rate)
    figures = [
        Figure("copied, nobody calling", copy.bytes / alone / 1e6, "MB/s", RATE_GOAL, at_least=True),
        Figure("copied beside 64 callers", copy.bytes / during.seconds / 1e6, "MB/s"),
        Figure("what the copy costs callers", cost, "%", COST_GOAL),
        Figure("calls before it", before.rate, "/s"),
        Figure("calls during it", during.rate, "/s"),
        Figure(FAILED, len(state.errors), goal=0, promised=True),
    ]
    few = before.rate < FEWEST_CALLS_PER_SECOND
    reason = f"invalid run: {before.rate:.0f} calls a second, {FEWEST_CALLS_PER_SECOND:.0f} are needed" if few else ""
    notes = [f"failed: {error!r}" for error in state.errors[:3]]
    return Measured(NAME, figures, (alone, during.seconds), reason, notes)
